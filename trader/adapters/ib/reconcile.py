"""What to do after asking the broker: a pure function of what we know, what the broker says, the time and the price.

One path for a start, a crash and a lost link. The broker is right about positions, orders and executions; our own state
says whose they are and at which level a position is to be stopped. `Plan` says in which order it is applied.
"""

from msgspec import Struct
from msgspec.structs import replace

from trader.adapters.ib.exits import Exits, is_stop_of_ours, sort_orders, without_close, without_target
from trader.adapters.ib.facts import Truth
from trader.adapters.ib.intentions import resolve, working_entry
from trader.adapters.ib.ours import (
    News,
    all_executions,
    at_work,
    average_ticks,
    decision_of,
    entered_qty,
    signed_qty,
    sort_executions,
)
from trader.adapters.ib.plan import ForeignPolicy, Known, Moment, Plan
from trader.domain.orders import Bracket, foreign_ref


class Holding(Struct, frozen=True, kw_only=True):
    """How the position came about: `qty` is ours, `ignored_qty` is left to others; what no execution of ours explains.

    `was_stopped`: what is unexplained is what our stop would have done, and the stop is gone.
    """

    qty: int
    ignored_qty: int
    foreign_qty: int
    unexplained_qty: int
    was_stopped: bool


class Guard(Struct, frozen=True, kw_only=True):
    """What is to stand behind the position: a stop to lay or to move, or a close."""

    protect_qty: int = 0
    protect_ticks: int = 0
    close_qty: int = 0
    close_why: str = ""
    amend_stop_ticks: int | None = None
    amend_target_ticks: int | None = None


class Case(Struct, frozen=True, kw_only=True):
    """All that there is to judge, and what has been found so far."""

    known: Known
    truth: Truth
    policy: ForeignPolicy
    moment: Moment
    bracket: Bracket | None
    news: News
    holding: Holding
    exits: Exits

    @property
    def is_foreign(self) -> bool:
        """Something here is not ours, and is there now."""
        holding = self.holding
        unexplained = holding.unexplained_qty and not holding.was_stopped
        return bool(holding.foreign_qty or unexplained or self.exits.foreign)

    @property
    def untold(self) -> Bracket | None:
        """The decision at work, where the line does not know it and must."""
        bracket = self.bracket
        if bracket is None or bracket == self.known.bracket:
            return None
        stop = self.exits.stop
        is_behind = stop is not None and decision_of(stop.order_ref) == bracket.order_ref
        is_entering = working_entry(self.truth.orders, bracket.order_ref) is not None
        return bracket if self.news.ours or is_behind or is_entering else None


def reconcile(known: Known, truth: Truth, policy: ForeignPolicy, moment: Moment) -> Plan:
    """The plan; after it has been applied, the plan of the broker's next answer asks for nothing."""
    refusal = _refusal(known, truth, policy, moment)
    if refusal is not None and not moment.entry_may_rest:
        return Plan(refusal=f"{refusal}; nothing was sent", alerts=(refusal,))
    bracket = at_work(known)
    news = sort_executions(known, truth.executions, bracket)
    holding = _holding(known, truth, policy, news)
    exits = sort_orders(truth.orders, bracket, holding.qty, entry_may_rest=moment.entry_may_rest)
    case = Case(
        known=known,
        truth=truth,
        policy=policy,
        moment=moment,
        bracket=bracket,
        news=news,
        holding=holding,
        exits=exits,
    )
    decision = _decision(case)
    if exits.stop is None and exits.target is not None and exits.target.oca_group != decision:
        case = replace(case, exits=without_target(exits))  # the stop that is to be laid would not end it
    guard = _guard(case)
    if guard.close_qty:
        # One for the whole position: two closes of one group would take contracts from each other.
        case = replace(case, exits=without_close(case.exits))
    plan = _plan(case, guard, decision)
    if refusal is not None:  # what is ours in this month is guarded all the same
        return replace(plan, refusal=refusal, may_enter=False, alerts=(*plan.alerts, refusal))
    return plan


def _plan(case: Case, guard: Guard, decision: str) -> Plan:
    holding, exits, news = case.holding, case.exits, case.news
    remarks, alerts = words(case, guard)
    return Plan(
        bracket=case.untold,
        executions=tuple(sorted((*news.ours, *news.strays), key=lambda each: each.ts_ns)),
        foreign=news.others,
        foreign_qty=holding.foreign_qty,
        foreign_ticks=average_ticks(news.others, holding.foreign_qty),
        unexplained_qty=holding.unexplained_qty,
        unexplained_ticks=_unexplained_ticks(case),
        position_qty=holding.qty,
        ignored_qty=holding.ignored_qty,
        decision=decision,
        stop=exits.stop,
        target=exits.target,
        close=exits.close,
        protect_qty=guard.protect_qty,
        protect_ticks=guard.protect_ticks,
        close_qty=guard.close_qty,
        close_why=guard.close_why,
        cancel=exits.cancel,
        amend_stop_ticks=guard.amend_stop_ticks,
        amend_target_ticks=guard.amend_target_ticks,
        resolutions=resolve(case.known, case.truth, None if exits.stop is None else exits.stop.price_ticks),
        entry_is_over=_entry_is_over(case),
        may_enter=not (case.is_foreign and case.policy is ForeignPolicy.REFUSE),
        remarks=remarks,
        alerts=alerts,
    )


def _refusal(known: Known, truth: Truth, policy: ForeignPolicy, moment: Moment) -> str | None:
    """Why nothing can be done: what lies in another month can be neither protected nor closed in this one."""
    others = ", ".join(f"{qty:+d} {symbol}" for symbol, qty in truth.elsewhere)
    was_elsewhere = known.position_qty and known.symbol != moment.symbol
    if others and (was_elsewhere or policy is not ForeignPolicy.IGNORE):
        return (
            f"the account holds {others}, and {moment.symbol} is to be traded: close that position by hand, or trade"
            " its month"
        )
    return None


def _holding(known: Known, truth: Truth, policy: ForeignPolicy, news: News) -> Holding:
    ours = known.position_qty + signed_qty(news.ours) + signed_qty(news.strays)
    stop_is_gone = not any(is_stop_of_ours(each) for each in truth.orders)
    if policy is ForeignPolicy.IGNORE:
        return _holding_beside_others(ours, truth.position_qty, stop_is_gone=stop_is_gone)
    foreign = signed_qty(news.others)
    gap = truth.position_qty - ours - foreign
    return Holding(
        qty=truth.position_qty,
        ignored_qty=0,
        foreign_qty=foreign,
        unexplained_qty=gap,
        was_stopped=gap == -ours and stop_is_gone,
    )


def _holding_beside_others(ours: int, all_qty: int, *, stop_is_gone: bool) -> Holding:
    """Ours is what our executions say, unless our stop is gone and the broker's position has no room for ours."""
    has_room = all_qty * ours > 0 and abs(all_qty) >= abs(ours)
    was_stopped = bool(ours) and stop_is_gone and not has_room
    qty = 0 if was_stopped else ours
    return Holding(
        qty=qty,
        ignored_qty=all_qty - qty,
        foreign_qty=0,
        unexplained_qty=qty - ours,
        was_stopped=was_stopped,
    )


def _guard(case: Case) -> Guard:
    qty, exits, known = case.holding.qty, case.exits, case.known
    if not qty or (exits.close is not None and exits.close.remaining_qty >= abs(qty)):
        return Guard()
    if known.closing and exits.close is None:
        return Guard(close_qty=abs(qty), close_why="its close was under way and is not at the broker")
    ours_ticks = (known.stop_ticks if known.position_qty * qty > 0 else 0) or _level_of_entry(case)
    if exits.stop is not None:
        return _guard_of_stop(case, exits.stop.price_ticks, ours_ticks)
    level = ours_ticks or _default_ticks(case)
    if _is_passed(level, case):
        return Guard(close_qty=abs(qty), close_why=f"it has no stop, and the price has passed {level} ticks")
    return Guard(protect_qty=abs(qty), protect_ticks=level)


def _guard_of_stop(case: Case, rests_ticks: int | None, level: int) -> Guard:
    """Keep the stop that is there, at the level that we know; 0 where we know none."""
    known, target = case.known, case.exits.target
    if not level:
        return Guard()
    is_moved = rests_ticks != level
    if is_moved and _is_passed(level, case):
        why = f"the price has passed {level} ticks, where its stop should be"
        return Guard(close_qty=abs(case.holding.qty), close_why=why)
    moves_target = target is not None and known.target_ticks and target.price_ticks != known.target_ticks
    return Guard(
        amend_stop_ticks=level if is_moved else None,
        amend_target_ticks=known.target_ticks if moves_target else None,
    )


def _level_of_entry(case: Case) -> int:
    """Where the bracket of a fill that the book has not seen was sent to; 0 where there is none."""
    bracket = case.bracket
    is_its = bracket is not None and case.news.ours and bracket.side * case.holding.qty > 0
    return bracket.stop_ticks if bracket is not None and is_its else 0


def _default_ticks(case: Case) -> int:
    moment, truth = case.moment, case.truth
    from_ticks = truth.entry_ticks if moment.last_ticks is None else moment.last_ticks
    side = 1 if case.holding.qty > 0 else -1
    return from_ticks - side * moment.default_stop_ticks


def _is_passed(level: int, case: Case) -> bool:
    """A stop there would trigger at once."""
    last = case.moment.last_ticks
    side = 1 if case.holding.qty > 0 else -1
    return last is not None and side * (last - level) <= 0


def _unexplained_ticks(case: Case) -> int:
    """What it is booked at: the level of our stop if that is gone, else the broker's average, else the last price."""
    known, holding = case.known, case.holding
    if not holding.unexplained_qty:
        return 0
    fallback = case.moment.last_ticks or known.entry_ticks
    if holding.was_stopped:
        return known.stop_ticks or fallback
    opens = holding.unexplained_qty * holding.qty > 0
    return (case.truth.entry_ticks if opens else 0) or fallback or case.truth.entry_ticks


def _decision(case: Case) -> str:
    """Whose name orders behind the position carry; one for a position that is nobody's."""
    qty, bracket, stop = case.holding.qty, case.bracket, case.exits.stop
    if not qty:
        return ""
    is_its = bracket is not None and bracket.side * qty > 0 and case.known.order_ref in {"", bracket.order_ref}
    if bracket is not None and is_its and (case.known.position_qty * qty > 0 or case.news.ours):
        return bracket.order_ref
    for each in (stop, case.exits.target, case.exits.close):
        if each is not None:
            return decision_of(each.order_ref) or ""
    if case.known.order_ref and case.known.position_qty * qty > 0:
        return case.known.order_ref
    return foreign_ref(case.moment.ts_ns)


def _entry_is_over(case: Case) -> bool:
    """The line waits for an entry, or will, that is not at the broker and has not been filled whole."""
    bracket = case.bracket
    if bracket is None or not (case.known.entry_working or case.untold is not None):
        return False
    done = entered_qty(all_executions(case.known, case.truth.executions), bracket)
    return done < bracket.qty and working_entry(case.truth.orders, bracket.order_ref) is None


def words(case: Case, guard: Guard) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What is said of it: to the log, and to a person."""
    holding, exits, news = case.holding, case.exits, case.news
    remarks = _told(news)
    alerts: list[str] = []
    remarks += [
        f"cancelled: {each.kind} {each.side.name} {each.remaining_qty} of {each.order_ref}" for each in exits.cancel
    ]
    if holding.ignored_qty:
        remarks.append(f"{holding.ignored_qty:+d} contracts are left to others")
    alerts += [f"the broker has corrected execution {each.exec_id}; the first is booked" for each in news.corrected]
    if holding.foreign_qty:
        alerts.append(f"somebody else has traded {holding.foreign_qty:+d} contracts on this account")
    if holding.was_stopped and holding.unexplained_qty:
        alerts.append(f"{-holding.unexplained_qty:+d} contracts are gone with their stop; no execution tells of it")
    elif holding.unexplained_qty:
        alerts.append(f"{holding.unexplained_qty:+d} contracts that no execution explains")
    if exits.foreign and case.policy is not ForeignPolicy.IGNORE:
        alerts.append(f"{len(exits.foreign)} orders on this account are not ours")
    if guard.protect_qty:
        alerts.append(f"{holding.qty:+d} contracts had no stop: one is laid at {guard.protect_ticks} ticks")
    if guard.close_qty:
        alerts.append(f"{holding.qty:+d} contracts are closed: {guard.close_why}")
    return tuple(remarks), tuple(alerts)


def _told(news: News) -> list[str]:
    """What is said of executions that were not known."""
    remarks: list[str] = []
    if news.ours:
        remarks.append(f"{len(news.ours)} executions of {news.ours[0].order_ref} were not known")
    if news.strays:
        remarks.append(f"{len(news.strays)} executions of earlier decisions: {signed_qty(news.strays):+d}")
    if news.others:
        remarks.append(f"{len(news.others)} executions are not of the decision at work: {signed_qty(news.others):+d}")
    return remarks
