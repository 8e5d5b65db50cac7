"""Situations at a start, after a crash or a lost link, and all that the plan asks for in each: a row is one."""

from typing import Any

from msgspec.structs import replace
from reconcile_builders import (
    BUY,
    LAST,
    MORNING_NS,
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
from trader.adapters.ib.plan import ForeignPolicy, Known
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


TABLE: list[tuple[str, Known, Truth, dict[str, Any], list[str]]] = [
    ("nothing here and nothing there", known(), truth(), {}, []),
    ("position and bracket as we left them", LONG, IN_POSITION, {}, HELD),
    # before the wire
    ("died before the entry left", FRESH, truth(), {}, ["NQ-1 is denied"]),
    ("sent, and the broker has no trace", WAITING, truth(), {}, ["NQ-1 is cancelled", "entry is over"]),
    # entries
    (
        "entry filled while we were down",
        WAITING,
        replace(IN_POSITION, executions=(ENTERED,)),
        {},
        ["book entry +1 at 32000", *HELD, "NQ-1 is filled"],
    ),
    (
        "entry filled, and the line had never heard of it",
        FRESH,
        replace(IN_POSITION, executions=(ENTERED,)),
        {},
        ["tell NQ-1", "book entry +1 at 32000", *HELD, "NQ-1 is filled"],
    ),
    (
        "entry still rests at a start: it is stale, and its exits go with it",
        WAITING,
        filled(truth(), 1, 0),
        {},
        ["cancel NQ-1 MKT +1", "cancel NQ-1 LMT -1", "cancel NQ-1 STP -1", "NQ-1 is acknowledged"],
    ),
    (
        "entry still rests at a look in between: it and its exits may",
        WAITING,
        filled(truth(), 1, 0),
        {"entry_may_rest": True},
        ["NQ-1 is acknowledged"],
    ),
    (
        "entry half filled: the rest is stale, and exits are not left larger than the position",
        known(bracket=B2, entry_working=True, intents=(meant(B2, IntentState.SENT),)),
        filled(truth(), 2, 1),
        {},
        [
            "book entry +1 at 32000",
            "hold +1 as NQ-1",
            "protect 1 at 31960",
            "cancel NQ-1 MKT +1",
            "cancel NQ-1 LMT -2",
            "cancel NQ-1 STP -2",
            "NQ-1 is acknowledged",
        ],
    ),
    (
        "entry half filled at a look in between: all of it stays",
        known(bracket=B2, entry_working=True, intents=(meant(B2, IntentState.SENT),)),
        filled(truth(), 2, 1),
        {"entry_may_rest": True},
        ["book entry +1 at 32000", *HELD, "NQ-1 is acknowledged"],
    ),
    (
        "entry half filled and then gone",
        known(bracket=B2, entry_working=True, intents=(meant(B2, IntentState.SENT),)),
        replace(IN_POSITION, executions=(ENTERED,)),
        {},
        ["book entry +1 at 32000", *HELD, "NQ-1 is cancelled", "entry is over"],
    ),
    (
        "entry filled on a day of which nobody tells any more: its exits say so",
        WAITING,
        replace(IN_POSITION, executions=()),
        {},
        ["unexplained +1 at 32000", *HELD, "NQ-1 is filled", "entry is over", "no entries"],
    ),
    # exits
    (
        "stopped while we were down: the target is an orphan",
        LONG,
        without(IN_POSITION, OrderKind.STOP, position_qty=0, executions=(ENTERED, STOPPED)),
        {},
        ["book stop -1 at 31959", "cancel NQ-1 LMT -1"],
    ),
    (
        "target hit while we were down: the stop is an orphan",
        LONG,
        without(
            IN_POSITION,
            OrderKind.LIMIT,
            position_qty=0,
            executions=(execution("0000e0d5.00000002.01.01", "NQ-1", SELL, price=TARGET),),
        ),
        {},
        ["book target -1 at 32120", "cancel NQ-1 STP -1"],
    ),
    (
        "entered and stopped while we were down",
        FRESH,
        truth(executions=(ENTERED, replace(STOPPED, ts_ns=MORNING_NS))),
        {},
        ["tell NQ-1", "book entry +1 at 32000", "book stop -1 at 31959", "NQ-1 is filled"],
    ),
    (
        "stopped on a day of which nobody tells: booked at the stop's level, entries may go on",
        LONG,
        truth(),
        {},
        ["unexplained -1 at 31960"],
    ),
    (
        "half of the position stopped",
        long_of(B2),
        truth(position_qty=1, orders=(a_stop(), a_target()), executions=(STOPPED,)),
        {},
        ["book stop -1 at 31959", *HELD],
    ),
    # stops
    (
        "the stop is gone: one is laid where the book has it",
        LONG,
        without(IN_POSITION, OrderKind.STOP),
        {},
        ["hold +1 as NQ-1", "keep target", "protect 1 at 31960"],
    ),
    (
        "stop and target are gone",
        LONG,
        without(IN_POSITION, OrderKind.STOP, OrderKind.LIMIT),
        {},
        ["hold +1 as NQ-1", "protect 1 at 31960"],
    ),
    (
        "the stop is gone, and the price is where it was: too late for a stop",
        LONG,
        without(IN_POSITION, OrderKind.STOP),
        {"last_ticks": STOP},
        ["hold +1 as NQ-1", "keep target", "close 1"],
    ),
    (
        "no price yet: the book's level is not doubted",
        LONG,
        without(IN_POSITION, OrderKind.STOP),
        {"last_ticks": None},
        ["hold +1 as NQ-1", "keep target", "protect 1 at 31960"],
    ),
    (
        "the stop is smaller than the position",
        long_of(B2),
        truth(position_qty=2, orders=(a_stop(), a_target(qty=2))),
        {},
        ["hold +2 as NQ-1", "keep target", "protect 2 at 31960", "cancel NQ-1 STP -1"],
    ),
    (
        "the stop is larger than the position, and the target too",
        LONG,
        truth(position_qty=1, orders=(a_stop(qty=2), a_target(qty=2))),
        {},
        ["hold +1 as NQ-1", "protect 1 at 31960", "cancel NQ-1 LMT -2", "cancel NQ-1 STP -2"],
    ),
    (
        "two stops: the newest stays",
        LONG,
        replace(IN_POSITION, orders=(*IN_POSITION.orders, a_stop("NQ-1.p1"))),
        {},
        [*HELD, "cancel NQ-1 STP -1"],
    ),
    (
        "two targets",
        LONG,
        replace(IN_POSITION, orders=(*IN_POSITION.orders, a_target(perm_id=99_999))),
        {},
        [*HELD, "cancel NQ-1 LMT -1"],
    ),
    (
        "a stop of the wrong side would make the position larger",
        LONG,
        replace(IN_POSITION, orders=(*IN_POSITION.orders, a_stop("NQ-7", side=BUY, price=LAST + 40))),
        {},
        [*HELD, "cancel NQ-7 STP +1"],
    ),
    (
        "orders of a decision long forgotten, and no position",
        known(),
        truth(orders=(a_stop("NQ-3"), a_target("NQ-3"))),
        {},
        ["cancel NQ-3 LMT -1", "cancel NQ-3 STP -1"],
    ),
    (
        "a target in no group with the stop could fill beside it",
        LONG,
        replace(IN_POSITION, orders=(a_stop(), a_target(oca_group=""))),
        {},
        ["hold +1 as NQ-1", "keep stop", "cancel NQ-1 LMT -1"],
    ),
    (
        "an order of ours that never left the gateway's own list",
        known(),
        truth(orders=(a_stop(is_working=False, is_held=True),)),
        {},
        ["cancel NQ-1 STP -1"],
    ),
    # levels
    (
        "the amend never arrived: it goes out again",
        replace(LONG, stop_ticks=STOP + 20, intents=(amend(STOP + 20),)),
        IN_POSITION,
        {},
        [*HELD, "stop to 31980", "NQ-1.a1 is denied"],
    ),
    (
        "the amend arrived",
        replace(LONG, stop_ticks=STOP + 20, intents=(amend(STOP + 20),)),
        replace(IN_POSITION, orders=(a_stop(price=STOP + 20), a_target())),
        {},
        [*HELD, "NQ-1.a1 is filled"],
    ),
    (
        "the amend never arrived, and the price has passed its level",
        replace(LONG, stop_ticks=LAST + 10, intents=(amend(LAST + 10),)),
        IN_POSITION,
        {},
        [*HELD, "close 1", "NQ-1.a1 is denied"],
    ),
    (
        "the price is through a stop that works: it is the broker's to fill",
        LONG,
        IN_POSITION,
        {"last_ticks": STOP - 8},
        HELD,
    ),
    (
        "the target rests elsewhere than the book has it",
        replace(LONG, target_ticks=TARGET + 4),
        IN_POSITION,
        {},
        [*HELD, "target to 32124"],
    ),
    # closes
    (
        "a close is on its way",
        replace(LONG, closing=True, intents=(CLOSE,)),
        replace(IN_POSITION, orders=(*IN_POSITION.orders, market("NQ-1.c1", SELL))),
        {},
        [*HELD, "keep close", "NQ-1.c1 is acknowledged"],
    ),
    (
        "a close that never left is made again",
        replace(LONG, closing=True, intents=(CLOSE,)),
        IN_POSITION,
        {},
        [*HELD, "close 1", "NQ-1.c1 is denied", "close is over"],
    ),
    (
        "the close filled while we were down",
        replace(LONG, closing=True, intents=(CLOSE,)),
        truth(executions=(execution("0000e0d5.00000003.01.01", "NQ-1.c1", SELL),), orders=(a_stop(),)),
        {},
        ["book close -1 at 32000", "cancel NQ-1 STP -1", "NQ-1.c1 is filled"],
    ),
    (
        "a close without a position left would open one",
        known(bracket=B),
        truth(orders=(market("NQ-1.c1", SELL),)),
        {},
        ["cancel NQ-1.c1 MKT -1"],
    ),
    (
        "a protecting stop had just arrived",
        replace(LONG, intents=(PROTECT,)),
        replace(IN_POSITION, orders=(a_stop("NQ-1.p1"), a_target())),
        {},
        [*HELD, "NQ-1.p1 is acknowledged"],
    ),
    (
        "the cancel of an entry has its effect",
        known(bracket=B, intents=(CANCEL,)),
        truth(),
        {},
        ["NQ-1.x1 is filled"],
    ),
    # others
    (
        "somebody bought by hand: protected, and no entries",
        known(),
        truth(position_qty=1, entry_ticks=LAST - 4, executions=(BY_HAND,)),
        {},
        ["note +1", "foreign +1 at 31996", "hold +1 as FOREIGN-26256420", "protect 1 at 31960", "no entries"],
    ),
    (
        "the same, adopted",
        known(),
        truth(position_qty=1, entry_ticks=LAST - 4, executions=(BY_HAND,)),
        ADOPT,
        ["note +1", "foreign +1 at 31996", "hold +1 as FOREIGN-26256420", "protect 1 at 31960"],
    ),
    (
        "the same, ignored",
        known(),
        truth(position_qty=1, entry_ticks=LAST - 4, executions=(BY_HAND,)),
        IGNORE,
        ["note +1", "leave +1"],
    ),
    (
        "a position from days ago that nobody here knows",
        known(),
        truth(position_qty=-2, entry_ticks=LAST + 8),
        {},
        ["unexplained -2 at 32008", "hold -2 as FOREIGN-26256420", "protect 2 at 32040", "no entries"],
    ),
    (
        "somebody bought and sold by hand: noted, nothing left of it",
        known(),
        truth(executions=(BY_HAND, SOLD_BY_HAND)),
        {},
        ["note +1", "note -1"],
    ),
    (
        "somebody closed our position by hand: our exits go",
        LONG,
        replace(IN_POSITION, position_qty=0, executions=(ENTERED, SOLD_BY_HAND)),
        {},
        ["note -1", "foreign -1 at 31992", "cancel NQ-1 LMT -1", "cancel NQ-1 STP -1", "no entries"],
    ),
    (
        "somebody turned our position: a stop on the other side",
        LONG,
        replace(IN_POSITION, position_qty=-1, executions=(ENTERED, replace(SOLD_BY_HAND, qty=2))),
        {},
        [
            "note -2",
            "foreign -2 at 31992",
            "hold -1 as FOREIGN-26256420",
            "protect 1 at 32040",
            "cancel NQ-1 LMT -1",
            "cancel NQ-1 STP -1",
            "no entries",
        ],
    ),
    (
        "beside our position there is somebody else's",
        LONG,
        replace(IN_POSITION, position_qty=3),
        IGNORE,
        ["hold +1 as NQ-1", "leave +2", *KEPT],
    ),
    (
        "ours was stopped beside somebody else's",
        LONG,
        truth(position_qty=-2, executions=(ENTERED,)),
        IGNORE,
        ["unexplained -1 at 31960", "leave -2"],
    ),
    ("an order of somebody else: no entries", known(), truth(orders=(THEIRS,)), {}, ["no entries"]),
    ("an order of somebody else, adopted: it is left", known(), truth(orders=(THEIRS,)), ADOPT, []),
    # months
    (
        "a position in another month",
        known(),
        truth(elsewhere=(("NQZ9", 1),)),
        {},
        ["refuse", "no entries"],
    ),
    ("a position in another month, ignored", known(), truth(elsewhere=(("NQZ9", 1),)), IGNORE, []),
    (
        "ours is in another month",
        replace(LONG, symbol="NQZ19"),
        truth(elsewhere=(("NQZ9", 1),)),
        IGNORE,
        ["refuse", "no entries"],
    ),
    # executions
    (
        "an execution that we know is not booked again",
        LONG,
        replace(IN_POSITION, executions=(ENTERED, ENTERED)),
        {},
        HELD,
    ),
    (
        "the broker's correction of one is the same one",
        LONG,
        replace(IN_POSITION, executions=(replace(ENTERED, exec_id="0000e0d5.00000001.01.02", price_ticks=LAST + 1),)),
        {},
        HELD,
    ),
    (
        "an execution of a session that is compared and forgotten",
        replace(known(), forgotten_before_ns=MORNING_NS),
        truth(executions=(BY_HAND, SOLD_BY_HAND, ENTERED)),
        {},
        [],
    ),
    # what is easily taken for something else
    (
        "a stop that was never transmitted guards nothing",
        LONG,
        replace(IN_POSITION, orders=(a_stop(is_working=False, is_held=True), a_target())),
        {},
        ["hold +1 as NQ-1", "keep target", "protect 1 at 31960", "cancel NQ-1 STP -1"],
    ),
    (
        "an entry that still rests would add to somebody else's position",
        WAITING,
        replace(filled(truth(), 1, 0), position_qty=1, executions=(BY_HAND,)),
        {"entry_may_rest": True, **ADOPT},
        [
            "note +1",
            "foreign +1 at 31996",
            "hold +1 as FOREIGN-26256420",
            "protect 1 at 31960",
            "cancel NQ-1 MKT +1",
            "cancel NQ-1 LMT -1",
            "cancel NQ-1 STP -1",
            "NQ-1 is acknowledged",
        ],
    ),
    (
        "an entry goes before what would protect it",
        known(),
        truth(orders=(a_stop("NQ-1.p1"), market())),
        {},
        ["cancel NQ-1 MKT +1", "cancel NQ-1.p1 STP -1"],
    ),
    (
        "a limit under a stop's name is no stop",
        LONG,
        truth(position_qty=1, orders=(order("NQ-1.p1", OrderKind.LIMIT, SELL, 1, STOP),)),
        {},
        ["hold +1 as NQ-1", "protect 1 at 31960", "cancel NQ-1.p1 LMT -1"],
    ),
    (
        "a target of another decision would not end with the stop that is laid",
        LONG,
        truth(position_qty=1, orders=(a_target("NQ-9"),)),
        {},
        ["hold +1 as NQ-1", "protect 1 at 31960", "cancel NQ-9 LMT -1"],
    ),
    (
        "a close of half the position gives way to one of the whole",
        replace(long_of(B2), closing=True),
        truth(position_qty=2, orders=(market("NQ-1.c1", SELL),)),
        {"last_ticks": STOP},
        ["hold +2 as NQ-1", "close 2", "cancel NQ-1.c1 MKT -1", "close is over"],
    ),
    (
        "somebody sold against ours, and our stop still works: ours is there",
        LONG,
        replace(IN_POSITION, position_qty=0),
        IGNORE,
        ["hold +1 as NQ-1", "leave -1", *KEPT],
    ),
    (
        "our position is gone, and not by our stop, which still works",
        LONG,
        replace(IN_POSITION, position_qty=0),
        {},
        ["unexplained -1 at 32000", "cancel NQ-1 LMT -1", "cancel NQ-1 STP -1", "no entries"],
    ),
    (
        "an entry at the broker of which the line has never heard",
        FRESH,
        filled(truth(), 1, 0),
        {},
        ["tell NQ-1", "cancel NQ-1 MKT +1", "cancel NQ-1 LMT -1", "cancel NQ-1 STP -1", "NQ-1 is acknowledged"],
    ),
    (
        "a decision that was only intended does not take over a position",
        replace(LONG, intents=(meant(a_bracket("NQ-2")),)),
        IN_POSITION,
        {},
        [*HELD, "NQ-2 is denied"],
    ),
    (
        "executions are booked in the order in which they happened",
        FRESH,
        truth(executions=(replace(STOPPED, ts_ns=MORNING_NS), ENTERED)),
        {},
        ["tell NQ-1", "book entry +1 at 32000", "book stop -1 at 31959", "NQ-1 is filled"],
    ),
]
