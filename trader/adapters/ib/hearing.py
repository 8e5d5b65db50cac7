"""What the wire says of orders, taken as it comes: in an outage too, and in any order."""

import structlog
from msgspec.structs import replace

from trader.adapters.ib.acting import Actor
from trader.adapters.ib.desk import INTENT_STATES, Desk, Stage, Track, confirms
from trader.adapters.ib.facts import BrokerOrder, named
from trader.adapters.ib.order_errors import Reaction, reaction_to
from trader.adapters.ib.orders import mismatch
from trader.adapters.ib.ours import decision_of, execution_key, leg_of
from trader.adapters.ib.room import Room
from trader.adapters.state.records import Execution, IntentState, Leg
from trader.domain.orders import Unfilled

log = structlog.get_logger("trader.orders")
_CANCELLED = frozenset({"Cancelled", "ApiCancelled"})
_WORKS = frozenset({"PreSubmitted", "Submitted"})


class Hearing:
    """Moves the desk by what is heard, tells the line, and has done about it what cannot wait."""

    def __init__(self, room: Room, actor: Actor) -> None:
        self._room = room
        self._actor = actor

    def on_order(self, seen: BrokerOrder) -> None:
        """openOrder: the order stands like this."""
        desk, track = self._find(seen)
        if desk is None or track is None or not track.stage.is_live:
            return
        self._acknowledged(track, seen)
        wrong = mismatch(track.draft, self._room.terms.account, seen)
        if wrong is not None:
            self._otherwise(desk, track, wrong)
        if not confirms(track, seen):
            return
        track.draft = track.rests = replace(track.draft, qty=seen.qty)
        if not track.is_cancelling:
            track.due_s = None
            self._settle_change(track, IntentState.FILLED)
        self._room.records.rests(track)

    def on_status(self, seen: BrokerOrder, status: str) -> None:
        """orderStatus, from the wire."""
        desk, track = self._find(seen)
        if desk is None or track is None or not track.stage.is_live:
            return
        if status in _CANCELLED:
            self.ended(desk, track, Stage.CANCELLED, "")
        elif status == "Inactive":
            self._room.ask(f"{track.draft.order_ref} {track.draft.leg} is inactive")
        elif status == "Filled":
            track.due_s = self._room.due_s  # its executions have to come
        elif status in _WORKS:
            self._acknowledged(track, seen)
            if track.change is None and not track.is_cancelling:
                track.due_s = None

    def on_execution(self, execution: Execution, order_id: int) -> None:
        """execDetails; the same one again changes nothing."""
        records = self._room.records
        key = execution_key(execution.exec_id)
        known = next((each for each in records.executions.values() if execution_key(each.exec_id) == key), None)
        if known is not None:
            if known.exec_id != execution.exec_id:
                log.error("execution_corrected", was=known.exec_id, is_=execution.exec_id, effect="compare the books")
            return
        desk, track = self._whose(execution, order_id)
        if desk is None or track is None:
            records.executed(execution)
            signed_qty = int(execution.side) * execution.qty
            self._room.watcher.on_foreign(signed_qty, execution.price_ticks, execution.ts_ns)
            return
        records.executed(replace(execution, leg=track.draft.leg))
        self._book(desk, track, execution)

    def on_commission(self, exec_id: str, cents: int) -> None:
        """commissionReport: what it cost beyond what was booked."""
        room = self._room
        execution = room.records.executions.get(exec_id)
        if execution is None or execution.commission_cents is not None:
            return
        room.records.executed(replace(execution, commission_cents=cents))
        decision = decision_of(execution.order_ref)
        more = cents - room.terms.commission_cents * execution.qty
        if decision is not None and more:
            room.watcher.on_fee(decision, more)

    def on_error(self, order_id: int, code: int, text: str) -> None:
        """An error that names one of our orders."""
        desk = self._room.desk
        track = None if desk is None else next((t for t in desk.live() if t.order_id == order_id), None)
        if desk is None or track is None:
            return
        reaction = reaction_to(code)
        why = f"{code}: {text}"
        log.warning("order_error", order=track.draft.order_ref, leg=track.draft.leg, why=why, reaction=reaction)
        is_new = track.stage is Stage.SENT
        if reaction is Reaction.ENDED or (reaction is Reaction.REFUSED and is_new):
            self.ended(desk, track, Stage.REJECTED, why)
        elif reaction is not Reaction.NOTE:
            self._room.ask(f"{track.draft.order_ref} {track.draft.leg}: {why}")

    def ended(self, desk: Desk, track: Track, stage: Stage, why: str) -> None:
        """An order works no more, and was not filled (in full)."""
        track.stage, track.due_s = stage, None
        room = self._room
        room.records.gone(track)
        if track.is_cancelling:
            self._settle_change(track, IntentState.FILLED)
        if track.intent != desk.decision or track.draft.leg is Leg.ENTRY:
            room.records.moved(track.intent, INTENT_STATES[stage], why or None)
        match track.draft.leg:
            case Leg.ENTRY:
                self._entry_ended(desk, track)
            case Leg.STOP:
                self._stop_ended(desk, track, why)
            case Leg.CLOSE:
                if desk.position_qty:
                    room.ask(f"a close of {desk.decision} has ended, and there is a position")
            case Leg.TARGET:
                if stage is Stage.REJECTED:
                    log.error("target_refused", order=desk.decision, why=why, effect="the stop stays")
        self._actor.converge(desk)

    def _entry_ended(self, desk: Desk, track: Track) -> None:
        if desk.entry_told:
            return
        desk.entry_told = True
        is_refused = track.stage is Stage.REJECTED and not track.filled_qty
        self._room.watcher.on_unfilled(desk.decision, Unfilled.REJECTED if is_refused else Unfilled.CANCELLED)

    def _stop_ended(self, desk: Desk, track: Track, why: str) -> None:
        if track.stage is Stage.REJECTED:
            entry = desk.entry
            if entry is not None and entry.stage.is_live:
                desk.entry_unwanted = True
            if desk.position_qty:
                self._room.watcher.on_naked(f"the stop of {desk.decision} was refused: {why}")
        elif desk.position_qty and not desk.stopped_qty and not desk.live(Leg.CLOSE):
            self._room.ask(f"the stop of {desk.decision} has ended, and there is a position")

    def _book(self, desk: Desk, track: Track, execution: Execution) -> None:
        room = self._room
        was_over = track.draft.leg is Leg.ENTRY and not track.stage.is_live
        taken = desk.take(execution, track)
        if track.stage is Stage.FILLED:
            room.records.gone(track)
            if track.intent != desk.decision or track.draft.leg is Leg.ENTRY:
                room.records.moved(track.intent, IntentState.FILLED)
            if track.draft.leg is Leg.ENTRY:
                desk.entry_told = True
        if taken.fill is not None:
            room.watcher.on_fill(taken.fill)
        if was_over and desk.position_qty:
            self._actor.protect(desk, abs(desk.position_qty), desk.stop_ticks)
            room.watcher.on_naked(f"the entry of {desk.decision} was filled after its end")
        if not desk.position_qty:
            desk.close_reason = None
        self._actor.converge(desk)

    def _acknowledged(self, track: Track, seen: BrokerOrder) -> None:
        track.perm_id = seen.perm_id
        if track.stage is Stage.SENT:
            track.stage = Stage.WORKING
            self._room.records.moved(track.intent, IntentState.ACKNOWLEDGED)

    def _settle_change(self, track: Track, state: IntentState) -> None:
        if track.change is not None:
            self._room.records.moved(track.change, state)
            track.change = None

    def _otherwise(self, desk: Desk, track: Track, wrong: str) -> None:
        """The broker has another order than was sent: a preset of the application, most often."""
        why = f"the broker has the {track.draft.leg} of {desk.decision} with {wrong}: see the presets of TWS"
        log.error("order_changed", order=track.draft.order_ref, why=why)
        self._room.break_off(why)
        if track.draft.leg is Leg.STOP and desk.position_qty:
            self._room.watcher.on_naked(why)

    def _find(self, seen: BrokerOrder) -> tuple[Desk | None, Track | None]:
        """By our own reference and what kind of order it is: the broker's numbers may come back."""
        ours = named(seen.order_ref, seen.kind)
        if ours is None:
            return None, None
        desk = self._desk(ours.decision)
        return (None, None) if desk is None else (desk, desk.find(seen.order_ref, ours.leg))

    def _desk(self, decision: str) -> Desk | None:
        room = self._room
        every = (*room.past, *(() if room.desk is None else (room.desk,)))
        return next((desk for desk in reversed(every) if desk.decision == decision), None)

    def _whose(self, execution: Execution, order_id: int) -> tuple[Desk | None, Track | None]:
        decision = decision_of(execution.order_ref)
        desk = None if decision is None else self._desk(decision)
        if desk is None or desk is not self._room.desk:
            return None, None
        same = [track for track in desk.tracks if track.draft.order_ref == execution.order_ref]
        by_number = [t for t in same if execution.perm_id and t.perm_id == execution.perm_id]
        by_number = by_number or [t for t in same if t.order_id == order_id and not t.perm_id]
        if by_number:
            return desk, by_number[-1]
        leg = leg_of(execution, desk.bracket, desk.target_ticks)
        return desk, desk.find(execution.order_ref or "", leg)
