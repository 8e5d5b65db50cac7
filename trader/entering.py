"""The bracket that was sent last: its entry on its way, its stop and target at work, and what is left without them."""

from msgspec import Struct

from trader.book import Book
from trader.domain.orders import AmendCause, Bracket, Cancel, ExitReason, Fill
from trader.holding import Holding
from trader.outbox import Outbox
from trader.round_trip import Booked


class EnteringState(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`entry_working`: the entry has not ended. `is_spent`: stop and target rest no more, or never did.

    `is_taken_back`: the order that cancels the entry has left; a state of before this was kept says nothing of it.
    """

    bracket: Bracket | None
    entry_working: bool
    is_spent: bool
    is_taken_back: bool = False


class Entering:
    """Keeps the bracket in step with its fills, and covers what they were not to leave open."""

    def __init__(self, book: Book, outbox: Outbox, holding: Holding) -> None:
        self._book = book
        self._outbox = outbox
        self._holding = holding
        self._bracket: Bracket | None = None
        self._entry_working = False
        self._is_spent = False
        self._is_taken_back = False

    @property
    def is_working(self) -> bool:
        """The entry has gone out and has not been filled or cancelled in full."""
        return self._entry_working

    def works_for(self, order_ref: str) -> bool:
        """Whether it is this bracket's entry that is on its way."""
        return self._entry_working and self._bracket is not None and self._bracket.order_ref == order_ref

    def send(self, bracket: Bracket) -> None:
        """Put a new bracket out, unless the gate refuses it."""
        if self._outbox.send(bracket):
            self.expect(bracket)

    def expect(self, bracket: Bracket) -> None:
        """Its entry has left, and nothing has been heard of it."""
        self._bracket = bracket
        self._entry_working = True
        self._is_spent = False
        self._is_taken_back = False

    def take_back(self) -> None:
        """Cancel an entry that has not been filled: once, however often it is asked for."""
        if self._entry_working and self._bracket is not None and not self._is_taken_back:
            self._is_taken_back = self._outbox.send(Cancel(order_ref=self._bracket.order_ref))

    def on_fill(self, fill: Fill, booked: Booked, *, is_own: bool) -> bool:
        """Its entry was filled, or a portion of it; False where that is not a position that its children protect."""
        bracket = self._bracket
        self._entry_working = fill.remaining_qty > 0
        if bracket is None or not is_own or self._is_spent or booked.has_reduced:
            return False
        if self._entry_working:
            self._book.rest_bracket(bracket.stop_ticks, bracket.target_ticks, bracket.stop_distance_ticks)
        else:
            self.ended()
        return True

    def ended(self) -> None:
        """Nothing more comes of the entry: anchor stop and target at what was filled."""
        bracket = self._bracket
        self._entry_working = False
        if bracket is None or self._holding.order_ref != bracket.order_ref or self._is_spent:
            self._is_spent = True
            return
        stop_ticks, _ = self._book.set_bracket(bracket.stop_distance_ticks, bracket.target_distance_ticks)
        self._holding.amend(AmendCause.ANCHOR, stop_ticks)

    def on_other(self, booked: Booked, *, is_stray: bool) -> None:
        """Something other than the entry was filled; with a position that it does not know the entry has no place."""
        self._is_spent |= booked.trade is not None
        if is_stray and self._entry_working and self._bracket is not None:
            self._outbox.send_now(Cancel(order_ref=self._bracket.order_ref))

    def cover(self, booked: Booked) -> None:
        """A position is larger than it was to be: a stop behind all of it, then close it.

        Of a position that is somebody else's only what was added is closed; their stop is `Router.protect`'s.
        """
        bracket, view, holding = self._bracket, self._book.view(), self._holding
        if holding.is_foreign and not booked.has_opened:
            added_qty = abs(booked.after_qty) - abs(booked.before_qty)
            holding.close(ExitReason.UNPROTECTED, booked.fill.fill.order_ref, added_qty, at_once=True)
            return
        side = 1 if view.position_qty > 0 else -1
        if view.stop_ticks:
            holding.protect(view.stop_ticks)
        elif bracket is not None:
            holding.protect(view.entry_ticks - side * bracket.stop_distance_ticks)
        holding.close(ExitReason.UNPROTECTED, at_once=True)

    def mark_working(self) -> None:
        """HOLD is all there is while something is on its way, or a position has no stop, or is none of ours."""
        holding = self._holding
        has_no_stop = holding.order_ref != "" and not self._book.view().stop_ticks
        self._book.set_working(on=self._entry_working or holding.is_closing or has_no_stop or holding.is_spared)

    def state(self) -> EnteringState:
        """What a restart needs."""
        return EnteringState(
            bracket=self._bracket,
            entry_working=self._entry_working,
            is_spent=self._is_spent,
            is_taken_back=self._is_taken_back,
        )

    def restore(self, state: EnteringState) -> None:
        """Go on with the bracket of this state."""
        self._bracket = state.bracket
        self._entry_working = state.entry_working
        self._is_spent = state.is_spent
        self._is_taken_back = state.is_taken_back
