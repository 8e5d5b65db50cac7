"""The position that is open: under which reference it is protected and closed, and how much of it is being closed.

Its orders only ever reduce it, or move what protects it.
"""

from msgspec import Struct

from trader.book import Book
from trader.domain.actions import Side
from trader.domain.orders import (
    FOREIGN_REF,
    Amend,
    AmendCause,
    ExitReason,
    Fill,
    Flatten,
    Protect,
    foreign_ref,
)
from trader.news import News
from trader.outbox import Outbox
from trader.round_trip import Booked, RoundTrip, RoundTripState


class HoldingState(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`order_ref` is "" when flat. `closing_qty` is being closed, by an order of `closing_ref`.

    `close_reason` is None where the close is not meant to leave nothing. `foreign_qty` of what is open is somebody
    else's.
    """

    order_ref: str
    foreign_qty: int
    closing_ref: str
    closing_qty: int
    close_reason: ExitReason | None
    trip: RoundTripState


class Holding:
    """Books what happens to the position, and sends what protects and closes it."""

    def __init__(self, book: Book, outbox: Outbox, news: News, tick_value_cents: int) -> None:
        self._book = book
        self._outbox = outbox
        self._news = news
        self._trip = RoundTrip(book, tick_value_cents)
        self._order_ref = ""
        self._closing_ref = ""
        self._closing_qty = 0
        self._close_reason: ExitReason | None = None
        self._foreign_qty = 0
        self.spares_foreign = False
        """What somebody else has opened is protected, and closed only by the operator or where no stop protects it."""

    @property
    def order_ref(self) -> str:
        """The reference of the position's orders, "" when flat."""
        return self._order_ref

    @property
    def is_closing(self) -> bool:
        """A closing order is on its way."""
        return self._closing_qty > 0

    @property
    def is_foreign(self) -> bool:
        """Somebody else has opened it."""
        return self._order_ref.startswith(f"{FOREIGN_REF}-")

    @property
    def spared_qty(self) -> int:
        """Contracts of the position that are somebody else's, and are left to them."""
        return self._foreign_qty if self.spares_foreign else 0

    @property
    def is_spared(self) -> bool:
        """All of the position is somebody else's, and is left to them."""
        return 0 < abs(self._book.position_qty) <= self.spared_qty

    def owns(self, order_ref: str) -> bool:
        """Whether an order of this reference may open, protect or close the position."""
        return order_ref in {self._order_ref, self._closing_ref} or not self._order_ref

    def take(self, fill: Fill) -> Booked:
        """Book an execution under the reference that the position has then, and tell of it."""
        booked = self._trip.take(fill)
        has_turned = booked.before_qty * booked.after_qty < 0
        self._foreign_qty = 0 if has_turned else min(self._foreign_qty, abs(booked.after_qty))
        self._news.executions.append(fill)
        self._news.fills.append(booked.fill)
        if booked.trade is not None:
            self._news.trades.append(booked.trade)
            self.close_ended()
            self._order_ref = ""
            self._outbox.withdraw()
        if booked.after_qty and not self._order_ref:
            self._order_ref = fill.order_ref
        return booked

    def take_foreign(self, signed_qty: int, price_ticks: int, ts_ns: int) -> Booked:
        """Book what somebody else has traded: out of what is theirs first, then out of what is ours."""
        foreign_qty = self._foreign_qty
        reduces = self._book.position_qty * signed_qty < 0
        booked = self.take(
            Fill(
                order_ref=foreign_ref(ts_ns),
                nth=1,
                side=Side.BUY if signed_qty > 0 else Side.SELL,
                qty=abs(signed_qty),
                remaining_qty=0,
                price_ticks=price_ticks,
                commission_cents=0,
                ts_ns=ts_ns,
                reason=ExitReason.FOREIGN if reduces else None,
            )
        )
        if not reduces:
            self._foreign_qty = foreign_qty + abs(signed_qty)
        elif booked.before_qty * booked.after_qty < 0:
            self._foreign_qty = abs(booked.after_qty)
        else:
            self._foreign_qty = max(foreign_qty - abs(signed_qty), 0)
        return booked

    def amend(self, cause: AmendCause, stop_ticks: int) -> None:
        """Move what rests behind the position; an anchoring completes an entry: at once, and no intent of its own."""
        target_ticks = self._book.view().target_ticks
        order = Amend(order_ref=self._order_ref, cause=cause, stop_ticks=stop_ticks, target_ticks=target_ticks)
        if cause is AmendCause.ANCHOR:
            self._outbox.send_now(order, is_told=False)
        else:
            self._outbox.send(order)

    def protect(self, stop_ticks: int) -> bool:
        """Lay a stop behind the whole position, at once; False where there is none, or the gate refuses."""
        position = self._book.position_qty
        side = Side.SELL if position > 0 else Side.BUY
        order = Protect(order_ref=self._order_ref, side=side, qty=abs(position), stop_ticks=stop_ticks)
        if not position or not self._outbox.send_now(order):
            return False
        self._book.rest_levels(stop_ticks, self._book.view().target_ticks)
        return True

    def close(
        self,
        reason: ExitReason,
        order_ref: str | None = None,
        qty: int | None = None,
        *,
        at_once: bool = False,
        is_naked: bool = False,
    ) -> None:
        """Close at the market what is open, or `qty` of it under another reference, unless it is being closed.

        What is spared stays open, but for the operator, and where the position `is_naked`.
        """
        position = self._book.position_qty
        ours = abs(position) - (0 if is_naked or reason is ExitReason.OPERATOR else self.spared_qty)
        if self._closing_qty or ours <= 0:
            return
        order = Flatten(
            order_ref=order_ref or self._order_ref,
            side=Side.SELL if position > 0 else Side.BUY,
            qty=min(qty or ours, ours),
            reason=reason,
        )
        if self._outbox.send_now(order) if at_once else self._outbox.send(order):
            self._closing_ref = order.order_ref
            self._closing_qty = order.qty
            self._close_reason = reason if qty is None else None

    def on_exit(self, qty: int) -> None:
        """Its own orders have closed so much; what came while all of it was being closed is closed as well."""
        if self._outbox.holds_close:
            self._closing_qty = min(self._closing_qty, abs(self._book.position_qty))
            self._outbox.fit_close(self._closing_qty)
            return
        reason = self._close_reason
        self._closing_qty = max(self._closing_qty - qty, 0)
        if reason is not None:
            self.close(reason, at_once=True)

    def close_ended(self) -> None:
        """No close is under way any more: it may be sent again."""
        self._closing_ref, self._closing_qty, self._close_reason = "", 0, None

    def state(self) -> HoldingState:
        """What a restart needs."""
        return HoldingState(
            order_ref=self._order_ref,
            foreign_qty=self._foreign_qty,
            closing_ref=self._closing_ref,
            closing_qty=self._closing_qty,
            close_reason=self._close_reason,
            trip=self._trip.state(),
        )

    def restore(self, state: HoldingState) -> None:
        """Go on with the position of this state."""
        self._foreign_qty = state.foreign_qty
        self._order_ref = state.order_ref
        self._closing_ref = state.closing_ref
        self._closing_qty = state.closing_qty
        self._close_reason = state.close_reason
        self._trip.restore(state.trip)
