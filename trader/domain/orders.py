"""Orders on their way out and executions on their way back."""

from enum import StrEnum

from msgspec import Struct

from trader.domain.actions import Side
from trader.domain.units import MINUTE_NS

FOREIGN_REF = "FOREIGN"
"""With the minute of its first trade: the reference of a position that no decision of ours has opened."""


def foreign_ref(ts_ns: int) -> str:
    """The reference of a position that somebody else has opened then."""
    return f"{FOREIGN_REF}-{ts_ns // MINUTE_NS}"


class ExitReason(StrEnum):
    """Why a position ended, or is being ended."""

    STOP = "stop"
    BREAK_EVEN = "break_even"
    TARGET = "target"
    TRAIL = "trail"
    ENTRY_BEYOND_STOP = "entry_beyond_stop"
    FLAT_AT = "flat_at"
    FORCED_CLOSE = "forced_close"
    ROLL = "roll"
    TRAILING_BREACH = "trailing_breach"
    DAILY_LOSS = "daily_loss"
    OPERATOR = "operator"
    OUTAGE = "outage"
    UNPROTECTED = "unprotected"
    FOREIGN = "foreign"


class Bracket(Struct, frozen=True, kw_only=True, tag="bracket"):
    """Market entry with its stop and target, sent as one; prices in ticks, anchored at the decision bar's close."""

    order_ref: str
    side: Side
    qty: int
    stop_distance_ticks: int
    target_distance_ticks: int
    stop_ticks: int
    target_ticks: int


class AmendCause(StrEnum):
    """Why the resting stop and target of a position are modified."""

    ANCHOR = "anchor"
    BREAK_EVEN = "break_even"
    TRAIL = "trail"


class Amend(Struct, frozen=True, kw_only=True, tag="amend"):
    """Modify the resting stop and target in place; only ANCHOR, at the entry's fill, may loosen a stop."""

    order_ref: str
    cause: AmendCause
    stop_ticks: int
    target_ticks: int


class Flatten(Struct, frozen=True, kw_only=True, tag="flatten"):
    """Close what is open at the market; cancels the bracket's resting children."""

    order_ref: str
    side: Side
    qty: int
    reason: ExitReason


class Cancel(Struct, frozen=True, kw_only=True, tag="cancel"):
    """Take back an entry, or what is left of one."""

    order_ref: str


class Protect(Struct, frozen=True, kw_only=True, tag="protect"):
    """Lay a stop behind an open position that has none; `side` is the stop's own."""

    order_ref: str
    side: Side
    qty: int
    stop_ticks: int


Order = Bracket | Amend | Flatten | Cancel | Protect


class Unfilled(StrEnum):
    """How an order ended without a fill."""

    REJECTED = "rejected"
    CANCELLED = "cancelled"


class Fill(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One execution. `price_ticks` includes slippage; `remaining_qty` of its order is still to come.

    `reason` is None on an entry. On an ambiguous bar (stop and target inside it) the stop is booked and
    `optimistic_ticks` is the price that the target would have given; elsewhere it is None.
    """

    order_ref: str
    nth: int
    side: Side
    qty: int
    remaining_qty: int
    price_ticks: int
    commission_cents: int
    ts_ns: int
    reason: ExitReason | None = None
    optimistic_ticks: int | None = None


class ClosedTrade(Struct, frozen=True, kw_only=True):
    """One round trip; `optimistic_pnl_cents` differs from `pnl_cents` only on an ambiguous bar."""

    side: Side
    qty: int
    entry_ticks: int
    exit_ticks: int
    opened_ns: int
    closed_ns: int
    pnl_cents: int
    optimistic_pnl_cents: int
    risk_cents: int
    reason: ExitReason
    is_ambiguous: bool
