"""Lives of a paper run over one state folder: real parts, bars of the synthetic market, a strategy without a memory.

A life is killed by copying its folder as it stands: what a process leaves that had no time to close anything.
"""

import asyncio
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path

import msgspec
from line_fakes import MemoryJournal
from msgspec import Raw, Struct
from msgspec.structs import replace
from replays import FACTS, synthetic_bars

from trader.adapters.paper_broker import NO_FAULTS, Faults
from trader.adapters.state.connection import Connect, Connection, Cursor, connect
from trader.adapters.state.database import StateDb
from trader.adapters.state.records import AccountIdentity, BrokerName, LogHead, Mode, State
from trader.adapters.state.writer import StateWriter, WriterLimits
from trader.advisor.asker import Asker
from trader.app import assemble
from trader.chain import extra
from trader.domain.actions import Action, actions_in
from trader.domain.bars import Bar
from trader.domain.decisions import Proposal
from trader.domain.instruments import Instrument, instrument
from trader.engine import Engine
from trader.errors import TraderError
from trader.kernels.book import Terms
from trader.live.keeper import Keeper, entries_end
from trader.live.paper_ledger import PaperLedger, Simulated, simulated
from trader.live.restoring import Restored, restore
from trader.live.sections import Source
from trader.logbook import Logbook
from trader.outlook import Outlook
from trader.recorder import Recorder
from trader.records import Line
from trader.router import Router
from trader.settings import Settings, load_settings

ME = AccountIdentity(mode=Mode.PAPER, broker=BrokerName.PAPER, account="paper", instrument="NQ")
LIMITS = WriterLimits(queue_changes=10_000, patience_s=30.0)
AFTER_ALL_NS = 1 << 62
HOLD = Proposal(Action.HOLD, 1.0)
BUSY = (
    "strategy.name=flat",
    "execution.entry_window=all",
    "account.daily_limit_usd=1500",
    "risk.max_cost_share=0.2",
    "risk.cooldown_after_stop_minutes=60",
    "account.trailing_limit_usd=25000",
)
ALONE = (*BUSY, "advisor.backend=off")
ADVISED = (*BUSY, "advisor.backend=rules", "fusion.llm_weight=0.6", "advisor.cache_minutes=60")
EXHAUSTING = (*ALONE, "account.trailing_limit_usd=2500")
STRICT = (*ALONE, "risk.max_consecutive_losses=2")
BY_DAY = (*ALONE, "execution.entry_window=rth")
LEARNING = (*ADVISED, "fusion.mode=adaptive")
TWO = (*ALONE, "execution.qty=2", "execution.max_position_qty=2")
IN_PARTS = Faults(entry_portions=dict.fromkeys(range(1, 100), (1, 1)))


class ByTheClock:
    """Chooses by the bar's time and a seed alone: the same in every life."""

    def __init__(self, seed: int, rate: float = 0.4) -> None:
        self._seed = seed
        self._rate = rate

    def propose(self, outlook: Outlook) -> Proposal:
        """With probability `rate` one of the valid actions but HOLD."""
        digest = sha256(f"{self._seed} {outlook.bar.ts_close_ns}".encode()).digest()
        choices = actions_in(outlook.mask)[1:]
        if digest[0] >= self._rate * 256 or not choices:
            return HOLD
        return Proposal(Action(choices[digest[1] % len(choices)]), 0.6)


Texts = tuple[bytes, ...]
"""Account, orders, fills and risk of one bar's record, as they are written."""


class Part(Struct, frozen=True):
    """What of a bar's record a restart must not change, as it is written."""

    account: Raw
    orders: Raw
    fills: Raw
    risk: Raw

    @property
    def texts(self) -> Texts:
        """Its four sections."""
        return tuple(bytes(each) for each in (self.account, self.orders, self.fills, self.risk))


class Unsynced:
    """A connection that does not wait for the disk, and may break at a statement."""

    def __init__(self, inner: Connection, at: int, break_: Callable[[], None]) -> None:
        self._inner = inner
        self._left = at
        self._break = break_

    def execute(self, sql: str, parameters: Sequence[object] = (), /) -> Cursor:
        """Pass the statement on, or break."""
        self._left -= 1
        if not self._left:
            self._break()
        return self._inner.execute(sql.replace("synchronous=FULL", "synchronous=OFF"), parameters)

    def close(self) -> None:
        """Close what is inside."""
        self._inner.close()


def fill_up() -> None:
    """Say what SQLite says of a disk that is full."""
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorname = "SQLITE_FULL"
    raise error


def breaking(at: int, break_: Callable[[], None] = fill_up) -> Connect:
    """Connections that break at their statement `at`, counted from 1; 0 never."""
    return lambda path: Unsynced(connect(path), at, break_)


@cache
def bars() -> tuple[Bar, ...]:
    """Eight sessions of quarters of an hour, with a roll in them; the features are ready after four and a half."""
    return tuple(synthetic_bars("2019-06-12", 8))


@cache
def settings_of(overrides: tuple[str, ...]) -> Settings:
    """The shipped paper settings, changed."""
    return load_settings(environ={}, overrides=list(overrides))


class Life:
    """One process's life on a state folder, from the first bar on or from where the last one ended."""

    def __init__(
        self,
        folder: Path,
        overrides: tuple[str, ...] = ALONE,
        *,
        seed: int = 1,
        breaks_at: int = 0,
        break_: Callable[[], None] = fill_up,
        loop: asyncio.AbstractEventLoop | None = None,
        faults: Faults = NO_FAULTS,
        limits: WriterLimits = LIMITS,
    ) -> None:
        """`loop` is told when the state can be kept no more."""
        settings = settings_of(overrides)
        market = instrument(settings.market)
        made: list[Simulated] = []

        def broker(market: Instrument, terms: Terms, router: Router) -> PaperLedger:
            made.append(simulated(market, terms, router, faults))
            return made[0].ledger

        run = assemble(settings, FACTS, log=None, strategy=ByTheClock(seed), broker=broker)
        self.journal = MemoryJournal()
        stamp = extra({"mode": "replay", "run_id": "life"})
        self._recorder = Recorder(
            stamp=lambda: stamp,
            ids=run.start.ids,
            instrument=market,
            daily_limit_cents=settings.account.daily_limit_cents,
            is_veto_enabled=settings.risk.enable_risk_veto,
        )
        self.parts = replace(run.engine.parts, logbook=Logbook(self._recorder, self.journal, run.start))
        self.engine = Engine(self.parts)
        self.engine.controls.reconciled()
        self.tally = run.tally
        self.folder = folder
        self.source = Source(
            engine=self.engine,
            simulated=made[0],
            cache=run.advisor.cache if isinstance(run.advisor, Asker) else None,
            advisor=run.advice.identity,
            head=self._head,
            who="life",
            gate=run.gate,
        )
        state = StateDb(folder, ME, connect=breaking(breaks_at, break_))
        try:
            self.found = state.snapshot()
            self.restored: Restored = restore(self.found, self.source, AFTER_ALL_NS)
        except TraderError:
            state.close()
            raise
        on_trouble = _unheard if loop is None else entries_end(self.engine.controls, loop)
        self.writer = StateWriter(state, limits, on_trouble)
        self.keeper = Keeper(self.writer, self.source, self.found)

    async def live(self, taken: Sequence[Bar]) -> None:
        """Take these bars, keeping after each."""
        for bar in taken:
            await self.engine.on_bar(bar)
            self.keeper.after_bar()

    def killed(self, into: Path) -> Path:
        """What the disk holds at this moment, in a folder of its own."""
        asyncio.run(self.keeper.on_disk())
        shutil.copytree(self.folder, into)
        return into

    def end(self) -> State:
        """Close the state; what is in it."""
        assert self.writer.close()
        return read(self.folder)

    def lines(self) -> list[Texts]:
        """Of every bar's record so far."""
        return [
            msgspec.json.decode(msgspec.json.decode(line, type=Line).c, type=Part).texts
            for line in self.journal.lines
            if line.startswith(b'{"c":')
        ]

    def _head(self) -> LogHead | None:
        chain = self._recorder.chain
        return LogHead(run_id="life", lines=chain.lines, hash=chain.head) if chain.lines else None


def _unheard(why: str) -> None:
    """Nobody asked to be told."""


def read(folder: Path) -> State:
    """What a state folder holds."""
    state = StateDb(folder, ME, connect=breaking(0))
    try:
        return state.snapshot()
    finally:
        state.close()


def lived(state: State) -> State:
    """What the account has lived through: a state without what counts the bars or the lines of one life."""
    answers, learned = state.answers, state.learned
    return replace(
        state,
        generation=0,
        remarks=(),
        log_head=None,
        progress=None,
        answers=None if answers is None else replace(answers, gate=None),
        learned=None if learned is None else replace(learned, unsettled=None),
    )
