"""A small account's life as steps, with the state after each; and connections that break where a test wants them to."""

import os
import signal
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec.structs import replace

from trader.adapters.state.connection import Connect, Connection, Cursor, connect
from trader.adapters.state.database import StateDb
from trader.adapters.state.records import (
    AccountIdentity,
    BookRow,
    BrokerName,
    Execution,
    GoodConfiguration,
    IntentState,
    KeptAnswers,
    KeptLearned,
    Leg,
    LineMemory,
    LogHead,
    Mode,
    PaperOrders,
    Position,
    Progress,
    RuleCounters,
    State,
    Switches,
    WorkingOrder,
)
from trader.advisor.cache import Entry, Scope
from trader.advisor.hedge import HedgeState
from trader.domain.actions import Action, Side
from trader.domain.bars import Bar
from trader.domain.decisions import Advice
from trader.domain.orders import Amend, AmendCause, Bracket, ExitReason, Flatten
from trader.holding import HoldingState
from trader.learning import Learned
from trader.risk.counters import FRESH
from trader.risk.gate import GateState
from trader.round_trip import RoundTripState
from trader.router import RouterState

ME = AccountIdentity(mode=Mode.PAPER, broker=BrokerName.IB, account="DU1234567", instrument="NQ")

BRACKET = Bracket(
    order_ref="d1",
    side=Side.BUY,
    qty=2,
    stop_distance_ticks=20,
    target_distance_ticks=60,
    stop_ticks=47_980,
    target_ticks=48_060,
)
FLATTEN = Flatten(order_ref="d1", side=Side.SELL, qty=2, reason=ExitReason.FLAT_AT)
BAR = Bar(60, 120, "NQH9", 12_000.25, 12_001.0, 11_999.75, 12_000.0, 17)
RESTING_STOP = WorkingOrder(
    order_ref="d1",
    leg=Leg.STOP,
    side=Side.SELL,
    qty=2,
    filled_qty=0,
    price_ticks=47_980,
    perm_id=1 << 40,
    order_id=7,
)
ENTRY_FILL = Execution(
    exec_id="0000e0d5.1.01",
    order_ref="d1",
    leg=Leg.ENTRY,
    perm_id=1 << 40,
    side=Side.BUY,
    qty=2,
    price_ticks=48_001,
    commission_cents=None,
    ts_ns=70,
)
HELD = Position(symbol="NQH9", con_id=3, position_qty=2, entry_ticks=48_001, ts_ns=70)
BOOK = BookRow(row=tuple(range(-18, 18)), accounts_used=2)
RULES = RuleCounters(counters=replace(FRESH, streak=2, outcomes=(1, 0, -1), session_open_ns=1_678_831_200_000_000_000))
PAPER = PaperOrders(
    entries_seen=3,
    entry=BRACKET,
    portions=(1,),
    position_qty=1,
    order_ref="d1",
    stop_ticks=47_980,
    target_ticks=48_060,
    stop_reason=ExitReason.TRAIL,
    closing=FLATTEN,
    fills_of_ref=1,
    last=BAR,
)
GATE = GateState(
    refs=("d0", "d1"),
    sent_ns=(10, 60),
    bracket=BRACKET,
    entering_qty=1,
    closing_qty=0,
    stop_ticks=None,
    may_anchor=True,
)
TRIP = RoundTripState(opened_ns=70, exit_qty=1, exit_ticks=48_003)
HOLDING = HoldingState(
    order_ref="d1", foreign_qty=0, closing_ref="d1", closing_qty=1, close_reason=ExitReason.FLAT_AT, trip=TRIP
)
LINE = LineMemory(
    router=RouterState(
        bracket=BRACKET, entry_working=True, is_spent=True, is_taken_back=True, holding=HOLDING, gate=GATE
    )
)
PROGRESS = Progress(
    ts_close_ns=120, symbol="NQH9", session_date="2019-01-02", bars=14, carried_cents=-5, is_exhausted=False
)
ANSWERS = KeptAnswers(
    advisor="rules@1",
    scope=Scope(0, "NQH9", 2, 4),
    entries=(("ab" * 32, Entry(Advice(action=Action.BUY, confidence=0.1 + 0.2, reason="why"), None, 60, 1)),),
)
LEARNED = KeptLearned(
    advisor="rules@1",
    learned=Learned(calibration=None, weights=HedgeState(((-0.1, -2.3), (-0.3, -1.5), (-1e-17, -40.0))), members=None),
)
HEAD = LogHead(run_id="20190102T140000-ab12", lines=15, hash="cd" * 32)
CONFIGURATION = GoodConfiguration(sha256="ef" * 32, yaml="market:\n  root: NQ # µ\n", ts_ns=5)
SWITCHES = Switches(killed=True, paused=False, flattening=False, by="operator", ts_ns=9)
SECTIONS = (HELD, PROGRESS, BOOK, PAPER, LINE, RULES, SWITCHES, ANSWERS, LEARNED, HEAD, CONFIGURATION)

Step = Callable[[StateDb], object]


def _fill_with_its_book(state: StateDb) -> None:
    with state.together():
        state.executed(ENTRY_FILL)
        state.moved("d1", IntentState.FILLED, 70)
        state.rests(RESTING_STOP)
        state.keep(HELD, BOOK, RULES)


STEPS: tuple[Step, ...] = (
    lambda state: state.keep(CONFIGURATION, SWITCHES),
    lambda state: state.intend("d1", "d1", BRACKET, 60),
    lambda state: state.moved("d1", IntentState.SENT, 61),
    lambda state: state.moved("d1", IntentState.ACKNOWLEDGED, 62, "Submitted"),
    _fill_with_its_book,
    lambda state: state.executed(replace(ENTRY_FILL, commission_cents=450)),
    lambda state: state.keep(PROGRESS, BOOK, PAPER, LINE, RULES, HEAD),
    lambda state: state.intend(
        "d1-2", "d2", Amend(order_ref="d1", cause=AmendCause.TRAIL, stop_ticks=47_990, target_ticks=48_060), 120
    ),
    lambda state: state.moved("d1-2", IntentState.DENIED, 121, "gate"),
    lambda state: state.keep(ANSWERS, LEARNED),
    lambda state: state.intend("d1-3", "d3", FLATTEN, 180),
    lambda state: state.gone("d1", Leg.STOP),
    lambda state: state.forget_ended(150),
)
"""One trade's life, each step one transaction."""


def content_of(state: State) -> State:
    """A state without the number of its commits and what was repaired: what the account has lived through."""
    return replace(state, generation=0, remarks=())


def states_after(folder: Path) -> list[State]:
    """The state before the first step and after each."""
    state = StateDb(folder, ME)
    states = [content_of(state.snapshot())]
    for step in STEPS:
        step(state)
        states.append(content_of(state.snapshot()))
    state.close()
    return states


def reopened(folder: Path) -> State:
    """What is on the disk."""
    state = StateDb(folder, ME, connect=breaking(0, die, after=False))
    try:
        return state.snapshot()
    finally:
        state.close()


class Breaking:
    """A connection that does something else at its Nth statement of a kind, before or (`after`) when that is done.

    It does not wait for the disk: the death of a process, and an error that is made up, lose nothing that was written.
    """

    def __init__(
        self, inner: Connection, at: int, break_: Callable[[], None], *, after: bool, of: str | tuple[str, ...]
    ) -> None:
        self._inner = inner
        self._left = at
        self._break = break_
        self._after = after
        self._of = of

    def execute(self, sql: str, parameters: Sequence[object] = (), /) -> Cursor:
        """Pass the statement on, or break."""
        self._left -= sql.startswith(self._of)
        is_it = self._left == 0 and sql.startswith(self._of)
        if is_it and not self._after:
            self._break()
        cursor = self._inner.execute(sql.replace("synchronous=FULL", "synchronous=OFF"), parameters)
        if is_it and self._after:
            cursor.fetchall()  # done with, so that nothing of it keeps the file
            self._break()
        return cursor

    def close(self) -> None:
        """Close what is inside."""
        self._inner.close()


def breaking(at: int, break_: Callable[[], None], *, after: bool, of: str | tuple[str, ...] = "") -> Connect:
    """Connections that break at statement `at` (1 is the opening's first) of those that begin with `of`."""
    return lambda path: Breaking(connect(path), at, break_, after=after, of=of)


def die() -> None:
    """End this process as kill -9 does."""
    os.kill(os.getpid(), signal.SIGKILL)


def refuse() -> None:
    """Say what SQLite says of a disk that fails."""
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorname = "SQLITE_IOERR_WRITE"
    raise error
