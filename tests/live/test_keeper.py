"""A run that is kept and interrupted goes on as if it had not been, whatever stood on the disk at that moment."""

import asyncio
import shutil
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from line_builders import UNEXPLAINED
from live_builders import (
    ADVISED,
    ALONE,
    BY_DAY,
    EXHAUSTING,
    IN_PARTS,
    LEARNING,
    STRICT,
    TWO,
    Life,
    Texts,
    bars,
    lived,
    read,
)
from msgspec.structs import replace

from trader.adapters.paper_broker import NO_FAULTS, Faults
from trader.adapters.state.database import StateDb
from trader.adapters.state.records import GoodConfiguration, State
from trader.adapters.state.writer import WriterLimits
from trader.domain.decisions import Rule
from trader.errors import StateFailedError
from trader.live.keeper import Keeper
from trader.live.sections import progress_of

SEED = 7


class Whole:
    """A run that was never interrupted: its lines, and what was kept of it in the end."""

    def __init__(self, overrides: tuple[str, ...], faults: Faults) -> None:
        with TemporaryDirectory() as folder:
            life = Life(Path(folder) / "state", overrides, seed=SEED, faults=faults)
            asyncio.run(life.live(bars()))
            self.lines: list[Texts] = life.lines()
            self.kept: State = lived(life.end())


@cache
def whole(overrides: tuple[str, ...]) -> Whole:
    """The run of these settings; entries of two contracts are filled one by one."""
    return Whole(overrides, faults_of(overrides))


def faults_of(overrides: tuple[str, ...]) -> Faults:
    """The trouble that goes with the settings."""
    return IN_PARTS if overrides is TWO else NO_FAULTS


def interrupted(overrides: tuple[str, ...], after: int, folder: Path) -> tuple[list[Texts], State]:
    """The same run, killed after so many bars and begun again; its lines, and what is kept of it in the end."""
    first = Life(folder / "first", overrides, seed=SEED, faults=faults_of(overrides))
    asyncio.run(first.live(bars()[:after]))
    left = first.killed(folder / "left")
    first.end()
    second = Life(left, overrides, seed=SEED, faults=faults_of(overrides))
    assert second.restored.ts_close_ns == (bars()[after - 1].ts_close_ns if after else 0)
    return first.lines() + resumed(second, after), lived(second.end())


def resumed(life: Life, after: int) -> list[Texts]:
    """Go on after so many bars, to the end; the lines of the rest."""
    life.engine.warm_up(bars()[:after])
    asyncio.run(life.live(bars()[after:]))
    return life.lines()


def assert_goes_on(overrides: tuple[str, ...], after: int) -> None:
    """Every later line is the same, and so is what is kept in the end: no order twice, none lost."""
    with TemporaryDirectory() as folder:
        lines, kept = interrupted(overrides, after, Path(folder))
    assert lines == whole(overrides).lines
    assert kept == whole(overrides).kept


@pytest.mark.parametrize("overrides", [ALONE, LEARNING], ids=["alone", "learning"])
@settings(UNEXPLAINED, max_examples=15)
@given(after=st.integers(0, len(bars()) - 1))
def test_run_interrupted_after_any_bar_goes_on_as_if_it_had_not_been(overrides: tuple[str, ...], after: int) -> None:
    """Orders, fills, account and rules of every later bar are the same, and so is what is kept in the end."""
    assert_goes_on(overrides, after)


def has(name: str, text: bytes) -> Callable[[list[Texts], int], bool]:
    """The section of this name of the last bar before the interruption contains this."""
    place = ("account", "orders", "fills", "risk").index(name)
    return lambda lines, last: text in lines[last][place]


def ends_session(lines: list[Texts], last: int) -> bool:
    """The next bar is another session's."""
    return bars()[last + 1].ts_open_ns - bars()[last].ts_close_ns == 60 * 60 * 10**9


def rolls(lines: list[Texts], last: int) -> bool:
    """The next bar is of another contract."""
    return bars()[last + 1].symbol != bars()[last].symbol


def holds_one_of_two(lines: list[Texts], last: int) -> bool:
    """One contract is filled, the other is not."""
    return b'"qty":1,' in lines[last][2] and b'"position":0' not in lines[last][0] and b'"qty":1,' in lines[last + 1][2]


SITUATIONS = {
    "entry working": (ALONE, has("orders", b'"kind":"bracket"')),
    "open": (ALONE, has("account", b'"position":1')),
    "stop moved": (ALONE, has("orders", b'"reason":"break_even"')),
    "trail on": (ALONE, has("account", b'"trailing":true')),
    "close working": (BY_DAY, has("orders", b'"kind":"flatten"')),
    "stopped": (ALONE, has("fills", b'"reason":"stop"')),
    "cooldown": (ALONE, has("risk", Rule.COOLDOWN.value.encode())),
    "losing streak": (STRICT, has("risk", Rule.CONSECUTIVE_LOSSES.value.encode())),
    "session's end": (ALONE, ends_session),
    "roll": (ALONE, rolls),
    "advised": (ADVISED, has("orders", b'"kind":"bracket"')),
    "filled in part": (TWO, holds_one_of_two),
}


@pytest.mark.parametrize("situation", SITUATIONS)
def test_run_goes_on_from_each_situation(situation: str) -> None:
    """The first bar at which it is so, and the last."""
    overrides, is_so = SITUATIONS[situation]
    lines = whole(overrides).lines
    found = [last for last in range(len(lines) - 1) if is_so(lines, last)]
    assert found
    for last in {found[0], found[-1]}:
        assert_goes_on(overrides, last + 1)


def account_of(line: Texts) -> bytes:
    """The number of the account that a line speaks of."""
    return line[0].rpartition(b'"account":')[2]


def test_account_used_up_in_a_session_is_replaced_at_the_next_one_though_the_run_was_interrupted() -> None:
    """Not in the middle of the session that goes on."""
    lines = whole(EXHAUSTING).lines
    replaced = next(i for i in range(1, len(lines)) if account_of(lines[i]) != account_of(lines[i - 1]))
    assert_goes_on(EXHAUSTING, replaced - 3)


def test_fill_is_on_the_disk_with_the_book_that_it_made_or_not_at_all(tmp_path: Path) -> None:
    """One commit a bar: executions come to the book's position, and the sections agree."""
    life = Life(tmp_path / "state", ALONE, seed=SEED)
    asyncio.run(life.live(bars()[:FIRST]))
    seen = set()
    generations: list[int] = []

    async def go() -> None:
        for bar in bars()[FIRST:LAST]:
            await life.live((bar,))
            await life.keeper.on_disk()
            await life.writer.durable(look)

    def look(state: StateDb) -> None:
        kept = state.snapshot()
        assert kept.book is not None
        assert kept.paper is not None
        position = sum(each.side * each.qty for each in kept.executions)
        assert position == kept.book.row[0] == kept.paper.position_qty
        seen.add(position)
        generations.append(kept.generation)

    asyncio.run(go())
    life.end()
    assert len(seen) > 1
    assert [b - a for a, b in pairwise(generations)] == [1] * (LAST - FIRST - 1)


def test_what_a_broker_queues_in_the_same_turn_is_made_with_what_it_came_to(tmp_path: Path) -> None:
    """A real broker's execution, queued before it is booked, is in the transaction of its book."""
    life = Life(tmp_path / "state", ALONE, seed=SEED)
    configuration = GoodConfiguration(sha256="ab" * 32, yaml="", ts_ns=1)

    async def fill() -> tuple[State, State]:
        await life.live(bars()[:1])
        await life.keeper.on_disk()
        before = await life.writer.durable(StateDb.snapshot)
        life.keeper.good(configuration)
        life.parts.book.adjust(-100)
        life.keeper.after_event()
        await life.keeper.on_disk()
        return before, await life.writer.durable(StateDb.snapshot)

    before, after = asyncio.run(fill())
    life.end()
    assert (before.configuration, after.configuration) == (None, configuration)
    assert after.generation == before.generation + 1
    assert after.book != before.book


@pytest.mark.parametrize("is_written", [True, False])
def test_head_of_a_line_that_is_not_written_yet_is_not_kept(is_written: bool, tmp_path: Path) -> None:
    """The log is another thread's: after a crash its end would look cut off. What the line tells of is kept."""
    life = Life(tmp_path / "state")
    asked: list[float] = []

    def has_written(lines: int, patience_s: float) -> bool:
        asked.append(patience_s)
        return is_written

    life.keeper = Keeper(life.writer, replace(life.source, has_written=has_written), life.found)
    for bar in bars()[:3]:
        asyncio.run(life.live((bar,)))
        asyncio.run(life.keeper.on_disk())
    state = life.end()
    assert state.progress == progress_of(life.engine.reached())
    assert (state.log_head is not None) == is_written
    assert [patience_s > 0 for patience_s in asked] == [True, is_written, is_written]


def test_what_did_not_change_is_not_written_again(tmp_path: Path) -> None:
    """Between two bars nothing; a command its switch alone; over a restart a switch keeps its time."""
    life = Life(tmp_path / "state", ALONE, seed=SEED)
    asyncio.run(life.live(bars()[:2]))
    asyncio.run(life.keeper.on_disk())
    before = asyncio.run(life.writer.durable(StateDb.snapshot))
    life.keeper.after_event()
    assert life.writer.backlog == 0
    life.engine.controls.pause()
    life.keeper.after_event()
    after = life.end()
    assert after.switches is not None
    assert (after.generation, after.switches.paused) == (before.generation + 1, True)

    again = Life(tmp_path / "state", ALONE, seed=SEED)
    assert again.engine.controls.is_paused
    assert any(remark.startswith("paused, since") for remark in again.restored.remarks)
    again.engine.warm_up(bars()[:2])
    asyncio.run(again.live(bars()[2:3]))
    assert again.end().switches == after.switches


def test_bars_without_orders_and_fills_wait_as_one_change(tmp_path: Path) -> None:
    """However many come before the disk has answered; the last of them is what is kept."""
    few = WriterLimits(queue_changes=3, patience_s=30.0)
    life = Life(tmp_path / "state", ALONE, seed=SEED, limits=few)
    asyncio.run(life.live(bars()[:400]))
    assert life.writer.is_healthy
    assert life.end().progress == progress_of(life.engine.reached())


def test_kill_and_a_flatten_that_is_not_done_stay_over_a_restart(tmp_path: Path) -> None:
    """The operator's word counts until he takes it back."""
    life = Life(tmp_path / "state", ALONE, seed=SEED)
    life.engine.controls.kill()
    life.engine.controls.is_flattening = True
    life.keeper.after_event()
    life.end()
    again = Life(tmp_path / "state", ALONE, seed=SEED)
    again.end()
    assert (again.engine.controls.is_killed, again.engine.controls.is_flattening) == (True, True)
    assert not again.engine.controls.is_paused


FIRST, LAST = 425, 520
"""Bars of some trades, long and short."""


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder as it was before the first entry."""
    root = tmp_path_factory.mktemp("begun")
    life = Life(root / "state", ALONE, seed=SEED)
    asyncio.run(life.live(bars()[:FIRST]))
    left = life.killed(root / "left")
    life.end()
    return left


async def until_the_disk_fails(folder: Path, statement: int) -> tuple[Life, int | None]:
    """Live on a disk that is full from a statement on; the bar at which it was noticed, None where it never was."""
    life = Life(folder, ALONE, seed=SEED, breaks_at=statement, loop=asyncio.get_running_loop())
    life.engine.warm_up(bars()[:FIRST])
    noticed = None
    for number, bar in enumerate(bars()[FIRST:LAST]):
        await life.live((bar,))
        try:
            await life.keeper.on_disk()
        except StateFailedError:
            await asyncio.sleep(0)
            noticed = number if noticed is None else noticed
    return life, noticed


@settings(UNEXPLAINED, max_examples=25)
@given(statement=st.integers(1, 2_500))
def test_disk_that_fails_at_any_statement_ends_entries_and_nothing_else(statement: int, begun: Path) -> None:
    """No error reaches the engine, what is open stays protected, and the next start goes on from what is kept."""
    with TemporaryDirectory() as root:
        folder = Path(root) / "state"
        shutil.copytree(begun, folder)
        try:
            life, noticed = asyncio.run(until_the_disk_fails(folder, statement))
        except StateFailedError:  # at the opening: the run has not begun
            assert lived(read(folder)) == lived(read(begun))
            return
        life.writer.close()
        lines = whole(ALONE).lines[FIRST:LAST]
        own = life.lines()
        assert len(own) == len(lines)
        if noticed is None:
            assert own == lines
            return
        assert own[: noticed + 1] == lines[: noticed + 1]
        assert not any(b"bracket" in line[1] for line in own[noticed + 1 :])
        assert not life.engine.controls.entries_allowed
        assert life.parts.book.position_qty == 0 or life.parts.book.view().stop_ticks

        again = Life(folder, ALONE, seed=SEED)
        after = FIRST + noticed
        assert again.restored.ts_close_ns == bars()[after - 1].ts_close_ns
        assert resumed(again, after) == whole(ALONE).lines[after:]
        assert lived(again.end()) == whole(ALONE).kept
