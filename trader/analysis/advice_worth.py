"""Whether advice is worth anything: against the same advice shuffled in time, inverted, and left out."""

from msgspec import Struct

from trader.analysis.bootstrap import mean_interval
from trader.analysis.drawdowns import Floats
from trader.analysis.evaluation_parts import Estimate, PlaceboKind, PlaceboVerdict
from trader.analysis.verdict import DAILY_VALUES_MIN


class AdvisedRuns(Struct, frozen=True, kw_only=True):
    """Daily net R of runs that differ in their advice alone, each of shape (sessions,), the same sessions."""

    fused: Floats
    shuffled: Floats
    inverted: Floats
    rl_only: Floats


def advice_worth(runs: AdvisedRuns | None, seed: int) -> PlaceboVerdict:
    """Whether advice adds something, by paired daily differences with bootstrap intervals; `runs` None: no advice.

    `adds` where the 95 % intervals of all three differences lie above zero: advice that beats its placebos but not
    the strategy alone does no harm, which is not the same. Under 60 sessions `too short`.
    """
    if runs is None:
        none = Estimate(value=None, low=None, high=None)
        return PlaceboVerdict(
            kind=PlaceboKind.NO_ADVICE,
            over_shuffled_r=none,
            over_inverted_r=none,
            over_rl_only_r=none,
            sentence="There was no advice.",
        )
    others = {"the same advice shuffled in time": runs.shuffled, "the same advice inverted": runs.inverted}
    others["no advice"] = runs.rl_only
    over = {name: _difference(runs.fused, other, seed) for name, other in others.items()}
    kind = _kind(len(runs.fused), list(over.values()))
    shuffled, inverted, rl_only = over.values()
    return PlaceboVerdict(
        kind=kind,
        over_shuffled_r=shuffled,
        over_inverted_r=inverted,
        over_rl_only_r=rl_only,
        sentence=_sentence(kind, over, len(runs.fused)),
    )


def _difference(fused: Floats, other: Floats, seed: int) -> Estimate:
    """Mean daily R of `fused` over that of `other`, session by session: what both share cancels out."""
    differences = fused - other
    interval = mean_interval(differences, seed)
    value = float(differences.mean()) if len(differences) else None
    if interval is None:
        return Estimate(value=value, low=None, high=None)
    return Estimate(value=value, low=interval.low, high=interval.high)


def _kind(sessions: int, over: list[Estimate]) -> PlaceboKind:
    if sessions < DAILY_VALUES_MIN:
        return PlaceboKind.TOO_SHORT
    is_above = all(difference.low is not None and difference.low > 0 for difference in over)
    return PlaceboKind.ADDS if is_above else PlaceboKind.ADDS_NOTHING


def _sentence(kind: PlaceboKind, over: dict[str, Estimate], sessions: int) -> str:
    match kind:
        case PlaceboKind.NO_ADVICE:
            return "There was no advice."
        case PlaceboKind.TOO_SHORT:
            return f"Too short to say what advice adds: {sessions} sessions, {DAILY_VALUES_MIN} are needed."
        case PlaceboKind.ADDS:
            return f"The advice ADDS something: {_listed(over)}."
        case PlaceboKind.ADDS_NOTHING:
            failed = [name for name, it in over.items() if it.low is None or it.low <= 0]
            return f"The advice ADDS NOTHING: it does not beat {' or '.join(failed)}. {_listed(over)}."


def _listed(over: dict[str, Estimate]) -> str:
    return "; ".join(f"{_told(it)} R a session over {name}" for name, it in over.items())


def _told(it: Estimate) -> str:
    return f"{it.value:+.3f} [{it.low:+.3f}, {it.high:+.3f}]"
