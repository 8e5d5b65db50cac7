"""What the situations of `reconcile` are made of: a decision, its orders and fills, and what is left of them."""

from typing import Any

from msgspec.structs import replace
from reconcile_builders import (
    BUY,
    LAST,
    SELL,
    STOP,
    TARGET,
    a_bracket,
    a_stop,
    a_target,
    execution,
    known,
    long_of,
    market,
    meant,
    order,
    truth,
)

from trader.adapters.ib.facts import OrderKind, Truth
from trader.adapters.ib.plan import ForeignPolicy
from trader.adapters.state.records import IntentState
from trader.domain.orders import Amend, AmendCause, Cancel, ExitReason, Flatten, Protect

ADOPT, IGNORE = {"policy": ForeignPolicy.ADOPT}, {"policy": ForeignPolicy.IGNORE}
B, B2 = a_bracket(), a_bracket(qty=2)
LONG = long_of(B)
ENTERED = LONG.executions[0]
IN_POSITION = truth(position_qty=1, entry_ticks=LAST, orders=(a_stop(), a_target()), executions=(ENTERED,))
FRESH = known(intents=(meant(B),))
WAITING = known(bracket=B, entry_working=True, intents=(meant(B, IntentState.SENT),))
STOPPED = execution("0000e0d5.00000002.01.01", "NQ-1", SELL, price=STOP - 1)
BY_HAND = execution("0000e0d5.0000000a.01.01", None, BUY, price=LAST - 4)
SOLD_BY_HAND = execution("0000e0d5.0000000b.01.01", None, SELL, price=LAST - 8)
THEIRS = order("", OrderKind.LIMIT, BUY, 1, LAST - 100, client_id=0)
KEPT = ["keep stop", "keep target"]
HELD = ["hold +1 as NQ-1", *KEPT]
CLOSE = meant(Flatten(order_ref="NQ-1", side=SELL, qty=1, reason=ExitReason.OPERATOR), ref="NQ-1.c1")
PROTECT = meant(Protect(order_ref="NQ-1", side=SELL, qty=1, stop_ticks=STOP), ref="NQ-1.p1")
CANCEL = meant(Cancel(order_ref="NQ-1"), ref="NQ-1.x1")


def amend(stop: int) -> Any:
    """An intent to move the stop."""
    to = Amend(order_ref="NQ-1", cause=AmendCause.TRAIL, stop_ticks=stop, target_ticks=TARGET)
    return meant(to, ref="NQ-1.a1")


def without(what: Truth, *kinds: OrderKind, **changes: Any) -> Truth:
    """The same, and orders of these kinds are gone."""
    return replace(what, orders=tuple(each for each in what.orders if each.kind not in kinds), **changes)


def filled(what: Truth, qty: int, done: int) -> Truth:
    """An entry of `qty` of which `done` has filled, and the rest works; its exits are as large as it was sent."""
    entry = market(qty=qty, filled_qty=done)
    fills = (execution("0000e0d5.00000001.01.01", "NQ-1", BUY, done),) if done else ()
    return replace(what, position_qty=done, orders=(entry, a_stop(qty=qty), a_target(qty=qty)), executions=fills)
