"""Makes what is known here and what the broker says the same: the plan of `reconcile`, carried out."""

import time
from collections.abc import Callable

import structlog
from msgspec.structs import replace

from trader.adapters.ib.acting import Actor
from trader.adapters.ib.contract import Pinned
from trader.adapters.ib.desk import Desk, Stage, Track
from trader.adapters.ib.facts import BrokerOrder, OrderKind, Truth, named
from trader.adapters.ib.hearing import Hearing
from trader.adapters.ib.orders import Draft
from trader.adapters.ib.ours import decision_of, is_operators
from trader.adapters.ib.out_of_reach import OutOfReach
from trader.adapters.ib.plan import ForeignPolicy, Known, Moment, Plan
from trader.adapters.ib.reconcile import reconcile
from trader.adapters.ib.room import Room
from trader.adapters.state.records import Execution, IntentState, Leg
from trader.domain.orders import AmendCause, Bracket, ExitReason, foreign_ref
from trader.errors import ConfigurationError

log = structlog.get_logger("trader.orders")
_KIND_OF = {
    Leg.ENTRY: OrderKind.MARKET,
    Leg.STOP: OrderKind.STOP,
    Leg.TARGET: OrderKind.LIMIT,
    Leg.CLOSE: OrderKind.MARKET,
}


class Applier:
    """Takes one complete answer of the broker. `on_untold` is told of a decision that the line does not know."""

    def __init__(self, room: Room, actor: Actor, hearing: Hearing, wall_ns: Callable[[], int] = time.time_ns) -> None:
        self._room = room
        self._actor = actor
        self._hearing = hearing
        self._wall_ns = wall_ns
        self._unexplained_qty = 0
        self._ts_ns = 0
        self._said: tuple[str, ...] = ()
        self.out_of_reach = OutOfReach(room, actor)
        self.on_untold: Callable[[Bracket], None] = _nobody
        self.has_synced = False
        self.may_enter = False

    def apply(self, truth: Truth, pinned: Pinned) -> bool:
        """Do what the answer asks for; False where the broker has to be asked again before it is certain."""
        for seen in truth.orders:
            self._stands(seen)
        moment = self._moment(pinned)
        self._ts_ns = moment.ts_ns
        plan = reconcile(self._known(pinned), truth, self._room.terms.policy, moment)
        if plan.refusal is not None:
            self._refuse(plan.refusal)
        self._say(plan)
        self._book(plan)
        self._cost(truth)
        self._end_absent(truth)
        is_certain = self._take_over(plan)
        self._guard(plan, truth)
        self._resolve(plan)
        self.may_enter = plan.may_enter
        for desk in list(self._room.desks.values()):
            self._actor.converge(desk)
        return is_certain

    @property
    def is_puzzled(self) -> bool:
        """The position was not what all executions make; the broker is asked again before anybody is told."""
        return bool(self._unexplained_qty)

    def _known(self, pinned: Pinned) -> Known:
        room, desk = self._room, self._room.desk
        qty = room.held.qty
        behind = self._behind()
        return Known(
            symbol=room.symbol if qty else pinned.symbol,
            order_ref=room.foreign_ref,
            bracket=None if desk is None else desk.bracket,
            position_qty=qty,
            entry_ticks=0,
            entry_working=desk is not None and not desk.entry_told and not desk.entry_unwanted,
            closing=any(each.close_reason is not None for each in room.desks.values()),
            stop_ticks=behind.stop_ticks if behind is not None and qty else 0,
            target_ticks=behind.target_ticks if behind is not None and qty else 0,
            executions=tuple(room.records.executions.values()),
            intents=room.records.open_intents,
            decisions=_decisions(room),
        )

    def _behind(self) -> Desk | None:
        """Whose stop is, or was last, behind the position."""
        room = self._room
        stopped = [desk for desk in room.desks.values() if desk.live(Leg.STOP)]
        return stopped[-1] if stopped else room.desks.get(room.foreign_ref, room.desk)

    def _moment(self, pinned: Pinned) -> Moment:
        room = self._room
        return Moment(
            ts_ns=self._wall_ns(),
            symbol=pinned.symbol,
            last_ticks=room.last_ticks,
            default_stop_ticks=room.terms.default_stop_ticks,
            entry_may_rest=self.has_synced,
        )

    def _refuse(self, why: str) -> None:
        if not self.has_synced:
            raise ConfigurationError(why)
        self._room.break_off(why)

    def _say(self, plan: Plan) -> None:
        """Once, however often the broker is asked."""
        said = plan.remarks + plan.alerts
        if said != self._said:
            for remark in plan.remarks:
                log.info("reconciled", remark=remark)
            for alert in plan.alerts:
                log.error("reconciled", alert=alert)
        self._said = said

    def _stands(self, seen: BrokerOrder) -> None:
        """What works at the broker works, whatever was believed of it; what is of ours and not known is taken over."""
        ours = named(seen.order_ref, seen.kind)
        if ours is None:
            return
        desk = self._room.desk_of(ours.decision)
        track = desk.find(seen.order_ref, ours.leg)
        if track is None or (track.perm_id and track.perm_id != seen.perm_id and not track.stage.is_live):
            booked = [e.qty for e in self._room.records.executions.values() if e.perm_id == seen.perm_id]
            track = _track(seen, ours.leg, sum(booked))
            desk.tracks.append(track)
        self._unsettled(desk, track, seen)
        self._room.wire.saw_id(seen.order_id)
        self._hearing.stands(desk, track, seen)

    def _unsettled(self, desk: Desk, track: Track, seen: BrokerOrder) -> None:
        """What was asked of this order and has not happened is not under way any more once its time is over."""
        if track.due_s is None or track.due_s > self._room.now_s:
            return
        if track.is_cancelling:
            track.is_cancelling, track.due_s = False, None
            self._hearing.settle_change(track, IntentState.CANCELLED)
        if seen.price_ticks != track.draft.price_ticks:
            track.refused_changes += 1
            track.draft = replace(track.draft, price_ticks=seen.price_ticks)
            self._hearing.settle_change(track, IntentState.REJECTED)
            self._change_refused(desk, track)

    def _change_refused(self, desk: Desk, track: Track) -> None:
        if track.draft.leg is Leg.TARGET:
            if track.refused_changes >= self._room.terms.change_tries and track.draft.price_ticks is not None:
                desk.target_ticks = track.draft.price_ticks
        elif track.refused_changes >= self._room.terms.change_tries and self._room.held.qty:
            self._room.watcher.on_naked(f"the stop of {desk.decision} cannot be moved to {desk.stop_ticks} ticks")

    def _book(self, plan: Plan) -> None:
        if plan.bracket is not None and plan.bracket.order_ref not in self._room.desks:
            self._room.begin(plan.bracket)
            self.on_untold(plan.bracket)
        for execution in plan.executions:
            self._book_one(execution)
        for execution in plan.foreign:
            self._room.records.executed(execution)
        if plan.foreign_qty or (
            self.has_synced and self._room.terms.policy is not ForeignPolicy.IGNORE and _by_hand(plan)
        ):
            self._foreign(plan.foreign_qty, plan.foreign_ticks)

    def _cost(self, truth: Truth) -> None:
        """The costs of what is booked already: a report that came while nobody heard is told in answers only."""
        for execution in truth.executions:
            if execution.commission_cents is not None:
                self._hearing.on_commission(execution.exec_id, execution.commission_cents)

    def _book_one(self, execution: Execution) -> None:
        desk = self._desk_of(execution)
        track = _track_of(desk, execution)
        if track is None:
            track = _executed_track(execution, execution.leg or Leg.CLOSE, desk.bracket)
            desk.tracks.append(track)
        self._hearing.book(desk, track, execution)

    def _desk_of(self, execution: Execution) -> Desk:
        """What the operator's command has closed is of the decision whose position it was."""
        own = self._room.desk
        if is_operators(execution.order_ref) and own is not None:
            return own
        return self._room.desk_of(decision_of(execution.order_ref) or "")

    def _end_absent(self, truth: Truth) -> None:
        """What is not there any more has ended: at once where a word is overdue, or there was none before."""
        there = {(seen.order_ref, seen.kind) for seen in truth.orders}
        for desk in list(self._room.desks.values()):
            for track in desk.live():
                is_fresh = track.due_s is not None and track.due_s > self._room.now_s and not track.cannot_wait
                if (track.draft.order_ref, track.draft.kind) not in there and not is_fresh:
                    is_new = track.stage is Stage.SENT
                    if is_new and self._is_untransmitted(desk, track):
                        continue
                    stage = Stage.REJECTED if is_new else Stage.CANCELLED
                    self._hearing.ended(desk, track, stage, "the broker has no trace of it")

    def _is_untransmitted(self, desk: Desk, track: Track) -> bool:
        """An answer does not tell of orders that were never transmitted, and a person could transmit them yet: an entry
        without a trace is taken back, which the broker may refuse (10147), before it counts as ended; so is its target.
        """
        entry = desk.entry
        if entry is None or entry.stage is not Stage.SENT or track.draft.leg is Leg.STOP:
            return False
        if not entry.is_cancelling and self._room.reaches(entry):
            desk.entry_unwanted = True
            self._actor.cancel_track(desk, entry)
        return not entry.is_cancelling or (entry.due_s is not None and entry.due_s > self._room.now_s)

    def _take_over(self, plan: Plan) -> bool:
        """A difference that nothing explains is booked when it is seen twice; a position may run ahead of its fill."""
        before, self._unexplained_qty = self._unexplained_qty, plan.unexplained_qty
        if not plan.unexplained_qty:
            return True
        if before != plan.unexplained_qty:
            return False
        self._unexplained_qty = 0
        self._foreign(plan.unexplained_qty, plan.unexplained_ticks)
        return True

    def _foreign(self, signed_qty: int, price_ticks: int) -> None:
        room = self._room
        before_qty = room.held.qty
        room.held.qty += signed_qty
        if before_qty * room.held.qty <= 0:
            room.foreign_ref = foreign_ref(self._ts_ns) if room.held.qty else ""
            room.close_no_more()
        room.watcher.on_foreign(signed_qty, price_ticks, self._ts_ns)

    def _guard(self, plan: Plan, truth: Truth) -> None:
        """The stop first, then what has to go, then the levels."""
        room = self._room
        room.others_qty = plan.ignored_qty
        if self._unexplained_qty or room.held.qty != plan.position_qty or not room.may_send:
            return
        desk = room.desk_of(plan.decision) if plan.decision else None
        if desk is not None and plan.protect_qty and room.stopped_qty - _going_qty(room, plan) < abs(room.held.qty):
            self._actor.protect(desk, plan.protect_qty, plan.protect_ticks)
        elif desk is not None and plan.close_qty and not room.exits_wait:
            self._close(desk, plan.close_why)
        left = [seen for seen in plan.cancel if not self._cancel(seen)]
        self.out_of_reach.deal(left, plan.cancel, truth)
        stop_ticks, target_ticks = plan.amend_stop_ticks, plan.amend_target_ticks
        if desk is not None and (stop_ticks is not None or target_ticks is not None):
            self._amend(desk, stop_ticks, target_ticks)

    def _close(self, desk: Desk, why: str) -> None:
        """What is to be closed already is closed on: its close waits for the wire, or left after the broker was asked,
        or never arrived. That is no nakedness where its stop stands.
        """
        room = self._room
        reasons = [each.close_reason for each in room.desks.values() if each.close_reason is not None]
        if not reasons or room.stopped_qty < abs(room.held.qty):
            room.watcher.on_naked(why)
        self._actor.close(desk, reasons[0] if reasons else ExitReason.UNPROTECTED)

    def _cancel(self, seen: BrokerOrder) -> bool:
        """False where it is out of reach."""
        ours = named(seen.order_ref, seen.kind)
        if ours is None:
            return True
        desk = self._room.desk_of(ours.decision)
        track = desk.find(seen.order_ref, ours.leg)
        if track is None or not self._room.reaches(track):
            return False
        self._actor.cancel_track(desk, track)
        return True

    def _amend(self, desk: Desk, stop_ticks: int | None, target_ticks: int | None) -> None:
        tries = max((track.refused_changes for track in desk.live(Leg.STOP)), default=0)
        is_free = any(map(self._room.reaches, desk.live())) and not any(track.change for track in desk.live())
        if tries < self._room.terms.change_tries and is_free:
            cause = desk.cause if desk.fills else AmendCause.ANCHOR
            self._actor.amend(desk, stop_ticks or desk.stop_ticks, target_ticks or desk.target_ticks, cause)

    def _resolve(self, plan: Plan) -> None:
        records, desk = self._room.records, self._room.desk
        for each in plan.resolutions:
            records.moved(each.order_ref, each.state, each.why)
        if plan.entry_is_over and desk is not None and not desk.live(Leg.ENTRY):
            self._hearing.tell_entry_over(desk, is_refused=not desk.fills)


def _track(seen: BrokerOrder, leg: Leg, booked_qty: int) -> Track:
    """An order that somebody before us has sent: a life of this program before this one."""
    draft = Draft(
        order_ref=seen.order_ref,
        leg=leg,
        side=seen.side,
        kind=seen.kind,
        qty=seen.qty,
        price_ticks=seen.price_ticks,
        tif=seen.tif,
        outside_rth=seen.outside_rth,
        oca_group=seen.oca_group,
    )
    return Track(
        draft=draft,
        intent=seen.order_ref,
        order_id=seen.order_id,
        client_id=seen.client_id,
        stage=Stage.WORKING,
        perm_id=seen.perm_id,
        filled_qty=booked_qty,
    )


def _decisions(room: Room) -> frozenset[str]:
    """Ours that the line knows: a desk without a bracket may be of an order that was found at the broker only."""
    begun = {ref for ref, desk in room.desks.items() if desk.bracket is not None}
    filled = (decision_of(each.order_ref) for each in room.records.executions.values())
    return frozenset(begun | {ref for ref in filled if ref is not None})


def _track_of(desk: Desk, execution: Execution) -> Track | None:
    """By its leg, where that was found out; an earlier decision's by the broker's number."""
    if execution.leg is not None:
        return desk.find(execution.order_ref or "", execution.leg)
    return next((t for t in desk.tracks if t.perm_id and t.perm_id == execution.perm_id), None)


def _going_qty(room: Room, plan: Plan) -> int:
    """Contracts of the stops that are cancelled now, or already: they cover nothing any more."""
    gone = {seen.perm_id for seen in plan.cancel}
    stops = [track for track in room.live(Leg.STOP) if room.guards(track)]
    return sum(track.remaining_qty for track in stops if track.is_cancelling or track.perm_id in gone)


def _by_hand(plan: Plan) -> bool:
    """Somebody else has traded, and be it that nothing is left of it."""
    return any(decision_of(each.order_ref) is None and not is_operators(each.order_ref) for each in plan.foreign)


def _executed_track(execution: Execution, leg: Leg, bracket: Bracket | None) -> Track:
    """An order of which nothing is left but what it did; a leg of the bracket may have done more than this."""
    is_of_bracket = bracket is not None and execution.order_ref == bracket.order_ref
    draft = Draft(
        order_ref=execution.order_ref or "",
        leg=leg,
        side=execution.side,
        kind=_KIND_OF[leg],
        qty=bracket.qty if bracket is not None and is_of_bracket else execution.qty,
        price_ticks=None,
        tif="",
        outside_rth=False,
        oca_group="",
    )
    return Track(draft=draft, intent=execution.order_ref or "", order_id=0, perm_id=execution.perm_id or 0)


def _nobody(bracket: Bracket) -> None:
    log.error("untold_decision", order=bracket.order_ref, effect="nobody books it")
