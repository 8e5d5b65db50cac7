"""The back end `off`: there is no advisor, the gate asks nothing."""

from trader.advisor.counts import AdviceCounts, AdviceTally
from trader.advisor.question import Answer, Question
from trader.domain.account import AccountView
from trader.errors import InvariantError


class OffAdvisor:
    """Stands where the asker stands. A question would mean that the gate was not told."""

    async def start(self) -> None:
        """Nothing to make ready."""

    async def answer(self, question: Question) -> Answer:
        """InvariantError: nobody is there to ask."""
        msg = f"the advisor is off, and was asked at bar {question.seq}"
        raise InvariantError(msg)

    def late_answer(self, seq: int, ts_close_ns: int, mask: int, account: AccountView) -> Answer | None:  # noqa: ARG002 - the port's
        """Nothing was asked, nothing is late."""
        return None

    def forget(self) -> None:
        """A roll: nothing is remembered."""

    def counts(self) -> AdviceCounts:
        """All zero."""
        return AdviceTally().counts(0)

    async def close(self) -> bool:
        """Nothing to end."""
        return True
