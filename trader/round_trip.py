"""Books executions one by one, and says of each what it did to the position and which trade it ended."""

from msgspec import Struct

from trader.book import Book
from trader.domain.actions import Side
from trader.domain.orders import ClosedTrade, ExitReason, Fill
from trader.news import BookedFill

STOPPED_OUT = frozenset({ExitReason.STOP, ExitReason.ENTRY_BEYOND_STOP})
"""Exits after which the cooldown counts."""


class RoundTripState(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The open trade: its first fill's time (0 flat), contracts that have left it, and the sum of qty x price."""

    opened_ns: int
    exit_qty: int
    exit_ticks: int


class Booked(Struct, frozen=True):
    """An execution in the book, the signed position before and after it, and the trade that it ended."""

    fill: BookedFill
    before_qty: int
    after_qty: int
    trade: ClosedTrade | None

    @property
    def has_reduced(self) -> bool:
        """It has closed something."""
        return self.before_qty * (self.after_qty - self.before_qty) < 0

    @property
    def has_grown(self) -> bool:
        """There is more of a position than before, on one side or the other."""
        return self.has_opened or abs(self.after_qty) > abs(self.before_qty)

    @property
    def has_opened(self) -> bool:
        """There is a position on a side on which there was none."""
        return self.after_qty != 0 and self.before_qty * self.after_qty <= 0


class RoundTrip:
    """The trade that is open, from its first fill to its last."""

    def __init__(self, book: Book, tick_value_cents: int) -> None:
        self._book = book
        self._tick_value_cents = tick_value_cents
        self._opened_ns = 0
        self._exit_qty = 0
        self._exit_ticks = 0

    def take(self, fill: Fill) -> Booked:
        """Book one execution, whatever it does: open, add, close in part or whole, or go through zero."""
        before = self._book.view()
        position = before.position_qty
        closed_qty = min(fill.qty, abs(position)) if position * fill.side < 0 else 0
        self._exit_qty += closed_qty
        self._exit_ticks += closed_qty * fill.price_ticks
        pnl_cents = self._book.apply(fill)
        after = self._book.position_qty
        trade = None
        booked = BookedFill(fill, None, 0)
        if closed_qty and closed_qty == abs(position):
            booked = BookedFill(fill, pnl_cents, before.initial_risk_cents)
            trade = self._ended(fill, closed_qty, before.entry_ticks, booked)
        if after and not self._opened_ns:
            self._opened_ns = fill.ts_ns
        return Booked(booked, position, after, trade)

    def state(self) -> RoundTripState:
        """What a restart needs."""
        return RoundTripState(opened_ns=self._opened_ns, exit_qty=self._exit_qty, exit_ticks=self._exit_ticks)

    def restore(self, state: RoundTripState) -> None:
        """Go on with the trade of this state."""
        self._opened_ns = state.opened_ns
        self._exit_qty = state.exit_qty
        self._exit_ticks = state.exit_ticks

    def _ended(self, fill: Fill, last_qty: int, entry_ticks: int, booked: BookedFill) -> ClosedTrade:
        reason = ExitReason.FOREIGN if fill.reason is None else fill.reason  # an entry closes what was not its own
        if reason in STOPPED_OUT:
            self._book.note_stop(fill.ts_ns)
        pnl_cents = booked.pnl_cents or 0
        better_ticks = 0
        if fill.optimistic_ticks is not None:
            better_ticks = -fill.side * (fill.optimistic_ticks - fill.price_ticks)
        trade = ClosedTrade(
            side=Side.SELL if fill.side is Side.BUY else Side.BUY,
            qty=self._exit_qty,
            entry_ticks=entry_ticks,
            exit_ticks=round(self._exit_ticks / self._exit_qty),
            opened_ns=self._opened_ns,
            closed_ns=fill.ts_ns,
            pnl_cents=pnl_cents,
            optimistic_pnl_cents=pnl_cents + better_ticks * self._tick_value_cents * last_qty,
            risk_cents=booked.risk_cents,
            reason=reason,
            is_ambiguous=fill.optimistic_ticks is not None,
        )
        self._opened_ns = self._exit_qty = self._exit_ticks = 0
        return trade
