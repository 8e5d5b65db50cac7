"""A session of 300 bars with five trades, over real sockets in one process, whose daemon is killed again and again.

Whatever is missed for a bar or two is made up for: each trade may be entered on several bars, at the same price.
"""

import asyncio
import contextvars
import random
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import structlog
from crash_loop import LIFE, CrashLoop, Death, Life, Moment, Pen, Record, connect_of
from msgspec import Struct

from trader.adapters.columns import BarColumns
from trader.adapters.state.database import StateDb
from trader.adapters.state.records import State
from trader.commands.run import serve
from trader.commands.run_gear import Assembled
from trader.commands.run_ib import Outside
from trader.commands.run_plan import RunPlan, Wiring, plan_run
from trader.domain.actions import Action
from trader.domain.alerts import AlertKind
from trader.domain.instruments import instrument
from trader.domain.sessions import Calendar
from trader.domain.units import MINUTE_NS, SECOND_NS
from trader.gateway.account import AccountTerms
from trader.gateway.checker import Findings, check
from trader.gateway.fills import Costs
from trader.gateway.gateway import Gateway, GatewayTerms
from trader.gateway.ledger import Event
from trader.live.daemon import Daemon
from trader.options import BarOptions
from trader.settings import load_settings

OPEN_NS = 1_575_327_600_000_000_000  # 2019-12-02 17:00 in Chicago: the session of December 3rd
HISTORY, BARS = 420, 300
ENTRY_BARS = 12
STOP_TICKS = 80
_LOOPS: list[CrashLoop] = []
STRATEGY = Path(__file__).with_name("crash_strategy.py")
SPEED = 20.0
BAR_S = 60.0 / SPEED


class Trade(Struct, frozen=True):
    """Entered from bar `at` on; `moves` are the market's, in points by bars after `at`; `be_at` moves the stop."""

    at: int
    action: Action
    moves: dict[int, float]
    be_at: int | None = None


TRADES = (
    Trade(10, Action.BUY, {30: 30.0, 34: 65.0}),  # the target
    Trade(70, Action.SELL, {30: 10.0, 34: 25.0}),  # the stop
    Trade(130, Action.BUY, {16: 15.0, 36: -5.0}, be_at=20),  # the stop at break-even
    Trade(190, Action.SELL, {30: -30.0, 34: -65.0}),  # the target
    Trade(250, Action.BUY, {20: 5.0}),  # the time to be flat
)


def bars() -> BarColumns:
    """Minutes of four points around a level that moves as the trades want it, and is 8000 before each."""
    level = np.full(HISTORY + BARS + 1, 8_000.0)
    for trade in TRADES:
        for after, points in trade.moves.items():
            level[HISTORY + trade.at + after : HISTORY + trade.at + 50] = 8_000.0 + points
    opens = OPEN_NS + np.arange(len(level), dtype=np.int64) * MINUTE_NS
    return BarColumns(
        ts_open_ns=opens,
        ts_close_ns=opens + MINUTE_NS,
        open=level.copy(),
        high=level + 2.0,
        low=level - 2.0,
        close=level.copy(),
        volume=np.full(len(level), 100),
        symbols=("NQZ19",),
        symbol_index=np.zeros(len(level), dtype=np.int64),
        roll_offset=np.zeros(len(level)),
    )


def utc(bar: int) -> int:
    """When this bar of the session closes."""
    return OPEN_NS + (HISTORY + bar + 1) * MINUTE_NS


class End(Struct, frozen=True, kw_only=True):
    """How a session ended. `trades` are (side, entry and exit in ticks) in their order; `cash_cents` the book's."""

    trades: tuple[tuple[int, int, int], ...]
    cash_cents: int
    position_qty: int
    entries_sent: int
    is_clean: bool
    unprotected_s: float
    alerts: tuple[str, ...]


class Kills(Struct, frozen=True):
    """The daemon dies `deaths` of these bars; whoever is then started `recoveries`, counted from its birth."""

    deaths: Mapping[int, Death] = {}
    recoveries: Mapping[int, Death] = {}


class Session:
    """Plays it once."""

    def __init__(self, folder: Path, kills: Kills) -> None:
        self._folder = folder
        self._kills = kills
        self.lives = self.deaths = 0
        self.counts: list[dict[Moment, int]] = []
        self.faults: list[str] = []
        self._alerts: list[str] = []
        self._bar = 0
        self._record = Record()
        self._life = Life(None, self._record)
        self._recovery: Death | None = None
        self._assembled: Assembled | None = None
        self._daemon: Daemon | None = None

    def alert(self, kind: AlertKind, *, why: str, effect: str) -> None:  # noqa: ARG002 -- as the port has it
        """Alerts'; what a dead life cries is not heard."""
        if not self._life.is_dead:
            self._alerts.append(f"in bar {self._bar} {kind.value}: {why}")

    async def play(self) -> None:
        """The bars, and a life after the other."""
        loop = asyncio.get_running_loop()
        assert isinstance(loop, CrashLoop)  # noqa: S101
        loop.set_exception_handler(lambda *_: None)  # of lives that are dead
        asyncio.get_running_loop().slow_callback_duration = 1e9
        gateway = Gateway(bars(), Calendar.load(), _terms(), None, loop.time)
        self._gateway = gateway
        await gateway.start()
        begin_ns = gateway.market.now_ns
        self._outside = Outside(
            wall_ns=lambda: begin_ns + round(loop.time() * SPEED * SECOND_NS),
            chance=random.Random(1),  # noqa: S311 -- jitter
        )
        loop.wait_for(self._is_busy)
        serving = self._bear(gateway)
        try:
            for bar in range(BARS):
                self._arm(bar)
                opened_s = loop.time()
                gateway.market.into_bar_ns = lambda since=opened_s: min(
                    round((loop.time() - since) * SPEED * SECOND_NS), 59 * SECOND_NS
                )
                gateway.open_bar()
                serving = await self._while_it_forms(gateway, serving)
                gateway.market.into_bar_ns = lambda: 0
                gateway.finish_bar()
            self._arm(BARS)
            serving = self._after(gateway, serving)
            await asyncio.sleep(5.0)
            assert self._daemon is not None  # noqa: S101
            self._daemon.drain("the end of the session")
            await asyncio.wait({serving}, timeout=60.0)
            if not serving.done():
                self.faults.append("it does not end")
            elif serving.exception() is not None:
                self.faults.append(f"it ended by {serving.exception()!r}")
        finally:
            self._life.bury()
            self._end_threads()
            await gateway.close()
        self.entries, self.end_s = gateway.ledger.entries, loop.time()

    async def _while_it_forms(self, gateway: Gateway, serving: asyncio.Task[Any]) -> asyncio.Task[Any]:
        """One bar's time; whoever dies in it is followed by another."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + BAR_S
        while loop.time() < until_s:
            await asyncio.sleep(min(0.25, until_s - loop.time()))
            serving = self._after(gateway, serving)
        return serving

    def _arm(self, bar: int) -> None:
        self.counts.append(self._life.counts)
        self._bar = bar
        self._recovery = self._kills.recoveries.get(bar)
        self._life.arm(self._kills.deaths.get(bar))

    def _after(self, gateway: Gateway, serving: asyncio.Task[Any]) -> asyncio.Task[Any]:
        """Who serves on: another life, where this one is over."""
        if self._life.is_dead:
            self._life.bury()
            self._end_threads()
        elif serving.done():
            self.faults.append(f"it ended by itself: {serving.exception()!r}")
        else:
            return serving
        self.deaths += self._life.has_been_killed
        return self._bear(gateway)

    def _bear(self, gateway: Gateway) -> asyncio.Task[Any]:
        born, self._recovery = self._recovery if self.lives else None, None
        self._life = Life(born, self._record)
        self.lives += 1
        context = contextvars.copy_context()
        context.run(LIFE.set, self._life)
        plan = run_plan(gateway.port, self._folder)
        while (plan.log_folder / plan.stamp.run_id).exists():  # lives follow each other faster than a second
            plan = run_plan(gateway.port, self._folder)
        return asyncio.get_running_loop().create_task(self._serve(plan, self._life), context=context)

    async def _serve(self, plan: RunPlan, life: Life) -> None:
        state = StateDb(plan.folder, plan.identity, connect=connect_of(life))
        await serve(plan, state, None, self, self._outside, self._begins)

    def _begins(self, assembled: Assembled, daemon: Daemon) -> None:
        self._assembled, self._daemon = assembled, daemon
        logbook: Any = assembled.run.logbook
        logbook._journal = Pen(logbook._journal, self._life)

    def _is_busy(self) -> bool:
        parts = None if self._life.is_dead else self._assembled
        return parts is not None and parts.writer is not None and parts.writer.is_busy

    def _end_threads(self) -> None:
        """What a dead life's threads do from now on reaches no disk: its state refuses, its log is whole."""
        if self._assembled is not None:
            self._assembled.run.engine.discard()
            self._assembled.close()
        self._assembled = None

    def unwritten(self) -> list[str]:
        """What the disk did not know of when it left."""
        return [f"{order_ref} was sent before it was written" for order_ref in self._record.unwritten]

    def end(self) -> End:
        """What it came to; the state as it is on the disk."""
        state = _read(run_plan(self._gateway.port, self._folder))
        fills = [e for e in self.entries if e.event is Event.EXECUTED]
        pairs = zip(fills[::2], fills[1::2], strict=False)
        found: Findings = check(self.entries, until_s=self.end_s)
        assert state.book is not None  # noqa: S101
        return End(
            trades=tuple((entry.side, entry.price_ticks, exit_.price_ticks) for entry, exit_ in pairs),
            cash_cents=state.book.row[11],
            position_qty=state.book.row[0] or found.position or len(fills) % 2,
            entries_sent=sum(
                e.event is Event.PLACED and e.kind == "MKT" and not e.order_ref.count(".") for e in self.entries
            ),
            is_clean=found.is_clean and len(state.executions) == len(fills),
            unprotected_s=found.unprotected_s,
            alerts=tuple(self._alerts),
        )


def _terms() -> GatewayTerms:
    account = AccountTerms(
        name="DU1234567",
        start_cents=10_000_000,
        initial_margin_cents=2_000_000,
        maintenance_margin_cents=1_800_000,
        commission_cents=225,
    )
    return GatewayTerms(
        market=instrument("NQ"),
        account=account,
        costs=Costs(slippage_ticks=1, through_ticks=1),
        history_bars=HISTORY,
    )


def _read(plan: RunPlan) -> State:
    state = StateDb(plan.folder, plan.identity)
    try:
        return state.snapshot()
    finally:
        state.close()


def run_plan(port: int, folder: Path) -> RunPlan:
    """As `trader run` would read it."""
    settings = load_settings(
        environ={},
        overrides=[
            "advisor.backend=off",
            f"strategy.name={STRATEGY}",
            "execution.windows.all.end=05:45",
            "execution.windows.all.flat_at=05:55",
            "execution.entry_window=all",
            f"execution.min_stop_ticks={STOP_TICKS}",
            "risk.max_cost_share=1",
            "risk.enable_risk_veto=false",
            "gate.collar_pct=10",
            "ib.outages.reset_start=12:00",
            "ib.outages.reset_end=12:10",
            "ib.outages.restart_at=null",
            f"ib.port={port}",
            "ib.account=DU1234567",
            "ib.warmup_sessions=1",
            "ib.loop_pause_s=60",
            "ib.stale_after_s=60",
            "gate.price_age_s=600",
            f"state.dir={folder / 'state'}",
            f"journal.dir={folder / 'logs'}",
        ],
    )
    return plan_run(settings, BarOptions(bars=""), Wiring(feed="ib", broker="ib", speed="max"))


def played(folder: Path, kills: Kills) -> tuple[Session, End]:
    """A session with these deaths."""
    structlog.configure(processors=[_drop], cache_logger_on_first_use=False)
    session = Session(folder, kills)
    threading.excepthook = lambda told: session.faults.append(f"a thread ended by {told.exc_value!r}")
    sys.unraisablehook = _ignored  # what is forgotten of the dead
    _LOOPS.append(CrashLoop())  # neither a Runner's nor closed: the tasks of the dead would be waited for, or cry
    _LOOPS[-1].run_until_complete(session.play())
    session.faults += session.unwritten()
    return session, session.end()


def _ignored(_: object) -> None:
    """No word of it."""


def _drop(*_: Any) -> str:
    raise structlog.DropEvent
