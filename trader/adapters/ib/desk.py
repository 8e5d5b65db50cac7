"""One decision's orders at the broker, as far as the wire has said, and what is wanted of them. Pure.

What works is what the wire says works; what is held is the sum of the executions.
"""

from collections import Counter
from enum import StrEnum

from msgspec import Struct

from trader.adapters.ib.facts import BrokerOrder
from trader.adapters.ib.orders import Draft
from trader.adapters.state.records import Execution, IntentState, Leg
from trader.domain.actions import Side
from trader.domain.orders import AmendCause, Bracket, ExitReason, Fill

STOP_REASONS = {
    AmendCause.ANCHOR: ExitReason.STOP,
    AmendCause.BREAK_EVEN: ExitReason.BREAK_EVEN,
    AmendCause.TRAIL: ExitReason.TRAIL,
}


class Stage(StrEnum):
    """How far one order has come, by the wire's word; SENT: no word yet."""

    SENT = "sent"
    WORKING = "working"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"

    @property
    def is_live(self) -> bool:
        """Whether something can still become of it."""
        return self in {Stage.SENT, Stage.WORKING}


INTENT_STATES = {
    Stage.SENT: IntentState.SENT,
    Stage.WORKING: IntentState.ACKNOWLEDGED,
    Stage.FILLED: IntentState.FILLED,
    Stage.CANCELLED: IntentState.CANCELLED,
    Stage.REJECTED: IntentState.REJECTED,
}


class Track(Struct, kw_only=True, eq=False):
    """One order. `draft` is as last sent, `rests` as the broker last echoed it (None: never).

    `intent` is the key of what was written before it was sent, `change` that of the modification on its way. Until
    `due_s` of the loop's clock something has to be heard of what was last sent; None: nothing is open.
    """

    draft: Draft
    intent: str
    order_id: int
    stage: Stage = Stage.SENT
    perm_id: int = 0
    filled_qty: int = 0
    rests: Draft | None = None
    change: str | None = None
    due_s: float | None = None
    is_cancelling: bool = False
    is_doubted: bool = False

    @property
    def remaining_qty(self) -> int:
        """Contracts still to come."""
        return self.draft.qty - self.filled_qty


class Taken(Struct, frozen=True, kw_only=True):
    """What an execution was: a fill of the position that the line knows of, and signed contracts beyond it."""

    fill: Fill | None
    excess_qty: int


class Desk:
    """The orders of one decision, and what the line wants: the levels, an end of the entry, an end of the position."""

    def __init__(self, bracket: Bracket, commission_cents: int) -> None:
        self.bracket = bracket
        self.tracks: list[Track] = []
        self.position_qty = 0
        self.excess_qty = 0
        self.stop_ticks = bracket.stop_ticks
        self.target_ticks = bracket.target_ticks
        self.cause = AmendCause.ANCHOR
        self.close_reason: ExitReason | None = None
        self.entry_unwanted = False
        self.entry_told = False
        self.is_beyond = False
        self.numbers: Counter[str] = Counter()
        self.fills = 0
        self._commission_cents = commission_cents

    @property
    def decision(self) -> str:
        """Its id."""
        return self.bracket.order_ref

    @property
    def entry(self) -> Track | None:
        """The entry; None before it was sent."""
        return next((track for track in self.tracks if track.draft.leg is Leg.ENTRY), None)

    @property
    def is_done(self) -> bool:
        """Flat, and nothing can become of any order any more."""
        return self.entry_told and not self.position_qty and not self.excess_qty and not self.live()

    @property
    def stopped_qty(self) -> int:
        """Contracts for which a stop works, or is on its way."""
        return sum(track.remaining_qty for track in self.live(Leg.STOP))

    def live(self, *legs: Leg) -> list[Track]:
        """Orders that something can still become of, of these legs (none named: of all)."""
        return [track for track in self.tracks if track.stage.is_live and (not legs or track.draft.leg in legs)]

    def find(self, order_ref: str, leg: Leg) -> Track | None:
        """The last order sent under this reference as this leg."""
        found = (t for t in reversed(self.tracks) if t.draft.order_ref == order_ref and t.draft.leg is leg)
        return next(found, None)

    def number(self, letter: str) -> int:
        """The next number of the decision's own closes (c), protections (p), amends (a) or cancels (x)."""
        self.numbers[letter] += 1
        return self.numbers[letter]

    def take(self, execution: Execution, track: Track) -> Taken:
        """Count an execution that is new. Contracts that an exit has closed beyond the position are an excess."""
        track.filled_qty += execution.qty
        if track.remaining_qty <= 0:
            track.stage, track.due_s = Stage.FILLED, None
        if track.draft.leg is Leg.ENTRY:
            return self._entered(execution, track)
        signed = int(execution.side) * execution.qty
        closed = min(execution.qty, abs(self.position_qty)) if signed * self.position_qty < 0 else 0
        self.position_qty += int(execution.side) * closed
        excess = int(execution.side) * (execution.qty - closed)
        self.excess_qty += excess
        fill = self._fill(execution, closed, abs(self.position_qty), self._reason(track)) if closed else None
        return Taken(fill=fill, excess_qty=excess)

    def _entered(self, execution: Execution, track: Track) -> Taken:
        side = int(self.bracket.side)
        self.position_qty += side * execution.qty
        price = execution.price_ticks
        if side * price <= side * self.stop_ticks or side * price >= side * self.target_ticks:
            self.is_beyond = True
        rest = track.remaining_qty if track.stage.is_live else 0
        return Taken(fill=self._fill(execution, execution.qty, rest, None), excess_qty=0)

    def _fill(self, execution: Execution, qty: int, remaining_qty: int, reason: ExitReason | None) -> Fill:
        self.fills += 1
        return Fill(
            order_ref=self.decision,
            nth=self.fills,
            side=execution.side,
            qty=qty,
            remaining_qty=remaining_qty,
            price_ticks=execution.price_ticks,
            commission_cents=self._commission_cents * qty,
            ts_ns=execution.ts_ns,
            reason=reason,
        )

    def _reason(self, track: Track) -> ExitReason:
        if track.draft.leg is Leg.CLOSE:
            return self.close_reason or ExitReason.UNPROTECTED
        if self.is_beyond:
            return ExitReason.ENTRY_BEYOND_STOP
        return ExitReason.TARGET if track.draft.leg is Leg.TARGET else STOP_REASONS[self.cause]


def confirms(track: Track, seen: BrokerOrder) -> bool:
    """Whether what the broker has is what it was last sent; a fill of a sibling may have made it smaller."""
    return seen.price_ticks == track.draft.price_ticks


def signed(side: Side, qty: int) -> int:
    """`qty` contracts of `side` as they change a position."""
    return int(side) * qty
