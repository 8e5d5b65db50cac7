"""What became of a run's questions, for the end of a report: by trigger, by the model, and how fast.

Latencies are wall clock and no part of a log, so that these figures stand beside the report and not in it.
"""

from msgspec import Struct

from trader.advisor.counts import Spread
from trader.app import Run
from trader.domain.decisions import AdviceStatus
from trader.learning import AdaptiveCosts

_REGIME_NAMES = {-1: "down", 0: "none", 1: "up"}


class AdvisorFigures(Struct, frozen=True, kw_only=True):
    """`asked` left the gate, by trigger (a question may have several), `cached` were answered out of the cache.

    `silent_members` of an ensemble left so many questions to the others. `weights` are the advisor's by regime, where
    they are learned.
    """

    asked: int
    by_trigger: dict[str, int]
    cached: int
    model_calls: int
    late: int
    late_used: int
    invalid: int
    errors: int
    missing: int
    legal_mass_mean: float | None
    latency_ms: Spread | None
    silent_members: dict[str, int]
    weights: dict[int, float] | None
    adaptive: AdaptiveCosts | None


def advisor_figures(run: Run) -> AdvisorFigures:
    """The figures so far."""
    counts, learner = run.advisor.counts(), run.advice.learner
    return AdvisorFigures(
        asked=counts.asked,
        by_trigger={trigger.value: count for trigger, count in run.gate.asked_by_trigger().items()},
        cached=counts.by_status[AdviceStatus.CACHED],
        model_calls=counts.model_calls,
        late=counts.by_status[AdviceStatus.LATE],
        late_used=counts.late_used,
        invalid=counts.by_status[AdviceStatus.INVALID],
        errors=counts.by_status[AdviceStatus.ERROR],
        missing=counts.by_status[AdviceStatus.MISSING],
        legal_mass_mean=counts.legal_mass_mean,
        latency_ms=counts.latency_ms,
        silent_members={} if run.advice.ensemble is None else dict(run.advice.ensemble.silent),
        weights=None if learner is None or learner.weights is None else dict(learner.weights),
        adaptive=None if learner is None else learner.costs,
    )


def advisor_lines(figures: AdvisorFigures) -> list[str]:
    """As a person reads them; nothing where nobody was asked."""
    if not figures.asked:
        return []
    triggers = ", ".join(f"{name} {count:,}" for name, count in figures.by_trigger.items() if count)
    lines = [
        "",
        f"Questions: {figures.asked:,} by {triggers or 'every bar'}",
        f"  answered out of the cache {figures.cached:,}, by the back end {figures.model_calls:,}",
    ]
    if figures.legal_mass_mean is not None:
        lines.append(f"  probability left to valid answers: {figures.legal_mass_mean:.3f} in the mean")
    spread = figures.latency_ms
    if spread is not None:
        lines.append(f"  model latency: {spread.p50:.1f} ms (p50), {spread.p95:.1f} (p95), {spread.p99:.1f} (p99)")
    for member, count in figures.silent_members.items():
        lines.append(f"  SILENT {count:,} times: {member}")
    if figures.weights is not None:
        told = ", ".join(f"{_REGIME_NAMES[regime]} {weight:.3f}" for regime, weight in figures.weights.items())
        lines.append(f"  weight of the advisor at the end, learned by regime: {told}")
    costs = figures.adaptive
    if costs is not None and costs.outcomes:
        lines.append(
            f"  judged {costs.outcomes:,} times; share of choices lost {costs.learned_loss / costs.outcomes:.3f} as "
            f"learned, {costs.cap_cost / costs.outcomes:+.3f} by the cap, {costs.choice_cost / costs.outcomes:+.3f} by "
            "choosing one"
        )
    return lines
