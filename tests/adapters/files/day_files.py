"""Folders of daily files that tests write: all contracts and spreads of a day in one CSV, as Databento writes them."""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from pathlib import Path

from bar_files import Line, sessions, written

HEADER = "ts_event,rtype,publisher_id,instrument_id,open,high,low,close,volume,symbol"
BEFORE = [date(2023, 3, 8), date(2023, 3, 9), date(2023, 3, 10)]
AFTER = [date(2023, 3, 13), date(2023, 3, 14)]

Named = tuple[Line, str]


def row(line: Line, symbol: str) -> str:
    """One bar of one contract."""
    prices = ",".join(f"{price:.9f}" for price in (line.open, line.high, line.low, line.close))
    return f"{line.opened:%Y-%m-%dT%H:%M:%S}.000000000Z,33,1,260937,{prices},{line.volume},{symbol}"


def text(rows: Iterable[Named]) -> str:
    """A whole file."""
    return "\n".join([HEADER, *(row(*named) for named in rows), ""])


def name_of(day: date) -> str:
    """The name of a day's file."""
    return f"glbx-mdp3-{day:%Y%m%d}.ohlcv-1m.csv"


def folder_of(folder: Path, rows: Iterable[Named]) -> Path:
    """A folder with a file for each UTC day of the rows."""
    folder.mkdir(exist_ok=True)
    days: dict[date, list[Named]] = {}
    for line, symbol in rows:
        days.setdefault(line.opened.astimezone(UTC).date(), []).append((line, symbol))
    for day, of_day in days.items():
        written(folder / name_of(day), text(of_day))
    return folder


def a_bar(when: str, price: float = 12_000.0, volume: int = 5) -> Line:
    """A bar of one price at a UTC minute."""
    return Line(datetime.fromisoformat(when).replace(tzinfo=UTC), price, price, price, price, volume)


def in_time(rows: Iterable[Named]) -> list[Named]:
    """The rows in order of time, as they were where times are equal."""
    return sorted(rows, key=lambda named: named[0].opened)


def two_contracts(
    leads_from: date, dates: Iterable[date] = (*BEFORE, *AFTER), period: int = 5
) -> tuple[list[Named], list[Line], list[Line]]:
    """All rows, March's and June's: June 90 points above, with a spread, each minute; June leads from a session on."""
    march: list[Line] = []
    june: list[Line] = []
    for i, day in enumerate(dates):
        lines = sessions([day], period=period, seed=i)
        march += lines
        june += [_dearer(line, line.volume * 3 if day >= leads_from else line.volume // 3) for line in lines]
    spread = [line._replace(open=-1.0, high=90.0, low=-2.0, close=89.5, volume=99_999) for line in march]
    rows = [
        named
        for a, b, c in zip(march, june, spread, strict=True)
        for named in ((a, "NQH3"), (c, "NQH3-NQM3"), (b, "NQM3"))
    ]
    return rows, march, june


def _dearer(line: Line, volume: int) -> Line:
    return line._replace(
        open=line.open + 90, high=line.high + 90.5, low=line.low + 89, close=line.close + 90.25, volume=volume
    )
