"""The loop around the straight line: one bar at a time, the broker first, then features to order.

Live, paper and backtest run this class; they differ in the feed, the broker and the journal that they hand it.
"""

from collections.abc import Callable, Mapping

from msgspec import Struct

from trader.advisor.question import Answer
from trader.analysis.report import Tally
from trader.book import Book
from trader.clock_text import utc_text
from trader.controls import Controls
from trader.domain.actions import Action
from trader.domain.bars import Bar
from trader.domain.decisions import Advice, Decision, FusionMethod, Proposal
from trader.domain.instruments import Instrument
from trader.domain.orders import ExitReason
from trader.domain.sessions import Calendar, Session
from trader.errors import InvariantError, StrategyError
from trader.fusion import FusionRules, fuse
from trader.kernels.rules import EXHAUSTED, SESSION_WINDOW
from trader.learning import Learner
from trader.pipeline import Look, Pipeline
from trader.ports import Advisor, Broker, Feed, RunLog
from trader.recorder import Outcome
from trader.records import EventKind
from trader.risk.counters import Counters
from trader.risk.review import Approved, Reviewer, RiskContext
from trader.risk.rules import LIMIT_BITS, rules_in
from trader.router import Router
from trader.schedule import SessionPlan, Window, plan_session

_HOLD = Action.HOLD


class Parts(Struct, frozen=True, kw_only=True):
    """What an engine is made of; `trader.app` puts it together.

    `renews_account`: an exhausted account is followed by a new one at the next session, as in everything replayed.
    """

    calendar: Calendar
    window: Window
    instrument: Instrument
    book: Book
    pipeline: Pipeline
    advisor: Advisor
    fusion: FusionRules
    learner: Learner | None
    counters: Counters
    reviewer: Reviewer
    router: Router
    broker: Broker
    logbook: RunLog
    tally: Tally
    renews_account: bool


class Standing(Struct, frozen=True, kw_only=True):
    """Where a run stands: the last bar, its session (both None before the first), and the rules in force at it."""

    bar: Bar | None
    session: Session | None
    plan: SessionPlan
    active: int


class Engine:
    """One run. `on_bar` is the whole bot; the rest is what happens between bars."""

    def __init__(self, parts: Parts) -> None:
        self.controls = Controls()
        self._parts = parts
        self._session: Session | None = None
        self._plan = SessionPlan(entry_start_ns=0, entry_end_ns=0, flat_at_ns=0)
        self._symbol = ""
        self._last_close_ns = 0
        self._idle: dict[int, Outcome] = {}
        self._limits = 0  # the limits in force, as last logged
        self._controls = ""  # the switches, as last logged
        self._unadvised: Proposal | None = None
        self._unchanged = Decision(FusionMethod.RL_ONLY, _HOLD, 1.0, parts.fusion.llm_weight)
        self.is_exhausted = False
        """The account is used up and is not replaced: nothing is entered. Cleared by whoever resets its rules."""
        self._is_prepared = False
        self.unadvised: str | None = None
        """Why the advisor could not be made ready; it may come back while the run goes on."""
        self.on_session: Callable[[], None] | None = None
        """Told when what was asked has been settled: a session, a contract or the run has ended."""
        self.on_trouble: Callable[[str], None] | None = None
        self.on_event: Callable[[EventKind, Mapping[str, str | int]], None] | None = None
        """Told of each event that the engine writes into the log."""
        self._bar: Bar | None = None
        self._active = 0  # the rules in force at the last bar
        self._untold: list[tuple[EventKind, Mapping[str, str | int]]] = []
        self._carried_cents = 0  # what accounts that were replaced had gained: equity runs on over all of them
        self.bars = 0

    async def prepare(self) -> None:
        """Make the advisor ready before the first bar; ConfigurationError where there must be one and is none."""
        self._is_prepared = True
        away = await self._parts.advisor.start()
        if away is not None:
            self.unadvised = away

    async def run(self, feed: Feed) -> None:
        """Take every bar of the feed, or those until a stop is asked for, then close the log."""
        if not self._is_prepared:
            await self.prepare()
        async for chunk in feed.chunks():
            for bar in chunk:
                await self.on_bar(bar)
            if self.controls.is_stopping:
                break
        self.finish(at_end_of_feed=not self.controls.is_stopping)

    async def on_bar(self, bar: Bar) -> None:
        """The straight line: fills, features, proposal, advice, fusion, review, record, order."""
        parts = self._parts
        router = parts.router
        session = self._session
        if session is None or bar.ts_open_ns != self._last_close_ns or bar.symbol != self._symbol:
            session = self._cross_gap(bar)
        elif bar.ts_open_ns >= session.close_ns:
            session = self._enter_session(bar.ts_open_ns)
        parts.broker.on_bar(bar)
        if router.executions:
            self._count_results()
        ts_ns = self._last_close_ns = bar.ts_close_ns
        plan = self._plan
        if ts_ns >= plan.flat_at_ns:
            router.flatten(ExitReason.FLAT_AT)
        elif self.controls.is_flattening:
            self.flatten()
        in_window = plan.entry_start_ns <= ts_ns < plan.entry_end_ns
        halted = not self._may_enter()
        look = parts.pipeline.look(bar, session, entries_open=in_window and not halted, halted=halted)
        router.at(look.close_ticks, ts_ns, ts_ns)
        if look.stop_trailed:
            router.stop_trailed()
        learner = parts.learner
        if learner is not None:
            learner.on_bar(look, parts.pipeline.atr_ticks, plan.flat_at_ns)
        if look.question is None:
            answer = parts.advisor.late_answer(look.seq, ts_ns, look.outlook.mask, look.outlook.account)
        else:
            answer = await parts.advisor.answer(look.question)
        advice = None if answer is None else self._note_answer(look, answer)
        decision = self._decide(look, advice)
        outcome = self._review(look, decision, in_window=in_window)
        parts.logbook.bar(look, answer, decision, outcome, router)
        router.release()
        parts.tally.bar(
            session.date,
            ts_ns,
            decision.action,
            decision.method,
            outcome.active,
            in_window,
            look.outlook.account.equity_cents + self._carried_cents,
        )
        self.bars += 1

    @property
    def parts(self) -> Parts:
        """What it is made of."""
        return self._parts

    def standing(self) -> Standing:
        """Where the run stands."""
        return Standing(bar=self._bar, session=self._session, plan=self._plan, active=self._active)

    def tell(self, kind: EventKind, detail: Mapping[str, str | int]) -> None:
        """Log an event that counts from the next bar on; before the first bar it waits for the log to begin."""
        if self._session is None:
            self._untold.append((kind, detail))
        else:
            self._parts.logbook.event(kind, self.bars, detail)
        if self.on_event is not None:
            self.on_event(kind, detail)

    def flatten(self) -> None:
        """Close at the market what is open: now, and at each bar again until nothing is, whatever becomes of orders."""
        router, book = self._parts.router, self._parts.book
        self.controls.is_flattening = bool(book.position_qty or book.working)
        router.flatten(ExitReason.OPERATOR)

    @property
    def accounts_used(self) -> int:
        """Accounts begun, the first included."""
        return self._parts.book.accounts_used

    @property
    def log_backlog(self) -> int:
        """Lines of the log that wait for the disk."""
        return self._parts.logbook.backlog

    def discard(self) -> None:
        """A replay that failed leaves no log."""
        self._parts.logbook.discard()

    def protect_only(self, error: StrategyError) -> None:
        """The strategy has failed: stops are managed, nothing is entered, and somebody is told."""
        self.controls.protect_only(str(error))
        if self.on_trouble is not None:
            self.on_trouble(str(error))

    def finish(self, *, at_end_of_feed: bool) -> None:
        """Close the log. At the end of a feed an open position is booked as the market's close would book it."""
        parts = self._parts
        self._end_lessons()
        if at_end_of_feed:
            parts.broker.on_session_end()
        else:
            parts.router.cancel_entry()
            parts.router.release()
        self._count_results()
        parts.logbook.close(self.bars, parts.router, parts.book)

    def _may_enter(self) -> bool:
        return self.controls.entries_allowed and not self.is_exhausted and self._parts.logbook.is_healthy

    def _note_answer(self, look: Look, answer: Answer) -> Advice | None:
        """Count an answer, to this bar's question or late to an earlier one; the advice that fusion may compare."""
        self._parts.tally.asked(answer.status, is_late=look.question is None)
        advice = answer.usable
        if advice is not None:
            self._parts.pipeline.answered(look.seq)
            if self._parts.learner is not None and look.question is not None:
                self._parts.learner.advised(look.seq, advice.action)
        return advice

    def _decide(self, look: Look, advice: Advice | None) -> Decision:
        """Fuse, by the weights in force; a proposal that is the same again, and unopposed, needs no fusing."""
        learner = self._parts.learner
        if learner is not None:
            rules = learner.rules(look.outlook.reading.regime)
            decision = fuse(look.proposal, advice, look.outlook.mask, rules)
            if look.question is not None:
                learner.decided(look.seq, decision.action)
            return decision
        if advice is not None:
            return fuse(look.proposal, advice, look.outlook.mask, self._parts.fusion)
        if look.proposal is not self._unadvised:
            self._unadvised = look.proposal
            self._unchanged = fuse(look.proposal, None, look.outlook.mask, self._parts.fusion)
        return self._unchanged

    def _review(self, look: Look, decision: Decision, *, in_window: bool) -> Outcome:
        """Judge the decision on the account as it is now, and prepare what may be done; no await from here on."""
        parts = self._parts
        outlook = look.outlook
        account = parts.book.view()
        ts_ns = outlook.bar.ts_close_ns
        standing = parts.counters.observe(account, ts_ns) | self.controls.standing
        if not in_window:
            standing |= SESSION_WINDOW
        active = parts.reviewer.active_rules(account, standing, look.stop_distance_ticks, ts_ns)
        if self.controls.state is not self._controls:
            self._controls = self.controls.state
            self.tell(EventKind.TRADING, {"state": self._controls})
        self._bar, self._active = outlook.bar, active
        limits = active & LIMIT_BITS
        if limits != self._limits:
            self._note_limits(limits)
        reason = parts.reviewer.must_flatten(account, active)
        if reason is not None:
            parts.router.flatten(reason)
        if decision.action is _HOLD:
            idle = self._idle.get(active)
            if idle is None:
                idle = self._idle[active] = Outcome("idle", (), active)
            return idle
        may_enter = in_window and self._may_enter()
        context = RiskContext(
            outlook.bar,
            parts.pipeline.mask_now(look.close_ticks, ready=outlook.ready, entries_open=may_enter),
            standing,
            look.close_ticks,
            parts.pipeline.atr_ticks,
            look.stop_distance_ticks,
            look.target_distance_ticks,
        )
        verdict = parts.reviewer.review(decision, parts.book.view(), context)
        if isinstance(verdict, Approved):
            parts.router.submit(verdict)
            return Outcome("approved", (), active)
        parts.tally.veto(verdict.rules)
        return Outcome("vetoed", verdict.rules, active)

    def _note_limits(self, limits: int) -> None:
        """Log the limits that have been hit and the vetoes that have ended since the bar before."""
        for kind, changed in (
            (EventKind.LIMIT_HIT, limits & ~self._limits),
            (EventKind.VETO_RESET, self._limits & ~limits),
        ):
            if changed:
                self.tell(kind, {"rules": ",".join(rules_in(changed))})
        self._limits = limits

    def _cross_gap(self, bar: Bar) -> Session:
        """Everything that can lie between two bars that do not follow each other: sessions, rolls, halts, flat_at."""
        ts_ns, last_ns = bar.ts_open_ns, self._last_close_ns
        if ts_ns < last_ns:
            msg = f"bar {self.bars} opens before the one before it has closed"
            raise InvariantError(msg)
        session = self._session
        if session is None or ts_ns >= session.close_ns:
            session = self._enter_session(ts_ns)
        if bar.symbol != self._symbol:
            self._enter_contract(bar)
        router = self._parts.router
        router.pass_time(ts_ns)
        is_late = ts_ns >= self._plan.entry_end_ns or any(last_ns <= halt[0] < ts_ns for halt in session.halts)
        if ts_ns >= self._plan.flat_at_ns:
            router.flatten(ExitReason.FLAT_AT)
        elif is_late:
            router.cancel_entry()
        router.release()
        return session

    def _enter_session(self, ts_ns: int) -> Session:
        parts = self._parts
        session = parts.calendar.at(ts_ns)
        if session is None:
            msg = f"a bar at {utc_text(ts_ns)} lies outside every session"
            raise InvariantError(msg)
        if self._session is not None:
            parts.broker.on_session_end()
            self._count_results()
            self._end_lessons()
        parts.book.begin_session()
        parts.counters.on_session_open(session.open_ns)
        parts.pipeline.begin_session(session)
        parts.logbook.begin_session(session.date)
        self._session = session
        for kind, detail in self._untold:
            parts.logbook.event(kind, self.bars, detail)
        self._untold.clear()
        self._plan = plan_session(session, parts.window)
        self._replace_account()
        return session

    def _replace_account(self) -> None:
        """An exhausted account cannot recover by itself: begin another, or end trading and say so."""
        parts = self._parts
        exhausted = parts.counters.bits & parts.reviewer.in_use & EXHAUSTED
        if not exhausted or self.is_exhausted:
            return
        rules = ",".join(rules_in(exhausted))
        if parts.renews_account:
            before_cents = parts.book.view().equity_cents
            parts.book.renew()
            self._carried_cents += before_cents - parts.book.view().equity_cents
            parts.counters.on_account_renewed()
            self._limits &= ~EXHAUSTED  # this event tells of their end
            self.tell(EventKind.ACCOUNT_RENEWED, {"rules": rules, "account": parts.book.accounts_used})
        else:
            self.is_exhausted = True
            self.tell(EventKind.ACCOUNT_EXHAUSTED, {"rules": rules})

    def _enter_contract(self, bar: Bar) -> None:
        parts = self._parts
        if self._symbol:
            parts.broker.on_roll()
            self._count_results()
            self._end_lessons()
            parts.advisor.forget()
            parts.pipeline.roll(bar.roll_offset)
        self._symbol = bar.symbol

    def _end_lessons(self) -> None:
        if self._parts.learner is not None:
            self._parts.learner.end()
            if self.on_session is not None:
                self.on_session()

    def _count_results(self) -> None:
        parts = self._parts
        fills, trades = parts.router.drain_results()
        for fill in fills:
            parts.tally.fill(fill)
        for trade in trades:
            parts.counters.on_trade_closed(trade.pnl_cents, trade.closed_ns)
            parts.tally.trade(trade)
