"""What lies between two bars: sessions, contracts, halts, the time to be flat, and the trades that have ended.

A replay learns of it with the next bar. Live, the clock and the next bar's first price tell of it earlier: `advance`
does what is due then, and the bar itself finds it done.
"""

from collections.abc import Callable, Mapping

from trader.clock_text import utc_text
from trader.domain.bars import Bar
from trader.domain.orders import ExitReason
from trader.domain.sessions import Session
from trader.errors import InvariantError
from trader.kernels.rules import EXHAUSTED
from trader.parts import Parts, Reached
from trader.records import EventKind
from trader.risk.rules import rules_in
from trader.schedule import SessionPlan, plan_session

Tell = Callable[[EventKind, Mapping[str, str | int]], None]


class Passage:
    """One run's. `tell` writes an event that counts from the next bar on; `begun` is called once its log has begun.

    `on_session` is told when a session, a contract or the run has ended: what was asked has been settled.
    """

    def __init__(self, parts: Parts, tell: Tell, begun: Callable[[], None]) -> None:
        self._parts = parts
        self._tell = tell
        self._begun = begun
        self.session: Session | None = None
        self.plan = SessionPlan(entry_start_ns=0, entry_end_ns=0, flat_at_ns=0)
        self.symbol = ""
        self.last_close_ns = 0
        self.is_exhausted = False
        """The account is used up and is not replaced: nothing is entered."""
        self.carried_cents = 0
        self.renewed_bits = 0
        """The rules that ended with the last account; whoever tells of limits takes them back."""
        self.on_session: Callable[[], None] | None = None
        self.may_act = True
        """False while bars are caught up with: nothing is closed or taken back in the past."""
        self._resumed_date = ""
        self._warmed: Session | None = None

    def reached(self, bars: int) -> Reached:
        """What a restart needs of it."""
        return Reached(
            ts_close_ns=self.last_close_ns,
            symbol=self.symbol,
            session_date=self._resumed_date if self.session is None else self.session.date,
            bars=bars,
            carried_cents=self.carried_cents,
            is_exhausted=self.is_exhausted,
        )

    def resume(self, reached: Reached) -> None:
        """Go on where a run has ended: its session is not begun a second time. Before the first bar."""
        self.last_close_ns = reached.ts_close_ns
        self.symbol = reached.symbol
        self._resumed_date = reached.session_date
        self.carried_cents = reached.carried_cents
        self.is_exhausted = reached.is_exhausted

    def warm(self, bar: Bar) -> None:
        """Take a bar from before the run: for its features alone."""
        pipeline = self._parts.pipeline
        if self._warmed is None or bar.ts_open_ns >= self._warmed.close_ns:
            self._warmed = self._session_at(bar.ts_open_ns)
            pipeline.begin_session(self._warmed)
        if bar.roll_offset:
            pipeline.roll(bar.roll_offset)
        pipeline.warm(bar, self._warmed)
        if self._resumed_date:
            return
        self.symbol = bar.symbol

    def cross(self, bar: Bar) -> Session:
        """Everything between the bar before and this one, as far as it has not been done."""
        ts_ns = bar.ts_open_ns
        if ts_ns < self.last_close_ns:
            msg = f"the bar of {utc_text(ts_ns)} opens before the one before it has closed"
            raise InvariantError(msg)
        session = self.enter(ts_ns)
        if bar.symbol != self.symbol:
            self._enter_contract(bar)
        self._be_on_time(session, ts_ns)
        return session

    def advance(self, ts_ns: int) -> None:
        """It is `ts_ns`, and no bar has closed since the last: begin the session, do what is due by the clock.

        A session whose bars have not all come is not left: they may be on their way.
        """
        if self.session is None or ts_ns <= self.last_close_ns:
            return
        session = self._parts.calendar.at(ts_ns)
        if session is None or (session.date != self.session.date and self.last_close_ns < self.session.close_ns):
            session = self.session
        elif session.date != self.session.date:
            session = self.enter(ts_ns)
        self._be_on_time(session, ts_ns)

    def guard(self, ts_ns: int) -> None:
        """It is `ts_ns`, and the run's first bar has not come: close what an earlier run has left open once it is time,
        by the session that is open or by the one in which that run ended. In closed hours nothing can be done.
        """
        calendar, router = self._parts.calendar, self._parts.router
        now = calendar.at(ts_ns)
        if self.session is not None or now is None or ts_ns <= self.last_close_ns:
            return
        router.pass_time(ts_ns)
        last = (calendar.at(self.last_close_ns - 1) if self.last_close_ns else None) or now
        plans = [plan_session(session, self._parts.window) for session in (last, now)]
        if ts_ns >= min(plan.flat_at_ns for plan in plans):
            router.flatten(ExitReason.FLAT_AT)
        elif ts_ns >= min(plan.entry_end_ns for plan in plans):
            router.cancel_entry()
        router.release()

    def near_halt(self, now_ns: int, lead_ns: int) -> bool:
        """Whether trading halts or ends within `lead_ns`, or has. An entry at work is taken back while it still can be:
        what waits through a halt fills in another market. For the clock: bars find out when it is over.
        """
        session = self.session
        if session is None:
            return False
        ends = (*session.halts, (session.close_ns, session.close_ns + lead_ns))
        is_near = any(start_ns - lead_ns <= now_ns < end_ns for start_ns, end_ns in ends)
        if is_near and self.may_act and self._parts.router.entry_working:
            self._parts.router.cancel_entry()
            self._parts.router.release()
        return is_near

    def enter(self, ts_ns: int) -> Session:
        """The session at this time, entered if it is another."""
        session = self.session
        return self._enter_session(ts_ns) if session is None or ts_ns >= session.close_ns else session

    def count_results(self) -> None:
        """Take the trades that have ended into counters and tally."""
        parts = self._parts
        fills, trades = parts.router.drain_results()
        for fill in fills:
            parts.tally.fill(fill)
        for trade in trades:
            parts.counters.on_trade_closed(trade.pnl_cents, trade.closed_ns)
            parts.tally.trade(trade)

    def end_lessons(self) -> None:
        """What was asked is settled: nothing that follows tells of it."""
        if self._parts.learner is not None:
            self._parts.learner.end()
            if self.on_session is not None:
                self.on_session()

    def _be_on_time(self, session: Session, ts_ns: int) -> None:
        """Take back an entry that is late, and close at the time to be flat."""
        router, last_ns = self._parts.router, self.last_close_ns
        router.pass_time(ts_ns)
        is_late = ts_ns >= self.plan.entry_end_ns or any(last_ns <= halt[0] < ts_ns for halt in session.halts)
        if not self.may_act:
            return
        if ts_ns >= self.plan.flat_at_ns:
            router.flatten(ExitReason.FLAT_AT)
        elif is_late:
            router.cancel_entry()
        router.release()

    def _session_at(self, ts_ns: int) -> Session:
        session = self._parts.calendar.at(ts_ns)
        if session is None:
            msg = f"a bar at {utc_text(ts_ns)} lies outside every session"
            raise InvariantError(msg)
        return session

    def _enter_session(self, ts_ns: int) -> Session:
        parts = self._parts
        session = self._session_at(ts_ns)
        is_resumed = self.session is None and session.date == self._resumed_date
        if self.session is not None or (self._resumed_date and not is_resumed):
            parts.broker.on_session_end()
            self.count_results()
            self.end_lessons()
        if not is_resumed:
            parts.book.begin_session()
            parts.counters.on_session_open(session.open_ns)
        if self._warmed is None or self._warmed.date != session.date:
            parts.pipeline.begin_session(session)
        self._warmed = None
        parts.logbook.begin_session(session.date)
        self.session = session
        self._begun()
        self.plan = plan_session(session, parts.window)
        if not is_resumed:
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
            self.carried_cents += before_cents - parts.book.view().equity_cents
            parts.counters.on_account_renewed()
            self.renewed_bits |= EXHAUSTED  # this event tells of their end
            self._tell(EventKind.ACCOUNT_RENEWED, {"rules": rules, "account": parts.book.accounts_used})
        else:
            self.is_exhausted = True
            self._tell(EventKind.ACCOUNT_EXHAUSTED, {"rules": rules})

    def _enter_contract(self, bar: Bar) -> None:
        parts = self._parts
        if self.symbol:
            parts.broker.on_roll()
            self.count_results()
            self.end_lessons()
            parts.advisor.forget()
            parts.pipeline.roll(bar.roll_offset)
        self.symbol = bar.symbol
