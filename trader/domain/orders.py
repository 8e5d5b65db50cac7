"""Orders on their way out and executions on their way back."""

from enum import StrEnum

from msgspec import Struct

from trader.domain.actions import Side


class ExitReason(StrEnum):
    """Why a position ended, or is being ended."""

    STOP = "stop"
    TARGET = "target"
    TRAIL = "trail"
    ENTRY_BEYOND_STOP = "entry_beyond_stop"
    FLAT_AT = "flat_at"
    FORCED_CLOSE = "forced_close"
    ROLL = "roll"
    TRAILING_BREACH = "trailing_breach"
    DAILY_LOSS = "daily_loss"
    OPERATOR = "operator"


class Leg(StrEnum):
    """Which order of a decision's bracket an execution belongs to."""

    ENTRY = "entry"
    EXIT = "exit"


class Bracket(Struct, frozen=True, kw_only=True, tag="bracket"):
    """Market entry with its stop and target, sent as one; prices in ticks, anchored at the decision bar's close."""

    order_ref: str
    side: Side
    qty: int
    stop_distance_ticks: int
    target_distance_ticks: int
    stop_ticks: int
    target_ticks: int


class MoveStop(Struct, frozen=True, kw_only=True, tag="move_stop"):
    """Tighten the resting stop to `stop_ticks`; never loosens."""

    order_ref: str
    stop_ticks: int
    trailing: bool


class Flatten(Struct, frozen=True, kw_only=True, tag="flatten"):
    """Close what is open at the market; cancels the bracket's resting children."""

    order_ref: str
    side: Side
    qty: int
    reason: ExitReason


Order = Bracket | MoveStop | Flatten


class Fill(Struct, frozen=True, kw_only=True):
    """One execution. `price_ticks` includes slippage; `optimistic_ticks` differs only on an ambiguous bar."""

    order_ref: str
    nth: int
    leg: Leg
    side: Side
    qty: int
    price_ticks: int
    commission_cents: int
    ts_ns: int
    reason: ExitReason | None = None
    ambiguous: bool = False
    optimistic_ticks: int = 0
