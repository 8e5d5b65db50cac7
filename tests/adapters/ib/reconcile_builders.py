"""Words for a situation: what we know, what the broker says. The contract is NQH20, prices are ticks."""

from typing import Any

from msgspec.structs import replace

from trader.adapters.ib.facts import BrokerOrder, Funds, OrderKind, Truth
from trader.adapters.ib.plan import ForeignPolicy, Known, Moment, Plan
from trader.adapters.ib.reconcile import reconcile
from trader.adapters.state.records import Execution, Intent, IntentState
from trader.domain.actions import Side
from trader.domain.orders import Bracket, Order

BUY, SELL = Side.BUY, Side.SELL
MORNING_NS = 1_575_385_200_000_000_000
LAST, STOP, TARGET = 32_000, 31_960, 32_120
ACCOUNT = "DU1234567"
NO_FUNDS = Funds(**dict.fromkeys(Funds.__struct_fields__))
MOMENT = Moment(ts_ns=MORNING_NS, symbol="NQH20", last_ticks=LAST, default_stop_ticks=40, entry_may_rest=False)
FLAT = Known(
    symbol="NQH20",
    bracket=None,
    position_qty=0,
    entry_ticks=0,
    entry_working=False,
    closing=False,
    stop_ticks=0,
    target_ticks=0,
    executions=(),
    intents=(),
)
NOTHING = Truth(position_qty=0, entry_ticks=0, orders=(), executions=(), elsewhere=(), funds=NO_FUNDS, ts_ns=MORNING_NS)


def a_bracket(ref: str = "NQ-1", side: Side = BUY, qty: int = 1) -> Bracket:
    """A bracket at the last price."""
    return Bracket(
        order_ref=ref,
        side=side,
        qty=qty,
        stop_distance_ticks=40,
        target_distance_ticks=120,
        stop_ticks=LAST - side * 40,
        target_ticks=LAST + side * 120,
    )


def meant(order: Order, state: IntentState = IntentState.INTENDED, ref: str | None = None) -> Intent:
    """An intent that has not ended."""
    return Intent(
        order_ref=ref or order.order_ref,
        decision_id=order.order_ref,
        order=order,
        state=state,
        ts_intended_ns=MORNING_NS - 10,
        ts_changed_ns=MORNING_NS - 10,
        why=None,
    )


def known(**changes: Any) -> Known:
    """Flat, unless told otherwise."""
    return replace(FLAT, **changes)


def long_of(bracket: Bracket, **changes: Any) -> Known:
    """In the bracket's position, as the book has it."""
    held = {
        "bracket": bracket,
        "position_qty": int(bracket.side) * bracket.qty,
        "entry_ticks": LAST,
        "stop_ticks": bracket.stop_ticks,
        "target_ticks": bracket.target_ticks,
        "executions": (execution("0000e0d5.00000001.01.01", bracket.order_ref, bracket.side, bracket.qty, LAST),),
    }
    return known(**{**held, **changes})


def order(ref: str, kind: OrderKind, side: Side, qty: int = 1, price: int | None = None, **changes: Any) -> BrokerOrder:
    """A working order of ours in its decision's OCA group."""
    told = BrokerOrder(
        order_ref=ref,
        order_id=5,
        perm_id=list(OrderKind).index(kind) + 1,
        client_id=1,
        parent_id=0,
        account=ACCOUNT,
        con_id=1,
        side=side,
        kind=kind,
        qty=qty,
        filled_qty=0,
        price_ticks=price,
        is_working=True,
        is_held=False,
        tif="GTC",
        outside_rth=True,
        oca_group=ref.split(".", maxsplit=1)[0],
    )
    return replace(told, **changes)


def a_stop(ref: str = "NQ-1", qty: int = 1, price: int = STOP, side: Side = SELL, **changes: Any) -> BrokerOrder:
    """The stop of a long position."""
    return order(ref, OrderKind.STOP, side, qty, price, **changes)


def a_target(ref: str = "NQ-1", qty: int = 1, price: int = TARGET, side: Side = SELL, **changes: Any) -> BrokerOrder:
    """The target of a long position."""
    return order(ref, OrderKind.LIMIT, side, qty, price, **changes)


def market(ref: str = "NQ-1", side: Side = BUY, qty: int = 1, **changes: Any) -> BrokerOrder:
    """An entry, or by its reference a close."""
    return order(ref, OrderKind.MARKET, side, qty, None, tif="DAY", **changes)


def execution(
    exec_id: str, ref: str | None, side: Side, qty: int = 1, price: int = LAST, ts_ns: int = MORNING_NS - 5
) -> Execution:
    """As the broker tells it: without a leg where the reference does not say."""
    return Execution(
        exec_id=exec_id,
        order_ref=ref,
        leg=None,
        perm_id=1,
        side=side,
        qty=qty,
        price_ticks=price,
        commission_cents=225,
        ts_ns=ts_ns,
    )


def truth(**changes: Any) -> Truth:
    """Nothing there, unless told otherwise."""
    return replace(NOTHING, **changes)


def plan_of(
    what: Known, says: Truth, policy: ForeignPolicy = ForeignPolicy.REFUSE, moment: Moment = MOMENT, **changes: Any
) -> Plan:
    """The plan; `changes` are the moment's."""
    return reconcile(what, says, policy, replace(moment, **changes))


def gist(plan: Plan) -> list[str]:
    """All that a plan asks for, in the order in which it is done; an adopted order is told as kept."""
    said = [] if plan.refusal is None else ["refuse"]
    said += [] if plan.bracket is None else [f"tell {plan.bracket.order_ref}"]
    said += [f"book {each.leg} {each.side * each.qty:+d} at {each.price_ticks}" for each in plan.executions]
    said += [f"note {each.side * each.qty:+d}" for each in plan.foreign]
    if plan.foreign_qty:
        said.append(f"foreign {plan.foreign_qty:+d} at {plan.foreign_ticks}")
    if plan.unexplained_qty:
        said.append(f"unexplained {plan.unexplained_qty:+d} at {plan.unexplained_ticks}")
    said += [f"hold {plan.position_qty:+d} as {plan.decision}"] if plan.position_qty else []
    said += [f"leave {plan.ignored_qty:+d}"] if plan.ignored_qty else []
    kept = {"stop": plan.stop, "target": plan.target, "close": plan.close}
    said += [f"keep {role}" for role, each in kept.items() if each is not None]
    said += [f"protect {plan.protect_qty} at {plan.protect_ticks}"] if plan.protect_qty else []
    said += [f"close {plan.close_qty}"] if plan.close_qty else []
    said += [f"cancel {each.order_ref} {each.kind} {each.side * each.remaining_qty:+d}" for each in plan.cancel]
    said += [f"stop to {plan.amend_stop_ticks}"] if plan.amend_stop_ticks is not None else []
    said += [f"target to {plan.amend_target_ticks}"] if plan.amend_target_ticks is not None else []
    said += [f"{each.order_ref} is {each.state}" for each in plan.resolutions]
    said += ["entry is over"] if plan.entry_is_over else []
    said += [] if plan.may_enter else ["no entries"]
    return said
