"""What the broker says, as the wire says it: frozen records, ticks and cents, no object of a client library.

An order is known by `order_ref` (ours, on the wire), `perm_id` (the broker's) and its executions' `exec_id`, never by
`order_id`: after a lost connection the broker may give those again.

References on the wire: a bracket's entry, stop and target carry the decision's id; the n-th order that closes its
position carries `<id>.c<n>`, the n-th stop laid behind a position that has none `<id>.p<n>`.
"""

import re
from enum import StrEnum

from msgspec import Struct

from trader.adapters.state.records import Execution, Leg
from trader.domain.actions import Side

OPERATOR_REF = "trader flatten"
"""On the orders of the command that closes without a daemon: none of a decision has this form."""
_OURS = re.compile(r"(?P<decision>[A-Z0-9]+-[0-9]{1,12})(?:\.(?P<kind>[cp])(?P<nth>[0-9]{1,6}))?")


class OrderKind(StrEnum):
    """What an order waits for."""

    MARKET = "MKT"
    LIMIT = "LMT"
    STOP = "STP"
    OTHER = "other"


class BrokerOrder(Struct, frozen=True, kw_only=True):
    """One order at the broker. `price_ticks` is the limit's or the stop's, None at the market.

    `is_working` is the broker's word, not the client library's. `is_held`: the broker has it, and waits for the rest
    of its bracket. `order_ref` is as on the wire, "" where there is none; `parent_id` 0 where there is none.
    """

    order_ref: str
    order_id: int
    perm_id: int
    client_id: int
    parent_id: int
    account: str
    con_id: int
    side: Side
    kind: OrderKind
    qty: int
    filled_qty: int
    price_ticks: int | None
    is_working: bool
    is_held: bool
    tif: str
    outside_rth: bool
    oca_group: str

    @property
    def remaining_qty(self) -> int:
        """Contracts still to come."""
        return self.qty - self.filled_qty


class Funds(Struct, frozen=True, kw_only=True):
    """The account's own figures, whole cents; None where the broker has not said.

    `available_cents` is free for new positions, `excess_cents` is equity above the maintenance margin. `ahead_...` is
    what they will be from the broker's next change of margins on, with the positions of now: the night's, by day.
    """

    net_liquidation_cents: int | None
    available_cents: int | None
    excess_cents: int | None
    initial_margin_cents: int | None
    maintenance_margin_cents: int | None
    ahead_available_cents: int | None
    ahead_excess_cents: int | None
    ahead_initial_margin_cents: int | None
    ahead_maintenance_margin_cents: int | None


class Truth(Struct, frozen=True, kw_only=True):
    """All that the broker says of one account and one contract, complete, at one moment.

    `position_qty` is signed, `entry_ticks` its rounded average (0 when flat). `orders` are those of every client that
    have not ended, on this contract. `executions` are those that it still tells of (the day's), oldest first.
    `elsewhere` are signed positions in other months of the same root, by local symbol. `rests_elsewhere`: an order that
    has not ended is on another contract, or another account of the login.
    """

    position_qty: int
    entry_ticks: int
    orders: tuple[BrokerOrder, ...]
    executions: tuple[Execution, ...]
    elsewhere: tuple[tuple[str, int], ...]
    funds: Funds
    ts_ns: int
    rests_elsewhere: bool = False


class Named(Struct, frozen=True):
    """What an order reference of ours says: the decision's id, and which of its orders. `nth` counts from 1."""

    decision: str
    leg: Leg
    nth: int


def named(order_ref: str, kind: OrderKind) -> Named | None:
    """Whose order it is; None where the reference is none of ours."""
    found = _OURS.fullmatch(order_ref)
    if found is None:
        return None
    decision, letter, nth = found["decision"], found["kind"], int(found["nth"] or 1)
    if letter == "c":
        return Named(decision, Leg.CLOSE, nth)
    if letter == "p":
        return Named(decision, Leg.STOP, nth + 1)
    legs = {OrderKind.MARKET: Leg.ENTRY, OrderKind.STOP: Leg.STOP, OrderKind.LIMIT: Leg.TARGET}
    leg = legs.get(kind)
    return None if leg is None else Named(decision, leg, 1)


def close_ref(decision: str, nth: int) -> str:
    """The reference of the n-th order that closes a decision's position."""
    return f"{decision}.c{nth}"


def protect_ref(decision: str, nth: int) -> str:
    """The reference of the n-th stop laid behind a position that had none."""
    return f"{decision}.p{nth}"
