"""Whose an execution is, and of which of a bracket's orders. Pure."""

from collections.abc import Iterable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from trader.adapters.ib.facts import OPERATOR_REF, OrderKind, named
from trader.adapters.ib.plan import Known
from trader.adapters.state.records import Execution, IntentState, Leg
from trader.domain.actions import Side
from trader.domain.orders import Bracket

_NOT_OVER = frozenset({IntentState.INTENDED, IntentState.SENT, IntentState.ACKNOWLEDGED, IntentState.UNRESOLVED})


class News(Struct, frozen=True):
    """The executions that were not known, oldest first: those of the decision at work, those of nobody here, and
    `strays`: of an earlier decision of ours, whose order was not to fill any more."""

    ours: tuple[Execution, ...]
    others: tuple[Execution, ...]
    corrected: tuple[Execution, ...]
    strays: tuple[Execution, ...] = ()


def execution_key(exec_id: str) -> str:
    """An execution's id without its revision: `0000e0d5.5f1b2c3d.01.02` corrects `...01.01` and is the same one."""
    head, dot, revision = exec_id.rpartition(".")
    return head if dot and head.count(".") == 2 and revision.isdigit() else exec_id


def decision_of(order_ref: str | None) -> str | None:
    """The decision that an order reference on the wire names; None where it is none of ours."""
    ours = named(order_ref or "", OrderKind.MARKET)
    return None if ours is None else ours.decision


def is_operators(order_ref: str | None) -> bool:
    """Whether the operator's command, which closes without a daemon, has sent it."""
    return order_ref == OPERATOR_REF


def at_work(known: Known) -> Bracket | None:
    """The decision whose orders may be at the broker: one whose intent was written is newer than what the line has."""
    if known.position_qty:
        return known.bracket
    meant = [each.order for each in known.intents if isinstance(each.order, Bracket) and each.state in _NOT_OVER]
    return meant[-1] if meant else known.bracket


def sort_executions(known: Known, told: Iterable[Execution], bracket: Bracket | None) -> News:
    """What is new among what the broker tells; the last revision counts, a revision of a known one is not new.

    What the operator's command has closed without a daemon counts as a close of the decision at work.
    """
    seen = {execution_key(each.exec_id): each for each in known.executions}
    latest: dict[str, Execution] = {}
    for each in sorted(told, key=lambda execution: execution.ts_ns):
        latest[execution_key(each.exec_id)] = each
    ours, others, corrected, strays = [], [], [], []
    for key, each in latest.items():
        before = seen.get(key)
        if before is not None:
            if (before.qty, before.price_ticks, before.side) != (each.qty, each.price_ticks, each.side):
                corrected.append(each)
        elif bracket is not None and (is_operators(each.order_ref) or decision_of(each.order_ref) == bracket.order_ref):
            ours.append(replace(each, leg=leg_of(each, bracket, known.target_ticks)))
        elif decision_of(each.order_ref) in known.decisions:
            strays.append(each)
        else:
            others.append(each)
    return News(tuple(ours), tuple(others), tuple(corrected), tuple(strays))


def leg_of(execution: Execution, bracket: Bracket, target_ticks: int) -> Leg:
    """Which order of the bracket it was: by the reference, else by side, else by price.

    An execution does not say of which type its order was, and entry, stop and target carry one reference. An exit at
    the target or better is the target's (a limit fills nowhere else), every other one the stop's. `target_ticks` 0: the
    bracket's own.
    """
    ours = named(execution.order_ref or "", OrderKind.MARKET)
    if execution.leg is not None:
        return execution.leg
    if is_operators(execution.order_ref):
        return Leg.CLOSE
    if ours is not None and ours.leg is not Leg.ENTRY:
        return ours.leg
    if execution.side is bracket.side:
        return Leg.ENTRY
    level = target_ticks or bracket.target_ticks
    is_target = bracket.side * (execution.price_ticks - level) >= 0
    return Leg.TARGET if is_target else Leg.STOP


def signed_qty(executions: Iterable[Execution]) -> int:
    """What they come to in signed contracts."""
    return sum(each.side * each.qty for each in executions)


def average_ticks(executions: Iterable[Execution], qty: int) -> int:
    """The rounded average price of those on the side of `qty`, signed contracts; 0 for none."""
    side = Side.BUY if qty > 0 else Side.SELL
    same = [each for each in executions if each.side is side]
    total = sum(each.qty for each in same)
    return round(sum(each.qty * each.price_ticks for each in same) / total) if qty and total else 0


def entered_qty(executions: Mapping[str, Execution], bracket: Bracket) -> int:
    """Contracts of the bracket's entry that have been executed; `executions` by `execution_key`."""
    return sum(
        each.qty
        for each in executions.values()
        if decision_of(each.order_ref) == bracket.order_ref and leg_of(each, bracket, 0) is Leg.ENTRY
    )


def all_executions(known: Known, told: Iterable[Execution]) -> dict[str, Execution]:
    """Those we know of and those that the broker tells of, by `execution_key`."""
    return {execution_key(each.exec_id): each for each in (*known.executions, *told)}
