"""A run from its first bar to its end: feeds, stops, waits, crashes."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path

import pytest
from line_builders import WARM_UP_BARS, Drive, settings_with
from line_fakes import FakeAdvisor
from replays import FACTS, busy_settings, two_weeks

from trader.adapters.live_stamp import LiveStamp
from trader.adapters.memory_feed import MemoryFeed
from trader.advisor.question import Answer, Question
from trader.app import LogChoice, Run, assemble
from trader.domain.actions import Action
from trader.domain.bars import Bar
from trader.domain.decisions import Proposal
from trader.engine import Engine
from trader.errors import StrategyError
from trader.outlook import Outlook
from trader.ports import Strategy


class StoppingFeed:
    """Asks for a stop while its second chunk is on its way."""

    def __init__(self, engine: Engine, chunks: Sequence[Sequence[Bar]]) -> None:
        self._engine = engine
        self._chunks = chunks

    async def chunks(self) -> AsyncIterator[Iterable[Bar]]:
        for number, chunk in enumerate(self._chunks):
            if number == 1:
                self._engine.controls.is_stopping = True
            yield chunk


class WaitingAdvisor(FakeAdvisor):
    """Lets the loop run before it answers."""

    async def answer(self, question: Question) -> Answer:
        await asyncio.sleep(0)
        return await super().answer(question)


class BreaksAtBar:
    """Proposes what no mask allows at one bar."""

    def __init__(self, bar: int) -> None:
        self._bars_left = bar

    def propose(self, outlook: Outlook) -> Proposal:
        self._bars_left -= 1
        return Proposal(Action.HOLD if self._bars_left >= 0 else Action.DISABLE_TRAIL, 1.0)


def quiet_bars(count: int, clock: str = "09:35") -> list[Bar]:
    """Bars from `clock` on that hardly move."""
    drive = Drive().skip_to(clock)
    bars = []
    for _ in range(count):
        bars.append(drive.shape(None, None, None, None))
        drive.now_ns = bars[-1].ts_close_ns
    return bars


def test_run_takes_every_bar_and_closes_the_log() -> None:
    """Chunks or not, the last line is the end."""
    drive = Drive()
    asyncio.run(drive.engine.run(MemoryFeed(quiet_bars(100), chunk_bars=7)))

    assert (drive.engine.bars, len(drive.records())) == (100, 100)
    assert drive.journal.lines[-1].startswith(b'{"end":')


def test_run_that_is_asked_to_stop_ends_after_the_chunk_at_hand() -> None:
    """What has arrived is decided; nothing more is taken; the log is closed."""
    drive = Drive()
    bars = quiet_bars(30)
    asyncio.run(drive.engine.run(StoppingFeed(drive.engine, [bars[:10], bars[10:20], bars[20:]])))

    assert drive.engine.bars == 20
    assert drive.journal.lines[-1].startswith(b'{"end":')


def test_run_waits_for_an_advisor_that_waits() -> None:
    """The one await of the line: an answer that takes a turn of the loop is the same answer."""

    def told(advisor: FakeAdvisor) -> list[bytes]:
        drive = Drive("advisor.backend=rules", advisor=advisor)
        asyncio.run(drive.engine.run(MemoryFeed(quiet_bars(WARM_UP_BARS + 30, "02:30"))))
        return drive.journal.lines

    lines = told(WaitingAdvisor())

    assert b'"status":"used"' in b"".join(lines[-20:])
    assert lines == told(FakeAdvisor())


def a_replay(root: Path, strategy: Strategy) -> Run:
    """A run below `root`, ready to be fed; its id does not know the strategy that is handed in."""
    run = assemble(busy_settings(), FACTS, log=LogChoice(root=root), strategy=strategy)
    run.engine.controls.reconciled()
    return run


def test_run_that_crashes_leaves_only_a_part(tmp_path: Path) -> None:
    """No folder of the run's name, until a later run has been whole; the earlier one stands."""
    earlier = a_replay(tmp_path, BreaksAtBar(1_000_000))
    asyncio.run(earlier.engine.run(MemoryFeed(two_weeks())))
    assert earlier.log_path is not None
    name = earlier.log_path.name
    run = a_replay(tmp_path, BreaksAtBar(50))

    with pytest.raises(StrategyError, match=r"'random_entries' proposed DISABLE_TRAIL at bar 50\b"):
        asyncio.run(run.engine.run(MemoryFeed(two_weeks())))

    assert sorted(path.name for path in tmp_path.iterdir()) == [name, f"{name}.tmp"]
    run.engine.discard()
    assert [path.name for path in tmp_path.iterdir()] == [name]


def live_run(root: Path, *overrides: str) -> Run:
    """A run with a live log; its journal's thread has ended."""
    choice = LogChoice(root=root, live=LiveStamp("live-1"))
    run = assemble(settings_with(*overrides), FACTS, log=choice)
    run.engine.discard()
    return run


@pytest.mark.parametrize(
    ("chosen", "live", "replayed"), [("auto", False, True), ("stop", False, False), ("renew", True, True)]
)
def test_assemble_renews_accounts_in_replays_unless_told(
    tmp_path: Path, chosen: str, live: bool, replayed: bool
) -> None:
    """`auto`: an exhausted account ends a live run, and is followed by another in whatever is replayed."""
    override = f"account.on_exhausted={chosen}"
    runs = [
        live_run(tmp_path, override),
        assemble(settings_with(override), FACTS, log=LogChoice(root=tmp_path)),
        assemble(settings_with(override), FACTS, log=None),
    ]
    runs[1].engine.discard()

    assert [run.engine._parts.renews_account for run in runs] == [live, replayed, replayed]
