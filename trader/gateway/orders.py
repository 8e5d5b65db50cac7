"""An order as it was sent, and as it rests at the exchange. Prices of a spec are points, of a resting order ticks."""

from enum import StrEnum

from msgspec import Struct

from trader.domain.actions import Side
from trader.gateway.contracts import Contract, Wanted


class Kind(StrEnum):
    """Order types that the exchange takes."""

    MARKET = "MKT"
    LIMIT = "LMT"
    STOP = "STP"
    STOP_LIMIT = "STP LMT"
    TRAIL = "TRAIL"


STOP_KINDS = frozenset({Kind.STOP, Kind.STOP_LIMIT, Kind.TRAIL})


class Status(StrEnum):
    """What the broker says of an order."""

    HELD = "PendingSubmit"  # not transmitted: the broker says nothing of it yet
    PRE_SUBMITTED = "PreSubmitted"
    SUBMITTED = "Submitted"
    FILLED = "Filled"
    CANCELLED = "Cancelled"
    INACTIVE = "Inactive"

    @property
    def is_working(self) -> bool:
        """Whether something can still become of the order."""
        return self in {Status.HELD, Status.PRE_SUBMITTED, Status.SUBMITTED}


class Leg(StrEnum):
    """What an order is for: of a bracket the entry, the stop and the target, or what closes a position at market."""

    ENTRY = "entry"
    STOP = "stop"
    TARGET = "target"
    CLOSE = "close"


class Step(StrEnum):
    """What a client does about an order."""

    NEW = "new"
    MODIFY = "modify"
    CANCEL = "cancel"


class Act(Struct, frozen=True, kw_only=True):
    """What a client does, and about which leg."""

    step: Step
    leg: Leg


class OrderSpec(Struct, frozen=True, kw_only=True):
    """The fields of placeOrder that matter, as they came. `limit`, `aux` and `trail_stop` are points, None unset."""

    order_id: int
    contract: Wanted
    action: str
    qty: float
    kind: str
    limit: float | None
    aux: float | None
    tif: str
    oca_group: str
    oca_type: int
    account: str
    order_ref: str
    transmit: bool
    parent_id: int
    outside_rth: bool
    good_till: str
    trail_stop: float | None
    trail_percent: float | None
    what_if: bool


class Resting(Struct, kw_only=True):
    """An order at the exchange. `limit_ticks`, `stop_ticks` and `trail_ticks` (a trail's level now) are absolute.

    `value_ticks` is the sum of price times quantity of its fills. `portions` are the quantities in which it fills, one
    a chance, where a fault says so. `is_triggered`: a stop-limit order whose stop was reached. `session_date` is the
    session that it was accepted in, at whose end a DAY order expires. With `is_untold` its client hears of it by its
    executions, or when it asks.
    """

    spec: OrderSpec
    contract: Contract
    client_id: int
    perm_id: int
    account: str
    session_date: str
    side: Side
    kind: Kind
    qty: int
    limit_ticks: int | None = None
    stop_ticks: int | None = None
    trail_ticks: int | None = None
    trail_gap_ticks: int = 0
    status: Status = Status.HELD
    filled: int = 0
    value_ticks: int = 0
    last_ticks: int = 0
    is_triggered: bool = False
    portions: list[int] = []
    is_untold: bool = False

    @property
    def key(self) -> tuple[int, int]:
        """Client and order id: ids are a client's own."""
        return self.client_id, self.spec.order_id

    @property
    def remaining(self) -> int:
        """Contracts that are not filled."""
        return self.qty - self.filled

    @property
    def is_working(self) -> bool:
        """Whether something can still become of it."""
        return self.status.is_working

    @property
    def why_held(self) -> str:
        """`trigger` for a stop that waits for its price, as the broker says it of stops that it simulates."""
        return "trigger" if self.kind in STOP_KINDS and self.status is Status.PRE_SUBMITTED else ""

    @property
    def level_ticks(self) -> int | None:
        """Where a stop triggers; None for what is no stop, or has triggered."""
        if self.kind is Kind.TRAIL:
            return self.trail_ticks
        return self.stop_ticks if self.kind in STOP_KINDS and not self.is_triggered else None


def leg_of(spec: OrderSpec, position_qty: int) -> Leg:
    """What an order is for, where `position_qty` contracts (signed) are held."""
    side = 1 if spec.action == "BUY" else -1
    if spec.kind in STOP_KINDS:
        return Leg.STOP
    if spec.kind == Kind.LIMIT and (spec.parent_id or spec.oca_group):
        return Leg.TARGET
    return Leg.CLOSE if side * position_qty < 0 else Leg.ENTRY
