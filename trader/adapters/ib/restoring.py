"""What an earlier life of this program knew of its orders, before the broker is asked for the first time."""

import re

from trader.adapters.ib.ours import decision_of
from trader.adapters.ib.plan import Known
from trader.adapters.ib.room import Room
from trader.adapters.state.intents import ENDED
from trader.adapters.state.records import Intent, State
from trader.domain.orders import Amend, Bracket, Flatten

_NUMBERED = re.compile(r"(?P<decision>.+)\.(?P<letter>[acpx])(?P<nth>[0-9]+)")


def restore(room: Room, known: Known, kept: State) -> None:
    """Begin where that life ended; `known` is the line's side of it, `kept` what it had written."""
    room.records.restore(kept.intents, kept.executions)
    room.held.qty = known.position_qty
    room.symbol = known.symbol
    if known.bracket is None or known.bracket.order_ref != known.order_ref:
        room.foreign_ref = known.order_ref
    for intent in kept.intents:
        if isinstance(intent.order, Bracket) and _is_of_use(intent, known):
            desk = room.begin(intent.order)
            desk.entry_told = intent.state in ENDED
    if known.bracket is not None:
        desk = room.desks.get(known.bracket.order_ref) or room.begin(known.bracket)
        room.desk = desk
        desk.entry_told = not known.entry_working
        desk.stop_ticks = known.stop_ticks or desk.stop_ticks
        desk.target_ticks = known.target_ticks or desk.target_ticks
    if room.foreign_ref:
        room.desk_of(room.foreign_ref).stop_ticks = known.stop_ticks
    for intent in kept.intents:
        _count(room, intent)
    for execution in kept.executions:
        desk_or_none = room.desks.get(decision_of(execution.order_ref) or "")
        if desk_or_none is not None:
            desk_or_none.fills += 1


def _is_of_use(intent: Intent, known: Known) -> bool:
    return intent.state not in ENDED or (known.bracket is not None and intent.order_ref == known.bracket.order_ref)


def _count(room: Room, intent: Intent) -> None:
    """Go on with its numbers, its last amend's cause, and a close that was under way."""
    found = _NUMBERED.fullmatch(intent.order_ref)
    desk = None if found is None else room.desks.get(found["decision"])
    if found is None or desk is None:
        return
    desk.numbers[found["letter"]] = max(desk.numbers[found["letter"]], int(found["nth"]))
    if isinstance(intent.order, Amend):
        desk.cause = intent.order.cause
    if isinstance(intent.order, Flatten) and intent.state not in ENDED and room.held.qty:
        desk.close_reason = intent.order.reason
        desk.leave_qty = max(abs(room.held.qty) - intent.order.qty, 0)
