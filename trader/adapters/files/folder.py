"""A folder of Databento's `ohlcv-1m` files, one a day: which of them are read, and their rows one after the other."""

import hashlib
import re
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from trader.adapters.files.databento import outrights
from trader.adapters.files.faults import Fault
from trader.adapters.files.layout import Layout, LayoutName, detect_layout
from trader.adapters.files.options import Window
from trader.adapters.files.rows import Rows, read_rows
from trader.adapters.files.source import BarText
from trader.adapters.files.texts import LINES_A_FILE, placed
from trader.domain.sessions import Calendar
from trader.domain.units import DAY_NS, MINUTE_NS
from trader.errors import InputError

LOOK_BACK_DAYS = 10
"""Days before --from whose volumes choose the first front month: a week and the holidays beside it."""

_NAME = re.compile(r"(?P<what>.+)-(?P<day>\d{8})\.ohlcv-1m\.csv(\.gz|\.zst)?")
_SHAPE = "NAME-YYYYMMDD.ohlcv-1m.csv"
_EPOCH = date(1970, 1, 1)


class DayFile(Struct, frozen=True, kw_only=True):
    """The bars that open on one UTC day."""

    day: date
    path: Path


def day_files(folder: Path, window: Window) -> tuple[DayFile, ...]:
    """The files of the days that a window needs, in order; the others are known by their names only, never opened.

    InputError where there is none, or two of one day.
    """
    named = sorted(_named(folder), key=lambda file: (file.day, file.path.name))
    if not named:
        msg = f"{folder} is a folder without files such as {_SHAPE}; give one file with bars, or a folder of daily ones"
        raise InputError(msg)
    first, last = _days_of(window)
    wanted = tuple(file for file in named if first <= file.day <= last)
    if not wanted:
        extent = f"{named[0].day} to {named[-1].day}"
        msg = f"{folder}: no bar lies in the range of --from and --to; its files are of {extent}"
        raise InputError(msg)
    for one, other in pairwise(wanted):
        if one.day == other.day:
            msg = f"{folder} has two files of {one.day}: {one.path.name} and {other.path.name}; remove one of them"
            raise InputError(msg)
    return wanted


class DayTexts:
    """The files of a folder as one text: their rows in the order of the days. At most one is open at a time."""

    def __init__(self, folder: Path, window: Window) -> None:
        self.path = folder
        self.sha256 = ""
        self.size_bytes = self.spreads = 0
        self._window = window
        self._files = day_files(folder, window)

    def layout(self, wanted: str) -> Layout:
        """The layout of the first file that has rows; InputError where it is not Databento's."""
        for file in self._files:
            head = BarText(file.path).head
            if head.count(b"\n", 0, head.rfind(b"\n")):
                break
        layout = detect_layout(file.path, head, wanted)
        if layout.name != LayoutName.DATABENTO:
            msg = (
                f"{file.path} is not in the layout databento: its columns are {', '.join(layout.columns)}; a folder "
                "holds daily files with ts_event, rtype, publisher_id, instrument_id, prices, volume and symbol"
            )
            raise InputError(msg)
        return layout

    def rows(self, layout: Layout, form: int, chunk_rows: int) -> Iterator[tuple[Rows, list[Fault]]]:
        """Outright contracts' rows that can be read, file by file, and the faults of the others."""
        self.sha256, self.size_bytes, self.spreads = "", 0, 0
        digest = hashlib.sha256()
        for number, file in enumerate(self._files):
            text = BarText(file.path)
            _require_header(text, layout)
            for rows, faults in read_rows(text, layout, form, chunk_rows):
                _require_day(file, rows)
                kept, spreads = outrights(rows)
                self.spreads += spreads
                base = number * LINES_A_FILE
                yield kept.with_lines(kept.line + base), [replace(fault, line=fault.line + base) for fault in faults]
            self.size_bytes += text.size_bytes
            digest.update(f"{file.path.name} {text.sha256}\n".encode())
        self.sha256 = digest.hexdigest()

    def placed(self, fault: Fault) -> Fault:
        """The fault with the name of its file, and the line in it."""
        return placed(fault, self._files[fault.line // LINES_A_FILE].path.name)

    def place(self, line: int) -> str:
        """File and line, for messages."""
        return f"{self._files[line // LINES_A_FILE].path}, line {line % LINES_A_FILE}"

    def gaps(self, calendar: Calendar) -> list[str]:
        """Days inside the window on which the market was open and the folder has no file, stretch by stretch."""
        have = {file.day for file in self._files}
        first, last = max(min(have), _first_day(calendar)), max(have)
        expected = [first + timedelta(days=i) for i in range((last - first).days + 1)]
        expected = [day for day in expected if _has_trade(day, calendar)]
        stretches: list[list[date]] = []
        is_new = True
        for day in expected:
            if day in have:
                is_new = True
                continue
            if is_new:
                stretches.append([])
            stretches[-1].append(day)
            is_new = False
        return [_gap_text(days) for days in stretches]


def _gap_text(days: list[date]) -> str:
    when = f"{days[0]}" if len(days) == 1 else f"{days[0]} to {days[-1]} ({len(days)} days of trade)"
    return f"no file of {when}: those bars are missing"


def _named(folder: Path) -> Iterator[DayFile]:
    try:
        paths = list(folder.iterdir())
    except OSError as error:
        msg = f"{folder} cannot be listed: {error}"
        raise InputError(msg) from error
    for path in paths:
        match = _NAME.fullmatch(path.name)
        if match is None:
            continue
        try:
            day = date(int(match["day"][:4]), int(match["day"][4:6]), int(match["day"][6:]))
        except ValueError:
            msg = f"{path}: {match['day']} is no date; name the file {_SHAPE}"
            raise InputError(msg) from None
        yield DayFile(day=day, path=path)


def _days_of(window: Window) -> tuple[date, date]:
    """First and last UTC day that a window needs, look-back included."""
    first = date.min if window.is_from_start else _day(window.from_ns) - timedelta(days=LOOK_BACK_DAYS)
    last = date.max if window.is_to_end else _day(window.to_ns - 1)
    return first, last


def _day(ns: int) -> date:
    return _EPOCH + timedelta(days=ns // DAY_NS)


def _first_day(calendar: Calendar) -> date:
    return _day(calendar.first_ns)


def _has_trade(day: date, calendar: Calendar) -> bool:
    """Is the market open at any minute of a UTC day?"""
    begins = (day - _EPOCH).days * DAY_NS
    minutes = begins + np.arange(0, DAY_NS, MINUTE_NS, dtype=np.int64)
    covered = minutes[(minutes >= calendar.first_ns) & (minutes < calendar.last_ns)]
    return bool((calendar.session_index(covered) >= 0).any())


def _require_header(text: BarText, layout: Layout) -> None:
    line = text.head.split(b"\n", 1)[0].decode("utf-8", "replace").strip().lstrip("\ufeff")
    if line.split(layout.delimiter) != list(layout.columns):
        msg = (
            f"{text.path}, line 1: the header is {line[:120]!r}, not that of the folder's other files: "
            f"{layout.delimiter.join(layout.columns)}"
        )
        raise InputError(msg)


def _require_day(file: DayFile, rows: Rows) -> None:
    days = rows.stamp_ns // DAY_NS
    wrong = np.flatnonzero(days != (file.day - _EPOCH).days)
    if len(wrong):
        at = int(wrong[0])
        stamp = str(np.datetime64(int(rows.stamp_ns[at]), "ns"))[:19]
        msg = f"{file.path}, line {rows.line[at]}: ts_event {stamp} is not of the day that the file is named for"
        raise InputError(msg)
