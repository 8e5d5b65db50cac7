"""Which bounds of the fusion table would have served best in each regime: a grid, searched regime by regime. Pure.

The regimes are searched in the order -1, 0, 1, each with what the ones before it have found; the measure is the mean
net R of the trades of a backtest. The bounds in force are kept unless others did strictly better, with at least half
as many trades: a mean over a few of them is luck. Points nearer to the bounds in force are tried first, and a tie is
theirs. What wins on the dates that it was chosen on has proved nothing about any others.
"""

from collections.abc import Callable, Mapping

from msgspec import Struct

from trader.advisor.hedge import REGIMES
from trader.learning import Thresholds

OVERRIDE_HIGH = (0.8, 0.85, 0.9, 0.95, 0.99)
UNCERTAIN_BELOW = (0.4, 0.45, 0.5, 0.55, 0.6)
GRID = tuple(
    Thresholds(override_high=high, uncertain_below=below) for high in OVERRIDE_HIGH for below in UNCERTAIN_BELOW
)
FEWEST_TRADES_SHARE = 0.5
BETTER_BY = 1e-9
"""R; a smaller difference is a rounding of sums, and no difference."""


class Worth(Struct, frozen=True, kw_only=True):
    """What a backtest came to: its trades, and the mean net R of those with a risk, None without any.

    Of its `questions` to the model, `stood_in` were answered by an answer to a question like it, `missing` by nobody.
    """

    trades: int
    mean_r: float | None
    questions: int
    stood_in: int
    missing: int


class Tried(Struct, frozen=True, kw_only=True):
    """One backtest of the search: the bounds tried in `regime`, the others as found so far."""

    regime: int
    thresholds: Thresholds
    worth: Worth


class Found(Struct, frozen=True, kw_only=True):
    """The bounds found by regime, what they and those in force came to, and everything that was tried, in order."""

    thresholds: dict[int, Thresholds]
    before: Worth
    after: Worth
    tried: tuple[Tried, ...]


Evaluate = Callable[[Mapping[int, Thresholds]], Worth]
"""A backtest with these bounds by regime."""


def search(in_force: Thresholds, evaluate: Evaluate, grid: tuple[Thresholds, ...] = GRID) -> Found:
    """Search the grid: at most three times its points, and one for the bounds in force, are evaluated."""
    found = dict.fromkeys(REGIMES, in_force)
    before = best = evaluate(found)
    tried: list[Tried] = []
    points = sorted((point for point in grid if point != in_force), key=lambda point: _distance(point, in_force))
    for regime in REGIMES:
        chosen = in_force
        for point in points:
            worth = evaluate({**found, regime: point})
            tried.append(Tried(regime=regime, thresholds=point, worth=worth))
            if _is_better(worth, best, before):
                chosen, best = point, worth
        found[regime] = chosen
    return Found(thresholds=found, before=before, after=best, tried=tuple(tried))


def _is_better(worth: Worth, best: Worth, before: Worth) -> bool:
    if worth.mean_r is None or worth.trades < FEWEST_TRADES_SHARE * before.trades:
        return False
    return best.mean_r is None or worth.mean_r > best.mean_r + BETTER_BY


def _distance(point: Thresholds, in_force: Thresholds) -> float:
    high = abs(point.override_high - in_force.override_high)
    return round(high + abs(point.uncertain_below - in_force.uncertain_below), 9)
