"""Bar files that tests write: the same bars in the ways in which vendors write them.

Times come from datetime and zoneinfo, texts from Python's own formatting: nothing here is shared with the reader.
"""

import random
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from trader.adapters.columns import BarColumns, concatenate
from trader.adapters.files import BarSource, ReadOptions, open_bars
from trader.domain.instruments import instrument
from trader.domain.sessions import Calendar

NQ = instrument("NQ")
CALENDAR = Calendar.load()
NEW_YORK = ZoneInfo("America/New_York")
TAB = "\t"
WEEK = (date(2023, 3, 13), date(2023, 3, 14), date(2023, 3, 15), date(2023, 3, 16))


class Line(NamedTuple):
    """One bar: UTC open, prices in points, volume; `period` in minutes."""

    opened: datetime
    open: float
    high: float
    low: float
    close: float
    volume: int
    period: int = 5

    def at(self, zone: str, stamp: str = "open") -> datetime:
        """The stamp on a wall clock of `zone`."""
        moment = self.opened if stamp == "open" else self.opened + timedelta(minutes=self.period)
        return moment.astimezone(ZoneInfo(zone))


def sessions(dates: Iterable[date] = WEEK, period: int = 5, seed: int = 1, start: float = 12_000.0) -> list[Line]:
    """Full sessions, 18:00 to 17:00 ET without a halt, with most volume and range in the bar that opens at 09:30."""
    dice = random.Random(seed)
    lines = []
    ticks = round(start * 4)
    for day in dates:
        moment = datetime(day.year, day.month, day.day, tzinfo=NEW_YORK) - timedelta(hours=6)
        while moment < datetime(day.year, day.month, day.day, 17, tzinfo=NEW_YORK):
            is_busy = (moment.hour, moment.minute) == (9, 30)
            reach = 40 if is_busy else 6
            opened, closed = ticks + dice.randint(-2, 2), ticks + dice.randint(-reach, reach)
            high, low = max(opened, closed) + dice.randint(0, reach), min(opened, closed) - dice.randint(0, reach)
            volume = dice.randint(4000, 5000) if is_busy else dice.randint(0, 900)
            prices = (opened / 4, high / 4, low / 4, closed / 4)
            lines.append(Line(moment.astimezone(UTC), *prices, volume, period))
            ticks = closed
            moment += timedelta(minutes=period)
    return lines


def _four(line: Line, separator: str = ",") -> str:
    return separator.join(f"{price:.10g}" for price in (line.open, line.high, line.low, line.close))


def firstrate(lines: Iterable[Line]) -> str:
    """New York, bar open."""
    rows = [
        f"{line.at('America/New_York'):%Y-%m-%d %H:%M:%S},{line.open:.2f},{line.high:.2f},{line.low:.2f},"
        f"{line.close:.2f},{line.volume}"
        for line in lines
    ]
    return "\n".join(["timestamp,open,high,low,close,volume", *rows, ""])


def pacific(lines: Iterable[Line]) -> str:
    """The layout of 2019: short names, Pacific, no volume."""
    rows = [f"{line.at('US/Pacific'):%Y-%m-%d %H:%M:%S},{_four(line)}" for line in lines]
    return "\n".join(["DT,O,H,L,C", *rows, ""])


def tradingview(lines: Iterable[Line]) -> str:
    """An export with indicator columns: epoch seconds, a doubled name, NaN, volume near the end, no last newline."""
    rows = [f"{line.opened.timestamp():.0f},{_four(line)},NaN,1.5,{line.volume},NaN" for line in lines]
    return "\n".join(["time,open,high,low,close,Base,Base,Volume,Volume MA", *rows])


def ninjatrader(lines: Iterable[Line]) -> str:
    """No header, semicolons, compact stamps of the bar's close (New York here)."""
    return "".join(
        f"{line.at('America/New_York', 'close'):%Y%m%d %H%M%S};{_four(line, ';')};{line.volume}\n" for line in lines
    )


def tradestation(lines: Iterable[Line]) -> str:
    """Date and time apart, month first, Central, bar close, CRLF, quoted names."""
    rows = [f"{line.at('America/Chicago', 'close'):%m/%d/%Y,%H:%M},{_four(line)},{line.volume},7" for line in lines]
    return "\r\n".join(['"Date","Time","Open","High","Low","Close","Vol","OI"', *rows, ""])


def sierra(lines: Iterable[Line]) -> str:
    """A space after each comma, no leading zeros in the date, Last for the close."""
    rows = []
    for line in lines:
        wall = line.at("America/New_York")
        prices = f"{line.open:.2f}, {line.high:.2f}, {line.low:.2f}, {line.close:.2f}, {line.volume}, 12"
        rows.append(f"{wall.month}/{wall.day}/{wall.year}, {wall:%H:%M:%S}.000000, {prices}")
    return "\n".join(["Date, Time, Open, High, Low, Last, Volume, # of Trades", *rows, ""])


def iso_offset(lines: Iterable[Line]) -> str:
    """Each stamp with New York's offset; all cells quoted."""
    rows = [
        f'"{line.at("America/New_York").isoformat()}","{line.open}","{line.high}","{line.low}","{line.close}","{line.volume}"'
        for line in lines
    ]
    return "\n".join(['"Datetime","Open","High","Low","Close","Volume"', *rows, ""])


def databento(lines: Iterable[Line]) -> str:
    """UTC with nine decimals and a Z, one contract in `symbol`."""
    rows = [
        f"{line.opened:%Y-%m-%dT%H:%M:%S}.000000000Z,33,1,260937,{line.open:.9f},{line.high:.9f},{line.low:.9f},"
        f"{line.close:.9f},{line.volume},NQM3"
        for line in lines
    ]
    return "\n".join(["ts_event,rtype,publisher_id,instrument_id,open,high,low,close,volume,symbol", *rows, ""])


def metatrader(lines: Iterable[Line]) -> str:
    """Tabs, names in angle brackets, dates with points; here on the clock of Athens."""
    rows = [f"{line.at('Europe/Athens'):%Y.%m.%d\t%H:%M:%S}\t{_four(line, TAB)}\t9\t{line.volume}" for line in lines]
    return "\n".join(["<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>", *rows, ""])


def twelve_hours(lines: Iterable[Line]) -> str:
    """Day first, AM and PM, Berlin, a comment and a blank line before the header."""
    rows = [f"{line.at('Europe/Berlin'):%d/%m/%Y %I:%M %p},{_four(line)},{line.volume}" for line in lines]
    return "\n".join(["# made for a test", "", "Date Time,Open,High,Low,Close,Volume", *rows, ""])


def epoch(unit: int) -> Callable[[Iterable[Line]], str]:
    """Counts since 1970 in `unit` nanoseconds."""

    def write(lines: Iterable[Line]) -> str:
        rows = [
            f"{round(line.opened.timestamp()) * 1_000_000_000 // unit},{_four(line)},{line.volume}" for line in lines
        ]
        return "\n".join(["ts,o,h,l,c,v", *rows, ""])

    return write


WRITERS: dict[str, tuple[Callable[[Iterable[Line]], str], str, str]] = {
    "firstrate": (firstrate, "America/New_York", "open"),
    "pacific": (pacific, "America/Los_Angeles", "open"),
    "tradingview": (tradingview, "UTC", "open"),
    "ninjatrader": (ninjatrader, "America/New_York", "close"),
    "tradestation": (tradestation, "America/Chicago", "close"),
    "sierra": (sierra, "America/New_York", "open"),
    "iso_offset": (iso_offset, "UTC", "open"),
    "databento": (databento, "UTC", "open"),
    "metatrader": (metatrader, "Europe/Athens", "open"),
    "twelve_hours": (twelve_hours, "Europe/Berlin", "open"),
    "epoch_ms": (epoch(1_000_000), "UTC", "open"),
    "epoch_us": (epoch(1_000), "UTC", "open"),
    "epoch_ns": (epoch(1), "UTC", "open"),
}
"""Each way of writing, and the clock that the file must prove."""


def written(path: Path, text: str) -> Path:
    """A file with `text`, byte for byte."""
    path.write_bytes(text.encode())
    return path


def opened(path: Path, options: ReadOptions | None = None) -> BarSource:
    """The file as NQ bars."""
    return open_bars(path, market=NQ, calendar=CALENDAR, options=options)


def read(path: Path, options: ReadOptions | None = None) -> BarColumns:
    """All bars of a file."""
    return concatenate(list(opened(path, options).columns()))


def as_lines(columns: BarColumns) -> list[tuple[int, float, float, float, float, int | None]]:
    """Open time in ns, prices and volume of each bar, as plain numbers."""
    return [(bar.ts_open_ns, bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in columns.to_bars()]


def expected(
    lines: Iterable[Line], *, with_volume: bool = True
) -> list[tuple[int, float, float, float, float, int | None]]:
    """What reading must give."""
    return [
        (
            round(line.opened.timestamp()) * 1_000_000_000,
            line.open,
            line.high,
            line.low,
            line.close,
            line.volume if with_volume else None,
        )
        for line in lines
    ]


def same(a: BarColumns, b: BarColumns) -> bool:
    """Are two sets of columns equal, field by field, contracts by name?"""
    fields = ("ts_open_ns", "ts_close_ns", "open", "high", "low", "close", "roll_offset")
    volumes = (a.volume is None and b.volume is None) or (
        a.volume is not None and b.volume is not None and np.array_equal(a.volume, b.volume)
    )
    names = [columns.symbols[i] for columns in (a, b) for i in columns.symbol_index.tolist()]
    return (
        len(a) == len(b)
        and volumes
        and all(np.array_equal(getattr(a, field), getattr(b, field)) for field in fields)
        and names[: len(a)] == names[len(a) :]
    )
