"""Keeps a run's state as it goes: all that has changed since the last call, in one transaction.

So what stands on the disk is always the whole of some moment, between two bars or after a fill between them: an
execution never without the book that it made, a book never without its orders. What a real broker has queued in the
same turn of the loop goes into the same transaction: so it is to be called inside the broker's call. The loop waits for
no disk.
"""

import asyncio
import threading
from collections.abc import Callable

from trader.adapters.state.database import StateDb
from trader.adapters.state.records import GoodConfiguration, LogHead, Section, State
from trader.adapters.state.writer import StateWriter
from trader.controls import Controls
from trader.live.paper_ledger import Note
from trader.live.sections import Source, takes_of

LOG_PATIENCE_S = 0.25
"""How long the state waits for a line of the log; the line's head is then not kept."""


class Keeper:
    """One run's. Nothing that it is told raises an error of the disk: `writer` tells of those, once.

    What is as it was is not written again, and bars on which nothing was ordered or filled wait as one: a replay may go
    as fast as it can.
    """

    def __init__(self, writer: StateWriter, source: Source, found: State) -> None:
        """`found` is what the state held when the run began, and what the run has been given of it."""
        self._writer = writer
        self._simulated = source.simulated
        self._takes = [(take, _Last()) for take in takes_of(source, found)]
        self._log = _Log(source.has_written)
        self._newest = _Change([], [], self._log)
        self._newest.take()

    def after_bar(self) -> None:
        """A bar has been decided, and its orders have left."""
        self._keep()

    def after_event(self) -> None:
        """Something happened between two bars: a fill, a command, a session that began or ended."""
        self._keep()

    def good(self, configuration: GoodConfiguration) -> None:
        """Trading has been enabled under this configuration."""
        self._writer.soon(lambda state: state.keep(configuration))

    async def on_disk(self) -> None:
        """Come back when all that was kept so far is on the disk; StateFailedError where it cannot be.

        A run never waits for the disk: this is for tests, which read what was kept, or stop a run at a known moment.
        """
        await self._writer.durable(_nothing)

    def _keep(self) -> None:
        if not self._writer.is_healthy:
            return
        sections = [section for take, last in self._takes if (section := last.changed(take())) is not None]
        notes = [] if self._simulated is None else self._simulated.ledger.drain()
        if not notes and (not sections or self._newest.absorb(sections)):
            return
        self._newest = _Change(notes, sections, self._log)
        self._writer.soon(self._newest)
        self._writer.hand_over()


class _Last:
    """A section as it was last kept."""

    def __init__(self) -> None:
        self._kept: Section | None = None

    def changed(self, section: Section | None) -> Section | None:
        """The section if it differs from the one before."""
        if section is None or section is self._kept or section == self._kept:
            return None
        self._kept = section
        return section


class _Log:
    """The decision log, which another thread writes: a head that is kept before its line would look like a cut log."""

    def __init__(self, has_written: Callable[[int, float], bool]) -> None:
        self._has_written = has_written
        self._is_prompt = True

    def has(self, head: LogHead) -> bool:
        """Whether the line is written; waits for it, unless the one before was waited for in vain."""
        self._is_prompt = self._has_written(head.lines, LOG_PATIENCE_S if self._is_prompt else 0.0)
        return self._is_prompt


class _Change:
    """What has happened, then what it has come to; until the writer takes it, what it has come to since."""

    def __init__(self, notes: list[Note], sections: list[Section], log: _Log) -> None:
        self._notes = notes
        self._log = log
        self._sections = {type(section): section for section in sections}
        self._is_taken = False
        self._lock = threading.Lock()

    def absorb(self, sections: list[Section]) -> bool:
        """Replace sections by newer ones; False where it is too late."""
        with self._lock:
            if not self._is_taken:
                self._sections.update((type(section), section) for section in sections)
            return not self._is_taken

    def take(self) -> None:
        """From here on it is as it is."""
        with self._lock:
            self._is_taken = True

    def __call__(self, state: StateDb) -> None:
        self.take()
        for note in self._notes:
            note(state)
        sections = self._sections.values()
        state.keep(*(each for each in sections if not isinstance(each, LogHead) or self._log.has(each)))


def entries_end(controls: Controls, loop: asyncio.AbstractEventLoop) -> Callable[[str], None]:
    """Who a StateWriter tells of its trouble, from any thread: nothing is entered any more, stops are managed."""

    def trouble(why: str) -> None:
        loop.call_soon_threadsafe(controls.protect_only, f"the state cannot be kept: {why}")

    return trouble


def _nothing(state: StateDb) -> None:
    """Nothing to change: only to have waited for what was queued before."""
