"""What became of the orders that were meant to be sent and of whose end we do not know. Pure."""

from msgspec import Struct

from trader.adapters.ib.facts import BrokerOrder, OrderKind, Truth
from trader.adapters.ib.ours import all_executions, decision_of, entered_qty
from trader.adapters.ib.plan import Known, Resolution
from trader.adapters.state.records import Execution, Intent, IntentState
from trader.domain.orders import Amend, Bracket, Cancel, Flatten, Protect

NO_TRACE = "the broker has no trace of it"


class Seen(Struct, frozen=True):
    """What there is to judge by: the broker's orders, and every execution that either side knows, by its key."""

    orders: tuple[BrokerOrder, ...]
    executions: dict[str, Execution]
    position_qty: int


def resolve(known: Known, truth: Truth, stop_ticks: int | None) -> tuple[Resolution, ...]:
    """One for each intent that had not ended; `stop_ticks` is the level of the stop that stays."""
    seen = Seen(truth.orders, all_executions(known, truth.executions), truth.position_qty)
    return tuple(_resolved(intent, seen, stop_ticks) for intent in known.intents)


def _resolved(intent: Intent, seen: Seen, stop_ticks: int | None) -> Resolution:
    match intent.order:
        case Bracket() as bracket:
            return _of_bracket(intent, bracket, seen)
        case Flatten() | Protect():
            return _of_single(intent, intent.order.qty, seen)
        case Amend() as amend:
            if amend.stop_ticks == stop_ticks:
                return Resolution(intent.order_ref, IntentState.FILLED, "the stop is where it asked for")
            return _over(intent, "the stop is not where it asked for")
        case Cancel() as cancel:
            if working_entry(seen.orders, cancel.order_ref) is None:
                return Resolution(intent.order_ref, IntentState.FILLED, "the entry works no more")
            return Resolution(intent.order_ref, IntentState.ACKNOWLEDGED, "the entry still works")


def _of_bracket(intent: Intent, bracket: Bracket, seen: Seen) -> Resolution:
    done = entered_qty(seen.executions, bracket)
    if done >= bracket.qty:
        return Resolution(intent.order_ref, IntentState.FILLED, f"{done} of {bracket.qty} executed")
    if working_entry(seen.orders, bracket.order_ref) is not None:
        return Resolution(intent.order_ref, IntentState.ACKNOWLEDGED, f"works, {done} of {bracket.qty} executed")
    if not done and is_behind(seen, bracket):
        return Resolution(intent.order_ref, IntentState.FILLED, "its exits protect a position")
    if done:
        return Resolution(intent.order_ref, IntentState.CANCELLED, f"works no more, {done} of {bracket.qty} executed")
    return _over(intent, NO_TRACE)


def _of_single(intent: Intent, qty: int, seen: Seen) -> Resolution:
    done = sum(each.qty for each in seen.executions.values() if each.order_ref == intent.order_ref)
    if done >= qty:
        return Resolution(intent.order_ref, IntentState.FILLED, f"{done} of {qty} executed")
    if any(each.order_ref == intent.order_ref and each.is_working for each in seen.orders):
        return Resolution(intent.order_ref, IntentState.ACKNOWLEDGED, f"works, {done} of {qty} executed")
    if done:
        return Resolution(intent.order_ref, IntentState.CANCELLED, f"works no more, {done} of {qty} executed")
    return _over(intent, NO_TRACE)


def _over(intent: Intent, why: str) -> Resolution:
    """An order that was only intended has never left, as far as anybody can tell."""
    never_left = intent.state is IntentState.INTENDED
    return Resolution(intent.order_ref, IntentState.DENIED if never_left else IntentState.CANCELLED, why)


def working_entry(orders: tuple[BrokerOrder, ...], decision: str) -> BrokerOrder | None:
    """The decision's entry, where it still works."""
    return next(
        (
            each
            for each in orders
            if each.order_ref == decision and each.kind is OrderKind.MARKET and (each.is_working or each.is_held)
        ),
        None,
    )


def is_behind(seen: Seen, bracket: Bracket) -> bool:
    """Exits of this decision work behind a position on its side: it was entered, on a day of which nobody tells."""
    return seen.position_qty * bracket.side > 0 and any(
        decision_of(each.order_ref) == bracket.order_ref and each.side is not bracket.side and each.is_working
        for each in seen.orders
    )
