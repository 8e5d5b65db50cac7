"""The synthetic market: valid bars, the shape of a real session, and the same bytes for a seed."""

import hashlib
import os
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace
from numpy.typing import NDArray

from trader.adapters.columns import BarColumns, concatenate
from trader.adapters.synthetic import SyntheticMarket, generate
from trader.domain.instruments import INSTRUMENTS
from trader.domain.sessions import Calendar, Session
from trader.errors import ConfigurationError, InputError

ROOT = Path(__file__).parents[2]
CALENDAR = Calendar.load()
NQ = SyntheticMarket(instrument=INSTRUMENTS["NQ"])
MINUTE_NS = 60_000_000_000


def days(count: int, start: str = "2019-01-02", seed: int = 7, market: SyntheticMarket = NQ) -> list[BarColumns]:
    return list(generate(seed, start, count, calendar=CALENDAR, market=market))


def session_on(day: str) -> Session:
    session = CALENDAR.on(day)
    assert session is not None
    return session


def et_minute(columns: BarColumns) -> NDArray[np.int64]:
    """Minute of the New York day at which each bar opens."""
    index = CALENDAR.session_index(columns.ts_open_ns)
    offset_s = np.array([CALENDAR.session(int(i)).et_offset_s for i in index])
    minute: NDArray[np.int64] = (columns.ts_open_ns // 1_000_000_000 + offset_s) // 60 % 1440
    return minute


def minute_means(values: NDArray[np.float64], minute: NDArray[np.int64]) -> NDArray[np.float64]:
    """Mean of `values` in each minute of the day, shape (1440,); 0 where there is none."""
    counts = np.maximum(np.bincount(minute, minlength=1440), 1)
    means: NDArray[np.float64] = np.bincount(minute, weights=values, minlength=1440) / counts
    return means


def digest(parts: list[BarColumns]) -> str:
    """Hash of all numbers, little-endian."""
    whole = concatenate(parts)
    assert whole.volume is not None
    prices = (whole.open, whole.high, whole.low, whole.close, whole.roll_offset)
    blocks = [whole.ts_open_ns.astype("<i8"), whole.volume.astype("<i8"), *(price.astype("<f8") for price in prices)]
    return hashlib.sha256(b"".join(block.tobytes() for block in blocks)).hexdigest()


@pytest.fixture(scope="module")
def year() -> BarColumns:
    """The 258 sessions of 2019."""
    return concatenate(days(258))


def test_generate_bars_of_a_year_are_valid(year: BarColumns) -> None:
    """Every bar: on tick, low <= open, close <= high, a whole positive volume, in order, in a session, in no halt."""
    assert year.volume is not None
    for price in (year.open, year.high, year.low, year.close):
        assert np.array_equal(price * 4, np.round(price * 4))
        assert price.min() > 0
    assert np.all(year.low <= np.minimum(year.open, year.close))
    assert np.all(year.high >= np.maximum(year.open, year.close))
    assert year.volume.dtype == np.int64
    assert year.volume.min() >= 1
    assert np.all(np.diff(year.ts_open_ns) >= MINUTE_NS)
    assert np.all(year.ts_close_ns - year.ts_open_ns == MINUTE_NS)
    assert CALENDAR.session_index(year.ts_open_ns).min() >= 0


def test_generate_of_2019_fills_the_calendar_but_for_quiet_minutes(year: BarColumns) -> None:
    """A minute in a hundred at most is missing overnight, none in the regular session, none at an open."""
    index, counts = np.unique(CALENDAR.session_index(year.ts_open_ns), return_counts=True)
    traded = sum(
        (session.close_ns - session.open_ns - sum(end - start for start, end in session.halts)) // MINUTE_NS
        for session in (CALENDAR.session(int(i)) for i in index)
    )
    missing = traded - int(counts.sum())
    minutes = Counter(et_minute(year).tolist())
    assert len(index) == 258
    assert 0.001 * traded < missing < 0.01 * traded
    assert {minutes[minute] for minute in range(13 * 60 + 15, 16 * 60)} == {258 - 9}
    assert minutes[18 * 60] == 258


def test_generate_volume_and_range_peak_where_a_real_market_does(year: BarColumns) -> None:
    """Volume at 09:30 and 15:59 ET, range at 09:30: what the reader of files looks for."""
    assert year.volume is not None
    minute = et_minute(year)
    volume = minute_means(year.volume.astype(np.float64), minute)
    spread = minute_means(year.high - year.low, minute)
    assert set(np.argsort(volume)[-2:].tolist()) == {9 * 60 + 30, 15 * 60 + 59}
    assert int(np.argmax(spread)) == 9 * 60 + 30
    assert volume[22 * 60 : 24 * 60].mean() < 0.2 * volume[10 * 60 : 15 * 60].mean()


def test_generate_returns_have_the_shape_of_a_market(year: BarColumns) -> None:
    """Quieter nights, clustering and heavy tails beyond the time of day, and a session of about one per cent."""
    minute = et_minute(year)
    returns = np.log(year.close / year.open)
    regular = (minute >= 570) & (minute < 960)
    typical = minute_means(np.abs(returns), minute)[minute]
    shaped = returns / typical
    size = np.abs(shaped)
    assert 0.15 < returns[~regular].var() / returns[regular].var() < 0.5
    assert np.corrcoef(size[:-1], size[1:])[0, 1] > 0.1
    assert np.corrcoef(size[:-60], size[60:])[0, 1] > 0.05
    assert (shaped**4).mean() / (shaped**2).mean() ** 2 > 5
    per_session = [float(np.log(day.close[-1] / day.open[0])) for day in days(258)]
    assert 0.008 < np.std(per_session) < 0.016


def test_generate_volume_follows_the_size_of_the_move(year: BarColumns) -> None:
    """Within the quiet middle of the day, wide minutes trade more."""
    assert year.volume is not None
    minute = et_minute(year)
    noon = (minute >= 720) & (minute < 840)
    spread, volume = (year.high - year.low)[noon], year.volume[noon]
    assert np.corrcoef(np.log(spread + 0.25), np.log(volume))[0, 1] > 0.3


@pytest.mark.parametrize(("momentum", "low", "high"), [(0.0, -0.02, 0.02), (0.04, 0.0, 0.08), (0.2, 0.1, 0.5)])
def test_generate_momentum_is_what_was_asked(momentum: float, low: float, high: float) -> None:
    """An hour's move says nothing of the next half hour without momentum, a little by default, much at five times."""
    parts = days(400, market=replace(NQ, momentum=momentum, rolls=False))
    past = np.concatenate([part.close[60:-30] - part.close[:-90] for part in parts])
    future = np.concatenate([part.close[90:] - part.close[60:-30] for part in parts])
    assert low < np.corrcoef(np.sign(past), np.sign(future))[0, 1] < high


def test_generate_over_years_has_no_drift() -> None:
    """Being long earns nothing: the mean session return of six years is within its own noise for three seeds."""
    for seed in (1, 2, 3):
        closes = np.array([part.close[-1] for part in days(1500, "2016-01-04", seed, replace(NQ, rolls=False))])
        returns = np.diff(np.log(closes))
        assert abs(returns.mean()) < 3 * returns.std() / np.sqrt(len(returns))


def test_generate_around_thanksgiving_keeps_the_half_days() -> None:
    """13:00 without a cash market, 13:15 with one until 13:00, whose last minute is the afternoon's busiest."""
    thursday, friday = days(2, "2019-11-28")
    assert thursday.ts_close_ns[-1] == session_on("2019-11-28").close_ns
    assert friday.ts_close_ns[-1] == session_on("2019-11-29").close_ns
    assert len(thursday) <= 19 * 60 < len(friday) <= 19 * 60 + 15
    assert thursday.volume is not None
    assert friday.volume is not None
    assert thursday.volume.sum() * 2 < friday.volume.sum()
    fridays = concatenate([days(2, "2019-11-28", seed)[1] for seed in range(10)])
    assert fridays.volume is not None
    volume = minute_means(fridays.volume.astype(np.float64), et_minute(fridays))
    assert 12 * 60 + int(np.argmax(volume[12 * 60 : 14 * 60])) == 12 * 60 + 59


def test_generate_sessions_open_with_a_gap() -> None:
    """Prices move while the market is closed, more over a weekend than over an hour."""
    parts = days(1000, market=replace(NQ, rolls=False))
    gaps = np.array([abs(after.open[0] / before.close[-1] - 1.0) for before, after in pairwise(parts)])
    long = np.array(
        [after.ts_open_ns[0] - before.ts_close_ns[-1] > 24 * 60 * MINUTE_NS for before, after in pairwise(parts)]
    )
    assert np.median(gaps[~long]) > 0.00005
    assert np.median(gaps[long]) > 1.2 * np.median(gaps[~long])


def test_generate_over_a_year_rolls_four_times(year: BarColumns) -> None:
    """Each roll stands on the first bar of the Monday before expiry, and its offset explains the jump."""
    rolled = np.flatnonzero(year.roll_offset)
    dates = [CALENDAR.session(int(i)).date for i in CALENDAR.session_index(year.ts_open_ns[rolled])]
    contracts = [year.symbols[int(i)] for i in year.symbol_index[rolled]]
    assert list(zip(dates, contracts, strict=True)) == [
        ("2019-03-11", "NQM19"),
        ("2019-06-17", "NQU19"),
        ("2019-09-16", "NQZ19"),
        ("2019-12-16", "NQH20"),
    ]
    assert np.array_equal(np.flatnonzero(np.diff(year.symbol_index)) + 1, rolled)
    jumps = year.open[rolled] - year.close[rolled - 1]
    assert np.all(year.roll_offset[rolled] > 0.0015 * year.close[rolled - 1])
    assert np.all(np.abs(jumps - year.roll_offset[rolled]) < 0.005 * year.close[rolled])
    assert np.all(year.roll_offset[rolled] * 4 % 1 == 0)


def test_generate_without_rolls_has_one_symbol_and_no_offset() -> None:
    """The series is continuous under the market's own name."""
    whole = concatenate(days(60, "2019-02-15", market=replace(NQ, rolls=False)))
    assert whole.symbols == ("NQ",)
    assert not whole.roll_offset.any()


def test_generate_five_minutes_equals_the_minutes_put_together() -> None:
    """Against a plain dictionary of buckets; 273 bars in a full session of 2019."""
    minutes, fives = days(3, "2019-03-07"), days(3, "2019-03-07", market=replace(NQ, bar_minutes=5))
    assert [len(part) for part in fives] == [273, 273, 273]
    for minute, five in zip(minutes, fives, strict=True):
        buckets: dict[int, list[tuple[float, float, float, float, int]]] = {}
        for bar in minute.to_bars():
            row = (bar.open, bar.high, bar.low, bar.close, bar.volume or 0)
            buckets.setdefault(bar.ts_open_ns // (5 * MINUTE_NS), []).append(row)
        expected = [
            (
                at * 5 * MINUTE_NS,
                rows[0][0],
                max(r[1] for r in rows),
                min(r[2] for r in rows),
                rows[-1][3],
                sum(r[4] for r in rows),
            )
            for at, rows in sorted(buckets.items())
        ]
        got = [(bar.ts_open_ns, bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in five.to_bars()]
        assert got == expected
        assert np.all(five.ts_close_ns - five.ts_open_ns == 5 * MINUTE_NS)


def test_generate_with_a_seed_is_the_same_everywhere() -> None:
    """The hash holds on every platform, NumPy and Python; a change of it is a change of every golden file."""
    assert digest(days(12, "2019-12-09", seed=42)) == "a2643d0780e0230165bec544e90b85619228bcb7c0e4cde660f14ef1c9d35b37"


def test_generate_without_the_compiler_is_the_same() -> None:
    """Python's own arithmetic gives the numbers of the compiled kernel: no fused or reordered operation."""
    code = "import test_synthetic as t; print(t.digest(t.days(2, '2019-12-13', seed=42)))"
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == digest(days(2, "2019-12-13", seed=42))


def test_generate_again_longer_or_with_another_seed() -> None:
    """The same seed repeats itself, a longer run begins with the shorter one, another seed differs."""
    short = days(3)
    assert digest(days(3)) == digest(short)
    assert digest(days(9)[:3]) == digest(short)
    assert digest(days(3, seed=8)) != digest(short)


@pytest.mark.parametrize(("symbol", "ticks_per_point"), [("RTY", 10), ("YM", 1), ("MES", 4)])
def test_generate_for_another_market_is_on_its_tick(symbol: str, ticks_per_point: int) -> None:
    """Prices are the doubles nearest to the decimal price of a whole tick."""
    market = SyntheticMarket(instrument=INSTRUMENTS[symbol], start_price=2_000.0)
    whole = concatenate(days(3, market=market))
    ticks = np.round(whole.close * ticks_per_point)
    assert np.array_equal(whole.close, ticks / ticks_per_point)
    assert whole.symbols == (f"{symbol}H19",)


def test_generate_starts_on_the_first_session_from_the_date() -> None:
    """A Saturday start means the session that opens on Sunday evening."""
    (monday,) = days(1, "2019-07-06")
    assert monday.ts_open_ns[0] == session_on("2019-07-08").open_ns


def test_generate_of_what_cannot_be_is_refused() -> None:
    """Odd bar lengths, no sessions, and more sessions than the calendar has."""
    with pytest.raises(ConfigurationError, match="1, 3, 5, 15"):
        days(1, market=replace(NQ, bar_minutes=2))
    with pytest.raises(ConfigurationError, match="at least 1"):
        days(0)
    with pytest.raises(InputError, match="start earlier"):
        days(10, "2035-12-28")
