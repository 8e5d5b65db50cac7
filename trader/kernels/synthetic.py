"""One session of the synthetic market, minute by minute. Imports numpy and numba only.

Randomness comes in as 16-bit words of a counted stream, a fixed number a minute, and is used through sums, products and
quotients only: IEEE 754 fixes the result of each of those, so that the same words give the same bars everywhere.
"""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

WORDS_A_MINUTE = 52
STATE_SIZE = 4
PRICE, DAY_VOLATILITY, HOUR_VOLATILITY, REGIME = range(STATE_SIZE)

# Log volatility inside the session: half-life 46 minutes, stationary standard deviation 0.32.
HOUR_PERSISTENCE = 0.985
HOUR_SHOCK = 0.055
# Centres exp(day + hour) so that the mean variance of a minute is that of the profile.
LOG_CENTRE = -0.2
# One minute in fifty moves three times as much: the tails that clustering alone does not give.
TAIL_SHARE = 0.02
TAIL_FACTOR = 3.0
# A momentum regime (-1, 0 or 1) lasts two hours on average.
REGIME_SWITCH = 1.0 / 120.0
# Expected overshoot of a continuous path over its four samples (Broadie, Glasserman and Kou 1997: 0.5826), doubled
# because it is drawn uniformly from zero.
OVERSHOOT = 1.165
# Below this expected volume a minute can pass without a trade, the rarer the busier.
BUSY_VOLUME = 300.0
QUIET_VOLUME = 6.0


@njit(cache=True)
def uniform(word: int) -> float:
    """A 16-bit word as a number strictly inside (0, 1)."""
    return (word + 0.5) / 65536.0


@njit(cache=True)
def normal_4(words: NDArray[np.int64], at: int) -> float:
    """Sum of four uniforms with mean 0 and variance 1: nearly normal, inside +-3.5."""
    total = int(words[at] + words[at + 1] + words[at + 2] + words[at + 3])
    return (total - 131070.0) / 65536.0 * 1.7320508075688772


@njit(cache=True)
def normal_8(words: NDArray[np.int64], at: int) -> float:
    """Sum of eight uniforms with mean 0 and variance 1: nearly normal, inside +-4.9."""
    pair: float = normal_4(words, at) + normal_4(words, at + 4)
    return pair * 0.7071067811865476


@njit(cache=True)
def exponential(x: float) -> float:
    """(1 + x/256)^256 for |x| < 100: exp to a few per cent, by nine products that round alike everywhere."""
    y = 1.0 + x / 256.0
    for _ in range(8):
        y *= y
    return y


@njit(cache=True)
def open_gap(words: NDArray[np.int64], state: NDArray[np.float64], gap: float, nights: int) -> None:
    """Overnight: a new day's volatility (half-life five sessions) and a price jump of about `gap` x sqrt nights.

    `words` has shape (16,), `gap` is a fraction of the price, `nights` the days since the last session.
    """
    state[DAY_VOLATILITY] = 0.87 * state[DAY_VOLATILITY] + 0.16 * normal_4(words, 0)
    state[HOUR_VOLATILITY] *= 0.5
    scale = gap * exponential(state[DAY_VOLATILITY]) * math.sqrt(nights)
    if uniform(words[4]) < 0.1:
        scale *= TAIL_FACTOR
    state[PRICE] *= 1.0 + scale * normal_8(words, 8)


@njit(cache=True)
def walk(
    words: NDArray[np.int64],
    state: NDArray[np.float64],
    mean_volume: NDArray[np.float64],
    sigma: NDArray[np.float64],
    momentum: float,
    ohlc: NDArray[np.int64],
    volume: NDArray[np.int64],
) -> None:
    """Fill `ohlc`, shape (n, 4) in ticks, and `volume`, shape (n,), for n minutes; `state` moves on.

    `words` has shape (n, 52); `mean_volume` is contracts a minute and `sigma` the standard deviation of a minute's
    return as a fraction. `momentum` is the drift of a regime in standard deviations a minute. Volume 0 marks a minute
    without a trade, whose prices mean nothing.
    """
    price = state[PRICE]
    hour = state[HOUR_VOLATILITY]
    regime = state[REGIME]
    day = state[DAY_VOLATILITY]
    for i in range(len(sigma)):
        w = words[i]
        hour = HOUR_PERSISTENCE * hour + HOUR_SHOCK * normal_4(w, 32)
        if uniform(w[36]) < REGIME_SWITCH:
            regime = w[37] % 3 - 1.0
        level = exponential(day + hour + LOG_CENTRE)
        usual = sigma[i] * level
        scale = usual * TAIL_FACTOR if uniform(w[38]) < TAIL_SHARE else usual
        begin = price
        highest = price
        lowest = price
        for k in range(4):
            price += price * (0.5 * scale * normal_8(w, 8 * k) + 0.25 * momentum * regime * usual)
            highest = max(highest, price)
            lowest = min(lowest, price)
        reach = OVERSHOOT * 0.5 * scale * begin
        first = math.floor(begin + 1.2 * uniform(w[39]) - 0.1)
        last = math.floor(price + 1.2 * uniform(w[40]) - 0.1)
        ohlc[i, 0] = first
        ohlc[i, 1] = max(first, last, math.floor(highest + reach * uniform(w[41]) + 0.5))
        ohlc[i, 2] = min(first, last, math.floor(lowest - reach * uniform(w[42]) + 0.5))
        ohlc[i, 3] = last
        quiet = QUIET_VOLUME / mean_volume[i]
        if mean_volume[i] < BUSY_VOLUME and uniform(w[43]) < quiet * quiet:
            volume[i] = 0
            continue
        travelled = abs(price - begin) / (usual * begin)
        expected = mean_volume[i] * level * (0.6 + 0.35 * travelled) * exponential(0.4 * normal_4(w, 44))
        volume[i] = math.floor(expected + uniform(w[48]))
    state[PRICE] = price
    state[HOUR_VOLATILITY] = hour
    state[REGIME] = regime
