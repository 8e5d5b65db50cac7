"""The thread that writes the state: what is waited for, what is not, and a disk that refuses or hangs."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from msgspec.structs import replace
from state_builders import (
    BOOK,
    BRACKET,
    ENTRY_FILL,
    HELD,
    ME,
    PROGRESS,
    STEPS,
    breaking,
    content_of,
    refuse,
    reopened,
    states_after,
)

from trader.adapters.state.connection import Connect, connect
from trader.adapters.state.database import Noted, StateDb
from trader.adapters.state.writer import StateWriter, WriterLimits
from trader.errors import InvariantError, StateFailedError

LIMITS = WriterLimits(queue_changes=50, patience_s=20.0)
SHORT = WriterLimits(queue_changes=3, patience_s=0.05)


class Desk:
    """A writer on a folder, and what it has said of its trouble."""

    def __init__(self, folder: Path, limits: WriterLimits, connect: Connect) -> None:
        self.folder = folder
        self.troubles: list[str] = []
        self.writer = StateWriter(StateDb(folder, ME, connect=connect), limits, self.troubles.append)


Desks = Callable[..., Desk]


@pytest.fixture
async def desks(tmp_path: Path) -> AsyncIterator[Desks]:
    """Makes a desk in a folder of the test; closes it at the end."""
    made: list[Desk] = []

    def make(limits: WriterLimits = LIMITS, connect: Connect = connect) -> Desk:
        made.append(Desk(tmp_path / f"state-{len(made)}", limits, connect))
        return made[-1]

    yield make
    for desk in made:
        desk.writer.close()


async def test_what_was_waited_for_is_on_the_disk_with_all_before_it(desks: Desks, tmp_path: Path) -> None:
    """And what was not waited for is, at the latest, at the end."""
    desk = desks()
    for step in STEPS[:4]:
        desk.writer.soon(step)
    await desk.writer.durable(STEPS[4])
    assert desk.writer.backlog == 0
    for step in STEPS[5:]:
        desk.writer.soon(step)
    assert desk.writer.close()
    assert content_of(reopened(desk.folder)) == states_after(tmp_path / "lived")[-1]
    assert desk.troubles == []


async def test_result_and_error_of_a_change_come_back_to_who_waits(desks: Desks) -> None:
    """A change that contradicts the state takes itself back, and the others go on."""
    desk = desks()
    assert await desk.writer.durable(lambda state: state.executed(ENTRY_FILL)) is Noted.NEW
    await desk.writer.durable(lambda state: state.intend("d1", "d1", BRACKET, 60))
    with pytest.raises(InvariantError, match="sent twice"):
        await desk.writer.durable(lambda state: state.intend("d1", "d1", BRACKET, 61))
    await desk.writer.durable(lambda state: state.keep(HELD))
    assert desk.writer.is_healthy
    assert (await desk.writer.durable(lambda state: state.snapshot())).position == HELD


async def test_contradiction_that_nobody_waits_for_ends_the_writing(desks: Desks) -> None:
    """What follows from a change that is missing is not kept either, nor what was queued in the same turn."""
    desk = desks()
    desk.writer.soon(lambda state: state.keep(PROGRESS))
    await asyncio.sleep(0)
    desk.writer.soon(lambda state: state.keep(BOOK))
    desk.writer.soon(lambda state: state.gone("d1", "no leg"))  # type: ignore[arg-type] # that is the contradiction
    with pytest.raises(StateFailedError, match="contradicts"):
        await desk.writer.durable(lambda state: state.keep(HELD))
    assert not desk.writer.is_healthy
    assert len(desk.troubles) == 1
    assert not desk.writer.close()
    found = reopened(desk.folder)
    assert (found.progress, found.book, found.position) == (PROGRESS, None, None)


async def test_changes_of_one_turn_of_the_loop_are_one_transaction(desks: Desks) -> None:
    """The thread gets the first when the last is there: an execution with the book that it made."""
    begins = threading.Event()
    desk = desks(LIMITS, breaking(3, begins.set, after=False, of="BEGIN"))
    desk.writer.soon(lambda state: state.executed(ENTRY_FILL))
    assert not begins.wait(0.05)
    desk.writer.soon(lambda state: state.keep(BOOK))
    assert desk.writer.backlog == 2
    await desk.writer.durable(lambda state: state.keep(HELD))
    assert begins.is_set()
    found = await desk.writer.durable(lambda state: state.snapshot())
    assert (found.executions, found.book) == ((ENTRY_FILL,), BOOK)


async def test_disk_that_refuses_fails_every_change_from_there_on(desks: Desks) -> None:
    """The order that waits does not leave; the trouble is told once."""
    desk = desks(LIMITS, breaking(6, refuse, after=False, of="COMMIT"))
    done = 0
    for number in range(8):
        progress = replace(PROGRESS, bars=number)
        try:
            await desk.writer.durable(lambda state, progress=progress: state.keep(progress))
            done += 1
        except StateFailedError:
            assert not desk.writer.is_healthy
    assert done == 3
    assert len(desk.troubles) == 1
    assert not desk.writer.close()
    found = reopened(desk.folder)
    assert found.progress is not None
    assert found.progress.bars == done - 1


async def test_disk_that_hangs_is_given_up_after_patience_and_the_loop_goes_on(desks: Desks) -> None:
    """Whoever waits is told, the loop has never waited, and what was queued behind it is not kept."""
    hangs, ends = threading.Event(), threading.Event()

    def hang() -> None:
        hangs.set()
        ends.wait()

    desk = desks(SHORT, breaking(3, hang, after=False, of="COMMIT"))
    asked = asyncio.ensure_future(desk.writer.durable(lambda state: state.keep(HELD)))
    await asyncio.to_thread(hangs.wait)
    desk.writer.soon(lambda state: state.keep(PROGRESS))
    with pytest.raises(StateFailedError, match="has not answered"):
        await asked
    with pytest.raises(StateFailedError):
        await desk.writer.durable(lambda state: state.keep(PROGRESS))
    assert not desk.writer.close()
    ends.set()
    for thread in threading.enumerate():
        if thread.name == "state":
            thread.join()
    assert len(desk.troubles) == 1
    found = reopened(desk.folder)
    assert (found.position, found.progress) == (HELD, None)


async def test_full_queue_fails_the_state_instead_of_growing(desks: Desks) -> None:
    """More changes than the limit wait: entries stop."""
    ends = threading.Event()
    desk = desks(SHORT, breaking(3, ends.wait, after=False, of="COMMIT"))
    for _ in range(3 * SHORT.queue_changes):
        desk.writer.soon(lambda state: state.keep(HELD))
    assert not desk.writer.is_healthy
    assert desk.troubles == ["3 changes of the state wait for the disk"]
    ends.set()


async def test_who_stops_waiting_does_not_take_the_change_back(desks: Desks) -> None:
    """Changes that follow it were made in the belief that it is there."""
    desk = desks()
    asked = asyncio.ensure_future(desk.writer.durable(lambda state: state.keep(HELD)))
    await asyncio.sleep(0)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert (await desk.writer.durable(lambda state: state.snapshot())).position == HELD


async def test_closed_writer_keeps_nothing_more(desks: Desks) -> None:
    """And says so to whoever waits."""
    desk = desks()
    assert desk.writer.close()
    desk.writer.soon(lambda state: state.keep(HELD))
    with pytest.raises(StateFailedError, match="closed"):
        await desk.writer.durable(lambda state: state.keep(HELD))
    assert reopened(desk.folder).position is None
