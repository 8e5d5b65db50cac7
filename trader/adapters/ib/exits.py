"""Which of the working orders stay behind a position, and which are cancelled. Pure."""

from msgspec import Struct
from msgspec.structs import replace

from trader.adapters.ib.facts import BrokerOrder, OrderKind, named
from trader.adapters.ib.ours import decision_of, is_operators
from trader.adapters.state.records import Leg
from trader.domain.orders import Bracket


class Exits(Struct, frozen=True, kw_only=True):
    """The orders that stay, one of a role, those that go, and those that are not ours."""

    entry: BrokerOrder | None
    stop: BrokerOrder | None
    target: BrokerOrder | None
    close: BrokerOrder | None
    cancel: tuple[BrokerOrder, ...]
    foreign: tuple[BrokerOrder, ...]


def sort_orders(
    orders: tuple[BrokerOrder, ...], bracket: Bracket | None, position_qty: int, *, entry_may_rest: bool
) -> Exits:
    """Give each working order its role.

    What would increase or turn the position goes: a leg of the wrong side, one larger than the position (while an entry
    may rest: larger than what that will make of it), an entry into somebody else's position, a stop that is smaller,
    and all beyond the first of a role. The decision at work comes first, then the newest. Exits of an entry that has
    not filled at all guard nothing yet: they stay with it, and go with it.
    """
    working = [each for each in orders if each.is_working or each.is_held]
    ours = [each for each in working if decision_of(each.order_ref) is not None]
    decision = None if bracket is None else bracket.order_ref
    ours.sort(key=lambda each: _rank(each, decision))
    entries = [each for each in ours if _leg(each) is Leg.ENTRY]
    may_rest = [each for each in entries if each.order_ref == decision and _may_rest(each, position_qty)]
    entry = may_rest[0] if may_rest and entry_may_rest else None
    asleep = {each.order_ref for each in entries if not each.filled_qty}
    coming = 0 if entry is None else entry.side * entry.remaining_qty
    awake = [each for each in ours if each.is_working and each.order_ref not in asleep]
    exits = [each for each in awake if _may_exit(each, position_qty, coming)]
    stop = next((each for each in exits if _leg(each) is Leg.STOP and each.remaining_qty >= abs(position_qty)), None)
    target = next((each for each in exits if _leg(each) is Leg.TARGET and _fits(each, stop)), None)
    close = next((each for each in exits if _leg(each) is Leg.CLOSE), None)
    stay = [each for each in (entry, stop, target, close) if each is not None]
    if entry is not None and entry.order_ref in asleep:
        stay += [each for each in ours if each.order_ref == entry.order_ref and _leg(each) is not Leg.ENTRY]
    cancel = [each for each in ours if not any(each is one for one in stay)]
    cancel.sort(key=lambda each: _leg(each) is not Leg.ENTRY)
    foreign = tuple(
        each for each in working if decision_of(each.order_ref) is None and not is_operators(each.order_ref)
    )
    return Exits(entry=entry, stop=stop, target=target, close=close, cancel=tuple(cancel), foreign=foreign)


def without_target(exits: Exits) -> Exits:
    """The same, and the target goes."""
    gone = () if exits.target is None else (exits.target,)
    return replace(exits, target=None, cancel=(*exits.cancel, *gone))


def without_close(exits: Exits) -> Exits:
    """The same, and the close goes."""
    gone = () if exits.close is None else (exits.close,)
    return replace(exits, close=None, cancel=(*exits.cancel, *gone))


def is_stop_of_ours(order: BrokerOrder) -> bool:
    """A stop of ours that works, or waits for its entry."""
    return _leg(order) is Leg.STOP and (order.is_working or order.is_held)


def _leg(order: BrokerOrder) -> Leg | None:
    """Its role by reference and type; None where the two do not fit together."""
    ours = named(order.order_ref, order.kind)
    if ours is None:
        return None
    is_stop = order.kind is OrderKind.STOP
    if ours.leg is Leg.STOP:
        return Leg.STOP if is_stop else None
    return None if ours.leg is Leg.CLOSE and order.kind is not OrderKind.MARKET else ours.leg


def _rank(order: BrokerOrder, decision: str | None) -> tuple[bool, int, int]:
    ours = named(order.order_ref, order.kind)
    nth = 0 if ours is None else ours.nth
    return decision_of(order.order_ref) != decision, -nth, order.perm_id


def _may_exit(order: BrokerOrder, position_qty: int, coming_qty: int) -> bool:
    """It reduces the position, and no further than to zero."""
    return order.side * position_qty < 0 < order.remaining_qty <= abs(position_qty + coming_qty)


def _may_rest(entry: BrokerOrder, position_qty: int) -> bool:
    """The position is the entry's own: it adds to nobody else's, and turns none."""
    return entry.side * position_qty > 0 if entry.filled_qty else position_qty == 0


def _fits(target: BrokerOrder, stop: BrokerOrder | None) -> bool:
    """One ends the other: else both could fill."""
    return stop is None or target.oca_group == stop.oca_group
