"""What became of the questions of a run."""

from collections import deque

from msgspec import Struct

from trader.advisor.question import Answer
from trader.domain.decisions import AdviceStatus

KEPT_EXCHANGES = 100_000
"""Of a longer run the newest count: percentiles of a stream need its values."""


class Spread(Struct, frozen=True, kw_only=True):
    """Percentiles of a sample, by nearest rank."""

    p50: float
    p95: float
    p99: float


class AdviceCounts(Struct, frozen=True, kw_only=True):
    """`asked` left the gate, cache hits included; `model_calls` reached the back end.

    `by_status` counts every outcome, one a question and one more for each late answer that a following bar met;
    `late_used` are those of them that it could use. `legal_mass_mean` is what models left to valid labels, `latency_ms`
    wall clock of their calls; both None where no model was asked.
    """

    asked: int
    model_calls: int
    late_used: int
    by_status: dict[AdviceStatus, int]
    legal_mass_mean: float | None = None
    latency_ms: Spread | None = None


class AdviceTally:
    """Counts while a run goes on."""

    def __init__(self) -> None:
        self.asked = 0
        self.late_used = 0
        self._by_status = dict.fromkeys(AdviceStatus, 0)
        self._legal_mass = 0.0
        self._scored = 0
        self._latencies_ms: deque[float] = deque(maxlen=KEPT_EXCHANGES)

    def note(self, answer: Answer) -> None:
        """One more outcome."""
        self._by_status[answer.status] += 1

    def exchanged(self, answer: Answer) -> None:
        """A back end has answered."""
        if answer.scores is not None:
            self._legal_mass += answer.scores.legal_mass
            self._scored += 1
        if answer.trace is not None and answer.trace.latency_ms is not None:
            self._latencies_ms.append(answer.trace.latency_ms)

    def counts(self, model_calls: int) -> AdviceCounts:
        """The numbers so far."""
        return AdviceCounts(
            asked=self.asked,
            model_calls=model_calls,
            late_used=self.late_used,
            by_status=dict(self._by_status),
            legal_mass_mean=self._legal_mass / self._scored if self._scored else None,
            latency_ms=_spread(sorted(self._latencies_ms)),
        )


def _spread(ordered: list[float]) -> Spread | None:
    if not ordered:
        return None
    p50, p95, p99 = (ordered[-(-len(ordered) * percent // 100) - 1] for percent in (50, 95, 99))
    return Spread(p50=p50, p95=p95, p99=p99)
