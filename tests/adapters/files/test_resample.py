"""Longer bars: anchored at the session, cut by halt, close and roll, equal for any chunking."""

from collections.abc import Iterator
from datetime import date, datetime
from itertools import groupby
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from bar_files import CALENDAR, Line, firstrate, opened, read, same, sessions, written

from trader.adapters.columns import BarColumns, concatenate
from trader.adapters.files import ReadOptions, resample
from trader.errors import InputError

NEW_YORK = ZoneInfo("America/New_York")
STATED = ReadOptions(layout="firstrate")


def longer(columns: BarColumns, minutes: int, *, rows: int = 10_000) -> BarColumns:
    """Resampled in chunks of `rows`."""
    chunks = [columns.rows(i, i + rows) for i in range(0, len(columns), rows)]
    return concatenate(list(resample(chunks, minutes, CALENDAR)))


def grouped(lines: list[Line], minutes: int) -> Iterator[tuple[int, float, float, float, float, int]]:
    """The textbook: group by whole periods since 18:00 in New York, bar by bar."""

    def bucket(line: Line) -> tuple[date, int]:
        wall = line.opened.astimezone(NEW_YORK)
        return wall.date(), (wall.hour * 60 + wall.minute) // minutes

    for (day, number), group in groupby(lines, key=bucket):
        part = list(group)
        start = datetime(day.year, day.month, day.day, number * minutes // 60, number * minutes % 60, tzinfo=NEW_YORK)
        high, low = max(line.high for line in part), min(line.low for line in part)
        volume = sum(line.volume for line in part)
        yield round(start.timestamp()) * 10**9, part[0].open, high, low, part[-1].close, volume


@pytest.mark.parametrize("rows", [1, 33, 10_000])
@pytest.mark.parametrize("minutes", [2, 3, 5, 10, 15, 60])
def test_resample_agrees_with_grouping_by_hand(tmp_path: Path, minutes: int, rows: int) -> None:
    """One-minute bars with gaps: each longer bar is the group of its minutes, stamped where the bucket begins."""
    lines = [line for i, line in enumerate(sessions(period=1)[:2_000]) if i % 7 not in {0, 3} and not 300 < i < 340]
    columns = read(written(tmp_path / "bars.csv", firstrate(lines)), STATED)
    bars = [
        (bar.ts_open_ns, bar.open, bar.high, bar.low, bar.close, bar.volume)
        for bar in longer(columns, minutes, rows=rows).to_bars()
    ]
    assert bars == list(grouped(lines, minutes))


def test_resample_to_the_same_period_changes_nothing(tmp_path: Path) -> None:
    """Five minutes from five minutes."""
    columns = read(written(tmp_path / "bars.csv", firstrate(sessions())))
    assert same(longer(columns, 5), columns)


def minutes_of_2019() -> BarColumns:
    """One-minute bars of 2019-06-13, a session with the halt from 16:15 to 16:30, from noon on."""
    day = date(2019, 6, 13)
    halt = {f"16:{minute}" for minute in range(15, 30)}
    lines = [line for line in sessions([day], period=1) if f"{line.opened.astimezone(NEW_YORK):%H:%M}" not in halt][
        1080:
    ]
    n = len(lines)
    opens = np.array([round(line.opened.timestamp()) * 10**9 for line in lines])
    return BarColumns(
        ts_open_ns=opens,
        ts_close_ns=opens + 60 * 10**9,
        open=np.array([line.open for line in lines]),
        high=np.array([line.high for line in lines]),
        low=np.array([line.low for line in lines]),
        close=np.array([line.close for line in lines]),
        volume=None,
        symbols=("NQM19", "NQU19"),
        symbol_index=np.zeros(n, dtype=np.int64),
        roll_offset=np.zeros(n),
    )


def clocks(columns: BarColumns) -> list[tuple[str, str]]:
    """Open and close of each bar on New York's clock (summer time)."""
    walls = [(columns.ts_open_ns - 4 * 3600 * 10**9), (columns.ts_close_ns - 4 * 3600 * 10**9)]
    texts = [[str(np.datetime64(ns, "ns"))[11:16] for ns in wall.tolist()] for wall in walls]
    return list(zip(*texts, strict=True))


def test_resample_is_cut_by_the_halt_and_the_close() -> None:
    """An hour of 2019 holds two bars around the halt; the bar after it opens when the market does, with its price."""
    minutes = minutes_of_2019()
    hours = longer(minutes, 60)
    resumed = clocks(minutes).index(("16:30", "16:31"))
    assert (hours.open[-1], hours.close[-2]) == (minutes.open[resumed], minutes.close[resumed - 1])
    assert clocks(hours)[-3:] == [("15:00", "16:00"), ("16:00", "16:15"), ("16:30", "17:00")]
    assert clocks(longer(minutes, 10))[-5:] == [
        ("16:00", "16:10"),
        ("16:10", "16:15"),
        ("16:30", "16:40"),
        ("16:40", "16:50"),
        ("16:50", "17:00"),
    ]


@pytest.mark.parametrize("rows", [1, 50, 10_000])
def test_resample_is_cut_by_a_roll(rows: int) -> None:
    """A bar is of one contract: the roll inside a bucket ends it, and its offset stands on the new one."""
    columns = minutes_of_2019()
    at = 127
    index, offset = columns.symbol_index.copy(), columns.roll_offset.copy()
    index[at:], offset[at] = 1, 24.25
    rolled = BarColumns(
        **{
            name: getattr(columns, name)
            for name in columns.__struct_fields__
            if name not in {"symbol_index", "roll_offset"}
        },
        symbol_index=index,
        roll_offset=offset,
    )
    hours = longer(rolled, 60, rows=rows)
    assert clocks(hours)[1:5] == [("13:00", "14:00"), ("14:00", "14:07"), ("14:07", "15:00"), ("15:00", "16:00")]
    assert hours.roll_offset.tolist() == [0, 0, 0, 24.25, 0, 0, 0]
    assert [bar.symbol for bar in hours.to_bars()] == ["NQM19"] * 3 + ["NQU19"] * 4


def test_resample_to_no_multiple_is_refused(tmp_path: Path) -> None:
    """Five-minute bars hold no twelve-minute bars."""
    columns = read(written(tmp_path / "bars.csv", firstrate(sessions())))
    with pytest.raises(InputError, match="reaches beyond a bar of 12 minutes; resample to a multiple"):
        longer(columns, 12)


def test_resample_of_nothing_is_nothing() -> None:
    """No chunk, no bar."""
    assert list(resample([], 5, CALENDAR)) == []


def test_resample_one_to_five_minutes_equals_the_vendors_own_file(shared_data: Path) -> None:
    """All 2,943 bars, all five columns."""
    folder = shared_data / "firstrate_2023"
    minutes = opened(folder / "NQ_1min_sample.csv")
    vendor = read(folder / "NQ_5min_sample.csv")
    assert len(vendor) == 2_943
    assert same(concatenate(list(resample(minutes.columns(), 5, CALENDAR))), vendor)
