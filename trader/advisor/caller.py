"""Calls a blocking back end from the loop: one call in flight, the newest other question waits, a deadline for each.

There are no tasks here: the thread posts the end of a call to the loop, which starts the next one.
"""

import asyncio
from collections.abc import Callable
from functools import partial

from trader.advisor.delay import Exchange
from trader.advisor.question import Answer, Question
from trader.advisor.thread import CallThread
from trader.domain.decisions import AdviceStatus

LATE = Answer(status=AdviceStatus.LATE)


class _Call:
    """A question on its way, and the future that its asker waits for."""

    __slots__ = ("done", "is_forgotten", "is_late", "question")

    def __init__(self, question: Question, done: "asyncio.Future[Answer]") -> None:
        self.question = question
        self.done = done
        self.is_late = False
        self.is_forgotten = False

    def settle(self, answer: Answer) -> None:
        if not self.done.done():
            self.done.set_result(answer)


class Caller:
    """One back end in one thread. `judge` makes an answer of what a call returned or raised, in the loop.

    An answer that comes after its deadline is kept until it is taken or another one comes.
    """

    def __init__(self, ask: Callable[[Question], Answer], judge: Callable[[Question, object], Answer]) -> None:
        self._ask = ask
        self._judge = judge
        self._thread: CallThread | None = None
        self._in_flight: _Call | None = None
        self._waiting: _Call | None = None
        self._broken: Exception | None = None
        self.late: Exchange | None = None
        self.calls = 0

    @property
    def is_idle(self) -> bool:
        """Whether no call is in flight."""
        return self._in_flight is None

    async def call(self, question: Question, deadline_s: float | None) -> Answer:
        """The judged answer, LATE after `deadline_s` (None waits); what `judge` raises is raised here.

        That of a late call, which nobody waits for, is raised by the next one.
        """
        if self._broken is not None:
            raise self._broken
        call = _Call(question, asyncio.get_running_loop().create_future())
        if self._in_flight is None:
            self._start(call)
        else:
            self._drop_waiting()
            self._waiting = call
        if deadline_s is None:
            return await call.done
        await asyncio.wait((call.done,), timeout=deadline_s)
        if call.done.done():
            return call.done.result()
        call.is_late = True
        return LATE

    async def run(self, work: Callable[[], None]) -> None:
        """Run `work` in the thread that will make the calls, and wait for it; what it raises is raised here."""
        ended: asyncio.Future[object] = asyncio.get_running_loop().create_future()

        def end(outcome: object) -> None:
            if not ended.done():
                ended.set_result(outcome)

        if self._thread is None:
            self._thread = CallThread("advisor")
        self._thread.submit(asyncio.get_running_loop(), work, end)
        outcome = await ended
        if isinstance(outcome, BaseException):
            raise outcome

    def take_late(self) -> Exchange | None:
        """The answer that came after its deadline, once."""
        late, self.late = self.late, None
        return late

    def forget(self) -> None:
        """What has been asked so far is of no use any more."""
        self.late = None
        self._drop_waiting()
        if self._in_flight is not None:
            self._in_flight.is_forgotten = True

    async def close(self, patience_s: float) -> bool:
        """End the thread. False where the call in flight does not end: its thread dies with the process."""
        self._drop_waiting()
        if self._in_flight is not None:
            await asyncio.wait((self._in_flight.done,), timeout=patience_s)
        is_idle = self.is_idle
        if self._thread is not None:
            self._thread.stop(wait=is_idle)
            self._thread = None
        return is_idle

    def _drop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.settle(LATE)
            self._waiting = None

    def _start(self, call: _Call) -> None:
        if self._thread is None:
            self._thread = CallThread("advisor")
        self._in_flight = call
        self.calls += 1
        self._thread.submit(asyncio.get_running_loop(), partial(self._ask, call.question), partial(self._ended, call))

    def _ended(self, call: _Call, outcome: object) -> None:
        """The back end is free again; runs in the loop."""
        self._in_flight = None
        try:
            answer = self._judge(call.question, outcome)
        except Exception as error:  # noqa: BLE001 - whoever asked is told; lost in the loop, it would leave them waiting
            self._broken = error
            if not call.done.done():
                call.done.set_exception(error)
            return
        if call.is_late and not call.is_forgotten and answer.status is AdviceStatus.USED:
            self.late = Exchange(call.question, answer)
        call.settle(answer)
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            self._start(waiting)
