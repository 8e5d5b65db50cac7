"""The loop around the straight line: one bar at a time, the broker first, then features to order.

Live, paper and backtest run this class; they differ in the feed, the broker and the journal that they hand it.
"""

from collections.abc import Callable, Iterable, Mapping

from trader.advisor.question import Answer
from trader.controls import Controls
from trader.domain.actions import Action
from trader.domain.bars import Bar
from trader.domain.decisions import Advice, Decision, FusionMethod, Proposal
from trader.domain.orders import ExitReason
from trader.domain.sessions import Session
from trader.endurance import Endurance
from trader.fusion import fuse
from trader.kernels.rules import SESSION_WINDOW
from trader.parts import Parts, Reached, Standing
from trader.passage import Passage
from trader.pipeline import Look
from trader.ports import Feed
from trader.recorder import Outcome
from trader.records import EventKind
from trader.risk.review import Approved, RiskContext
from trader.risk.rules import LIMIT_BITS, rules_in

_HOLD = Action.HOLD


class Engine:
    """One run. `on_bar` is the whole bot; the rest is what happens between bars."""

    def __init__(self, parts: Parts) -> None:
        self.controls = Controls()
        self.passage = Passage(parts, self.tell, self._log_untold)
        self.endurance = Endurance(parts.book, self.protect_only)
        self._parts = parts
        self._idle: dict[int, Outcome] = {}
        self._limits = 0  # the limits in force, as last logged
        self._controls = ""  # the switches, as last logged
        self._unadvised: Proposal | None = None
        self._unchanged = Decision(FusionMethod.RL_ONLY, _HOLD, 1.0, parts.fusion.llm_weight)
        self._missed = Decision(FusionMethod.RL_ONLY, _HOLD, 1.0, parts.fusion.llm_weight)
        self._is_prepared = False
        self.unadvised: str | None = None
        """Why the advisor could not be made ready; it may come back while the run goes on."""
        self.on_trouble: Callable[[str], None] | None = None
        self.on_event: Callable[[EventKind, Mapping[str, str | int]], None] | None = None
        """Told of each event that the engine writes into the log."""
        self.before_order: Callable[[], None] | None = None
        """Called when an order is about to be checked: live, it tells the router the last price and how old it is."""
        self.price_if_late: Callable[[int], int | None] = _in_time
        """Live: the price of now, ticks, where a bar that closed at this time comes too late to enter on, else None."""
        self._bar: Bar | None = None
        self._active = 0  # the rules in force at the last bar
        self._untold: list[tuple[EventKind, Mapping[str, str | int]]] = []
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
        """The straight line: fills, features, proposal, advice, fusion, review, record, order.

        Live, an error in the decision ends the run only where nothing is open: see `Endurance`.
        """
        parts = self._parts
        router = parts.router
        passage = self.passage
        session = passage.session
        if session is None or bar.ts_open_ns != passage.last_close_ns or bar.symbol != passage.symbol:
            session = passage.cross(bar)
        elif bar.ts_open_ns >= session.close_ns:
            session = passage.enter(bar.ts_open_ns)
        parts.broker.on_bar(bar)
        if router.executions:
            passage.count_results()
        passage.last_close_ns = bar.ts_close_ns
        if self.controls.is_catching_up:
            pass  # nobody was there to do anything
        elif bar.ts_close_ns >= passage.plan.flat_at_ns:
            router.flatten(ExitReason.FLAT_AT)
        elif self.controls.is_flattening:
            self.flatten()
        try:
            await self._decide_on(bar, session)
        except Exception as error:  # noqa: BLE001 -- raised again unless something is open
            self.endurance.bear(error)
            router.release()
        self.bars += 1

    @property
    def parts(self) -> Parts:
        """What it is made of."""
        return self._parts

    def standing(self) -> Standing:
        """Where the run stands."""
        return Standing(bar=self._bar, session=self.passage.session, plan=self.passage.plan, active=self._active)

    def tell(self, kind: EventKind, detail: Mapping[str, str | int]) -> None:
        """Log an event that counts from the next bar on; before the first bar it waits for the log to begin."""
        if self.passage.session is None:
            self._untold.append((kind, detail))
        else:
            self._parts.logbook.event(kind, self.bars, detail)
        if self.on_event is not None:
            self.on_event(kind, detail)

    def limit_hit(self, limits: int, price_ticks: int) -> None:
        """A price between bars has broken these limits, bits: told now, and not again with the next bar."""
        self._limits |= limits
        self.tell(EventKind.LIMIT_HIT, {"rules": ",".join(rules_in(limits)), "price_ticks": price_ticks})

    def flatten(self) -> None:
        """Close at the market what is open: now, and at each bar again until nothing is, whatever becomes of orders."""
        router, book = self._parts.router, self._parts.book
        self.controls.is_flattening = bool(book.position_qty or book.working)
        router.flatten(ExitReason.OPERATOR)

    def warm_up(self, bars: Iterable[Bar]) -> int:
        """Take bars from before the run, for the features alone; how many. Before the first bar of the run."""
        taken = 0
        for bar in bars:
            self.passage.warm(bar)
            taken += 1
        return taken

    async def catch_up(self, bars: Iterable[Bar]) -> int:
        """Book bars that came while nobody was there, and decide nothing on them; how many. Then go on."""
        book, before = self._parts.book, self.bars
        trails = book.view().trailing
        book.set_trailing(on=False)  # a stop that nobody moved has stayed where it was
        self.passage.may_act = False
        self.controls.catch_up(on=True)
        try:
            for bar in bars:
                await self.on_bar(bar)
        finally:
            self.controls.catch_up(on=False)
            self.passage.may_act = True
            book.set_trailing(on=trails and book.position_qty != 0)
        return self.bars - before

    def reached(self) -> Reached:
        """How far the run has come, for a restart."""
        return self.passage.reached(self.bars)

    @property
    def accounts_used(self) -> int:
        """Accounts begun, the first included."""
        return self._parts.book.accounts_used

    def discard(self) -> None:
        """A replay that failed leaves no log."""
        self._parts.logbook.discard()

    def protect_only(self, why: str) -> None:
        """Something is broken: stops are managed, nothing is entered, and somebody is told, once of each reason."""
        if self.controls.protect_only(why) and self.on_trouble is not None:
            self.on_trouble(why)

    def finish(self, *, at_end_of_feed: bool) -> None:
        """Close the log. At the end of a feed an open position is booked as the market's close would book it."""
        parts = self._parts
        self.passage.end_lessons()
        if at_end_of_feed:
            parts.broker.on_session_end()
        else:
            parts.router.cancel_entry()
            parts.router.release()
        self.passage.count_results()
        parts.logbook.close(self.bars, parts.router, parts.book)

    async def _decide_on(self, bar: Bar, session: Session) -> None:
        """From features to order."""
        parts = self._parts
        router = parts.router
        plan, ts_ns = self.passage.plan, bar.ts_close_ns
        in_window = plan.entry_start_ns <= ts_ns < plan.entry_end_ns
        stop_ticks, price_now = parts.book.view().stop_ticks, self.price_if_late(ts_ns)
        halted = not self._may_enter()
        look = parts.pipeline.look(bar, session, entries_open=in_window and not halted, halted=halted)
        router.at(look.close_ticks, ts_ns, ts_ns)
        if look.stop_trailed and (price_now is None or parts.book.keep_behind(price_now, stop_ticks)):
            router.stop_trailed()
        answer: Answer | None = None
        try:
            learner = parts.learner
            if learner is not None:
                learner.on_bar(look, parts.pipeline.atr_ticks, plan.flat_at_ns)
            if look.question is None:
                answer = parts.advisor.late_answer(look.seq, ts_ns, look.outlook.mask, look.outlook.account)
            else:
                answer = await parts.advisor.answer(look.question)
            advice = None if answer is None else self._note_answer(look, answer)
            decision = self._decide(look, advice)
        except Exception as error:  # noqa: BLE001 -- raised again, or the limits are judged without a decision
            self.endurance.bear(error)
            decision = self._missed
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
            look.outlook.account.equity_cents + self.passage.carried_cents,
        )

    def _may_enter(self) -> bool:
        return self.controls.entries_allowed and not self.passage.is_exhausted and self._parts.logbook.is_healthy

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
        if self.controls.is_catching_up:
            return self._missed
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
        price_now = self.price_if_late(ts_ns)
        close_ticks = look.close_ticks if price_now is None else price_now
        standing = parts.counters.observe(account, ts_ns) | self.controls.standing
        if not in_window:
            standing |= SESSION_WINDOW
        active = parts.reviewer.active_rules(account, standing, look.stop_distance_ticks, ts_ns)
        if self.controls.state is not self._controls:
            self._controls = self.controls.state
            self.tell(EventKind.TRADING, {"state": self._controls})
        self._bar, self._active = outlook.bar, active
        limits = active & LIMIT_BITS
        if limits != self._limits or self.passage.renewed_bits:
            self._note_limits(limits)
        reason = parts.reviewer.must_flatten(account, active)
        if reason is not None and not self.controls.is_catching_up:
            parts.router.flatten(reason)
        if decision.action is _HOLD:
            idle = self._idle.get(active)
            if idle is None:
                idle = self._idle[active] = Outcome("idle", (), active)
            return idle
        may_enter = in_window and self._may_enter()
        context = RiskContext(
            outlook.bar,
            parts.pipeline.mask_now(close_ticks, ready=outlook.ready, entries_open=may_enter),
            standing,
            close_ticks,
            parts.pipeline.atr_ticks,
            look.stop_distance_ticks,
            look.target_distance_ticks,
        )
        verdict = parts.reviewer.review(decision, parts.book.view(), context)
        if isinstance(verdict, Approved):
            if self.before_order is not None:
                self.before_order()
            parts.router.submit(verdict)
            return Outcome("approved", (), active)
        parts.tally.veto(verdict.rules)
        return Outcome("vetoed", verdict.rules, active)

    def _note_limits(self, limits: int) -> None:
        """Log the limits that have been hit and the vetoes that have ended since the bar before."""
        self._limits &= ~self.passage.renewed_bits
        self.passage.renewed_bits = 0
        for kind, changed in (
            (EventKind.LIMIT_HIT, limits & ~self._limits),
            (EventKind.VETO_RESET, self._limits & ~limits),
        ):
            if changed:
                self.tell(kind, {"rules": ",".join(rules_in(changed))})
        self._limits = limits

    def _log_untold(self) -> None:
        for kind, detail in self._untold:
            self._parts.logbook.event(kind, self.bars, detail)
        self._untold.clear()


def _in_time(ts_ns: int) -> None:
    """A replay has the time of its bars."""
    del ts_ns
