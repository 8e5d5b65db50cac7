"""What became of the questions of a run."""

from msgspec import Struct

from trader.advisor.question import Answer
from trader.domain.decisions import AdviceStatus


class AdviceCounts(Struct, frozen=True, kw_only=True):
    """`asked` left the gate, cache hits included; `model_calls` reached the back end.

    `by_status` counts every outcome, one a question and one more for each late answer that a following bar met;
    `late_used` are those of them that it could use.
    """

    asked: int
    model_calls: int
    late_used: int
    by_status: dict[AdviceStatus, int]


class AdviceTally:
    """Counts while a run goes on."""

    def __init__(self) -> None:
        self.asked = 0
        self.late_used = 0
        self._by_status = dict.fromkeys(AdviceStatus, 0)

    def note(self, answer: Answer) -> None:
        """One more outcome."""
        self._by_status[answer.status] += 1

    def counts(self, model_calls: int) -> AdviceCounts:
        """The numbers so far."""
        return AdviceCounts(
            asked=self.asked,
            model_calls=model_calls,
            late_used=self.late_used,
            by_status=dict(self._by_status),
        )
