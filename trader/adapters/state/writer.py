"""The thread that writes `state.db`: the loop never waits for a disk, and an order waits for its own intent only.

What is queued is written in its order, all that waits as one transaction, and what was queued in one turn of the loop
never apart: an execution that a broker reports is on the disk with the book that it made, or not at all. On the disk
stands always what happened up to some moment. Once the disk refuses, or hangs, or the queue is full, nothing more is
written: entries stop, protection goes on.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Generic, TypeVar

import structlog
from msgspec import Struct

from trader.adapters.state.database import StateDb
from trader.errors import StateFailedError

log = structlog.get_logger(__name__)
T = TypeVar("T")
COMMIT_MAX_CHANGES = 256


class WriterLimits(Struct, frozen=True, kw_only=True):
    """How many changes may wait, and how many seconds one that an order needs may take."""

    queue_changes: int
    patience_s: float


class _Change(Generic[T]):
    """One change on its way; `done` is told after it is on the disk. Nobody waits for one that `must_succeed`."""

    def __init__(self, apply: Callable[[StateDb], T], *, must_succeed: bool) -> None:
        self._apply = apply
        self.must_succeed = must_succeed
        self.done: Future[T] = Future()
        self._result: T | None = None
        self.error: Exception | None = None

    def apply(self, state: StateDb) -> None:
        """Make the change inside a transaction; its own error is kept for whoever asked, a disk's passes."""
        try:
            with state.together():
                self._result = self._apply(state)
        except StateFailedError:
            raise
        except Exception as error:  # noqa: BLE001 - raised where the change was asked for; if nobody waits, the writer fails
            self.error = error

    def tell(self) -> None:
        """It is on the disk, or was refused for a reason of its own."""
        if self.error is None:
            self.done.set_result(self._result)  # type: ignore[arg-type] # apply has set it
        else:
            self.done.set_exception(self.error)


class StateWriter:
    """Owns an open StateDb from here on, until `close`. Used from one event loop.

    `on_trouble` is called once, from any thread, with the reason for which the state cannot be kept any more.
    """

    def __init__(self, state: StateDb, limits: WriterLimits, on_trouble: Callable[[str], None]) -> None:
        self._state = state
        self._limits = limits
        self._on_trouble = on_trouble
        self._failed: str | None = None
        self._queue: queue.Queue[_Change[object] | None] = queue.Queue(limits.queue_changes)
        self._turn: list[Callable[[StateDb], object]] = []
        self._thread = threading.Thread(target=self._run, name="state", daemon=True)
        self._thread.start()

    @property
    def is_healthy(self) -> bool:
        """False for good once the state cannot be kept."""
        return self._failed is None

    @property
    def backlog(self) -> int:
        """Changes that wait for the writer."""
        return self._queue.qsize() + len(self._turn)

    @property
    def is_busy(self) -> bool:
        """Whether anything is on its way to the disk, or waits to be."""
        return bool(self._turn or self._queue.unfinished_tasks)

    def soon(self, change: Callable[[StateDb], object]) -> None:
        """Queue a change that nobody waits for, to be made with the others of this turn of the loop: all or none.

        Not kept if the state has failed; a full queue makes it fail. So does an error of the change itself: what
        follows from a change that is missing must not be kept either.
        """
        if self._failed is not None:
            return
        if self.backlog >= self._limits.queue_changes:
            self._fail(f"{self._limits.queue_changes} changes of the state wait for the disk")
            return
        is_first = not self._turn
        self._turn.append(change)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # before the loop runs, or after it: the turn is this call
            self.hand_over()
            return
        if is_first:
            loop.call_soon(self.hand_over)

    def hand_over(self) -> None:
        """Make one transaction of what this turn of the loop has queued: it is complete, what follows is another."""
        turn, self._turn = self._turn, []
        if turn:
            self._put(_Change(partial(_make_all, turn), must_succeed=True))

    async def durable(self, change: Callable[[StateDb], T]) -> T:
        """Make a change, and come back when it, with all that was queued before, is on the disk.

        What `change` returns or raises; StateFailedError if the disk refuses, or does not answer in `patience_s`. Who
        stops waiting does not take the change back.
        """
        self.hand_over()
        asked = _Change(change, must_succeed=False)
        self._put(asked)  # type: ignore[arg-type] # a change is told its own result
        waiting = asyncio.wrap_future(asked.done)
        waiting.add_done_callback(_seen)
        try:
            async with asyncio.timeout(self._limits.patience_s):
                return await asyncio.shield(waiting)
        except TimeoutError:
            why = f"the disk has not answered in {self._limits.patience_s:g} s"
            raise self._fail(why) from None

    def close(self) -> bool:
        """Write what is queued and let go of the file; False if it was not all written. Waits no longer than patience.

        Blocks: to be called when the loop has nothing more to protect.
        """
        self.hand_over()
        with suppress(queue.Full):  # the thread hangs, which the join below finds out
            self._queue.put(None, timeout=self._limits.patience_s)
        self._thread.join(self._limits.patience_s)
        if self._thread.is_alive():
            self._fail("the disk hangs at the end")
        is_all_written = self.is_healthy
        self._failed = self._failed or "the state has been closed"
        return is_all_written

    def _put(self, change: _Change[object]) -> None:
        if self._failed is not None:
            change.done.set_exception(StateFailedError(self._failed))
            return
        try:
            self._queue.put_nowait(change)
        except queue.Full:
            change.done.set_exception(
                self._fail(f"{self._limits.queue_changes} changes of the state wait for the disk")
            )

    def _fail(self, why: str) -> StateFailedError:
        if self._failed is None:
            self._failed = why
            log.error("state_failed", reason=why, effect="entries stop, protection goes on")
            self._on_trouble(why)
        return StateFailedError(why)

    def _run(self) -> None:
        is_ending = False
        while not is_ending:
            changes, is_ending = self._take()
            if changes:
                self._write(changes)
            for _ in range(len(changes) + is_ending):
                self._queue.task_done()
        self._state.close()

    def _take(self) -> tuple[list[_Change[object]], bool]:
        """What waits now, at least one; whether the end was among it."""
        changes: list[_Change[object]] = []
        taken = self._queue.get()
        while taken is not None:
            changes.append(taken)
            if len(changes) == COMMIT_MAX_CHANGES:
                return changes, False
            try:
                taken = self._queue.get_nowait()
            except queue.Empty:
                return changes, False
        return changes, True

    def _write(self, changes: list[_Change[object]]) -> None:
        written = 0
        try:
            if self._failed is None:
                with self._state.together():
                    written = self._apply(changes)
        except StateFailedError as error:
            written = 0
            self._fail(str(error))
        for change in changes[:written]:
            change.tell()
        for change in changes[written:]:
            change.done.set_exception(StateFailedError(self._failed))

    def _apply(self, changes: list[_Change[object]]) -> int:
        """Make the changes in their order up to one that had to succeed and did not; how many were made."""
        for number, change in enumerate(changes):
            change.apply(self._state)
            if change.must_succeed and change.error is not None:
                self._fail(f"a change of the state contradicts it: {change.error}")
                return number
        return len(changes)


def _make_all(turn: list[Callable[[StateDb], object]], state: StateDb) -> None:
    for change in turn:
        change(state)


def _seen(waiting: asyncio.Future[T]) -> None:
    """Take note of an error for which nobody waits any more: asyncio would complain of it."""
    if not waiting.cancelled():
        waiting.exception()
