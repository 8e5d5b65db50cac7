"""What stands beside the line in tests: an advisor that does as told, a journal in memory."""

from collections.abc import Callable

from trader.adapters.off_advisor import OffAdvisor
from trader.advisor.counts import AdviceCounts
from trader.advisor.question import Answer, Question
from trader.domain.account import AccountView
from trader.domain.actions import Action
from trader.domain.decisions import Advice, AdviceStatus
from trader.ports import Journal


class FakeAdvisor:
    """Answers every question with `action`, after `meddle` has had its way with the rest of the program."""

    def __init__(self) -> None:
        self.action = Action.HOLD
        self.meddle: Callable[[], None] = lambda: None
        self.forgotten = 0

    async def start(self) -> None:
        """Nothing to make ready."""

    async def answer(self, question: Question) -> Answer:
        """USED advice; what `meddle` does happens inside the engine's only await."""
        self.meddle()
        return Answer(
            status=AdviceStatus.USED,
            advice=Advice(action=self.action, confidence=1.0, reason="told to"),
            visible_from_bar=question.seq,
        )

    def late_answer(self, seq: int, ts_close_ns: int, mask: int, account: AccountView) -> Answer | None:
        """Never late."""
        return None

    def forget(self) -> None:
        """Count the rolls."""
        self.forgotten += 1

    def counts(self) -> AdviceCounts:
        """Nothing is counted."""
        return OffAdvisor().counts()

    async def close(self) -> bool:
        """Nothing to end."""
        return True


class MemoryJournal:
    """Keeps the lines by file, and can be made to ail."""

    backlog = 0

    def __init__(self) -> None:
        self.is_healthy = True
        self.files: dict[str, list[bytes]] = {}
        self.asides: list[bytes] = []
        self.head = ""
        self.is_discarded = False
        self._lines: list[bytes] = []

    @property
    def lines(self) -> list[bytes]:
        """All lines in order."""
        return [line for lines in self.files.values() for line in lines]

    def begin_file(self, session_date: str) -> None:
        """Another file."""
        self._lines = self.files.setdefault(session_date, [])

    def write(self, line: bytes) -> None:
        """Another line."""
        self._lines.append(line)

    def aside(self, line: bytes) -> None:
        """Another line of the advisor log."""
        self.asides.append(line)

    def close(self, head: str, lines: int) -> None:
        """Keep the head."""
        self.head = head

    def discard(self) -> None:
        """Drop everything."""
        self.files.clear()
        self.is_discarded = True


class Tee(MemoryJournal):
    """Keeps the lines for the test and hands them on to a real journal, whose health is its own."""

    def __init__(self, behind: Journal) -> None:
        super().__init__()
        self._behind = behind

    @property
    def is_healthy(self) -> bool:
        """As the real one says."""
        return self._behind.is_healthy

    @is_healthy.setter
    def is_healthy(self, value: bool) -> None:
        del value

    def begin_file(self, session_date: str) -> None:
        """To both."""
        super().begin_file(session_date)
        self._behind.begin_file(session_date)

    def write(self, line: bytes) -> None:
        """To both."""
        super().write(line)
        self._behind.write(line)

    def aside(self, line: bytes) -> None:
        """To both."""
        super().aside(line)
        self._behind.aside(line)

    def close(self, head: str, lines: int) -> None:
        """To both."""
        super().close(head, lines)
        self._behind.close(head, lines)
