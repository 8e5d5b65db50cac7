"""The arithmetic that the features share: averages that grow into their window, guarded ratios, one spread estimate.

Pure scalar numba functions without state of their own. Imports numpy and numba only.
"""

import math

from numba import njit

LOG2_BOUND = 3.0
_CORWIN_SCHULTZ_K = 3.0 - 2.0 * math.sqrt(2.0)


@njit(cache=True, error_model="numpy")
def clip(x: float, low: float, high: float) -> float:
    """`x` inside [low, high]."""
    return min(max(x, low), high)


@njit(cache=True, error_model="numpy")
def ratio(x: float, y: float, low: float, high: float) -> float:
    """x / y inside [low, high], y >= 0; 0/0 is 0, and x/0 the bound on the side of x."""
    if y == 0.0:
        return 0.0 if x == 0.0 else (high if x > 0.0 else low)
    return min(max(x / y, low), high)


@njit(cache=True, error_model="numpy")
def log2_ratio(x: float, y: float) -> float:
    """log2(x / y) inside +-3 for x, y >= 0: the argument is floored at 2^-3; 0/0 is 0, and x/0 is 3."""
    if y == 0.0:
        return 0.0 if x == 0.0 else LOG2_BOUND
    return min(math.log2(max(x / y, 0.125)), LOG2_BOUND)


@njit(cache=True, error_model="numpy")
def wilder(average: float, x: float, count: int, period: int) -> float:
    """Wilder's average (1978) after its `count`-th value: the plain mean until `period` values are in."""
    return average + (x - average) / min(count, period)


@njit(cache=True, error_model="numpy")
def ema(average: float, x: float, count: int, period: int) -> float:
    """Exponential average, weight 2 / (period + 1), seeded by the plain mean of its first `period` values."""
    if count <= period:
        return average + (x - average) / count
    return average + (x - average) * (2.0 / (period + 1.0))


@njit(cache=True, error_model="numpy")
def rsi_scaled(gain: float, loss: float) -> float:
    """(RSI - 50) / 50 from the average gain and loss, -1..1; without any change it is 0."""
    scaled: float = ratio(gain - loss, gain + loss, -1.0, 1.0)
    return scaled


@njit(cache=True, error_model="numpy")
def corwin_schultz(log_range: float, log_range_before: float, log_range_both: float) -> float:
    """Spread as a fraction of the price from ln(high / low) of a bar, the bar before, and the two as one; at least 0.

    Corwin and Schultz, "A Simple Way to Estimate Bid-Ask Spreads from Daily High and Low Prices", Journal of Finance
    67 (2012), equations 14 and 18, without their correction for the move between two bars.
    """
    beta = log_range * log_range + log_range_before * log_range_before
    alpha = (math.sqrt(2.0 * beta) - math.sqrt(beta)) / _CORWIN_SCHULTZ_K - log_range_both / math.sqrt(
        _CORWIN_SCHULTZ_K
    )
    if alpha <= 0.0:
        return 0.0
    grown = math.expm1(alpha)
    return 2.0 * grown / (2.0 + grown)
