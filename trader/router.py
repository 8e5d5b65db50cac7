"""Turns approved decisions into orders, keeps the bracket in step with fills, and closes what must be closed.

Everything that leaves for a broker passes the outbox, behind the order gate, and leaves with `release`, after the
record is written; only what covers a position that was not expected leaves at once. Nothing here awaits: between review
and the reservation in the book no other code runs.

The broker is the truth: whatever it reports of an order that was sent is booked, and what that leaves open is covered.
"""

from trader.book import Book
from trader.domain.actions import Action, Side
from trader.domain.orders import AmendCause, Bracket, ExitReason, Fill, Unfilled
from trader.entering import Entering, EnteringState
from trader.holding import Holding, HoldingState
from trader.news import Adjustment, ForeignTrade, News
from trader.outbox import Outbox
from trader.ports import Broker
from trader.risk.gate import GateState, LastPrice, OrderGate
from trader.risk.margin import MarginFigures
from trader.risk.review import Approved
from trader.round_trip import Booked


class RouterState(EnteringState, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What router, bracket, position and order gate remember, at a moment at which everything prepared has left."""

    holding: HoldingState
    gate: GateState


class Router(News):
    """The only listener to a broker; its outbox is the only caller."""

    def __init__(self, book: Book, gate: OrderGate, tick_value_cents: int) -> None:
        super().__init__()
        self._book = book
        self._gate = gate
        self._outbox = Outbox(book, gate, self)
        self._holding = Holding(book, self._outbox, self, tick_value_cents)
        self._entering = Entering(book, self._outbox, self._holding)

    def connect(self, broker: Broker) -> None:
        """Name the broker; it was built with this router as its listener."""
        self._outbox.connect(broker)

    @property
    def entry_working(self) -> bool:
        """An entry has gone out and has not been filled or cancelled in full."""
        return self._entering.is_working

    @property
    def closing(self) -> bool:
        """A closing order is on its way."""
        return self._holding.is_closing

    def at(self, price_ticks: int, ts_ns: int, now_ns: int) -> None:
        """The last price with its time, and the event time: what the order gate measures against."""
        self._outbox.at(LastPrice(price_ticks, ts_ns), now_ns)

    def pass_time(self, now_ns: int) -> None:
        """No price, but later."""
        self._outbox.pass_time(now_ns)

    def release(self) -> None:
        """Hand what was prepared over to the broker: after it has been recorded."""
        self._outbox.release()

    def submit(self, approved: Approved) -> None:
        """Prepare an approved decision: reserve it in the book and put its order out for `release`."""
        match approved.action:
            case Action.BUY | Action.SELL:
                self._enter(approved)
            case Action.MOVE_TO_BE:
                self._holding.amend(AmendCause.BREAK_EVEN, self._book.move_to_break_even())
            case Action.ENABLE_TRAIL:
                self._book.set_trailing(on=True)
                level = self._book.trail(approved.close_ticks, approved.atr_ticks)
                if level is not None:
                    self._holding.amend(AmendCause.TRAIL, level)
            case Action.DISABLE_TRAIL:
                self._book.set_trailing(on=False)
            case Action.HOLD:
                pass

    def stop_trailed(self) -> None:
        """The pipeline has pulled the stop behind the closed bar: the broker's must follow."""
        self._holding.amend(AmendCause.TRAIL, self._book.view().stop_ticks)

    def cancel_entry(self) -> None:
        """Take back an entry that has not been filled."""
        self._entering.take_back()

    def flatten(self, reason: ExitReason, *, is_naked: bool = False) -> None:
        """Cancel a working entry and close what is open; a second close of the same contracts is not sent.

        `is_naked`: no stop protects the position, and it is closed whoever has opened it.
        """
        self._entering.take_back()
        self._holding.close(reason, is_naked=is_naked)
        self._entering.mark_working()

    def protect(self, stop_ticks: int) -> bool:
        """Lay a stop behind the whole position, at once; False where there is none, or the gate refuses."""
        is_sent = self._holding.protect(stop_ticks)
        self._entering.mark_working()
        return is_sent

    def fund(self, figures: MarginFigures) -> None:
        """What the broker says of the account's margin: the order gate goes by it from now on."""
        self._gate.fund(figures)

    def spare_foreign(self) -> None:
        """From now on no rule closes what somebody else has opened: only what we added to it.

        The operator closes all of it, and so does `flatten` of what is naked.
        """
        self._holding.spares_foreign = True

    def expect(self, bracket: Bracket) -> None:
        """At a start: this bracket has left before the crash, and nothing is known of it yet."""
        self._gate.expect(bracket, self._outbox.now_ns)
        self._entering.expect(bracket)
        self._entering.mark_working()

    def on_fill(self, fill: Fill) -> None:
        """Book an execution; after an entry's last fill anchor its bracket there, once.

        Where it is not what the bracket at work was to do, a position that it opens or adds to is covered by a stop
        and closed. InvariantError for an order that nobody has sent: that is `on_foreign`'s.
        """
        self._gate.demand_known(fill.order_ref)
        entering, holding = self._entering, self._holding
        is_own = holding.owns(fill.order_ref)
        is_entry = fill.reason is None and entering.works_for(fill.order_ref)
        self._gate.on_fill(fill)
        booked = holding.take(fill)
        if not (is_entry and entering.on_fill(fill, booked, is_own=is_own)):
            is_exit = is_own and fill.reason is not None and booked.has_reduced and not booked.has_opened
            self._on_other(booked, is_stray=not is_exit)
            if is_exit:
                holding.on_exit(fill.qty)
            elif booked.has_grown:
                entering.cover(booked)
        entering.mark_working()

    def on_unfilled(self, order_ref: str, outcome: Unfilled) -> None:
        """An entry, or the rest of one, will not be filled: protect what was. A close that failed may be sent again.

        `order_ref` is the bracket's: of its entry as long as that works, then of its close; or the close's own (`.c`).
        The end of an entry must be told once: told again it would be taken for that of a close.
        """
        decision, _, suffix = order_ref.partition(".")
        self._gate.demand_known(decision)
        self.unfilled.append((order_ref, outcome))
        if not suffix and self._entering.works_for(decision):
            self._gate.entry_ended()
            self._entering.ended()
        elif self._holding.owns(decision) and not self._outbox.holds_close:
            self._gate.close_ended()
            self._holding.close_ended()
        self._entering.mark_working()

    def on_fee(self, order_ref: str, cents: int) -> None:
        """An execution of this bracket has cost so many cents more (less: negative) than its fill said."""
        self._book.adjust(cents)
        self.adjustments.append(Adjustment(order_ref, cents))

    def on_foreign(self, signed_qty: int, price_ticks: int, ts_ns: int) -> None:
        """Somebody else has traded: book it, and take back an entry that is on its way.

        A position that this opens has no levels, and allows no action but HOLD, before `protect`.
        """
        if signed_qty:
            self.foreign.append(ForeignTrade(signed_qty, price_ticks, ts_ns))
            booked = self._holding.take_foreign(signed_qty, price_ticks, ts_ns)
            self._on_other(booked, is_stray=True)
            self._entering.mark_working()

    def state(self) -> RouterState:
        """What a restart needs."""
        entering = self._entering.state()
        return RouterState(
            bracket=entering.bracket,
            entry_working=entering.entry_working,
            is_spent=entering.is_spent,
            is_taken_back=entering.is_taken_back,
            holding=self._holding.state(),
            gate=self._gate.state(),
        )

    def restore(self, state: RouterState) -> None:
        """Go on as the router that had this state; its book is restored by itself."""
        self._entering.restore(state)
        self._holding.restore(state.holding)
        self._gate.restore(state.gate)

    def _enter(self, approved: Approved) -> None:
        side = Side.BUY if approved.action is Action.BUY else Side.SELL
        self._entering.send(
            Bracket(
                order_ref=approved.order_ref,
                side=side,
                qty=approved.qty,
                stop_distance_ticks=approved.stop_distance_ticks,
                target_distance_ticks=approved.target_distance_ticks,
                stop_ticks=approved.close_ticks - side * approved.stop_distance_ticks,
                target_ticks=approved.close_ticks + side * approved.target_distance_ticks,
            )
        )
        self._entering.mark_working()

    def _on_other(self, booked: Booked, *, is_stray: bool) -> None:
        """Something other than an entry that was expected has been filled."""
        if booked.trade is not None:
            self._gate.close_ended()
        if booked.has_opened:
            self._gate.adopt(self._holding.order_ref)
        self._entering.on_other(booked, is_stray=is_stray)
