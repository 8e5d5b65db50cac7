"""The user's context template: checked once, then filled in for each question. Pure."""

import re
import string
from difflib import get_close_matches

from msgspec.structs import asdict

from trader.advisor.figures import Figures
from trader.advisor.harmless import special_token_in
from trader.errors import ConfigurationError

FIELDS = Figures.__struct_fields__

_SPEC = re.compile(r"[^{}0-9]{0,4}[0-9]{0,2},?(?:\.[0-9]{1,2})?[a-z%]?")  # no width that fills the memory
_SAMPLE = Figures(
    market_name="E-mini Nasdaq-100",
    current_time="2023-03-15 10:31",
    current_price=12_000.25,
    adx=31.5,
    vwap_distance=-0.00125,
    rsi=62.5,
    momentum=-21.5,
    position_status="LONG 1 @ 12000.25, stop 11985.00, trailing",
    unrealized_pnl=-125.0,
    win_rate=0.45,
    consecutive_losses=2,
    balance=50_000.0,
)


class Template:
    """A context template, and its last paragraph, the question, before which other things may be told.

    `key` is its name in the settings, for errors.
    """

    def __init__(self, text: str, key: str) -> None:
        """ConfigurationError where a field is unknown or a format does not fit."""
        for _, field, spec, conversion in _parts(text, key):
            if field is not None:
                _check_field(field, spec or "", conversion, key)
        token = special_token_in(text)
        if token is not None:
            msg = f"{key} holds {token}, which would end the model's turn; remove it, the chat template adds its own"
            raise ConfigurationError(msg)
        if not text.strip():
            msg = f"{key} is empty; restore the one of config/llm_config.yaml"
            raise ConfigurationError(msg)
        body, gap, closing = text.strip("\n").rpartition("\n\n")
        self._body, self._gap, self._closing = body, gap, closing

    def fill(self, figures: Figures, before_closing: str = "") -> str:
        """The context with `figures`; `before_closing` becomes a paragraph before the last."""
        values = asdict(figures)
        aside = f"{before_closing}\n\n" if before_closing else ""
        return f"{self._body.format_map(values)}{self._gap}{aside}{self._closing.format_map(values)}"


def sample_figures() -> Figures:
    """Figures of no market, to try a template or a model on."""
    return _SAMPLE


def _parts(text: str, key: str) -> list[tuple[str, str | None, str | None, str | None]]:
    try:
        return list(string.Formatter().parse(text))
    except ValueError as error:
        msg = f"{key} cannot be read: {error}; write a brace that is no field twice: {{{{ or }}}}"
        raise ConfigurationError(msg) from None


def _check_field(field: str, spec: str, conversion: str | None, key: str) -> None:
    if field not in FIELDS:
        near = get_close_matches(field, FIELDS, n=1)
        hint = f"did you mean {{{near[0]}}}? " if near else ""
        msg = f"{key} has the field {{{field}}}, which is unknown; {hint}Known are {', '.join(FIELDS)}"
        raise ConfigurationError(msg)
    value = asdict(_SAMPLE)[field]
    try:
        if conversion is not None or not _SPEC.fullmatch(spec):
            _refuse_format(spec)
        format(value, spec)
    except ValueError as error:
        kind = {str: "a text", int: "a whole number", float: "a number"}[type(value)]
        msg = f"{key}: {{{field}}} is {kind}, and its format {spec!r} cannot be used: {error}; such as {{adx:.1f}}"
        raise ConfigurationError(msg) from None


def _refuse_format(spec: str) -> None:
    msg = f"{spec!r} is more than a sign, a width and a precision of two digits, and a type"
    raise ValueError(msg)
