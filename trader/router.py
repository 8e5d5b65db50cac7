"""Turns approved decisions into orders, keeps the bracket in step with fills, and closes what must be closed.

Everything that leaves for a broker passes the outbox, behind the order gate, and leaves with `release`, after the
record is written; only what covers a position that was not expected leaves at once. Nothing here awaits: between review
and the reservation in the book no other code runs.

The broker is the truth: whatever it reports of an order that was sent is booked, and what that leaves open is covered.
"""

from msgspec import Struct

from trader.book import Book
from trader.domain.actions import Action, Side
from trader.domain.orders import AmendCause, Bracket, Cancel, ExitReason, Fill, Unfilled
from trader.errors import InvariantError
from trader.holding import Holding, HoldingState
from trader.news import Adjustment, ForeignTrade, News
from trader.outbox import Outbox
from trader.ports import Broker
from trader.risk.gate import GateState, LastPrice, OrderGate
from trader.risk.review import Approved
from trader.round_trip import Booked


class RouterState(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What router, position and order gate remember, at a moment at which everything prepared has left.

    `is_spent`: stop and target of `bracket` rest no more, or never did. `has_strayed`: something has traded since it
    was sent that was not to, so that what rests need not fit the position.
    """

    bracket: Bracket | None
    entry_working: bool
    is_spent: bool
    has_strayed: bool
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
        self._bracket: Bracket | None = None
        self._entry_working = False
        self._is_spent = False
        self._has_strayed = False

    def connect(self, broker: Broker) -> None:
        """Name the broker; it was built with this router as its listener."""
        self._outbox.connect(broker)

    @property
    def entry_working(self) -> bool:
        """An entry has gone out and has not been filled or cancelled in full."""
        return self._entry_working

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
        if self._entry_working and self._bracket is not None:
            self._outbox.send(Cancel(order_ref=self._bracket.order_ref))

    def flatten(self, reason: ExitReason) -> None:
        """Cancel a working entry and close what is open; a second close of the same contracts is not sent."""
        self.cancel_entry()
        self._holding.close(reason)
        self._mark_working()

    def protect(self, stop_ticks: int) -> bool:
        """Lay a stop behind the whole position, at once; False where there is none, or the gate refuses."""
        is_sent = self._holding.protect(stop_ticks)
        self._mark_working()
        return is_sent

    def adopt(
        self, order_ref: str, signed_qty: int, entry_ticks: int, stop_ticks: int | None, target_ticks: int | None
    ) -> None:
        """At a start: the position that the broker has, and the levels that rest behind it (None: none does).

        Where the book has another position, the difference is booked at `entry_ticks`, the broker's average, and told
        as a foreign trade. `protect` is for a position without a stop. InvariantError without a position.
        """
        if not signed_qty:
            msg = f"{order_ref!r} was adopted without a position"
            raise InvariantError(msg)
        missing_qty = signed_qty - self._book.position_qty
        if missing_qty:
            now_ns = self._outbox.now_ns
            self._holding.take_foreign(missing_qty, entry_ticks, now_ns)
            self.foreign.append(ForeignTrade(missing_qty, entry_ticks, now_ns))
        self._holding.adopt(order_ref, stop_ticks or 0, target_ticks or 0)
        self._gate.adopt(order_ref, stop_ticks)
        if self._bracket is None or self._bracket.order_ref != order_ref:
            self._bracket = _bracket_around(order_ref, signed_qty, entry_ticks, stop_ticks, target_ticks)
            self._entry_working = False
        self._is_spent = False
        self._mark_working()

    def on_fill(self, fill: Fill) -> None:
        """Book an execution; after an entry's last fill anchor its bracket there, once.

        Where it is not what the bracket at work was to do, a position that it leaves or adds to is covered by a stop
        and closed. InvariantError for an order that nobody has sent: that is `on_foreign`'s.
        """
        self._demand_known(fill.order_ref, "filled")
        bracket, position_ref = self._bracket, self._holding.order_ref
        is_own = position_ref in {"", fill.order_ref}
        is_entry = fill.reason is None and self._entry_working
        self._gate.on_fill(fill)
        booked = self._holding.take(fill)
        if bracket is not None and is_entry and fill.order_ref == bracket.order_ref:
            self._entry_working = fill.remaining_qty > 0
            if is_own and not self._is_spent and not booked.has_reduced:
                self._on_entry_fill(bracket)
                return
        is_exit = is_own and fill.reason is not None and booked.has_reduced and not booked.has_opened
        self._has_strayed |= not is_exit
        self._settle(booked, position_ref)
        if is_exit:
            self._holding.on_exit(fill.qty)
        elif booked.has_grown:
            self._cover()
        self._mark_working()

    def on_unfilled(self, order_ref: str, outcome: Unfilled) -> None:
        """An entry, or the rest of one, will not be filled: protect what was. A close that failed may be sent again.

        `order_ref` is the bracket's: of its entry as long as that works, then of its close; or the close's own (`.c`).
        """
        decision, _, suffix = order_ref.partition(".")
        self._demand_known(decision, outcome.value)
        self.unfilled.append((order_ref, outcome))
        bracket = self._bracket
        if self._entry_working and not suffix and bracket is not None and bracket.order_ref == decision:
            self._gate.entry_ended()
            self._entry_working = False
            self._entry_done(bracket)
        elif decision == self._holding.order_ref:
            self._gate.close_ended()
            self._holding.close_ended()
            self._mark_working()

    def on_fee(self, order_ref: str, cents: int) -> None:
        """An execution of this bracket has cost so many cents more (less: negative) than its fill said."""
        self._book.adjust(cents)
        self.adjustments.append(Adjustment(order_ref, cents))

    def on_foreign(self, signed_qty: int, price_ticks: int, ts_ns: int) -> None:
        """Somebody else has traded: book it, and take back what would trade against the position that is left.

        A position that this opens has no levels, and allows no action but HOLD, before `protect` or `adopt`.
        """
        if signed_qty:
            self.foreign.append(ForeignTrade(signed_qty, price_ticks, ts_ns))
            position_ref = self._holding.order_ref
            booked = self._holding.take_foreign(signed_qty, price_ticks, ts_ns)
            self._has_strayed = True
            self._settle(booked, position_ref)
            self._mark_working()

    def state(self) -> RouterState:
        """What a restart needs."""
        return RouterState(
            bracket=self._bracket,
            entry_working=self._entry_working,
            is_spent=self._is_spent,
            has_strayed=self._has_strayed,
            holding=self._holding.state(),
            gate=self._gate.state(),
        )

    def restore(self, state: RouterState) -> None:
        """Go on as the router that had this state; its book is restored by itself."""
        self._bracket = state.bracket
        self._entry_working = state.entry_working
        self._is_spent = state.is_spent
        self._has_strayed = state.has_strayed
        self._holding.restore(state.holding)
        self._gate.restore(state.gate)

    def _enter(self, approved: Approved) -> None:
        side = Side.BUY if approved.action is Action.BUY else Side.SELL
        bracket = Bracket(
            order_ref=approved.order_ref,
            side=side,
            qty=approved.qty,
            stop_distance_ticks=approved.stop_distance_ticks,
            target_distance_ticks=approved.target_distance_ticks,
            stop_ticks=approved.close_ticks - side * approved.stop_distance_ticks,
            target_ticks=approved.close_ticks + side * approved.target_distance_ticks,
        )
        if self._outbox.send(bracket):
            self._bracket = bracket
            self._entry_working = True
            self._is_spent = self._has_strayed = False
            self._mark_working()

    def _on_entry_fill(self, bracket: Bracket) -> None:
        if self._entry_working:
            self._book.rest_bracket(bracket.stop_ticks, bracket.target_ticks, bracket.stop_distance_ticks)
            self._mark_working()
        else:
            self._entry_done(bracket)

    def _entry_done(self, bracket: Bracket) -> None:
        if self._holding.order_ref == bracket.order_ref and not self._is_spent:
            stop_ticks, _ = self._book.set_bracket(bracket.stop_distance_ticks, bracket.target_distance_ticks)
            self._mark_working()
            self._holding.amend(AmendCause.ANCHOR, stop_ticks)
        else:
            self._is_spent = True
            self._mark_working()

    def _settle(self, booked: Booked, position_ref: str) -> None:
        """After a fill that is no entry's: what rests for a position that is gone, and does not fit, is taken back."""
        bracket = self._bracket
        if booked.trade is not None:
            self._gate.close_ended()
            self._is_spent = True
        if not self._has_strayed:
            return
        if booked.has_opened:
            self._gate.adopt(self._holding.order_ref, None)
        refs = {position_ref} - {""} if booked.trade is not None else set()
        if bracket is not None and (booked.trade is not None or self._entry_working):
            refs.add(bracket.order_ref)
        for order_ref in sorted(refs):
            self._outbox.send_now(Cancel(order_ref=order_ref))

    def _cover(self) -> None:
        """A position is larger than its bracket, or has none: a stop behind all of it, then close it."""
        bracket, view = self._bracket, self._book.view()
        side = 1 if view.position_qty > 0 else -1
        if view.stop_ticks:
            self._holding.protect(view.stop_ticks)
        elif bracket is not None:
            self._holding.protect(view.entry_ticks - side * bracket.stop_distance_ticks)
        self._holding.close(ExitReason.UNPROTECTED, at_once=True)

    def _mark_working(self) -> None:
        """HOLD is all there is while something is on its way, or a position has no stop."""
        has_no_stop = self._holding.order_ref != "" and not self._book.view().stop_ticks
        self._book.set_working(on=self._entry_working or self._holding.is_closing or has_no_stop)

    def _demand_known(self, order_ref: str, what: str) -> None:
        if not self._gate.knows(order_ref):
            msg = f"{order_ref!r} was reported as {what}, and nobody has sent it"
            raise InvariantError(msg)


def _bracket_around(
    order_ref: str, signed_qty: int, entry_ticks: int, stop_ticks: int | None, target_ticks: int | None
) -> Bracket | None:
    """The bracket that must have been sent for these levels; None without both."""
    if stop_ticks is None or target_ticks is None:
        return None
    return Bracket(
        order_ref=order_ref,
        side=Side.BUY if signed_qty > 0 else Side.SELL,
        qty=abs(signed_qty),
        stop_distance_ticks=abs(entry_ticks - stop_ticks),
        target_distance_ticks=abs(target_ticks - entry_ticks),
        stop_ticks=stop_ticks,
        target_ticks=target_ticks,
    )
