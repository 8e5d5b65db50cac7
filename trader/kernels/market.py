"""The market half of the observation: one fused pass over a closed bar, at constant cost.

`step` is the only place where a market feature is computed. The engine calls it bar by bar and `batch` calls it in a
loop, so streaming and batch agree to the last bit. Prices inside the state are whole ticks RELATIVE to a base; a
contract roll moves the base and nothing else, so no average, ring, swing or half-built bar sees the jump, and sums of
prices are exact integers that cannot drift. Formulas, clips and neutral values: `trader.observation`.
Imports numpy and numba only.
"""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from trader.kernels import clock_bars
from trader.kernels.indicators import clip, corwin_schultz, ema, log2_ratio, ratio, rsi_scaled, wilder

OBS_SIZE = 261
WINDOW_BARS = 20
ROW_SIZE = 11
ROW_START = (WINDOW_BARS - 1) * ROW_SIZE
CONTEXT_START = 228
CONTEXT_SIZE = 28
MARKET_SIZE = ROW_SIZE + CONTEXT_SIZE

# Bars until every market feature of the base and of the full vector has its window, clock-time features apart:
# the oldest row of the window needs the 390-bar mean of an ATR of 14 true ranges.
BASE_FULL_BARS = 14 + 390 + WINDOW_BARS - 1
CLOCK_FULL_BARS = 15

# Places in the reading, rounded to 1e-6: points, percent scale, fractions.
READING_ADX = 0
READING_RSI = 1
READING_ATR = 2
READING_VWAP = 3
READING_VWAP_DISTANCE = 4
READING_MOMENTUM = 5
READING_SMA_20 = 6
READING_SMA_50 = 7
READING_REGIME = 8
READING_SIZE = 9

# Scalars of the state.
BARS = 0  # bars seen
ATR = 1  # ticks, floored at one: what every `/ ATR` divides by
BASE = 2  # ticks: price = base + relative price
SESSION_OPEN_MIN = 3
SESSION_CLOSE_MIN = 4
RTH_OPEN_MIN = 5
RTH_CLOSE_MIN = 6
HALT_START_MIN = 7
HALT_END_MIN = 8
SESSION_BARS = 9
SESSION_OPEN = 10
SESSION_WHOLE = 11  # 1 once the session at hand was seen from its first bar
VWAP_SUM = 12  # of (high + low + close) * weight
VWAP_WEIGHT = 13
PREV_HIGH = 14
PREV_LOW = 15
PREV_CLOSE = 16
PREV_LOG_RANGE = 17
TRUE_RANGE_14 = 18
TRUE_RANGE_195 = 19
ATR_SUM_390 = 20
GAIN = 21
LOSS = 22
PLUS_DM = 23
MINUS_DM = 24
ADX = 25
EMA_12 = 26
EMA_26 = 27
CLOSE_SUM_5 = 28
CLOSE_SUM_20 = 29
CLOSE_SUM_50 = 30
CLOSE_SUM_200 = 31
PATH_SUM_20 = 32
VOLUME_BARS = 33
VOLUME_SUM_5 = 34
VOLUME_SUM_20 = 35
VOLUME_SUM_390 = 36
HIGHS = 37  # swing highs confirmed so far
LAST_HIGH = 38
LAST_HIGH_BEFORE = 39
LOW_BETWEEN = 40  # lowest swing low after the last swing high, +inf with none
DOUBLE_TOP_BAR = 41  # bar of confirmation, -inf while the last two highs are none
LOWS = 42
LAST_LOW = 43
LAST_LOW_BEFORE = 44
HIGH_BETWEEN = 45
DOUBLE_BOTTOM_BAR = 46

# Rings, by bar number modulo their length (a power of two, longer than the longest look back).
CLOSES = 64
CLOSES_MASK = 255
ATRS = CLOSES + 256
LONG_MASK = 511
VOLUMES = ATRS + 512
LOG_VOLUMES = VOLUMES + 512
LOG_MASK = 63
HIGH_RING = LOG_VOLUMES + 64
LOW_RING = HIGH_RING + 32
SPREADS = LOW_RING + 32
SMA_200 = SPREADS + 32
SHORT_MASK = 31
SMA_50 = SMA_200 + 32
ADXS = SMA_50 + 16
LEVEL_HIGHS = ADXS + 8
LEVEL_LOWS = LEVEL_HIGHS + 10
CLOCK_15 = LEVEL_LOWS + 10
CLOCK_60 = CLOCK_15 + clock_bars.SIZE
STATE_SIZE = CLOCK_60 + clock_bars.SIZE

LEVELS = 10
SWING_BARS = 5
PATTERN_BARS = 60
_SQRT_10 = math.sqrt(10.0)
_SQRT_20 = math.sqrt(20.0)
_SQRT_60 = math.sqrt(60.0)
_TWO_PI = 2.0 * math.pi


def new_state() -> NDArray[np.float64]:
    """The state before the first bar: a flat float64 array of STATE_SIZE."""
    state = np.zeros(STATE_SIZE)
    state[ATR] = 1.0
    state[LOW_BETWEEN] = math.inf
    state[HIGH_BETWEEN] = -math.inf
    state[DOUBLE_TOP_BAR] = state[DOUBLE_BOTTOM_BAR] = -math.inf
    return state


def new_obs() -> NDArray[np.float32]:
    """The observation before the first bar: 261 float32 zeros."""
    return np.zeros(OBS_SIZE, dtype=np.float32)


@njit(cache=True, error_model="numpy")
def begin_session(
    state: NDArray[np.float64],
    open_min: int,
    close_min: int,
    rth_open_min: int,
    rth_close_min: int,
    halt_start_min: int,
    halt_end_min: int,
) -> None:
    """Enter a session, before the `step` of its first bar; minutes since 1970 UTC, 0 and 0 for no RTH or no halt."""
    state[SESSION_OPEN_MIN] = open_min
    state[SESSION_CLOSE_MIN] = close_min
    state[RTH_OPEN_MIN] = rth_open_min
    state[RTH_CLOSE_MIN] = rth_close_min
    state[HALT_START_MIN] = halt_start_min
    state[HALT_END_MIN] = halt_end_min
    state[SESSION_BARS] = 0.0
    state[VWAP_SUM] = 0.0
    state[VWAP_WEIGHT] = 0.0


@njit(cache=True, error_model="numpy")
def roll(state: NDArray[np.float64], offset_ticks: float) -> None:
    """Enter a new contract, before the `step` of its first bar; new minus old price in whole ticks."""
    state[BASE] += offset_ticks


@njit(cache=True, error_model="numpy")
def is_full(state: NDArray[np.float64], full: bool) -> bool:
    """Whether every market feature of the vector (`full`: 261, else 228) has its whole window after the last bar."""
    if state[BARS] < BASE_FULL_BARS:
        return False
    if not full:
        return True
    closed = min(state[CLOCK_15 + clock_bars.CLOSED], state[CLOCK_60 + clock_bars.CLOSED])
    return bool(state[SESSION_WHOLE] != 0.0 and closed >= CLOCK_FULL_BARS)


@njit(cache=True, error_model="numpy")
def _z_score(state: NDArray[np.float64], newest: int, count: int) -> float:
    """z-score of the newest of the last `count` log volumes, population deviation.

    Deviations are taken from the newest value itself: equal volumes give exactly 0/0, and nothing cancels.
    """
    x = state[LOG_VOLUMES + (newest & LOG_MASK)]
    total = 0.0
    squares = 0.0
    for back in range(1, count):
        d = state[LOG_VOLUMES + ((newest - back) & LOG_MASK)] - x
        total += d
        squares += d * d
    mean = total / count
    z: float = ratio(-mean, math.sqrt(max(squares / count - mean * mean, 0.0)), -5.0, 5.0)
    return z


@njit(cache=True, error_model="numpy")
def _confirm_swings(state: NDArray[np.float64], i: int, atr: float) -> None:
    """Judge bar i - 5, whose five bars after it are now known, as swing high and swing low."""
    c = i - SWING_BARS
    high = state[HIGH_RING + (c & SHORT_MASK)]
    low = state[LOW_RING + (c & SHORT_MASK)]
    is_high = True
    is_low = True
    for k in range(1, SWING_BARS + 1):
        before = (c - k) & SHORT_MASK
        after = (c + k) & SHORT_MASK
        if high <= state[HIGH_RING + before] or high < state[HIGH_RING + after]:
            is_high = False
        if low >= state[LOW_RING + before] or low > state[LOW_RING + after]:
            is_low = False
    if is_high:
        count = int(state[HIGHS])
        last = state[LAST_HIGH]
        state[HIGHS] = count + 1
        state[LAST_HIGH_BEFORE] = last
        state[LAST_HIGH] = high
        state[LEVEL_HIGHS + count % LEVELS] = high
        twins = count > 0 and abs(high - last) <= 0.5 * atr
        state[DOUBLE_TOP_BAR] = i if twins and state[LOW_BETWEEN] <= min(high, last) - atr else -np.inf
        state[LOW_BETWEEN] = np.inf
    if is_low:
        count = int(state[LOWS])
        last = state[LAST_LOW]
        state[LOWS] = count + 1
        state[LAST_LOW_BEFORE] = last
        state[LAST_LOW] = low
        state[LEVEL_LOWS + count % LEVELS] = low
        twins = count > 0 and abs(low - last) <= 0.5 * atr
        state[DOUBLE_BOTTOM_BAR] = i if twins and state[HIGH_BETWEEN] >= max(low, last) + atr else -np.inf
        state[HIGH_BETWEEN] = -np.inf
    # A bar that is both lies between none of the next pair: the pattern asks for a bar strictly between.
    if is_low and not is_high:
        state[LOW_BETWEEN] = min(state[LOW_BETWEEN], low)
    if is_high and not is_low:
        state[HIGH_BETWEEN] = max(state[HIGH_BETWEEN], high)


@njit(cache=True, error_model="numpy")
def _level_distance(state: NDArray[np.float64], close: float) -> float:
    """Signed ticks from the nearest known swing level to the close; of two equally near the one below; 0 with none."""
    best = 0.0
    nearest = np.inf
    for k in range(min(int(state[HIGHS]), LEVELS)):
        d = close - state[LEVEL_HIGHS + k]
        if abs(d) < nearest or (abs(d) == nearest and d > best):
            nearest = abs(d)
            best = d
    for k in range(min(int(state[LOWS]), LEVELS)):
        d = close - state[LEVEL_LOWS + k]
        if abs(d) < nearest or (abs(d) == nearest and d > best):
            nearest = abs(d)
            best = d
    return best


@njit(cache=True, error_model="numpy")
def step(
    state: NDArray[np.float64],
    obs: NDArray[np.float32],
    reading: NDArray[np.float64],
    ts_open_min: int,
    ts_close_min: int,
    open_ticks: float,
    high_ticks: float,
    low_ticks: float,
    close_ticks: float,
    volume: float,
    has_volume: bool,
    tick: float,
) -> None:
    """Take one closed bar: moves the window in `obs` on by a row, writes obs[209:220], obs[228:256] and `reading`.

    `obs` is float32[261], `reading` float64[9]; times are minutes since 1970 UTC, prices whole ticks, `tick` the
    points of one tick, `volume` contracts (not looked at unless `has_volume`). Constant cost, no allocation.
    """
    i = int(state[BARS])
    n = i + 1
    state[BARS] = n
    if i == 0:
        state[BASE] = close_ticks
    base = state[BASE]
    high = high_ticks - base
    low = low_ticks - base
    close = close_ticks - base

    for k in range(ROW_START):
        obs[k] = obs[k + ROW_SIZE]

    # The session.
    first_of_session = state[SESSION_BARS] == 0.0
    open_min = int(state[SESSION_OPEN_MIN])
    close_min = int(state[SESSION_CLOSE_MIN])
    if first_of_session:
        state[SESSION_OPEN] = open_ticks - base
        state[SESSION_WHOLE] = 1.0 if i > 0 or ts_open_min == open_min else 0.0
    state[SESSION_BARS] += 1.0
    session_bars = state[SESSION_BARS]
    weight = volume if has_volume else 1.0
    state[VWAP_SUM] += (high + low + close) * weight
    state[VWAP_WEIGHT] += weight
    vwap = close
    if state[VWAP_WEIGHT] > 0.0:
        vwap = state[VWAP_SUM] / (3.0 * state[VWAP_WEIGHT])

    # True range, directional movement, gains: from the second bar on, as each needs the bar before.
    log_range = math.log(high_ticks / low_ticks) if low_ticks > 0.0 else 0.0
    spread = 0.0
    change = 0.0
    if i == 0:
        state[TRUE_RANGE_14] = state[TRUE_RANGE_195] = high - low
    else:
        prev_high = state[PREV_HIGH]
        prev_low = state[PREV_LOW]
        prev_close = state[PREV_CLOSE]
        change = close - prev_close
        true_range = max(high, prev_close) - min(low, prev_close)
        state[TRUE_RANGE_14] = wilder(state[TRUE_RANGE_14], true_range, i, 14)
        state[TRUE_RANGE_195] = wilder(state[TRUE_RANGE_195], true_range, i, 195)
        state[GAIN] = wilder(state[GAIN], max(change, 0.0), i, 14)
        state[LOSS] = wilder(state[LOSS], max(-change, 0.0), i, 14)
        up = high - prev_high
        down = prev_low - low
        state[PLUS_DM] = wilder(state[PLUS_DM], up if up > down and up > 0.0 else 0.0, i, 14)
        state[MINUS_DM] = wilder(state[MINUS_DM], down if down > up and down > 0.0 else 0.0, i, 14)
        both_low = min(low, prev_low) + base
        if both_low > 0.0:
            log_both = math.log((max(high, prev_high) + base) / both_low)
            spread = corwin_schultz(log_range, state[PREV_LOG_RANGE], log_both)
    state[PREV_HIGH] = high
    state[PREV_LOW] = low
    state[PREV_CLOSE] = close
    state[PREV_LOG_RANGE] = log_range
    atr = max(state[TRUE_RANGE_14], 1.0)
    atr_195 = max(state[TRUE_RANGE_195], 1.0)
    state[ATR] = atr

    # ADX starts with the first DX of full averages; the true range cancels in DX and in the sign of +DI - -DI.
    plus_dm = state[PLUS_DM]
    minus_dm = state[MINUS_DM]
    adx_slope = 0.0
    if i >= 14:
        dx_count = i - 13
        dx = 100.0 * ratio(abs(plus_dm - minus_dm), plus_dm + minus_dm, 0.0, 1.0)
        state[ADX] = wilder(state[ADX], dx, dx_count, 14)
        state[ADXS + (dx_count & 7)] = state[ADX]
        adx_slope = state[ADX] - state[ADXS + ((dx_count - min(5, dx_count - 1)) & 7)]
    adx = state[ADX]
    regime = 0.0
    if adx > 25.0:
        regime = 1.0 if plus_dm > minus_dm else (-1.0 if plus_dm < minus_dm else 0.0)

    # Mean of the ATR over 390 bars, summed anew now and then so that rounding cannot pile up.
    state[ATRS + (i & LONG_MASK)] = atr
    state[ATR_SUM_390] += atr
    if i >= 390:
        state[ATR_SUM_390] -= state[ATRS + ((i - 390) & LONG_MASK)]
        if (i & LONG_MASK) == 0:
            total = 0.0
            for k in range(390):
                total += state[ATRS + ((i - k) & LONG_MASK)]
            state[ATR_SUM_390] = total
    atr_mean_390 = state[ATR_SUM_390] / min(n, 390)

    # Closes: sums of whole ticks are exact, and differences reach back to the first bar until their window is full.
    state[CLOSES + (i & CLOSES_MASK)] = close
    state[CLOSE_SUM_5] += close
    state[CLOSE_SUM_20] += close
    state[CLOSE_SUM_50] += close
    state[CLOSE_SUM_200] += close
    state[PATH_SUM_20] += abs(change)
    if i >= 5:
        state[CLOSE_SUM_5] -= state[CLOSES + ((i - 5) & CLOSES_MASK)]
    if i >= 20:
        gone = state[CLOSES + ((i - 20) & CLOSES_MASK)]
        state[CLOSE_SUM_20] -= gone
        if i >= 21:
            state[PATH_SUM_20] -= abs(gone - state[CLOSES + ((i - 21) & CLOSES_MASK)])
    if i >= 50:
        state[CLOSE_SUM_50] -= state[CLOSES + ((i - 50) & CLOSES_MASK)]
    if i >= 200:
        state[CLOSE_SUM_200] -= state[CLOSES + ((i - 200) & CLOSES_MASK)]
    sma_5 = state[CLOSE_SUM_5] / min(n, 5)
    sma_20 = state[CLOSE_SUM_20] / min(n, 20)
    sma_50 = state[CLOSE_SUM_50] / min(n, 50)
    sma_200 = state[CLOSE_SUM_200] / min(n, 200)
    state[SMA_50 + (i & 15)] = sma_50
    state[SMA_200 + (i & SHORT_MASK)] = sma_200
    sma_50_slope = sma_50 - state[SMA_50 + ((i - min(10, i)) & 15)]
    sma_200_slope = sma_200 - state[SMA_200 + ((i - min(20, i)) & SHORT_MASK)]
    move_10 = close - state[CLOSES + ((i - min(10, i)) & CLOSES_MASK)]
    move_20 = close - state[CLOSES + ((i - min(20, i)) & CLOSES_MASK)]
    move_60 = close - state[CLOSES + ((i - min(60, i)) & CLOSES_MASK)]
    state[EMA_12] = ema(state[EMA_12], close, n, 12)
    state[EMA_26] = ema(state[EMA_26], close, n, 26)

    # The spread estimate of the last 20 pairs of bars.
    state[SPREADS + (i & SHORT_MASK)] = spread
    spread_mean = 0.0
    if i > 0:
        for k in range(min(i, 20)):
            spread_mean += state[SPREADS + ((i - k) & SHORT_MASK)]
        spread_mean /= min(i, 20)

    # Volume: contracts are whole, so these sums are exact too.
    volume_z = volume_regime = volume_5 = volume_20 = 0.0
    if has_volume:
        j = int(state[VOLUME_BARS])
        state[VOLUME_BARS] = j + 1
        if j > 0:
            volume_5 = log2_ratio(volume * min(j, 5), state[VOLUME_SUM_5])
            volume_20 = log2_ratio(volume * min(j, 20), state[VOLUME_SUM_20])
        state[VOLUMES + (j & LONG_MASK)] = volume
        state[LOG_VOLUMES + (j & LOG_MASK)] = math.log1p(volume)
        state[VOLUME_SUM_5] += volume
        state[VOLUME_SUM_20] += volume
        state[VOLUME_SUM_390] += volume
        if j >= 5:
            state[VOLUME_SUM_5] -= state[VOLUMES + ((j - 5) & LONG_MASK)]
        if j >= 20:
            state[VOLUME_SUM_20] -= state[VOLUMES + ((j - 20) & LONG_MASK)]
        if j >= 390:
            state[VOLUME_SUM_390] -= state[VOLUMES + ((j - 390) & LONG_MASK)]
        volume_regime = log2_ratio(state[VOLUME_SUM_20] * min(j + 1, 390), state[VOLUME_SUM_390] * min(j + 1, 20))
        volume_z = _z_score(state, j, min(j + 1, 60))

    # Break-out of the 20 bars before, then the swings, which look at bar i too.
    breakout = breakdown = 0.0
    if i > 0:
        highest = -np.inf
        lowest = np.inf
        for k in range(1, min(i, 20) + 1):
            highest = max(highest, state[HIGH_RING + ((i - k) & SHORT_MASK)])
            lowest = min(lowest, state[LOW_RING + ((i - k) & SHORT_MASK)])
        breakout = close - highest
        breakdown = lowest - close
    state[HIGH_RING + (i & SHORT_MASK)] = high
    state[LOW_RING + (i & SHORT_MASK)] = low
    if i >= 2 * SWING_BARS:
        _confirm_swings(state, i, atr)

    # Higher time frames.
    halt_start_min = int(state[HALT_START_MIN])
    halt_end_min = int(state[HALT_END_MIN])
    clock_bars.add_bar(
        state, CLOCK_15, 15, ts_open_min, ts_close_min, high, low, close, i == 0, first_of_session,
        open_min, close_min, halt_start_min, halt_end_min,
    )  # fmt: skip
    clock_bars.add_bar(
        state, CLOCK_60, 60, ts_open_min, ts_close_min, high, low, close, i == 0, first_of_session,
        open_min, close_min, halt_start_min, halt_end_min,
    )  # fmt: skip

    # The clock.
    elapsed = 0.0
    if close_min > open_min:
        elapsed = _TWO_PI * clip((ts_close_min - open_min) / (close_min - open_min), 0.0, 1.0)
    rth_open_min = state[RTH_OPEN_MIN]
    rth_close_min = state[RTH_CLOSE_MIN]
    rth_left = 0.0
    if rth_open_min <= ts_close_min < rth_close_min:
        rth_left = (rth_close_min - ts_close_min) / (rth_close_min - rth_open_min)

    # The newest row.
    rsi = rsi_scaled(state[GAIN], state[LOSS])
    obs[ROW_START] = clip(change / atr, -5.0, 5.0)
    obs[ROW_START + 1] = volume_z
    obs[ROW_START + 2] = clip((close - sma_5) / atr, -5.0, 5.0)
    obs[ROW_START + 3] = clip((close - sma_20) / atr, -10.0, 10.0)
    obs[ROW_START + 4] = rsi
    obs[ROW_START + 5] = clip((state[EMA_12] - state[EMA_26]) / atr, -5.0, 5.0)
    obs[ROW_START + 6] = clip(move_10 / (atr * _SQRT_10), -5.0, 5.0)
    obs[ROW_START + 7] = log2_ratio(atr, atr_mean_390)
    obs[ROW_START + 8] = math.sin(elapsed)
    obs[ROW_START + 9] = math.cos(elapsed)
    obs[ROW_START + 10] = rth_left

    # Context.
    obs[228] = clip(adx_slope / 25.0, -1.0, 1.0)
    obs[229] = clip((close - vwap) / atr, -10.0, 10.0)
    obs[230] = log2_ratio(atr, atr_195)
    obs[231] = volume_regime
    obs[232] = clip(move_20 / (atr * _SQRT_20), -5.0, 5.0)
    obs[233] = clip(move_60 / (atr * _SQRT_60), -5.0, 5.0)
    obs[234] = ratio(abs(move_20), state[PATH_SUM_20], 0.0, 1.0)
    obs[235] = clip(spread_mean * close_ticks / 40.0, 0.0, 1.0)
    obs[236] = clip((close - state[SESSION_OPEN]) / (atr * math.sqrt(session_bars)), -5.0, 5.0)
    obs[237] = regime
    obs[238] = clip(sma_50_slope / atr, -5.0, 5.0)
    obs[239] = clip(sma_200_slope / atr, -5.0, 5.0)
    obs[240] = rsi_scaled(state[CLOCK_15 + clock_bars.GAIN], state[CLOCK_15 + clock_bars.LOSS])
    obs[241] = rsi_scaled(state[CLOCK_60 + clock_bars.GAIN], state[CLOCK_60 + clock_bars.LOSS])
    obs[242] = volume_5
    obs[243] = volume_20
    hour_move = state[CLOCK_60 + clock_bars.CLOSE] - state[CLOCK_60 + clock_bars.CLOSE_BEFORE]
    obs[244] = clip(hour_move / max(state[CLOCK_60 + clock_bars.TRUE_RANGE], 1.0), -5.0, 5.0)
    obs[245] = clip(_level_distance(state, close) / atr, -10.0, 10.0)
    two_highs = state[HIGHS] >= 2.0
    two_lows = state[LOWS] >= 2.0
    obs[246] = 1.0 if two_highs and state[LAST_HIGH] > state[LAST_HIGH_BEFORE] else 0.0
    obs[247] = 1.0 if two_lows and state[LAST_LOW] < state[LAST_LOW_BEFORE] else 0.0
    obs[248] = 1.0 if two_lows and state[LAST_LOW] > state[LAST_LOW_BEFORE] else 0.0
    obs[249] = 1.0 if two_highs and state[LAST_HIGH] < state[LAST_HIGH_BEFORE] else 0.0
    obs[250] = max(1.0 - (i - state[DOUBLE_TOP_BAR]) / PATTERN_BARS, 0.0)
    obs[251] = max(1.0 - (i - state[DOUBLE_BOTTOM_BAR]) / PATTERN_BARS, 0.0)
    obs[252] = clip((close - state[LAST_LOW]) / atr, -10.0, 10.0) if state[LOWS] > 0.0 else 0.0
    obs[253] = clip((state[LAST_HIGH] - close) / atr, -10.0, 10.0) if state[HIGHS] > 0.0 else 0.0
    obs[254] = clip(breakout / atr, 0.0, 3.0)
    obs[255] = clip(breakdown / atr, 0.0, 3.0)

    reading[READING_ADX] = np.rint(adx * 1e6) / 1e6
    reading[READING_RSI] = np.rint((50.0 + 50.0 * rsi) * 1e6) / 1e6
    reading[READING_ATR] = np.rint(atr * tick * 1e6) / 1e6
    reading[READING_VWAP] = np.rint((base + vwap) * tick * 1e6) / 1e6
    vwap_distance = (close - vwap) / (base + vwap) if base + vwap > 0.0 else 0.0
    reading[READING_VWAP_DISTANCE] = np.rint(vwap_distance * 1e6) / 1e6
    reading[READING_MOMENTUM] = np.rint(move_20 * tick * 1e6) / 1e6
    reading[READING_SMA_20] = np.rint((base + sma_20) * tick * 1e6) / 1e6
    reading[READING_SMA_50] = np.rint((base + sma_50) * tick * 1e6) / 1e6
    reading[READING_REGIME] = regime
