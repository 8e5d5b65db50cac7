"""The vendors' own files: what was checked by hand about each must come out of the reader."""

import csv
import hashlib
from collections import Counter
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from bar_files import CALENDAR, opened, read

from trader.adapters.columns import BarColumns, concatenate
from trader.adapters.files import ReadOptions
from trader.errors import InputError

ROLLS_2019 = Path(__file__).parents[2] / "data" / "rolls_2019.csv"
NEW_YORK = ZoneInfo("America/New_York")
FIRSTRATE = ("firstrate_2023", "NQ_1min_sample.csv")
CONTINUOUS = ("continuous_2019_5m", "NQ.csv")
TRADINGVIEW = ("tradingview_2022_5m", "NQ.csv")


def walls(columns: BarColumns) -> list[datetime]:
    """Opens on New York's clock."""
    return [datetime.fromtimestamp(ns // 10**9, NEW_YORK) for ns in columns.ts_open_ns.tolist()]


@pytest.fixture(scope="module")
def year_2019(shared_data: Path) -> BarColumns:
    return read(shared_data.joinpath(*CONTINUOUS), ReadOptions(rolls=ROLLS_2019))


def test_firstrate_2023_is_new_york_bar_open_one_minute(shared_data: Path) -> None:
    """14,714 bars from Sunday 18:00 on, each cell the one that Python's csv and float read."""
    path = shared_data.joinpath(*FIRSTRATE)
    source = opened(path)
    facts = source.facts
    assert (facts.rows, facts.bar_minutes, facts.has_volume) == (14_714, 1, True)
    assert (facts.tz, facts.stamp) == ("America/New_York", "open")
    assert source.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    bars = [bar for columns in source.columns() for bar in columns.to_bars()]
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(bars) == len(rows) == 14_714
    for bar, row in zip(bars, rows, strict=True):
        opened_at = datetime.fromisoformat(row["timestamp"]).replace(tzinfo=NEW_YORK)
        assert bar.ts_open_ns == round(opened_at.timestamp()) * 10**9
        assert bar.ts_close_ns == bar.ts_open_ns + 60 * 10**9
        prices = tuple(float(row[name]) for name in ("open", "high", "low", "close"))
        assert (bar.open, bar.high, bar.low, bar.close) == prices
        assert bar.volume == int(row["volume"])
        assert (bar.symbol, bar.roll_offset) == ("NQ", 0.0)


def test_firstrate_2023_thanksgiving_is_a_gap_of_301_minutes(shared_data: Path) -> None:
    """The market stops at 13:00 on the 23rd and at 13:15 on the 24th; the calendar knows both."""
    columns = read(shared_data.joinpath(*FIRSTRATE))
    minutes = np.diff(columns.ts_open_ns) // (60 * 10**9)
    at = int(np.flatnonzero(minutes == 301)[0])
    times = walls(columns)
    assert f"{times[at]:%Y-%m-%d %H:%M}" == "2023-11-23 12:59"
    assert f"{times[at + 1]:%Y-%m-%d %H:%M}" == "2023-11-23 18:00"
    friday = [time for time in times if f"{time:%Y-%m-%d}" == "2023-11-24"]
    assert f"{max(friday):%H:%M}" == "13:14"


def test_continuous_2019_is_pacific_bar_open_without_volume(shared_data: Path, year_2019: BarColumns) -> None:
    """Every session opens at 18:00 in New York, through both clock changes: the Pacific stamps are right."""
    facts = opened(shared_data.joinpath(*CONTINUOUS), ReadOptions(rolls="none")).facts
    assert (facts.tz, facts.stamp, facts.bar_minutes) == ("America/Los_Angeles", "open", 5)
    assert (facts.rows, facts.has_volume) == (70_002, False)
    assert facts.tz_proof.startswith("proved by the file: 0 breaches of closed hours in 258 sessions")
    assert (len(year_2019), year_2019.volume) == (70_002, None)
    sessions = CALENDAR.session_index(year_2019.ts_open_ns)
    firsts = np.flatnonzero(np.diff(sessions, prepend=-1))
    assert {f"{time:%H:%M}" for time in np.array(walls(year_2019))[firsts]} == {"18:00"}


def test_continuous_2019_sessions_have_the_bars_that_were_counted(year_2019: BarColumns) -> None:
    """258 sessions: 248 of 273 bars, 9 half days, and the outage in the evening of 2019-02-26 (next session)."""
    index, counts = np.unique(CALENDAR.session_index(year_2019.ts_open_ns), return_counts=True)
    bars = {CALENDAR.session(int(i)).date: int(n) for i, n in zip(index, counts, strict=True)}
    assert len(bars) == 258
    sizes = Counter(bars.values())
    assert sizes[273] == 248
    assert sum(n for size, n in sizes.items() if size in {228, 231}) == 9
    assert [day for day, size in bars.items() if size not in {273, 228, 231}] == ["2019-02-27"]


def test_continuous_2019_rolls_carry_the_jump_between_adjacent_bars(year_2019: BarColumns) -> None:
    """Four rolls, three of them inside a session; without its offset each would be a jump of that many points."""
    at = np.flatnonzero(year_2019.roll_offset)
    times = walls(year_2019)
    found = [
        (f"{times[i]:%Y-%m-%d %H:%M}", float(year_2019.roll_offset[i]), year_2019.symbols[year_2019.symbol_index[i]])
        for i in at.tolist()
    ]
    assert found == [
        ("2019-03-07 16:30", 28.25, "NQM19"),
        ("2019-06-16 18:00", 24.25, "NQU19"),
        ("2019-09-12 16:30", 18.5, "NQZ19"),
        ("2019-12-12 16:30", 27.5, "NQH20"),
    ]
    jumps = (year_2019.open[at] - year_2019.close[at - 1]).tolist()
    assert jumps == [28.25, 24.25, 18.5, 27.5]
    assert year_2019.symbols[year_2019.symbol_index[0]] == "NQH19"


def test_continuous_2019_without_rolls_is_refused(shared_data: Path) -> None:
    """364 days that name no contract."""
    with pytest.raises(InputError, match=r"has 364 days of bars .2019-01-01 to 2019-12-31. and does not name"):
        opened(shared_data.joinpath(*CONTINUOUS))


def test_continuous_2019_bars_end_at_the_halt(year_2019: BarColumns) -> None:
    """The market stops from 16:15 to 16:30: no bar opens there or reaches into it."""
    of_day = {f"{time:%H:%M}" for time in walls(year_2019)}
    assert not of_day & {"16:15", "16:20", "16:25"}
    assert {"16:10", "16:30"} <= of_day
    assert set(np.diff(np.stack((year_2019.ts_open_ns, year_2019.ts_close_ns)), axis=0)[0].tolist()) == {300 * 10**9}


def test_tradingview_2022_is_utc_by_its_epoch_and_open_by_its_hours(shared_data: Path) -> None:
    """An illiquid file: hours without a bar, doubled names, NaN in cells that nobody reads, no last newline."""
    source = opened(shared_data.joinpath(*TRADINGVIEW), ReadOptions(contract="NQM2023"))
    facts = source.facts
    assert (facts.tz, facts.stamp, facts.bar_minutes, facts.rows) == ("UTC", "open", 5, 11_082)
    assert facts.tz_proof == "proved by the file: each stamp counts time since 1970 UTC"
    assert facts.stamp_proof.startswith(
        "proved by the file: 0 breaches of closed hours in 128 sessions, and the volume"
    )
    columns = concatenate(list(source.columns()))
    assert (len(columns), source.skipped.total, columns.symbols) == (11_082, 0, ("NQM2023",))
    first = next(columns.to_bars())
    assert (first.ts_open_ns, first.open, first.close, first.volume) == (1_655_321_400 * 10**9, 12_000.0, 12_000.0, 1)
    returns = np.abs(np.diff(np.log(columns.close)))
    assert round(float(returns.max()), 3) == 0.051
    assert (np.diff(columns.ts_open_ns)[returns.argmax()]) > 3_600 * 10**9


def test_tradingview_2022_names_no_contract_and_is_long(shared_data: Path) -> None:
    """The user knows that it is NQM2023; the file does not say so."""
    with pytest.raises(InputError, match="does not name their contract"):
        opened(shared_data.joinpath(*TRADINGVIEW))


@pytest.mark.parametrize("parts", [FIRSTRATE, CONTINUOUS, TRADINGVIEW])
def test_real_file_stated_as_bar_close_is_refused_at_a_bar(shared_data: Path, parts: tuple[str, str]) -> None:
    """The other end of the bar puts some bar where the market is closed."""
    source = opened(shared_data.joinpath(*parts), ReadOptions(stamp="close", tz=TZ[parts], rolls="none"))
    with pytest.raises(InputError, match=r"line \d+: .* lies where the market is closed"):
        list(source.columns())


TZ = {FIRSTRATE: "America/New_York", CONTINUOUS: "US/Pacific", TRADINGVIEW: None}


def test_lean_zip_is_refused_by_name(shared_data: Path) -> None:
    """An archive of several contracts is no file of bars."""
    with pytest.raises(InputError, match=r"20131218_trade\.zip is a zip archive; unpack it"):
        opened(shared_data / "lean_es_1m" / "20131218_trade.zip")
