"""Whether a result differs from what random entries come to: the one line that a reader takes home."""

import numpy as np

from trader.analysis.drawdowns import Floats
from trader.analysis.evaluation_parts import VerdictFacts, VerdictKind

RANDOM_SEEDS = 200
P_MAX = 0.025
DAILY_VALUES_MIN = 60


def verdict(mean_daily_r: float, random_mean_r: Floats, *, sessions: int, trades: int) -> VerdictFacts:
    """The verdict on a mean net R a session, beside those of random entries, shape (seeds,).

    p = 2 (1 + k) / (1 + seeds), k the seeds at least as far out on the strategy's side (a tie counts). `yes` where
    p <= 0.025 and the strategy is better: if it were a random seed itself, that would happen in 2 of 201 cases.
    `worse` is the other side. Under 60 sessions it is `too short`, without a trade `no trades`, whatever the figures
    are. Without seeds nothing is compared: no difference.
    """
    k, p = _as_far(mean_daily_r, random_mean_r)
    kind = _kind(mean_daily_r, random_mean_r, p, sessions=sessions, trades=trades)
    is_compared = trades > 0 and len(random_mean_r) > 0
    return VerdictFacts(
        kind=kind,
        p=p if is_compared else None,
        seeds_as_far=k if is_compared else None,
        seeds=len(random_mean_r),
        mean_daily_r=mean_daily_r if trades > 0 else None,
        sentence=_sentence(kind, _compared(mean_daily_r, random_mean_r, p), sessions),
    )


def _as_far(mean_r: float, random_mean_r: Floats) -> tuple[int, float]:
    k = int(min((random_mean_r >= mean_r).sum(), (random_mean_r <= mean_r).sum()))
    return k, min(2 * (1 + k) / (1 + len(random_mean_r)), 1.0)


def _kind(mean_r: float, random_mean_r: Floats, p: float, *, sessions: int, trades: int) -> VerdictKind:
    if trades == 0:
        return VerdictKind.NO_TRADES
    if sessions < DAILY_VALUES_MIN:
        return VerdictKind.TOO_SHORT
    if p > P_MAX:
        return VerdictKind.NO_DIFFERENCE
    return VerdictKind.BETTER if mean_r > np.median(random_mean_r) else VerdictKind.WORSE


def _sentence(kind: VerdictKind, compared: str, sessions: int) -> str:
    match kind:
        case VerdictKind.BETTER:
            return f"YES, better than random entries: {compared}."
        case VerdictKind.WORSE:
            return f"WORSE than random entries: {compared}."
        case VerdictKind.NO_DIFFERENCE:
            return f"NO DIFFERENCE from random entries is shown: {compared}."
        case VerdictKind.TOO_SHORT:
            return f"TOO SHORT: {sessions} sessions prove nothing, whatever they show; {DAILY_VALUES_MIN} are needed."
        case VerdictKind.NO_TRADES:
            return "NO TRADES: there is nothing to judge."


def _compared(mean_r: float, random_mean_r: Floats, p: float) -> str:
    seeds = len(random_mean_r)
    if not seeds:
        return f"{mean_r:+.3f} R a session, compared with nothing"
    low, high = np.quantile(random_mean_r, (0.025, 0.975)).tolist()
    return (
        f"{mean_r:+.3f} R a session; 95 % of {seeds} random strategies with as many trades of the same sides, hours "
        f"and exits lie between {low:+.3f} and {high:+.3f} R (p = {p:.3f})"
    )
