"""Intervals of daily figures by the stationary bootstrap: sessions are drawn in blocks, so their dependence stays.

Politis & Romano (1994); the mean block length is chosen from the data by Politis & White (2004) with the correction of
Patton, Politis & White (2009). Intervals are the 2.5 % and 97.5 % points of 2,000 resamples. Everything is seeded.
"""

import math

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from trader.analysis.drawdowns import Floats, underwater
from trader.analysis.metrics import SESSIONS_PER_YEAR, SHARPE_SESSIONS_MIN

RESAMPLES = 2_000
Ints = NDArray[np.int64]

_TAIL = 0.025
RATIO_SESSIONS_MIN = 60
"""Fewer sessions give no interval of a Sharpe or Sortino ratio."""
_CORRELATED = 2.0
"""An autocorrelation counts from twice sqrt(log10 n / n): Politis & White's c."""


class Interval(Struct, frozen=True, kw_only=True):
    """A 95 % confidence interval of the figure in question; for a drawdown a range of what resamples came to."""

    low: float
    high: float


class Daily(Struct, frozen=True, kw_only=True):
    """What is resampled, each of shape (sessions,): net P&L in USD and R, and the parts of the ratios of trades.

    `won_usd` and `lost_usd` (>= 0) are sums of the session's winning and losing trades, `risked` counts its trades
    whose initial risk is known, whose sum is `pnl_r`.
    """

    pnl_usd: Floats
    pnl_r: Floats
    won_usd: Floats
    lost_usd: Floats
    risked: Ints


class Intervals(Struct, frozen=True, kw_only=True):
    """95 % intervals; None where sessions are too few (20; 60 for Sharpe and Sortino) or a resample has no value.

    `drawdown_usd` and `drawdown_r` are RANGES: where the deepest drawdown of 95 % of resamples lay. Sessions in
    another order have another drawdown; the range is no confidence interval of the one that was seen.
    """

    resamples: int
    block_sessions: float
    seed: int
    mean_usd: Interval | None = None
    mean_r: Interval | None = None
    total_usd: Interval | None = None
    total_r: Interval | None = None
    sharpe: Interval | None = None
    sortino: Interval | None = None
    profit_factor: Interval | None = None
    expectancy_r: Interval | None = None
    drawdown_usd: Interval | None = None
    drawdown_r: Interval | None = None


class Band(Struct, frozen=True, kw_only=True):
    """Pointwise 95 % bounds of a curve, one pair a session, in the curve's unit."""

    low: tuple[float, ...]
    high: tuple[float, ...]


def block_sessions(values: Floats) -> float:
    """The mean block length, >= 1, that suits the dependence of `values`, shape (n,).

    Politis & White (2004), Patton, Politis & White (2009): with the flat-top window up to twice the first lag after
    which K autocorrelations in a row are insignificant, b = (2 G^2 / D)^(1/3) n^(1/3), D = 2 g(0)^2, not above
    min(3 sqrt n, n / 3).
    """
    count = len(values)
    deviations = values - values.mean() if count else values
    if count < SHARPE_SESSIONS_MIN or not deviations.any():
        return 1.0
    run = max(5, math.ceil(math.sqrt(math.log10(count))))
    lags = min(count - 1, math.ceil(math.sqrt(count)) + run)
    covariance = np.array([deviations[lag:] @ deviations[: count - lag] for lag in range(lags + 1)]) / count
    width = min(2 * _last_correlated_lag(covariance / covariance[0], count, run), lags)
    lag = np.arange(-width, width + 1)
    window = np.clip(2 * (1 - np.abs(lag) / max(width, 1)), 0, 1)
    weighted = window * covariance[np.abs(lag)]
    slope, density = float(np.abs(lag) @ weighted), float(weighted.sum())
    if density <= 0:
        return 1.0
    length: float = math.cbrt(slope**2 / density**2 * count)
    return min(max(length, 1.0), 3 * math.sqrt(count), count / 3)


def resampled_sessions(count: int, mean_block: float, resamples: int, rng: np.random.Generator) -> Ints:
    """Indices of shape (resamples, count) into `count` sessions: blocks of geometric length around a circle."""
    begins = rng.random((resamples, count)) < 1 / mean_block
    begins[:, 0] = True
    place = np.arange(count)
    begin = np.maximum.accumulate(np.where(begins, place, 0), axis=1)
    first = np.take_along_axis(rng.integers(0, count, (resamples, count)), begin, axis=1)
    drawn: NDArray[np.int64] = (first + place - begin) % count
    return drawn


def mean_interval(values: Floats, seed: int, resamples: int = RESAMPLES) -> Interval | None:
    """95 % interval of the mean of daily `values`, shape (n,); None below 20 sessions."""
    if len(values) < SHARPE_SESSIONS_MIN:
        return None
    return _interval(values[_chosen(values, seed, resamples)].mean(axis=1))


def equity_band(values: Floats, seed: int, resamples: int = RESAMPLES) -> Band | None:
    """Pointwise 95 % bounds of cumulative P&L at each session's end; None below 20 sessions."""
    if len(values) < SHARPE_SESSIONS_MIN:
        return None
    curves = np.sort(np.cumsum(values[_chosen(values, seed, resamples)], axis=1), axis=0)
    outside = math.ceil(_TAIL * resamples)
    return Band(low=tuple(curves[outside - 1].tolist()), high=tuple(curves[resamples - outside].tolist()))


def intervals(daily: Daily, seed: int, resamples: int = RESAMPLES) -> Intervals:
    """All intervals from the same resamples of whole sessions; the block length is that of daily R."""
    count = len(daily.pnl_r)
    length = block_sessions(daily.pnl_r)
    if count < SHARPE_SESSIONS_MIN:
        return Intervals(resamples=resamples, block_sessions=length, seed=seed)
    chosen = resampled_sessions(count, length, resamples, np.random.default_rng(seed))
    usd, r = daily.pnl_usd[chosen], daily.pnl_r[chosen]
    has_ratios = count >= RATIO_SESSIONS_MIN
    year = math.sqrt(SESSIONS_PER_YEAR)
    return Intervals(
        resamples=resamples,
        block_sessions=length,
        seed=seed,
        mean_usd=_interval(usd.mean(axis=1)),
        mean_r=_interval(r.mean(axis=1)),
        total_usd=_interval(usd.sum(axis=1)),
        total_r=_interval(r.sum(axis=1)),
        sharpe=_interval(_divided(usd.mean(axis=1), usd.std(axis=1, ddof=1)) * year) if has_ratios else None,
        sortino=_interval(_divided(usd.mean(axis=1), _downside(usd)) * year) if has_ratios else None,
        profit_factor=_interval(_divided(daily.won_usd[chosen].sum(axis=1), daily.lost_usd[chosen].sum(axis=1))),
        expectancy_r=_interval(_divided(r.sum(axis=1), daily.risked[chosen].sum(axis=1))),
        drawdown_usd=_interval(-underwater(usd).min(axis=1)),
        drawdown_r=_interval(-underwater(r).min(axis=1)),
    )


def _chosen(values: Floats, seed: int, resamples: int) -> Ints:
    return resampled_sessions(len(values), block_sessions(values), resamples, np.random.default_rng(seed))


def _interval(estimates: Floats) -> Interval | None:
    """The 2.5 % and 97.5 % order statistics; None where one of them has no value (the largest are those without)."""
    ordered = np.sort(estimates)
    outside = math.ceil(_TAIL * len(ordered))
    low, high = float(ordered[outside - 1]), float(ordered[len(ordered) - outside])
    return Interval(low=low, high=high) if math.isfinite(low) and math.isfinite(high) else None


def _divided(parts: Floats, wholes: Floats | Ints) -> Floats:
    quotients = np.full(len(parts), np.inf)
    np.divide(parts, wholes, out=quotients, where=wholes != 0)
    return quotients


def _downside(values: Floats) -> Floats:
    deviation: Floats = np.sqrt((np.minimum(values, 0) ** 2).mean(axis=1))
    return deviation


def _last_correlated_lag(correlation: Floats, count: int, run: int) -> int:
    """The smallest m after which `run` autocorrelations in a row are insignificant; the last significant lag else."""
    significant = np.abs(correlation[1:]) >= _CORRELATED * math.sqrt(math.log10(count) / count)
    for lag in range(len(significant) - run + 1):
        if not significant[lag : lag + run].any():
            return lag
    return int(np.flatnonzero(significant)[-1]) + 1
