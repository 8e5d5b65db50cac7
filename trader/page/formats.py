"""How figures are written: one form for dollars, R, percents, dates and times. A figure without a meaning is a dash."""

import math
from datetime import UTC, datetime

from trader.domain.units import SECOND_NS

NONE = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def number(value: float | None, digits: int = 2, *, signed: bool = False) -> str:
    """A plain figure with thousands separators; a rounded zero has no sign."""
    if value is None or math.isnan(value):
        return NONE
    text = f"{abs(value):,.{digits}f}"
    is_zero = not text.strip("0.,")
    if is_zero:
        return text
    return (MINUS if value < 0 else "+" if signed else "") + text


def usd(value: float | None, digits: int = 2, *, signed: bool = False) -> str:
    """Dollars, the sign before the dollar sign."""
    text = number(value, digits, signed=signed)
    if text == NONE:
        return text
    sign = text[0] if text[0] in f"{MINUS}+" else ""
    return f"{sign}${text[len(sign) :]}"


def in_r(value: float | None, digits: int = 2) -> str:
    """Multiples of a trade's initial risk, with sign."""
    text = number(value, digits, signed=True)
    return text if text == NONE else f"{text} R"


def pct(value: float | None, digits: int = 1) -> str:
    """A figure that is in percent already."""
    text = number(value, digits)
    return text if text == NONE else f"{text} %"


def between(low: str, high: str) -> str:
    """An interval of two written figures."""
    return NONE if NONE in {low, high} else f"{low} to {high}"


def count(value: int, one: str, many: str | None = None) -> str:
    """`1 trade`, `2 trades`."""
    return f"{value:,} {one if value == 1 else many or one + 's'}"


def words(name: str) -> str:
    """A name of code as words: `rl_only` is `RL only`."""
    text = name.replace("_", " ").replace("rl ", "RL ").replace("llm ", "LLM ").replace("sma ", "SMA ")
    return titled(text)


def sentence(text: str) -> str:
    """The text with a capital at its start and a full stop at its end."""
    closed = text if text.endswith((".", "!", "?")) else f"{text}."
    return titled(closed) if text else ""


def titled(text: str) -> str:
    """The text with a capital at its start."""
    return text[:1].upper() + text[1:]


def month(date: str) -> str:
    """`2022-03-04` as `Mar 2022`."""
    return f"{_MONTHS[int(date[5:7]) - 1]} {date[:4]}"


def et(ts_ns: int, et_offset_s: int) -> datetime:
    """New York's wall clock, a naive time: `et_offset_s` are the seconds to add to UTC."""
    return datetime.fromtimestamp(ts_ns // SECOND_NS + et_offset_s, UTC).replace(tzinfo=None)


def et_text(ts_ns: int, et_offset_s: int) -> str:
    """New York's wall clock as `2022-03-04 09:31`."""
    return f"{et(ts_ns, et_offset_s):%Y-%m-%d %H:%M}"
