"""Keeps a run's state as it goes: all that has changed since the last call, in one transaction.

So what stands on the disk is always the whole of some moment, between two bars or after a fill between them: an
execution never without the book that it made, a book never without its orders. What a real broker has queued in the
same turn of the loop goes into the same transaction: so it is to be called inside the broker's call. The loop waits for
no disk.
"""

import asyncio
from collections.abc import Callable

from trader.adapters.state.database import StateDb
from trader.adapters.state.records import GoodConfiguration, Section, State
from trader.adapters.state.writer import StateWriter
from trader.controls import Controls
from trader.live.paper_ledger import Note
from trader.live.sections import Source, takes_of


class Keeper:
    """One run's. Nothing that it is told raises an error of the disk: `writer` tells of those, once.

    Of a section that could not be told apart from the last one nothing is written.
    """

    def __init__(self, writer: StateWriter, source: Source, found: State) -> None:
        """`found` is what the state held when the run began, and what the run has been given of it."""
        self._writer = writer
        self._simulated = source.simulated
        self._takes = [(take, _Last()) for take in takes_of(source, found)]

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
        """Come back when all that was kept so far is on the disk; StateFailedError where it cannot be."""
        await self._writer.durable(_nothing)

    def _keep(self) -> None:
        if not self._writer.is_healthy:
            return
        sections = [section for take, last in self._takes if (section := last.changed(take())) is not None]
        notes = [] if self._simulated is None else self._simulated.ledger.drain()
        if notes or sections:
            self._writer.soon(_Change(notes, sections))
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


class _Change:
    """What has happened, then what it has come to."""

    def __init__(self, notes: list[Note], sections: list[Section]) -> None:
        self._notes = notes
        self._sections = sections

    def __call__(self, state: StateDb) -> None:
        for note in self._notes:
            note(state)
        state.keep(*self._sections)


def entries_end(controls: Controls, loop: asyncio.AbstractEventLoop) -> Callable[[str], None]:
    """Who a StateWriter tells of its trouble, from any thread: nothing is entered any more, stops are managed."""

    def trouble(why: str) -> None:
        loop.call_soon_threadsafe(controls.protect_only, f"the state cannot be kept: {why}")

    return trouble


def _nothing(state: StateDb) -> None:
    """Nothing to change: only to have waited for what was queued before."""
