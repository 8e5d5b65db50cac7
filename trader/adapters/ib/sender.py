"""Sends what is to be sent: protective orders first, each after its intent is on the disk, within the broker's pace.

The budget is kept here, below what the client library would begin to queue at: in its queue an order for a stop would
wait behind requests for prices.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from enum import StrEnum

import structlog
from msgspec import Struct

from trader.adapters.state.database import StateDb
from trader.adapters.state.writer import StateWriter
from trader.errors import InvariantError, LinkError, StateFailedError

log = structlog.get_logger(__name__)


def _nobody() -> str | None:
    return None


class SenderTerms(Struct, frozen=True, kw_only=True):
    """How many messages a window (seconds) orders may take. `disk_patience_s`: how long a protective order waits for
    its intent to be on the disk; it then leaves without."""

    messages_a_window: int
    window_s: float
    disk_patience_s: float


class Lane(StrEnum):
    """Who goes first."""

    PROTECTIVE = "protective"
    ENTRY = "entry"


class Job(Struct, frozen=True, kw_only=True):
    """Something to send, at most `messages` of them.

    `intend` is made durable before, and returns why the job must not leave. `send` is called when it may leave, looks
    at what is the case by then, and says how many messages it sent. `deny` is called instead, with the reason, where it
    will not leave.
    """

    name: str
    lane: Lane
    messages: int
    intend: Callable[[StateDb], str | None]
    send: Callable[[], int]
    deny: Callable[[str], None]


class Sender:
    """Two lanes, one budget. `open` lets jobs leave, `shut` denies all that wait, and all that come until `open`.

    `forbidden` is asked immediately before each job leaves: why nothing may be sent at all, None where it may.
    """

    def __init__(self, terms: SenderTerms, writer: StateWriter, forbidden: Callable[[], str | None] = _nobody) -> None:
        self._terms = terms
        self._writer = writer
        self._forbidden = forbidden
        self._lanes: dict[Lane, deque[Job]] = {lane: deque() for lane in Lane}
        self._wakes = {lane: asyncio.Event() for lane in Lane}
        self._sent_at: deque[float] = deque()
        self._working = dict.fromkeys(Lane, 0)
        self._idle = {lane: asyncio.Event() for lane in Lane}
        for lane in Lane:
            self._idle[lane].set()
        self._shut: str | None = "nothing may be sent yet"
        self._epoch = 0
        self._serving = asyncio.Lock()

    @property
    def is_idle(self) -> bool:
        """Nothing waits, and nothing is on its way to the wire."""
        return not any(self._working.values())

    async def idle(self) -> None:
        """Come back when nothing waits any more."""
        while not self.is_idle:
            for lane in Lane:
                await self._idle[lane].wait()

    def open(self) -> None:
        """Let jobs leave."""
        self._shut = None

    def shut(self, why: str) -> None:
        """Deny what waits, and what comes; what waits for the disk is denied when the disk has answered."""
        self._shut = why
        self._epoch += 1
        for lane in Lane:
            waiting = list(self._lanes[lane])
            self._lanes[lane].clear()
            for job in waiting:
                self._done(lane)
                job.deny(why)

    def put(self, job: Job) -> None:
        """Take a job; denied at once while shut."""
        why = self._shut or self._forbidden()
        if why is not None:
            job.deny(why)
            return
        self._working[job.lane] += 1
        self._idle[job.lane].clear()
        self._lanes[job.lane].append(job)
        self._wakes[job.lane].set()

    async def run(self) -> None:
        """Send, until cancelled."""
        async with self._serving, asyncio.TaskGroup() as tasks:
            for lane in Lane:
                tasks.create_task(self._serve(lane), name=f"sender {lane}")

    @asynccontextmanager
    async def served(self) -> AsyncIterator[None]:
        """Send while inside, where `run` has not begun yet: whoever waits here for `idle` does not wait for ever."""
        if self._serving.locked():
            yield
            return
        is_whole = False
        try:
            async with asyncio.TaskGroup() as tasks:
                serving = tasks.create_task(self.run(), name="sender")
                try:
                    yield
                    is_whole = True
                finally:
                    if not is_whole:
                        self.shut("what it was part of has failed")
                    await self.idle()  # what has been taken leaves, or is denied
                    serving.cancel()
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from None

    async def _serve(self, lane: Lane) -> None:
        while True:
            await self._wakes[lane].wait()
            if not self._lanes[lane]:
                self._wakes[lane].clear()
                continue
            job = self._lanes[lane].popleft()
            epoch = self._epoch
            try:
                why = await self._recorded(job)
                while why is None and not self._may_leave(job):
                    await self._wait(job)
                self._leave(job, self._why_not(why, epoch))
            finally:
                self._done(lane)

    def _leave(self, job: Job, why: str | None) -> None:
        """Nothing awaits between the last look and the wire."""
        if why is not None:
            job.deny(why)
            return
        now = asyncio.get_running_loop().time()
        try:
            sent = job.send()
        except LinkError as error:  # what is known to be on its way is asked about when the link is back
            log.warning("not_sent", order=job.name, why=str(error))
            return
        self._sent_at.extend([now] * sent)

    def _why_not(self, why: str | None, epoch: int) -> str | None:
        if why is None and epoch != self._epoch:
            return self._shut or "the link was lost before it left"
        return why or self._forbidden()

    def _done(self, lane: Lane) -> None:
        self._working[lane] -= 1
        if not self._working[lane]:
            self._idle[lane].set()

    async def _recorded(self, job: Job) -> str | None:
        """Make the intent durable; why the order must not leave, if so. A disk that fails holds no protection up."""
        try:
            if job.lane is Lane.ENTRY:
                return await self._writer.durable(job.intend)
            async with asyncio.timeout(self._terms.disk_patience_s):
                await self._writer.durable(job.intend)
        except (StateFailedError, TimeoutError) as error:
            if job.lane is Lane.ENTRY:
                return f"it could not be written down before: {error}"
            log.warning("sent_unrecorded", order=job.name, why=str(error), effect="protection goes on")
        except InvariantError as error:
            if job.lane is Lane.ENTRY:
                return str(error)
            log.warning("sent_unrecorded", order=job.name, why=str(error), effect="protection goes on")
        return None

    def _may_leave(self, job: Job) -> bool:
        return not self._gives_way(job) and self._pause_s(job) <= 0

    async def _wait(self, job: Job) -> None:
        if self._gives_way(job):
            await self._idle[Lane.PROTECTIVE].wait()
        else:
            await asyncio.sleep(self._pause_s(job))

    def _gives_way(self, job: Job) -> bool:
        return job.lane is Lane.ENTRY and bool(self._working[Lane.PROTECTIVE])

    def _pause_s(self, job: Job) -> float:
        """How long until the budget has room for the job."""
        now = asyncio.get_running_loop().time()
        window_s, sent_at = self._terms.window_s, self._sent_at
        while sent_at and now - sent_at[0] >= window_s:
            sent_at.popleft()
        over = len(sent_at) + job.messages - self._terms.messages_a_window
        if over <= 0 or not sent_at:
            return 0.0
        return sent_at[min(over, len(sent_at)) - 1] + window_s - now
