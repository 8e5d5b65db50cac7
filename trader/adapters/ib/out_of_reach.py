"""Orders of ours that must go and that this connection cannot cancel: another client id has sent them.

Their own id is in use elsewhere (326), or a connection under the fallback's has left them behind. Nothing but that id,
a person, or the cancel of ALL orders of the login ends them; the last would take a person's orders along, and is sent
only where nothing else rests anywhere.
"""

from collections.abc import Sequence

import structlog

from trader.adapters.ib.acting import Actor
from trader.adapters.ib.facts import BrokerOrder, Truth
from trader.adapters.ib.ours import decision_of
from trader.adapters.ib.room import Room

log = structlog.get_logger("trader.orders")


class OutOfReach:
    """`why` says what of ours rests out of reach, None where nothing does: nothing is entered meanwhile."""

    def __init__(self, room: Room, actor: Actor) -> None:
        self._room = room
        self._actor = actor
        self.why: str | None = None

    def deal(self, left: Sequence[BrokerOrder], cancelled: Sequence[BrokerOrder], truth: Truth) -> None:
        """`left` are out of reach, among all that is to be `cancelled`.

        With a position the line is told to close it: each of them could turn it. Without one all orders are cancelled,
        unless any of them is to stay; then the own client id is asked for, soon.
        """
        room, before = self._room, self.why
        if not left:
            self.why = None
            return
        names = ", ".join(sorted({each.order_ref for each in left}))
        self.why = f"orders of client id {left[0].client_id} rest and cannot be cancelled from here: {names}"
        ends = {each.perm_id for each in cancelled}
        may_cancel_all = not truth.rests_elsewhere and all(each.perm_id in ends for each in truth.orders)
        if self.why != before:
            effect = "cancel them by hand, or end what uses that client id"
            if may_cancel_all and not room.held.qty:
                effect = "nothing else rests: all orders of the login are cancelled"
            log.error("orders_out_of_reach", orders=names, client_id=left[0].client_id, effect=effect)
        if room.held.qty:
            if self.why != before:
                room.watcher.on_naked(self.why)
        elif may_cancel_all:
            self._actor.cancel_all(room.desk_of(decision_of(left[0].order_ref) or ""))
        else:
            room.link.reclaim()  # not with a position: its guard would be gone each time
