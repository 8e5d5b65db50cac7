"""The market kernel against the textbook oracle, against itself, and against any input."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from market_bars import (
    Columns,
    columns,
    continuous_2019,
    firstrate_2023,
    random_bars,
    run,
    run_rows,
    stream,
    tradingview_2022,
)
from market_oracle import Oracle
from numpy.typing import NDArray

from trader.kernels import clock_bars, market, market_batch
from trader.kernels.market import ROW_SIZE, ROW_START
from trader.observation import BASE_SIZE, FEATURES, FULL_SIZE, Clock, first_full

NEWEST = list(range(ROW_START, ROW_START + ROW_SIZE)) + list(range(228, 256))
NAMES = [FEATURES[index].name for index in NEWEST]
MARKET = [*range(220), *range(228, 256)]


@cache
def _case(name: str, shared_data: Path | None = None) -> tuple[Columns, NDArray[np.float32], Oracle]:
    match name:
        case "one minute":
            bars = random_bars(1, 6_000, 1)
        case "no volume":
            bars = random_bars(2, 3_000, 5, volume=False)
        case "seven minutes":
            bars = random_bars(3, 3_000, 7)
        case "fifteen minutes":
            bars = random_bars(4, 2_000, 15)
        case _:
            assert shared_data is not None
            bars = {
                "firstrate 2023": firstrate_2023,
                "continuous 2019": continuous_2019,
                "tradingview 2022": tradingview_2022,
            }[name](shared_data)
    return bars, run(bars)[0], Oracle(bars)


def _textbook(oracle: Oracle, index: int) -> NDArray[np.float64]:
    feature = FEATURES[index]
    return np.clip(oracle.feature(feature.name.removesuffix("_t")), feature.low, feature.high)


def _assert_textbook(case: tuple[Columns, NDArray[np.float32], Oracle], index: int) -> None:
    _, observations, oracle = case
    expected = _textbook(oracle, index)
    # A float32 holds a value up to 16 to within 4.8e-7.
    np.testing.assert_allclose(observations[:, index], expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("index", NEWEST, ids=NAMES)
@pytest.mark.parametrize("name", ["one minute", "no volume", "seven minutes", "fifteen minutes"])
def test_step_on_random_bars_gives_the_textbook_value(name: str, index: int) -> None:
    """Rolls, gaps, halts, dead markets, empty bars: each feature is what pandas makes of the whole history."""
    _assert_textbook(_case(name), index)


@pytest.mark.parametrize("index", NEWEST, ids=NAMES)
@pytest.mark.parametrize("name", ["firstrate 2023", "continuous 2019", "tradingview 2022"])
def test_step_on_real_bars_gives_the_textbook_value(name: str, index: int, shared_data: Path) -> None:
    """One-minute bars with volume, a year with four rolls, and an illiquid contract."""
    _assert_textbook(_case(name, shared_data), index)


def test_oracle_cases_exercise_every_feature() -> None:
    """No comparison above is one of constants."""
    observations = _case("one minute")[1]
    assert [FEATURES[i].name for i in NEWEST if len(np.unique(observations[:, i])) < 2] == []


def test_reading_on_random_bars_is_the_textbook_value_in_points() -> None:
    """ADX, RSI, ATR, VWAP, distance, momentum and means in what people read, rounded to 1e-6."""
    bars, _, oracle = _case("one minute")
    readings = run(bars)[1]
    unadjusted = bars.prices[:, 3] - oracle.close
    vwap = (oracle.vwap() + unadjusted) * bars.tick
    close = bars.prices[:, 3] * bars.tick
    expected = {
        market.READING_ADX: oracle.adx.fillna(0.0),
        market.READING_RSI: oracle.rsi_of(oracle.close).fillna(50.0),
        market.READING_ATR: oracle.atr * bars.tick,
        market.READING_VWAP: vwap,
        market.READING_VWAP_DISTANCE: (close - vwap) / vwap,
        market.READING_MOMENTUM: (oracle.close - oracle.lag(oracle.close, 20)) * bars.tick,
        market.READING_SMA_20: (oracle.mean(oracle.close, 20) + unadjusted) * bars.tick,
        market.READING_SMA_50: (oracle.mean(oracle.close, 50) + unadjusted) * bars.tick,
        market.READING_REGIME: oracle.feature("market_regime"),
    }
    for place, values in expected.items():
        np.testing.assert_allclose(readings[:, place], values, rtol=0, atol=5.1e-7)
    assert (readings == np.round(readings, 6)).all()


def test_window_holds_the_rows_of_the_last_twenty_bars() -> None:
    """Oldest bar first, the newest last; rows before the first bar are zero."""
    _, observations, _ = _case("one minute")
    rows = observations[:, ROW_START : ROW_START + ROW_SIZE]
    for lag in range(20):
        start = ROW_START - lag * ROW_SIZE
        held = observations[:, start : start + ROW_SIZE]
        assert np.array_equal(held[lag:], rows[: len(rows) - lag])
        assert not held[:lag].any()


def test_stream_and_batch_agree_to_the_last_bit() -> None:
    """One kernel, two callers: observations and readings, rolls and sessions included."""
    bars = random_bars(5, 2_500, 1)
    assert bars.rolls.any()
    for streamed, batched in zip(stream(bars), run(bars), strict=True):
        assert streamed.tobytes() == batched.tobytes()


def test_rows_assemble_to_the_observation_of_batch() -> None:
    """39 numbers a bar are enough to build the market part of any bar's observation again."""
    bars, observations, _ = _case("one minute")
    rows, atrs, _ = run_rows(bars)
    for t in (0, 5, 19, 20, 1_234, len(bars) - 1):
        obs = market.new_obs()
        window = rows[max(t - 19, 0) : t + 1, :ROW_SIZE].ravel()
        obs[220 - len(window) : 220] = window
        obs[228:256] = rows[t, ROW_SIZE:]
        assert np.array_equal(obs, observations[t])
    np.testing.assert_allclose(atrs, _case("one minute")[2].atr, rtol=1e-9)


@given(cut=st.integers(1, 1_499), seed=st.integers(0, 3))
@settings(max_examples=20, deadline=None)
def test_step_never_looks_ahead(cut: int, seed: int) -> None:
    """Other bars after bar `cut` leave every observation up to it as it was: no swing is known before its time."""
    bars = _walk(seed)
    other = _walk(seed + 100)
    mixed = bars.prices.copy()
    mixed[cut:] = other.prices[cut:]
    changed = Columns(
        **{**_fields(bars), "prices": mixed, "volumes": np.append(bars.volumes[:cut], other.volumes[cut:])}
    )
    assert np.array_equal(run(changed)[0][:cut], run(bars)[0][:cut])


@cache
def _walk(seed: int) -> Columns:
    return random_bars(seed, 1_500, 1)


def _fields(bars: Columns) -> dict[str, object]:
    return {name: getattr(bars, name) for name in bars.__dataclass_fields__}


def test_prefix_of_a_history_gives_the_prefix_of_its_observations() -> None:
    """The first n bars alone give what they gave in the long run."""
    bars, observations, _ = _case("one minute")
    for n in (1, 17, 400, 2_000):
        assert np.array_equal(run(bars.part(0, n))[0], observations[:n])


def test_roll_equals_back_adjusted_prices_to_the_last_bit() -> None:
    """Only the spread estimate, a fraction of the price, is not linear; it moves by the roll's share of the price."""
    bars, observations, _ = _case("one minute")
    assert np.count_nonzero(bars.rolls) >= 2
    shift = np.append(bars.rolls[::-1].cumsum()[::-1][1:], 0.0)
    adjusted = Columns(**{**_fields(bars), "prices": bars.prices + shift[:, None], "rolls": np.zeros(len(bars))})
    expected = run(adjusted)[0]
    linear = [index for index in MARKET if index != 235]
    assert np.array_equal(observations[:, linear], expected[:, linear])
    np.testing.assert_allclose(observations[:, 235], expected[:, 235], rtol=0.02, atol=1e-9)


def test_roll_of_2019_is_no_move(shared_data: Path) -> None:
    """At all four rolls the bar's move is ordinary; without the offset it would be a spike."""
    bars, observations, _ = _case("continuous 2019", shared_data)
    blind = run(Columns(**{**_fields(bars), "rolls": np.zeros(len(bars))}))[0]
    at = np.flatnonzero(bars.rolls)
    assert len(at) == 4
    assert (blind[at, ROW_START] > 2.5).all()
    assert (np.abs(observations[at, ROW_START]) < 1.5).all()


@st.composite
def _histories(draw: st.DrawFn) -> list[tuple[float, ...]]:
    """Any valid bars: whole ticks, low <= open, close <= high, time going forward; sessions and rolls as they like."""
    bars = []
    minute = draw(st.integers(24_000_000, 25_000_000))
    level = draw(st.integers(1_000, 200_000))
    for _ in range(draw(st.integers(1, 60))):
        minute += draw(st.integers(1, 2_000) if draw(st.booleans()) else st.just(1))
        level = max(1, level + draw(st.integers(-3_000, 3_000) if draw(st.booleans()) else st.just(0)))
        low = level - draw(st.integers(0, min(level - 1, 50)))
        high = level + draw(st.integers(0, 50))
        first, last = draw(st.integers(low, high)), draw(st.integers(low, high))
        volume = draw(st.sampled_from([0, 0, 1, 7, 10**9]))
        bars.append((minute, minute + draw(st.integers(1, 15)), first, high, low, last, volume))
    return bars


@given(history=_histories(), has_volume=st.booleans(), data=st.data())
@settings(max_examples=150, deadline=None)
def test_step_on_any_valid_bars_stays_finite_and_inside_the_clips(
    history: list[tuple[float, ...]], has_volume: bool, data: st.DataObject
) -> None:
    """No input gives NaN, infinity or a value outside the table's bounds."""
    state, obs, reading = market.new_state(), market.new_obs(), np.zeros(market.READING_SIZE)
    low = np.array([f.low for f in FEATURES], dtype=np.float32)
    high = np.array([f.high for f in FEATURES], dtype=np.float32)
    for minute, end, *prices, volume in history:
        if data.draw(st.integers(0, 9)) == 0:
            rth = data.draw(st.sampled_from([(0, 0), (minute, minute + 390)]))
            market.begin_session(
                state, minute - 5, minute + data.draw(st.integers(0, 1_380)), *rth, minute + 7, minute + 22
            )
        if data.draw(st.integers(0, 9)) == 0:
            market.roll(state, float(data.draw(st.integers(-200, 200))))
        market.step(state, obs, reading, minute, end, *map(float, prices), float(volume), has_volume, 0.25)
        assert np.isfinite(obs).all()
        assert np.isfinite(reading).all()
        assert ((obs >= low) & (obs <= high)).all(), [
            FEATURES[i].name for i in np.flatnonzero((obs < low) | (obs > high))
        ]


@pytest.mark.parametrize("index", NEWEST, ids=NAMES)
def test_first_full_is_where_a_window_without_missing_values_begins(index: int) -> None:
    """With full windows demanded, pandas has its first value at the table's bar; clock time is another test's."""
    feature = FEATURES[index]
    if feature.clock in {Clock.MINUTES_15, Clock.MINUTES_60}:
        assert feature.full_bars == 1
        return
    bars = random_bars(1, 1_000, 1)
    value = np.asarray(_textbook(Oracle(bars, strict=True), index))
    assert int(np.argmax(~np.isnan(value))) + 1 == feature.full_bars
    assert not np.isnan(value[feature.full_bars :]).any()


def _unbroken(start: int, count: int, bar_minutes: int = 1) -> Columns:
    """A history without a missing bar that begins `start` bars after a session's open."""
    opens = 1_696_197_600 // 60  # 2023-10-01 18:00 ET, the first of five full sessions
    days = [opens + day * 1_440 + minute for day in range(5) for minute in range(0, 1_380, bar_minutes)]
    ts_open_min = np.array(days[start : start + count], dtype=np.int64)
    rng = np.random.default_rng(7)
    close = 64_000 + np.cumsum(rng.integers(-9, 10, count))
    prices = np.stack([close, close + 3, close - 3, close], axis=1).astype(float)
    return columns(ts_open_min, bar_minutes, prices, np.full(count, 100.0))


def test_is_full_of_the_base_vector_is_the_tables_number() -> None:
    """423 bars wherever the history begins: the oldest row's ATR mean is the last to fill."""
    for start in (0, 700, 1_300):
        fullness = run_rows(_unbroken(start, 800))[2]
        assert int(np.argmax(fullness >= 1)) + 1 == first_full(BASE_SIZE, 1) == 423


@pytest.mark.parametrize("bar_minutes", [1, 5])
def test_is_full_of_clock_time_features_comes_by_the_tables_number(bar_minutes: int) -> None:
    """15 hourly closes take 900 minutes from an hour's start and at worst 959, from a minute after it."""
    hourly = FEATURES[241]
    needed = []
    for start in range(60 // bar_minutes):
        bars = _unbroken(start, 960 // bar_minutes + 1, bar_minutes)
        state, obs, reading = market.new_state(), market.new_obs(), np.zeros(9)
        for t in range(len(bars)):
            market_batch.advance(
                state, obs, reading, t, bars.ts_open_min, bars.ts_close_min, bars.prices, bars.volumes, True,
                bars.session_of, bars.sessions, bars.rolls, 0.25,
            )  # fmt: skip
            if state[market.CLOCK_60 + clock_bars.CLOSED] == 15:
                needed.append(t + 1)
                break
    assert needed[0] == 900 // bar_minutes
    assert max(needed) == hourly.first_full(bar_minutes)


def test_is_full_of_the_full_vector_waits_for_a_session_seen_from_its_open() -> None:
    """From the open 900 bars are enough; a history that begins a minute later waits for the next session's VWAP."""
    assert int(np.argmax(run_rows(_unbroken(0, 1_500))[2] == 2)) + 1 == 900
    assert int(np.argmax(run_rows(_unbroken(1, 1_500))[2] == 2)) + 1 == first_full(FULL_SIZE, 1) == 1_380


@pytest.mark.parametrize("bar_minutes", [1, 5, 15])
def test_is_full_is_never_later_than_the_tables_number(bar_minutes: int) -> None:
    """`first_full` is a promise for every start and period."""
    for start in (0, 3, 11, 30):
        count = first_full(FULL_SIZE, bar_minutes)
        fullness = run_rows(_unbroken(start, count, bar_minutes))[2]
        assert fullness[-1] == 2


@pytest.mark.parametrize("name", ["continuous 2019", "firstrate 2023"])
def test_settled_history_no_longer_moves_a_value(name: str, shared_data: Path) -> None:
    """After the table's `settled` bars a later start differs by less than 1e-3 of each clip."""
    bars, observations, _ = _case(name, shared_data)
    bar_minutes = 5 if name.startswith("continuous") else 1
    clip = np.array([max(abs(FEATURES[i].low), abs(FEATURES[i].high)) for i in NEWEST])
    for start in (2_000, 3_333, 5_500):
        later = run(bars.part(start, start + 8_000))[0]
        off = np.abs(later[:, NEWEST] - observations[start : start + 8_000, NEWEST]) >= 1e-3 * clip
        for column, index in enumerate(NEWEST):
            settled = FEATURES[index].settled(bar_minutes)
            assert not off[settled - 1 :, column].any(), FEATURES[index].name
