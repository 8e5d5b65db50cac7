"""One decision's orders at the broker, as far as the wire has said, and what is wanted of them. Pure.

What works is what the wire says works; what is held is the sum of the executions, whoever made them.
"""

from collections import Counter
from enum import StrEnum

from msgspec import Struct

from trader.adapters.ib.orders import Draft
from trader.adapters.ib.ours import is_operators
from trader.adapters.state.records import Execution, IntentState, Leg
from trader.domain.orders import AmendCause, Bracket, ExitReason, Fill
from trader.kernels import matching

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
        return self in LIVE


LIVE = frozenset({Stage.SENT, Stage.WORKING})
INTENT_STATES = {
    Stage.SENT: IntentState.SENT,
    Stage.WORKING: IntentState.ACKNOWLEDGED,
    Stage.FILLED: IntentState.FILLED,
    Stage.CANCELLED: IntentState.CANCELLED,
    Stage.REJECTED: IntentState.REJECTED,
}


class Track(Struct, kw_only=True, eq=False):
    """One order. `draft` is as last sent, `rests` as the broker last echoed it (None: never).

    `client_id` is that of the connection that sent it. `intent` is the key of what was written before it was sent,
    `change` that of the modification or the cancel on its way. Until `due_s` of the loop's clock something has to be
    heard of what was last sent; None: nothing is open. `doubt_s` is since when nothing was. `cannot_wait`: a position
    has no other stop; where the broker has no trace of it, it is taken for lost at once.
    """

    draft: Draft
    intent: str
    order_id: int
    client_id: int = 0
    stage: Stage = Stage.SENT
    perm_id: int = 0
    filled_qty: int = 0
    rests: Draft | None = None
    change: str | None = None
    due_s: float | None = None
    is_cancelling: bool = False
    doubt_s: float | None = None
    refused_changes: int = 0
    cannot_wait: bool = False

    @property
    def remaining_qty(self) -> int:
        """Contracts still to come."""
        return self.draft.qty - self.filled_qty


class Held(Struct):
    """The contracts that are held, signed: ours, and those of others that were taken over."""

    qty: int = 0


class Desk:
    """The orders under one reference, and what the line wants: the levels, the end of the entry, of the position.

    `bracket` is None where no decision of ours has opened the position.
    """

    def __init__(self, decision: str, bracket: Bracket | None, held: Held, commission_cents: int) -> None:
        self.decision = decision
        self.bracket = bracket
        self.held = held
        self.tracks: list[Track] = []
        self.stop_ticks = 0 if bracket is None else bracket.stop_ticks
        self.target_ticks = 0 if bracket is None else bracket.target_ticks
        self.cause = AmendCause.ANCHOR
        self.close_reason: ExitReason | None = None
        self.leave_qty = 0
        """Contracts that a close leaves open."""
        self.entry_unwanted = False
        self.entry_told = bracket is None
        self.is_beyond = False
        self.distrust: str | None = None
        """Why its stop is not the one that was sent."""
        self.numbers: Counter[str] = Counter()
        self.fills = 0
        self._commission_cents = commission_cents

    @property
    def entry(self) -> Track | None:
        """The entry; None before it was sent."""
        return next((track for track in self.tracks if track.draft.leg is Leg.ENTRY), None)

    @property
    def is_done(self) -> bool:
        """Nothing can become of any order any more."""
        return self.entry_told and not self.live()

    def live(self, *legs: Leg) -> list[Track]:
        """Orders that something can still become of, of these legs (none named: of all)."""
        return [track for track in self.tracks if track.stage in LIVE and (not legs or track.draft.leg in legs)]

    def find(self, order_ref: str, leg: Leg) -> Track | None:
        """The last order sent under this reference as this leg."""
        found = (t for t in reversed(self.tracks) if t.draft.order_ref == order_ref and t.draft.leg is leg)
        return next(found, None)

    def number(self, letter: str) -> int:
        """The next number of the decision's own closes (c), protections (p), amends (a) or cancels (x)."""
        self.numbers[letter] += 1
        return self.numbers[letter]

    def take(self, execution: Execution, track: Track) -> Fill:
        """Count an execution that is new, and say what it was. An exit may carry the position beyond zero."""
        rest_before = track.remaining_qty if track.stage.is_live else 0
        track.filled_qty += execution.qty
        if track.stage.is_live and track.remaining_qty <= 0:
            track.stage, track.due_s = Stage.FILLED, None
        self.held.qty += int(execution.side) * execution.qty
        self.fills += 1
        is_entry = track.draft.leg is Leg.ENTRY
        if is_entry:
            self._note_beyond(execution)
        return Fill(
            order_ref=self.decision,
            nth=self.fills,
            side=execution.side,
            qty=execution.qty,
            remaining_qty=max(rest_before - execution.qty, 0) if is_entry else abs(self.held.qty),
            price_ticks=execution.price_ticks,
            commission_cents=self._commission_cents * execution.qty,
            ts_ns=execution.ts_ns,
            reason=None if is_entry else self._reason(track),
        )

    def _note_beyond(self, execution: Execution) -> None:
        side = int(execution.side)
        if matching.is_beyond(side, execution.price_ticks, self.stop_ticks, self.target_ticks):
            self.is_beyond = True

    def _reason(self, track: Track) -> ExitReason:
        if is_operators(track.draft.order_ref):
            return ExitReason.OPERATOR
        if track.draft.leg is Leg.CLOSE:
            return self.close_reason or ExitReason.UNPROTECTED
        if self.is_beyond:
            return ExitReason.ENTRY_BEYOND_STOP
        return ExitReason.TARGET if track.draft.leg is Leg.TARGET else STOP_REASONS[self.cause]
