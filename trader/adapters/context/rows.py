"""Rows of a CSV with a header, each with a moment: what calendars and headlines have in common."""

import csv
import hashlib
import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from msgspec import Struct

from trader.errors import InputError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NEW_YORK = ZoneInfo("America/New_York")


class Row(Struct, frozen=True, kw_only=True):
    """One row: the line on which it ends, counted from 1, its moment (ns since 1970 UTC, and the minute on New York's
    clock as `2023-03-15 08:30`), and the cells asked for, stripped.
    """

    line: int
    ts_ns: int
    time_et: str
    cells: tuple[str, ...]


class Table(Struct, frozen=True, kw_only=True):
    """All rows of a file, in the order of their time, and the hash of its bytes."""

    sha256: str
    rows: tuple[Row, ...]


def read_table(path: Path, names: tuple[str, ...]) -> Table:
    """The columns `time` and `names` of a CSV, in any order among others; blank lines are left out.

    InputError names file, line, field and remedy; none of the cells may be empty.
    """
    try:
        content = path.read_bytes()
        text = content.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path} cannot be read: {error}; it must be a CSV in UTF-8 with the header time,{','.join(names)}"
        raise InputError(msg) from error
    rows = sorted(_rows(path, text, names), key=lambda row: row.ts_ns)
    return Table(sha256=hashlib.sha256(content).hexdigest(), rows=tuple(rows))


def _rows(path: Path, text: str, names: tuple[str, ...]) -> Iterator[Row]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    places: list[int] | None = None
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if places is None:
                places = _places(path, cells, ("time", *names))
            else:
                yield _row(path, reader.line_num, cells, places, names)
    except csv.Error as error:
        msg = f"{path}, line {reader.line_num}: {error}; quote a cell that holds a comma, a quote or a line break"
        raise InputError(msg) from None
    if places is None:
        msg = f"{path} is empty; it must begin with the header time,{','.join(names)}"
        raise InputError(msg)


def _places(path: Path, header: list[str], names: tuple[str, ...]) -> list[int]:
    found = [cell.strip().lower() for cell in header]
    missing = [name for name in names if found.count(name) != 1]
    if missing:
        msg = (
            f"{path}, line 1: the header {','.join(header)[:100]!r} must name {', '.join(missing)} once; it needs "
            + (",".join(names))
        )
        raise InputError(msg)
    return [found.index(name) for name in names]


def _row(path: Path, line: int, cells: list[str], places: list[int], names: tuple[str, ...]) -> Row:
    if len(cells) <= max(places):
        msg = f"{path}, line {line}: {len(cells)} cells, too few for time,{','.join(names)}; fill the row or remove it"
        raise InputError(msg)
    stamp, *rest = (cells[place].strip() for place in places)
    for name, cell in zip(names, rest, strict=True):
        if not cell:
            msg = f"{path}, line {line}: {name} is empty; fill it or remove the row"
            raise InputError(msg)
    moment = _moment(path, line, stamp)
    return Row(
        line=line,
        ts_ns=(moment - _EPOCH) // timedelta(microseconds=1) * 1_000,
        time_et=f"{moment.astimezone(_NEW_YORK):%Y-%m-%d %H:%M}",
        cells=tuple(rest),
    )


def _moment(path: Path, line: int, stamp: str) -> datetime:
    try:
        moment = datetime.fromisoformat(stamp)
        if moment.tzinfo is not None and 1971 <= moment.year <= 2200:
            return moment
        reason = "has no zone" if moment.tzinfo is None else "is not between 1971 and 2200"
    except ValueError:
        reason = "is no ISO 8601 time"
    msg = f"{path}, line {line}: time {stamp!r} {reason}; write such as 2023-03-15T08:30:00-04:00, or ...Z for UTC"
    raise InputError(msg)
