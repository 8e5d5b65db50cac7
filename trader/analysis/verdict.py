"""Whether a result differs from what random entries come to: the one line that a reader takes home."""

from enum import StrEnum

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from trader.analysis.daily import Floats

RANDOM_SEEDS = 200
P_MAX = 0.025
DAILY_VALUES_MIN = 60


class Finding(StrEnum):
    """What the comparison with random entries says."""

    YES = "yes"
    NO_DIFFERENCE = "no_difference"
    WORSE = "worse"
    TOO_SHORT = "too_short"
    NO_TRADES = "no_trades"


class RandomBand(Struct, frozen=True, kw_only=True):
    """Mean net R a session of the random seeds, its 2.5 %, 50 % and 97.5 % points, and how far out the strategy is.

    `k` counts the seeds at least as far out on the strategy's side, p = 2 (1 + k) / (1 + seeds).
    """

    low: float
    median: float
    high: float
    k: int
    p: float


class Verdict(Struct, frozen=True, kw_only=True):
    """The finding and what it rests on. `mean_r` is the strategy's mean net R a session; `band` is None where there
    is nothing to compare. The sentence is for people."""

    finding: Finding
    sessions: int
    trades: int
    mean_r: float
    seeds: int
    band: RandomBand | None
    sentence: str = ""


def verdict(mean_r: float, random_mean_r: Floats, *, sessions: int, trades: int) -> Verdict:
    """The verdict on a mean net R a session, beside those of random entries, shape (seeds,); issue 3's rule.

    `yes` where p <= 0.025 and the strategy is better, `worse` where p <= 0.025 and it is worse. Under 60 sessions the
    verdict is `too_short`, without a trade `no_trades`, whatever the figures are.
    """
    seen = Verdict(
        finding=Finding.NO_DIFFERENCE,
        sessions=sessions,
        trades=trades,
        mean_r=mean_r,
        seeds=len(random_mean_r),
        band=_band(mean_r, random_mean_r) if trades and len(random_mean_r) else None,
    )
    seen = replace(seen, finding=_finding(seen))
    return replace(seen, sentence=_sentence(seen))


def _band(mean_r: float, random_mean_r: Floats) -> RandomBand:
    k = int(min((random_mean_r >= mean_r).sum(), (random_mean_r <= mean_r).sum()))
    low, median, high = np.quantile(random_mean_r, (0.025, 0.5, 0.975)).tolist()
    return RandomBand(low=low, median=median, high=high, k=k, p=min(2 * (1 + k) / (1 + len(random_mean_r)), 1.0))


def _finding(seen: Verdict) -> Finding:
    if seen.trades == 0:
        return Finding.NO_TRADES
    if seen.sessions < DAILY_VALUES_MIN:
        return Finding.TOO_SHORT
    if seen.band is None or seen.band.p > P_MAX:
        return Finding.NO_DIFFERENCE
    return Finding.YES if seen.mean_r > seen.band.median else Finding.WORSE


def _sentence(seen: Verdict) -> str:
    match seen.finding:
        case Finding.YES:
            return f"YES, better than random entries: {_compared(seen)}."
        case Finding.WORSE:
            return f"WORSE than random entries: {_compared(seen)}."
        case Finding.NO_DIFFERENCE:
            return f"NO DIFFERENCE from random entries is shown: {_compared(seen)}."
        case Finding.TOO_SHORT:
            return (
                f"TOO SHORT: {seen.sessions} sessions prove nothing, whatever they show; {DAILY_VALUES_MIN} are needed."
            )
        case Finding.NO_TRADES:
            return "NO TRADES: there is nothing to judge."


def _compared(seen: Verdict) -> str:
    band = seen.band
    if band is None:
        return f"{seen.mean_r:+.3f} R a session, compared with nothing"
    return (
        f"{seen.mean_r:+.3f} R a session; 95 % of {seen.seeds} random strategies with as many trades of the same "
        f"sides, hours and exits lie between {band.low:+.3f} and {band.high:+.3f} R (p = {band.p:.3f})"
    )
