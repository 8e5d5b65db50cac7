"""A run of the whole line that a test drives bar by bar: real parts, a scripted strategy, a journal in memory.

Prices are ticks above or below BASE. Left alone, a bar opens and closes where the last one closed and reaches ten ticks
up and down: a true range of 20 ticks, so that ATR is 20, an entry's stop lies 30 ticks away and its target 90.
"""

from collections.abc import Sequence
from functools import cache

import msgspec
import numpy as np
from hypothesis import Phase, settings
from line_fakes import MemoryJournal
from msgspec.structs import replace

from trader.adapters.paper_broker import NO_FAULTS, Faults
from trader.analysis.figures import Report, facts_of
from trader.app import BarsFacts, assemble, paper_broker
from trader.chain import extra
from trader.domain.account import AccountView
from trader.domain.actions import Action, actions_in
from trader.domain.bars import Bar
from trader.domain.decisions import Proposal
from trader.domain.instruments import instrument
from trader.domain.sessions import MINUTE_NS, Calendar, Session, et_ns
from trader.engine import Engine
from trader.logbook import Logbook
from trader.outlook import Outlook
from trader.ports import Advisor
from trader.recorder import Recorder
from trader.records import Canonical, EndRecord, EventRecord, FillRecord, Line, OrderRecord
from trader.settings import Settings, load_settings

BASE = 48_000
"""12,000.00 points of NQ in ticks."""
REACH = 10
WARM_UP_BARS = 425
DAY = "2023-03-15"  # a Wednesday: full session, New York on summer time

FACTS = BarsFacts(source="by hand", sha256="0" * 64, synthetic=True, bar_minutes=1, has_volume=True)

UNEXPLAINED = settings(phases=set(Phase) - {Phase.explain})
"""For properties of whole runs: explaining a failure would trace every line below, for minutes."""


@cache
def settings_with(*overrides: str) -> Settings:
    """The shipped paper settings without an advisor, changed by `overrides` such as `risk.max_trades_per_session=2`."""
    return load_settings(environ={}, overrides=["strategy.name=flat", "advisor.backend=off", *overrides])


HOLD = Proposal(Action.HOLD, 1.0)


class Scripted:
    """Proposes `next` once, then HOLD. With `yields` HOLD also takes the place of what the mask forbids.

    `pick` instead chooses among the valid actions by number.
    """

    def __init__(self) -> None:
        self.next = HOLD
        self.yields = False
        self.pick: int | None = None
        self.mask = 0
        self.obs = np.zeros(0, np.float32)

    def propose(self, outlook: Outlook) -> Proposal:
        """What the test has laid out for this bar."""
        proposal, self.next = self.next, HOLD
        self.mask = outlook.mask
        self.obs = outlook.obs.copy()
        if self.pick is not None:
            valid = actions_in(outlook.mask)
            return Proposal(valid[self.pick % len(valid)], 1.0)
        return HOLD if self.yields and not outlook.mask >> proposal.action & 1 else proposal


class Drive:
    """One run. `bar` feeds a minute and returns its record; the clock stands at the open of the next minute."""

    def __init__(
        self,
        *overrides: str,
        advisor: Advisor | None = None,
        faults: Faults = NO_FAULTS,
        day: str = DAY,
        reach: int = REACH,
        reconciled: bool = True,
        journal: MemoryJournal | None = None,
    ) -> None:
        settings = settings_with(*overrides)
        market = instrument(settings.market)
        self.strategy = Scripted()
        run = assemble(settings, FACTS, log=None, strategy=self.strategy, advisor=advisor, broker=paper_broker(faults))
        self.start = run.start
        self.tally = run.tally
        self.journal = journal or MemoryJournal()
        stamp = extra({"mode": "replay", "run_id": "by-hand"})
        recorder = Recorder(
            stamp=lambda: stamp,
            ids=run.start.ids,
            instrument=market,
            daily_limit_cents=settings.account.daily_limit_cents,
            is_veto_enabled=settings.risk.enable_risk_veto,
        )
        self.parts = replace(run.engine._parts, logbook=Logbook(recorder, self.journal, run.start))
        self.engine = Engine(self.parts)
        if reconciled:
            self.engine.controls.reconciled()
        self.symbol = "NQH23"
        self.session = self._on(day)
        self.now_ns = self.session.open_ns
        self.level = 0
        self._reach = reach
        self._ticks_per_point = market.ticks_per_point
        self._roll_offset = 0

    @property
    def book(self) -> AccountView:
        """The account as it stands."""
        return self.parts.book.view()

    def bar(
        self,
        propose: Action = Action.HOLD,
        *,
        confidence: float = 1.0,
        open: int | None = None,
        high: int | None = None,
        low: int | None = None,
        close: int | None = None,
        minutes: int = 1,
        if_valid: bool = False,
    ) -> Canonical:
        """One bar of `minutes`; the strategy proposes at its close, or holds where `if_valid` and the mask forbids."""
        bar = self.shape(open, high, low, close, minutes)
        self.strategy.next = Proposal(propose, confidence)
        self.strategy.yields = if_valid
        return self.feed(bar)

    def shape(self, open_: int | None, high: int | None, low: int | None, close: int | None, minutes: int = 1) -> Bar:
        """The next bar, what is None filled in; its extremes hold open and close whatever was asked."""
        open_ = self.level if open_ is None else open_
        close = (open_ if open_ != self.level else self.level) if close is None else close
        high = max(open_, close) + self._reach if high is None else max(high, open_, close)
        low = min(open_, close) - self._reach if low is None else min(low, open_, close)
        scale = self._ticks_per_point
        offset, self._roll_offset = self._roll_offset, 0
        self.level = close
        return Bar(
            ts_open_ns=self.now_ns,
            ts_close_ns=self.now_ns + minutes * MINUTE_NS,
            symbol=self.symbol,
            open=(BASE + open_) / scale,
            high=(BASE + high) / scale,
            low=(BASE + low) / scale,
            close=(BASE + close) / scale,
            volume=100,
            roll_offset=offset / scale,
        )

    def feed(self, bar: Bar) -> Canonical:
        """Take a bar through the engine; returns its record."""
        drive(self.engine.on_bar(bar))
        self.now_ns = bar.ts_close_ns
        return record_of(self.journal.lines[-1])

    def until(self, clock: str) -> "Drive":
        """Quiet bars up to New York's `clock`, 18:00 on being the evening before."""
        end_ns = et_ns(self.session, clock)
        while self.now_ns < end_ns:
            if any(start <= self.now_ns < end for start, end in self.session.halts):
                self.now_ns += MINUTE_NS
            else:
                self.bar()
        return self

    def skip_to(self, clock: str) -> "Drive":
        """No bars up to `clock`: nobody traded."""
        self.now_ns = self.at_clock(clock)
        return self

    def at_clock(self, clock: str) -> int:
        """New York's `clock` in this session, in nanoseconds."""
        return et_ns(self.session, clock)

    def warm(self, clock: str = "09:35") -> "Drive":
        """As many quiet bars before `clock` as make every feature ready, ending there."""
        self.now_ns = et_ns(self.session, clock) - WARM_UP_BARS * MINUTE_NS
        return self.until(clock)

    def next_session(self) -> "Drive":
        """On to the open of the next session; nothing trades in between."""
        self.session = Calendar.load().next_open(self.session.open_ns)
        self.now_ns = self.session.open_ns
        return self

    def roll(self, symbol: str, offset: int) -> None:
        """From the next bar on another contract trades, `offset` ticks higher."""
        self.symbol = symbol
        self._roll_offset = offset
        self.level += offset

    def enter(self, action: Action = Action.BUY) -> Canonical:
        """Decide at a quiet bar's close, fill at the next quiet bar's open; returns that bar's record."""
        self.bar(action)
        return self.bar()

    def climb(self, bars: int, ticks_a_bar: int = 10, propose: Action = Action.HOLD) -> None:
        """Bars that each close `ticks_a_bar` (at most 10, negative falls) further, with a true range of 20 still."""
        for _ in range(bars):
            start = self.level
            extreme = start - REACH // 2 if ticks_a_bar > 0 else start + REACH // 2
            other = extreme + (2 * REACH if ticks_a_bar > 0 else -2 * REACH)
            self.bar(propose, high=max(extreme, other), low=min(extreme, other), close=start + ticks_a_bar)

    def stop_out(self) -> Canonical:
        """A bar that reaches the stop of the open position and nothing more."""
        return self._reach_for(self.book.stop_ticks - BASE, beyond=0)

    def win(self) -> Canonical:
        """Enter long and take the target; three bars."""
        self.enter()
        return self._reach_for(self.book.target_ticks - BASE, beyond=1)

    def lose(self) -> Canonical:
        """Enter long and be stopped; three bars."""
        self.enter()
        return self.stop_out()

    def trade_out(self, outcome: str) -> None:
        """End the open position, if there is one: at its target (W), its stop (L), or at break-even (=)."""
        match outcome if self.book.position_qty else "flat":
            case "W":
                self._reach_for(self.book.target_ticks - BASE, beyond=1)
            case "L":
                self.stop_out()
            case "=":
                side = 1 if self.book.position_qty > 0 else -1
                self.bar(Action.MOVE_TO_BE, close=self.level + 8 * side, if_valid=True)
                self.trade_out("L")
            case _:
                pass

    def _reach_for(self, level: int, beyond: int) -> Canonical:
        if level > self.level:
            return self.bar(high=level + beyond, low=self.level)
        return self.bar(high=self.level, low=level - beyond)

    def next_line_after_last_bar_of(self, session: str) -> str:
        """The kind of the line that follows a session's last bar."""
        lines = self.journal.lines
        own = [i for i, line in enumerate(lines) if f'"session":"{session}"'.encode() in line]
        return lines[own[-1] + 1][2:].partition(b'"')[0].decode()

    def report(self) -> Report:
        """The figures that the engine has counted."""
        return self.tally.report(facts_of(self.start), accounts_used=self.engine.accounts_used)

    def ticks(self, price: float | None) -> int | None:
        """A price of the log in ticks from BASE."""
        return None if price is None else round(price * self._ticks_per_point) - BASE

    def finish(self, *, at_end_of_feed: bool = True) -> EndRecord:
        """End the run; returns its last record."""
        self.engine.finish(at_end_of_feed=at_end_of_feed)
        return msgspec.json.decode(msgspec.json.decode(self.journal.lines[-1], type=Line).end, type=EndRecord)

    def records(self) -> list[Canonical]:
        """The record of every bar so far."""
        return [record_of(line) for line in self.journal.lines if line.startswith(b'{"c":')]

    def events(self) -> list[tuple[str, int, str]]:
        """Every event so far: kind, the bar from which it counts, the rules that it names."""
        return [(event.kind, event.from_bar, str(event.detail["rules"])) for event in self.event_records()]

    def event_records(self) -> list[EventRecord]:
        """Every event so far but those of the switches and of orders that ended unfilled, whole."""
        return [event for event in self._events() if event.kind not in {"trading", "order_unfilled"}]

    def unfilled(self) -> list[tuple[int, str]]:
        """The orders that ended unfilled: the bar from which it counts, and how."""
        return [
            (event.from_bar, str(event.detail["outcome"])) for event in self._events() if event.kind == "order_unfilled"
        ]

    def switched(self) -> list[tuple[int, str]]:
        """What the switches allowed: the bar from which it counts, and the state."""
        return [(event.from_bar, str(event.detail["state"])) for event in self._events() if event.kind == "trading"]

    def _events(self) -> list[EventRecord]:
        lines = [line for line in self.journal.lines if line.startswith(b'{"e":')]
        return [msgspec.json.decode(msgspec.json.decode(line, type=Line).e, type=EventRecord) for line in lines]

    def fills(self) -> list[FillRecord]:
        """Every fill that a bar's record shows."""
        return [fill for record in self.records() for fill in record.fills]

    def _on(self, day: str) -> Session:
        session = Calendar.load().on(day)
        assert session is not None
        return session


def drive(coroutine: object) -> None:
    """Run a coroutine that never waits for anything: on_bar with an advisor that answers at once."""
    try:
        coroutine.send(None)  # type: ignore[attr-defined]
    except StopIteration:
        return
    msg = "the engine waited"
    raise AssertionError(msg)


def record_of(line: bytes) -> Canonical:
    """The bar's record in a line of the log."""
    return msgspec.json.decode(msgspec.json.decode(line, type=Line).c, type=Canonical)


def bracket_of(record: Canonical) -> OrderRecord | None:
    """The entry that was approved at this bar."""
    return next((order for order in record.orders if order.kind == "bracket"), None)


def kinds(orders: Sequence[OrderRecord]) -> list[tuple[str, str | None]]:
    """What left: kind and reason of each order."""
    return [(order.kind, order.reason) for order in orders]
