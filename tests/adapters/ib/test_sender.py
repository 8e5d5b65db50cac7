"""Two lanes, one budget, and the disk before the wire."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from broker_builders import ME, a_bracket
from ib_builders import until

from trader.adapters.ib.sender import Job, Lane, Sender, SenderTerms
from trader.adapters.state.database import StateDb
from trader.adapters.state.writer import StateWriter, WriterLimits
from trader.errors import LinkError

TERMS = SenderTerms(messages_a_window=40, window_s=1.0, disk_patience_s=0.05)


class Line:
    """A sender at work; `sent` and `denied` in their order."""

    def __init__(self, sender: Sender, writer: StateWriter) -> None:
        self.sender = sender
        self.writer = writer
        self.sent: list[str] = []
        self.sent_at: list[float] = []
        self.denied: list[tuple[str, str]] = []

    def put(self, name: str, lane: Lane, messages: int = 1, intend: Callable[[StateDb], None] | None = None) -> None:
        """A job that sends so many messages."""

        def send() -> int:
            self.sent.append(name)
            self.sent_at.extend([asyncio.get_running_loop().time()] * messages)
            return messages

        default = lambda state: state.intend(name, name, a_bracket(name), 1)  # noqa: E731 - one line of a fake
        self.sender.put(
            Job(
                name=name,
                lane=lane,
                messages=messages,
                intend=intend or default,
                send=send,
                deny=lambda why: self.denied.append((name, why)),
            )
        )


@asynccontextmanager
async def a_line(folder: Path, terms: SenderTerms = TERMS, patience_s: float = 5.0) -> AsyncIterator[Line]:
    """A sender that is open, and runs."""
    writer = StateWriter(
        StateDb(folder, ME), WriterLimits(queue_changes=1_000, patience_s=patience_s), lambda why: None
    )
    line = Line(Sender(terms, writer), writer)
    line.sender.open()
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(line.sender.run())
        yield line
        task.cancel()
    writer.close()


async def test_what_protects_goes_before_what_enters(tmp_path: Path) -> None:
    """Though it came last."""
    async with a_line(tmp_path) as line:
        line.put("E-1", Lane.ENTRY)
        line.put("P-1", Lane.PROTECTIVE)
        line.put("P-2", Lane.PROTECTIVE)
        await line.sender.idle()
        assert line.sent == ["P-1", "P-2", "E-1"]


async def test_no_window_holds_more_messages_than_the_budget(tmp_path: Path) -> None:
    """The client library, whose own limit is above, never begins to queue."""
    terms = SenderTerms(messages_a_window=4, window_s=0.1, disk_patience_s=1.0)
    async with a_line(tmp_path, terms) as line:
        for number in range(5):
            line.put(f"P-{number}", Lane.PROTECTIVE, messages=2)
        await line.sender.idle()
        assert len(line.sent_at) == 10
        assert all(later - first >= 0.1 for first, later in zip(line.sent_at, line.sent_at[4:], strict=False))


async def test_an_intent_is_on_the_disk_before_its_order_leaves(tmp_path: Path) -> None:
    """What is sent can be found after a crash."""
    async with a_line(tmp_path) as line:
        seen: list[str] = []

        def intend(state: StateDb) -> None:
            state.intend("E-1", "E-1", a_bracket("E-1"), 1)
            seen.extend(line.sent)

        line.put("E-1", Lane.ENTRY, intend=intend)
        await line.sender.idle()
        kept = await line.writer.durable(StateDb.snapshot)
        assert (seen, line.sent, [each.order_ref for each in kept.intents]) == ([], ["E-1"], ["E-1"])


async def test_an_entry_that_was_meant_before_is_not_sent_twice(tmp_path: Path) -> None:
    """The state knows its reference."""
    async with a_line(tmp_path) as line:
        line.put("E-1", Lane.ENTRY)
        line.put("E-1", Lane.ENTRY)
        await line.sender.idle()
        assert (line.sent, [name for name, _ in line.denied]) == (["E-1"], ["E-1"])


async def test_a_disk_that_hangs_holds_entries_up_and_not_protection(tmp_path: Path) -> None:
    """A protective order waits for it a moment only, and for no entry that waits."""
    async with a_line(tmp_path) as line:
        gate = asyncio.Event()
        loop = asyncio.get_running_loop()

        def hang(state: StateDb) -> None:
            asyncio.run_coroutine_threadsafe(gate.wait(), loop).result()

        line.put("E-1", Lane.ENTRY, intend=hang)
        line.put("P-1", Lane.PROTECTIVE)
        await until(lambda: line.sent)
        assert line.sent == ["P-1"]
        gate.set()
        await line.sender.idle()
        assert line.sent == ["P-1", "E-1"]


async def test_what_waits_is_denied_when_the_link_is_lost(tmp_path: Path) -> None:
    """Nothing leaves later as it was; what waits for the disk is denied when that has answered."""
    async with a_line(tmp_path, SenderTerms(messages_a_window=1, window_s=60.0, disk_patience_s=1.0)) as line:
        line.put("P-1", Lane.PROTECTIVE)
        await line.sender.idle()
        line.put("P-2", Lane.PROTECTIVE)
        line.put("E-1", Lane.ENTRY)
        line.sender.shut("the link is lost")
        line.put("P-3", Lane.PROTECTIVE)
        assert line.sent == ["P-1"]
        assert line.denied == [(name, "the link is lost") for name in ("P-2", "E-1", "P-3")]
        assert line.sender.is_idle


async def test_what_was_taken_before_the_loss_does_not_leave_after_it(tmp_path: Path) -> None:
    """Its intent was being written when the link went and came back."""
    async with a_line(tmp_path) as line:

        def intend(state: StateDb) -> None:
            asyncio.run_coroutine_threadsafe(lose(), loop).result()

        async def lose() -> None:
            line.sender.shut("the link is lost")
            line.sender.open()

        loop = asyncio.get_running_loop()
        line.put("P-1", Lane.PROTECTIVE, intend=intend)
        await line.sender.idle()
        assert (line.sent, [name for name, _ in line.denied]) == ([], ["P-1"])


async def test_what_was_put_in_vain_is_denied_and_its_reason_comes_out_alone(tmp_path: Path) -> None:
    """Somebody has it served before its own task runs, and fails: nothing stays behind, and the task runs after it."""
    writer = StateWriter(StateDb(tmp_path, ME), WriterLimits(queue_changes=1_000, patience_s=5.0), lambda why: None)
    line = Line(Sender(TERMS, writer), writer)
    line.sender.open()

    async def fails() -> None:
        async with line.sender.served():
            line.put("P-1", Lane.PROTECTIVE)
            line.put("E-1", Lane.ENTRY)
            msg = "not in step"
            raise LinkError(msg)

    with pytest.raises(LinkError, match="not in step"):
        await fails()
    assert (line.sent, sorted(name for name, _ in line.denied), line.sender.is_idle) == ([], ["E-1", "P-1"], True)
    line.sender.open()
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(line.sender.run())
        line.put("P-2", Lane.PROTECTIVE)
        await line.sender.idle()
        task.cancel()
    assert line.sent == ["P-2"]
    writer.close()


async def test_what_forbids_sending_is_asked_again_immediately_before_the_wire(tmp_path: Path) -> None:
    """A reason that comes while the intent is being written stops the order, a protective one too."""
    async with a_line(tmp_path) as line:
        why: list[str] = []
        line.sender._forbidden = lambda: why[0] if why else None

        def intend(state: StateDb) -> None:
            state.intend("P-1", "P-1", a_bracket("P-1"), 1)
            why.append("KILL is there")

        line.put("P-1", Lane.PROTECTIVE, intend=intend)
        await line.sender.idle()
        line.put("P-2", Lane.PROTECTIVE)
        assert (line.sent, line.denied) == ([], [("P-1", "KILL is there"), ("P-2", "KILL is there")])
