"""What became of a run's questions, for the end of a report: by trigger, by the model, and how fast.

Latencies are wall clock and no part of a log, so that these figures stand beside the report and not in it.
"""

from msgspec import Struct

from trader.advisor.counts import Spread
from trader.app import Run
from trader.domain.decisions import AdviceStatus


class AdvisorFigures(Struct, frozen=True, kw_only=True):
    """`asked` left the gate, by trigger (a question may have several), `cached` were answered out of the cache."""

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


def advisor_figures(run: Run) -> AdvisorFigures:
    """The figures so far."""
    counts = run.advisor.counts()
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
    return lines
