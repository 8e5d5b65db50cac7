"""What the columns of a bar file are, and how its stamps are written: read from the header and the first rows."""

import csv
from collections import Counter
from enum import StrEnum
from pathlib import Path

import numpy as np
from msgspec import Struct

from trader.adapters.files.source import UTF8_MARK
from trader.errors import InputError
from trader.kernels import bar_rows as kernel

SAMPLE_ROWS = 200
READABLE_SHARE = 0.9
"""Share of the sampled stamps that a way of writing must explain; a file may begin with a few bad rows."""


class LayoutName(StrEnum):
    """Layouts with a name of their own; everything else with the usual column names is generic."""

    FIRSTRATE = "firstrate"
    TRADINGVIEW = "tradingview"
    DATABENTO = "databento"
    GENERIC = "generic"


NAMES: dict[int, tuple[str, ...]] = {
    kernel.STAMP: (
        "timestamp",
        "datetime",
        "dt",
        "tsevent",
        "tsopen",
        "ts",
        "opentime",
        "bartime",
        "unixtime",
        "epoch",
    ),
    kernel.DATE: ("date", "day"),
    kernel.CLOCK: ("time", "timeofday"),
    kernel.OPEN: ("open", "o", "openprice"),
    kernel.HIGH: ("high", "h", "highprice"),
    kernel.LOW: ("low", "l", "lowprice"),
    kernel.CLOSE: ("close", "c", "closeprice", "last"),
    kernel.VOLUME: ("volume", "vol", "v", "totalvolume"),
    kernel.CONTRACT: ("contract", "symbol", "ticker", "instrument"),
    kernel.OFFSET: ("rolloffset",),
}
"""The usual column names of each role, in order of preference; compared without case, spaces, _, -, /, < and >."""

_PRICES = (kernel.OPEN, kernel.HIGH, kernel.LOW, kernel.CLOSE)
_EPOCH_DIGITS = {10: kernel.EPOCH_S, 13: kernel.EPOCH_MS, 16: kernel.EPOCH_US, 19: kernel.EPOCH_NS}
_FIRSTRATE = ("timestamp", "open", "high", "low", "close", "volume")
_DATABENTO = (
    "tsevent",
    "rtype",
    "publisherid",
    "instrumentid",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "symbol",
)
_TRADINGVIEW = ("time", "open", "high", "low", "close")


class Layout(Struct, frozen=True, kw_only=True):
    """Columns and stamps of one file.

    `roles` has one role of kernels.bar_rows a column. `forms` are the ways of writing a date that explain the first
    rows: more than one only where month and day cannot be told apart there. `is_zoned`: each stamp names an instant.
    """

    name: LayoutName
    delimiter: str
    header_line: int
    columns: tuple[str, ...]
    roles: tuple[int, ...]
    forms: tuple[int, ...]
    is_zoned: bool

    def has(self, role: int) -> bool:
        """Is there a column with this role?"""
        return role in self.roles

    def column(self, role: int) -> str:
        """The name that the file gives to the column with this role."""
        return self.columns[self.roles.index(role)]


def detect_layout(path: Path, head: bytes, wanted: str = "auto") -> Layout:
    """The layout of a file that begins with `head`; InputError where it is no bar file, or not the `wanted` layout."""
    lines = head.removeprefix(UTF8_MARK).decode("utf-8", "replace").split("\n")
    if len(lines) > 2:
        lines.pop()  # empty, or cut off by the end of the head
    header_at = next((i for i, line in enumerate(lines) if line.strip() and not line.startswith("#")), None)
    if header_at is None:
        raise _no_bars(path, "it has no line with columns")
    header = lines[header_at]
    delimiter = max(",;\t|", key=header.count)
    columns = tuple(split_cells(header, delimiter))
    normal = tuple(_normal(column) for column in columns)
    roles, is_headed = _roles(path, normal), True
    if roles is None:
        roles, is_headed = _roles_by_place(columns), False
        columns = tuple(f"column {i + 1}" for i in range(len(columns)))
    if roles is None:
        raise _no_bars(path, f"its first line is {header[:120]!r}")
    rows = [split_cells(line, delimiter) for line in lines[header_at + is_headed :] if line.strip()][:SAMPLE_ROWS]
    forms, is_zoned = _stamps(path, [row for row in rows if len(row) == len(columns)], roles)
    layout = Layout(
        name=_named(normal, is_zoned=is_zoned),
        delimiter=delimiter,
        header_line=header_at + is_headed,
        columns=columns,
        roles=roles,
        forms=forms,
        is_zoned=is_zoned,
    )
    if wanted not in {"auto", layout.name, LayoutName.GENERIC}:
        msg = f"{path} is not in the layout {wanted}: its columns are {', '.join(columns)}; give --layout auto"
        raise InputError(msg)
    return layout


def split_cells(line: str, delimiter: str) -> list[str]:
    """The cells of one line, without the spaces around them; no cell where the quotes make no sense."""
    try:
        return [cell.strip() for cell in next(csv.reader([line.strip()], delimiter=delimiter, skipinitialspace=True))]
    except (csv.Error, StopIteration):
        return []


def _normal(column: str) -> str:
    return "".join(letter for letter in column.lower() if letter not in " _-/<>\"'")


def _named(normal: tuple[str, ...], *, is_zoned: bool) -> LayoutName:
    if normal == _FIRSTRATE and not is_zoned:
        return LayoutName.FIRSTRATE
    if normal == _DATABENTO and is_zoned:
        return LayoutName.DATABENTO
    if normal[: len(_TRADINGVIEW)] == _TRADINGVIEW and is_zoned:
        return LayoutName.TRADINGVIEW
    return LayoutName.GENERIC


def _roles(path: Path, normal: tuple[str, ...]) -> tuple[int, ...] | None:
    """Roles by the header's names; None where it names no price, InputError where it names some but not all."""
    found = {role: name for role, names in NAMES.items() if (name := next((n for n in names if n in normal), ""))}
    if not any(role in found for role in _PRICES):
        return None
    if kernel.STAMP in found or not {kernel.DATE, kernel.CLOCK} <= found.keys():
        when = next((role for role in (kernel.STAMP, kernel.DATE, kernel.CLOCK) if role in found), None)
        stamp = found[when] if when is not None else ""
        found = {role: name for role, name in found.items() if role not in {kernel.DATE, kernel.CLOCK}}
        found[kernel.STAMP] = stamp
    missing = [NAMES[role][0] for role in (kernel.STAMP, *_PRICES) if role in found and not found[role]]
    missing += [NAMES[role][0] for role in _PRICES if role not in found]
    if missing:
        raise _no_bars(path, f"the header has no {', '.join(missing)}: it names {', '.join(normal)[:200]}")
    twice = [name for name in found.values() if normal.count(name) > 1]
    if twice:
        raise _no_bars(path, f"the header names {twice[0]!r} twice, so it is not clear which column is meant")
    return tuple(next((role for role, name in found.items() if name == column), kernel.IGNORED) for column in normal)


def _roles_by_place(cells: tuple[str, ...]) -> tuple[int, ...] | None:
    """Roles of a file without header: a stamp (or date and time), open, high, low, close and perhaps volume."""
    split = len(cells) > 1 and not _is_number(cells[1])
    stamp = (kernel.DATE, kernel.CLOCK) if split else (kernel.STAMP,)
    prices = cells[len(stamp) :]
    if len(prices) not in {4, 5} or not cells[0][:1].isdigit() or not all(_is_number(cell) for cell in prices):
        return None
    return (*stamp, *_PRICES, kernel.VOLUME)[: len(cells)]


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _stamps(path: Path, rows: list[list[str]], roles: tuple[int, ...]) -> tuple[tuple[int, ...], bool]:
    """Ways of writing that explain the sampled stamps, and whether each stamp names an instant."""
    if not rows:
        raise _no_bars(path, "no row has as many cells as the header")
    if kernel.STAMP in roles:
        texts = [row[roles.index(kernel.STAMP)].strip() for row in rows]
    else:
        date, clock = roles.index(kernel.DATE), roles.index(kernel.CLOCK)
        texts = [f"{row[date].strip()} {row[clock].strip()}" for row in rows]
    read: dict[int, Counter[bool]] = {}
    for form in _candidates(texts):
        answers = [read_stamp(text, form) for text in texts]
        read[form] = Counter(answer[1] for answer in answers if answer is not None)
    forms = tuple(form for form, kinds in read.items() if kinds.total() >= READABLE_SHARE * len(texts))
    if not forms:
        dates_only = any(kernel.date(_bytes(texts[0]), 0, len(texts[0].encode()), form)[0] for form in _CIVIL)
        what = (
            "dates without a time: bars of a day are over 15 minutes" if dates_only else "no date and time known here"
        )
        raise _no_bars(path, f"its first stamp is {texts[0]!r}, {what}; write stamps as 2023-11-19 18:00:00")
    return forms, read[forms[0]].most_common(1)[0][0]


_CIVIL = (kernel.YEAR_FIRST, kernel.MONTH_FIRST, kernel.DAY_FIRST)


def _candidates(texts: list[str]) -> tuple[int, ...]:
    lengths = Counter(len(text.partition(".")[0]) if text.replace(".", "", 1).isdigit() else 0 for text in texts)
    epoch = _EPOCH_DIGITS.get(lengths.most_common(1)[0][0])
    return _CIVIL if epoch is None else (epoch,)


def read_stamp(text: str, form: int) -> tuple[int, bool] | None:
    """Nanoseconds by the text's own clock and whether it names an instant; None where it cannot be read."""
    buf = _bytes(text)
    readable, ns, is_zoned = kernel.stamp(buf, 0, len(buf), form)
    return (int(ns), bool(is_zoned)) if readable else None


def _bytes(text: str) -> kernel.Bytes:
    return np.frombuffer(text.encode(), dtype=np.uint8)


def _no_bars(path: Path, why: str) -> InputError:
    needed = "a time (timestamp, datetime, or date and time), open, high, low and close"
    return InputError(f"{path} is no file of bars: {why}; it needs columns for {needed}")
