"""Turns approved decisions into orders, keeps the bracket in step with fills, and closes what must be closed.

Everything that leaves for a broker passes `_send`, behind the order gate, and leaves with `release`, after the record
is written. Nothing here awaits: between review and the reservation in the book no other code runs.
"""

from msgspec import Struct

from trader.book import Book
from trader.domain.actions import Action, Side
from trader.domain.orders import (
    Amend,
    AmendCause,
    Bracket,
    Cancel,
    ClosedTrade,
    ExitReason,
    Fill,
    Flatten,
    Order,
    Unfilled,
)
from trader.errors import InvariantError
from trader.ports import Broker
from trader.risk.gate import LastPrice, OrderGate, Refusal
from trader.risk.review import Approved

STOPPED_OUT = frozenset({ExitReason.STOP, ExitReason.ENTRY_BEYOND_STOP})
"""Exits after which the cooldown counts."""


class BookedFill(Struct, frozen=True):
    """An execution as the book took it; `pnl_cents` is the trade's net result where this fill ended the position."""

    fill: Fill
    pnl_cents: int | None
    risk_cents: int


class RefusedOrder(Struct, frozen=True):
    """An order that the last gate did not let through."""

    order: Order
    why: Refusal


class Router:
    """The only caller of a broker, and the only listener to it."""

    def __init__(self, book: Book, gate: OrderGate, tick_value_cents: int) -> None:
        self._book = book
        self._gate = gate
        self._tick_value_cents = tick_value_cents
        self._broker: Broker | None = None
        self._bracket: Bracket | None = None
        self._entry_working = False
        self._opened_ns = 0
        self._closing = False
        self._last_price_ticks = 0
        self._last_price_ns = 0
        self._now_ns = 0
        self._outbox: list[Order] = []
        self.orders: list[Order] = []
        self.fills: list[BookedFill] = []
        self.trades: list[ClosedTrade] = []
        self.executions: list[Fill] = []
        self.refused: list[RefusedOrder] = []
        self.unfilled: list[tuple[str, Unfilled]] = []

    def connect(self, broker: Broker) -> None:
        """Name the broker; it was built with this router as its listener."""
        self._broker = broker

    @property
    def entry_working(self) -> bool:
        """An entry has gone out and has not been filled or cancelled in full."""
        return self._entry_working

    @property
    def closing(self) -> bool:
        """A closing order is on its way."""
        return self._closing

    def at(self, price_ticks: int, ts_ns: int, now_ns: int) -> None:
        """The last price with its time, and the event time: what the order gate measures against."""
        self._last_price_ticks = price_ticks
        self._last_price_ns = ts_ns
        self._now_ns = now_ns

    def pass_time(self, now_ns: int) -> None:
        """No price, but later."""
        self._now_ns = now_ns

    def submit(self, approved: Approved) -> None:
        """Prepare an approved decision: reserve it in the book and put its order out for `release`."""
        match approved.action:
            case Action.BUY | Action.SELL:
                self._enter(approved)
            case Action.MOVE_TO_BE:
                self._amend(AmendCause.BREAK_EVEN, self._book.move_to_break_even())
            case Action.ENABLE_TRAIL:
                self._book.set_trailing(on=True)
                level = self._book.trail(approved.close_ticks, approved.atr_ticks)
                if level is not None:
                    self._amend(AmendCause.TRAIL, level)
            case Action.DISABLE_TRAIL:
                self._book.set_trailing(on=False)
            case Action.HOLD:
                pass

    def release(self) -> None:
        """Hand what was prepared over to the broker: after it has been recorded."""
        while self._outbox:
            self._hand_over(self._outbox.pop(0))

    def stop_trailed(self) -> None:
        """The pipeline has pulled the stop behind the closed bar: the broker's must follow."""
        self._amend(AmendCause.TRAIL, self._book.view().stop_ticks)

    def cancel_entry(self) -> None:
        """Take back an entry that has not been filled."""
        if self._entry_working and self._bracket is not None:
            self._send(Cancel(order_ref=self._bracket.order_ref))

    def flatten(self, reason: ExitReason) -> None:
        """Cancel a working entry and close what is open; a second close of the same contracts is not sent."""
        self.cancel_entry()
        qty = self._book.position_qty
        if self._closing or not qty or self._bracket is None:
            return
        side = Side.SELL if qty > 0 else Side.BUY
        order = Flatten(order_ref=self._bracket.order_ref, side=side, qty=abs(qty), reason=reason)
        if self._send(order):
            self._closing = True
            self._book.set_working(on=True)

    def on_fill(self, fill: Fill) -> None:
        """Book an execution; after an entry's last fill anchor its bracket there, once."""
        bracket = self._bracket
        if bracket is None or fill.order_ref != bracket.order_ref:
            msg = f"a fill of {fill.order_ref!r} arrived, which is not the order at work"
            raise InvariantError(msg)
        self._gate.on_fill(fill)
        self.executions.append(fill)
        before = self._book.view()
        if fill.reason is None:
            self._book.apply(fill)
            self._on_entry_fill(fill, bracket)
            self.fills.append(BookedFill(fill, None, 0))
            return
        pnl_cents = self._book.apply(fill)
        if self._book.position_qty:
            self.fills.append(BookedFill(fill, None, 0))
            return
        self.fills.append(BookedFill(fill, pnl_cents, before.initial_risk_cents))
        self._on_trade_closed(fill, before.entry_ticks, pnl_cents, before.initial_risk_cents)

    def on_unfilled(self, order_ref: str, outcome: Unfilled) -> None:
        """An entry, or the rest of one, will not be filled: protect what was. A close that failed may be sent again."""
        bracket = self._bracket
        if bracket is None or order_ref != bracket.order_ref:
            msg = f"{order_ref!r} was reported as {outcome.value}, which is not the order at work"
            raise InvariantError(msg)
        self._gate.on_unfilled(order_ref, outcome)
        self.unfilled.append((order_ref, outcome))
        if self._entry_working:
            self._entry_done(bracket)
        else:
            self._closing = False
            self._book.set_working(on=False)

    @property
    def has_news(self) -> bool:
        """Whether `drain` has anything to give."""
        return bool(self.orders or self.fills or self.refused or self.unfilled)

    def drain(self) -> tuple[list[Order], list[BookedFill], list[RefusedOrder]]:
        """What has happened since the last call: orders that leave, fills booked, orders refused."""
        drained = (self.orders, self.fills, self.refused)
        self.orders, self.fills, self.refused = [], [], []
        return drained

    def drain_unfilled(self) -> list[tuple[str, Unfilled]]:
        """The orders that have ended without a fill, or without the rest of one, since the last call."""
        unfilled, self.unfilled = self.unfilled, []
        return unfilled

    def drain_results(self) -> tuple[list[Fill], list[ClosedTrade]]:
        """The executions and the round trips that have ended since the last call."""
        results = (self.executions, self.trades)
        self.executions, self.trades = [], []
        return results

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
        self._bracket = bracket
        self._entry_working = True
        self._book.set_working(on=True)
        if not self._send(bracket):
            self._entry_working = False
            self._book.set_working(on=False)

    def _amend(self, cause: AmendCause, stop_ticks: int) -> None:
        bracket = self._bracket
        if bracket is None:
            msg = "a stop was moved without a bracket at work"
            raise InvariantError(msg)
        target_ticks = self._book.view().target_ticks
        self._send(Amend(order_ref=bracket.order_ref, cause=cause, stop_ticks=stop_ticks, target_ticks=target_ticks))

    def _send(self, order: Order) -> bool:
        last = LastPrice(self._last_price_ticks, self._last_price_ns)
        refusal = self._gate.check(order, self._book.view(), last, self._now_ns)
        if refusal is not None:
            self.refused.append(RefusedOrder(order, refusal))
            return False
        if isinstance(order, Amend) and order.cause is AmendCause.ANCHOR:
            self._hand_over(order)  # completes an entry: at once, and no intent of its own
        else:
            self.orders.append(order)
            self._outbox.append(order)
        return True

    def _hand_over(self, order: Order) -> None:
        if self._broker is None:
            msg = "an order was sent before a broker was connected"
            raise InvariantError(msg)
        self._broker.submit(order)

    def _on_entry_fill(self, fill: Fill, bracket: Bracket) -> None:
        if not self._opened_ns:
            self._opened_ns = fill.ts_ns
        if fill.remaining_qty:
            self._book.rest_bracket(bracket.stop_ticks, bracket.target_ticks, bracket.stop_distance_ticks)
            return
        self._entry_done(bracket)

    def _entry_done(self, bracket: Bracket) -> None:
        self._entry_working = False
        self._book.set_working(on=self._closing)
        if self._book.position_qty:
            stop_ticks, _ = self._book.set_bracket(bracket.stop_distance_ticks, bracket.target_distance_ticks)
            self._amend(AmendCause.ANCHOR, stop_ticks)

    def _on_trade_closed(self, fill: Fill, entry_ticks: int, pnl_cents: int, risk_cents: int) -> None:
        reason = fill.reason
        if reason is None:
            msg = f"the fill that closed {fill.order_ref!r} has no reason"
            raise InvariantError(msg)
        side = Side.SELL if fill.side is Side.BUY else Side.BUY
        better_ticks = 0
        if fill.optimistic_ticks is not None:
            better_ticks = side * (fill.optimistic_ticks - fill.price_ticks)
        self._closing = False
        self._book.set_working(on=self._entry_working)
        if reason in STOPPED_OUT:
            self._book.note_stop(fill.ts_ns)
        self.trades.append(
            ClosedTrade(
                side=side,
                qty=fill.qty,
                entry_ticks=entry_ticks,
                exit_ticks=fill.price_ticks,
                opened_ns=self._opened_ns,
                closed_ns=fill.ts_ns,
                pnl_cents=pnl_cents,
                optimistic_pnl_cents=pnl_cents + better_ticks * self._tick_value_cents * fill.qty,
                risk_cents=risk_cents,
                reason=reason,
                is_ambiguous=fill.optimistic_ticks is not None,
            )
        )
        self._opened_ns = 0
