"""What the wire says of orders, taken as it comes: in an outage too, and in any order."""

import structlog
from msgspec.structs import replace

from trader.adapters.ib.acting import Actor
from trader.adapters.ib.costs import Costs
from trader.adapters.ib.desk import INTENT_STATES, Desk, Stage, Track
from trader.adapters.ib.facts import BrokerOrder, named
from trader.adapters.ib.order_errors import Reaction, reaction_to
from trader.adapters.ib.orders import mismatch
from trader.adapters.ib.ours import decision_of, leg_of
from trader.adapters.ib.room import Room
from trader.adapters.state.records import Execution, IntentState, Leg
from trader.domain.orders import Fill, Unfilled

log = structlog.get_logger("trader.orders")
_CANCELLED = frozenset({"Cancelled", "ApiCancelled"})
_WORKS = frozenset({"PreSubmitted", "Submitted"})


class Hearing:
    """Moves the desks by what is heard, tells the line, and has done about it what cannot wait."""

    def __init__(self, room: Room, actor: Actor) -> None:
        self._room = room
        self._actor = actor
        self._costs = Costs(room)

    def on_order(self, seen: BrokerOrder) -> None:
        """openOrder: the order stands like this."""
        desk, track = self._find(seen)
        if desk is None or track is None:
            return
        if track.stage.is_live:
            self.stands(desk, track, seen)
        elif seen.is_working:
            self._works_again(desk, track)

    def stands(self, desk: Desk, track: Track, seen: BrokerOrder) -> None:
        """The broker has this order, so."""
        self._acknowledged(track, seen)
        wrong = mismatch(track.draft, self._room.terms.account, seen)
        if wrong is not None:
            self._otherwise(desk, track, wrong)
        if seen.price_ticks != track.draft.price_ticks:
            return
        track.draft = track.rests = replace(track.draft, qty=seen.qty)
        if not track.is_cancelling:
            track.due_s = None
            if track.change is not None:
                track.refused_changes = 0
            self.settle_change(track, IntentState.FILLED)
        self._room.records.rests(track)

    def on_status(self, seen: BrokerOrder, status: str) -> None:
        """orderStatus, from the wire."""
        desk, track = self._find(seen)
        if desk is None or track is None:
            return
        if not track.stage.is_live:
            if status in _WORKS:
                self._works_again(desk, track)
            return
        if status in _CANCELLED:
            self.ended(desk, track, Stage.CANCELLED, "")
        elif status == "Inactive":
            self.expire(track, "it is inactive")
        elif status == "Filled":
            track.due_s = self._room.due_s  # its executions have to come
        elif status in _WORKS:
            self._acknowledged(track, seen)
            if track.change is None and not track.is_cancelling:
                track.due_s = None

    def _works_again(self, desk: Desk, track: Track) -> None:
        """Words may come in another order than they were sent: the broker's answer counts."""
        self._room.ask(f"the {track.draft.leg} of {desk.decision} works, and had ended")

    def on_execution(self, execution: Execution, order_id: int) -> None:
        """execDetails; the same one again changes nothing."""
        if self.is_known(execution):
            return
        desk, track = self._whose(execution, order_id)
        if desk is None or track is None:
            self._room.ask(f"execution {execution.exec_id} is of no order at work")
            return
        self.book(desk, track, execution)

    def is_known(self, execution: Execution) -> bool:
        """Whether it has been booked; a corrected one counts as the same, and is told of."""
        known = self._room.records.find(execution.exec_id)
        if known is not None and known.exec_id != execution.exec_id:
            log.error("execution_corrected", was=known.exec_id, now=execution.exec_id, effect="compare the books")
        return known is not None

    def on_commission(self, exec_id: str, cents: int) -> None:
        """commissionReport: what it cost beyond what was booked."""
        self._costs.heard(exec_id, cents)

    def on_position(self, qty: int) -> None:
        """The account's position, told because it has changed or because somebody asked; its executions may lag."""
        self._room.told_qty = self._room.answered_qty = qty

    def on_error(self, order_id: int, code: int, text: str) -> None:
        """An error that names one of our orders."""
        pairs = ((desk, track) for desk in self._room.desks.values() for track in desk.live())
        found = next(((desk, track) for desk, track in pairs if track.order_id == order_id), None)
        if found is None:
            return
        desk, track = found
        reaction = reaction_to(code)
        why = f"{code}: {text}"
        log.warning("order_error", order=track.draft.order_ref, leg=track.draft.leg, why=why, reaction=reaction)
        is_new = track.stage is Stage.SENT
        if reaction is Reaction.REFUSED and is_new:
            self.ended(desk, track, Stage.REJECTED, why)
        elif reaction is not Reaction.NOTE:
            self.expire(track, why)

    def expire(self, track: Track, why: str) -> None:
        """Wait no longer for a word on what was sent: the broker is asked, and what it says counts."""
        track.due_s = self._room.now_s
        self._room.ask(f"{track.draft.leg} {track.draft.order_ref}: {why}")

    def ended(self, desk: Desk, track: Track, stage: Stage, why: str) -> None:
        """An order works no more, and was not filled (in full)."""
        track.stage, track.due_s = stage, None
        self._room.records.gone(track)
        self.settle_change(track, IntentState.FILLED if track.is_cancelling else IntentState.CANCELLED)
        self._note_end(desk, track, why)
        match track.draft.leg:
            case Leg.ENTRY:
                self.tell_entry_over(desk, is_refused=stage is Stage.REJECTED and not track.filled_qty)
            case Leg.STOP:
                self._stop_ended(desk, track, why)
            case Leg.CLOSE:
                self._close_ended(desk, track, why)
            case Leg.TARGET:
                if stage is Stage.REJECTED:
                    log.error("target_refused", order=desk.decision, why=why, effect="the stop stays")
        if track.draft.leg is not Leg.CLOSE:
            self._actor.converge(desk)

    def book(self, desk: Desk, track: Track, execution: Execution) -> None:
        """An execution of ours that is new."""
        room = self._room
        was_over = track.draft.leg is Leg.ENTRY and not track.stage.is_live
        room.records.executed(replace(execution, leg=track.draft.leg))
        before_qty = room.held.qty
        fill = _named(self._room, desk.take(execution, track))
        if track.stage is Stage.FILLED:
            room.records.gone(track)
            self._note_end(desk, track, "")
            if track.draft.leg is Leg.ENTRY:
                desk.entry_told = True
        if track.draft.leg is Leg.CLOSE:
            room.exit_tries.worked()
        if not room.held.qty:
            room.exit_tries.worked()
            room.foreign_ref = ""
            room.close_no_more()
        elif before_qty * room.held.qty <= 0 and fill.reason is not None:
            room.foreign_ref = fill.order_ref  # an exit too many: so the line calls what it has opened
            if not all(map(room.reaches, room.live())):
                room.ask("orders of another client id are left over")
        elif abs(room.held.qty) <= desk.leave_qty:
            desk.close_reason, desk.leave_qty = None, 0  # what is left is somebody else's
        room.watcher.on_fill(fill)
        self._costs.tell(execution)
        if room.taken() is None:  # else whoever has the account closes what is open
            self._see_to(desk, track, execution, fill, was_over=was_over)

    def _see_to(self, desk: Desk, track: Track, execution: Execution, fill: Fill, *, was_over: bool) -> None:
        """What cannot wait after a fill: one that was not to be, and one behind a stop that is not ours."""
        room = self._room
        if room.held.qty and (was_over or (fill.reason is not None and room.held.qty * fill.side > 0)):
            why = f"the {track.draft.leg} of {desk.decision} was filled when it was not to be any more"
            level = desk.stop_ticks or execution.price_ticks - fill.side * room.terms.default_stop_ticks
            if not room.stopped_qty and room.held.qty * fill.side > 0 and was_over:
                self._actor.protect(desk, abs(room.held.qty), level)
            room.watcher.on_naked(why)
        elif room.held.qty and desk.distrust is not None and fill.reason is None:
            room.watcher.on_naked(desk.distrust)
        self._actor.converge(desk)

    def settle_change(self, track: Track, state: IntentState) -> None:
        """The modification, or the cancel, on its way has come to this."""
        if track.change is not None:
            self._room.records.moved(track.change, state)
            track.change = None

    def tell_entry_over(self, desk: Desk, *, is_refused: bool) -> None:
        """The line waits for an entry, or for the rest of one, that will not come."""
        if not desk.entry_told:
            desk.entry_told = True
            self._room.watcher.on_unfilled(desk.decision, Unfilled.REJECTED if is_refused else Unfilled.CANCELLED)

    def _note_end(self, desk: Desk, track: Track, why: str) -> None:
        """A bracket's intent ends with its entry; every other order has its own."""
        if track.intent != desk.decision or track.draft.leg is Leg.ENTRY:
            self._room.records.moved(track.intent, INTENT_STATES[track.stage], why or None)

    def _stop_ended(self, desk: Desk, track: Track, why: str) -> None:
        room = self._room
        if track.stage is Stage.REJECTED:
            if not desk.entry_told:
                desk.entry_unwanted = True
            if room.held.qty:
                room.exit_tries.failed(room.now_s)
                room.watcher.on_naked(f"the stop of {desk.decision} was refused: {why}")
        elif room.held.qty and not room.stopped_qty and not room.live(Leg.CLOSE):
            room.ask(f"the stop of {desk.decision} has ended, and there is a position")

    def _close_ended(self, desk: Desk, track: Track, why: str) -> None:
        """A close that has not closed: the broker is asked and another one sent, until there were too many."""
        room = self._room
        if not room.held.qty:
            return
        room.ask(f"a close of {desk.decision} has ended, and there is a position")
        room.exit_tries.failed(room.now_s)
        if room.exit_tries.are_spent:
            room.close_no_more()
            room.break_off(f"{room.exit_tries.count} exits in a row were in vain, the last for: {why or 'no reason'}")
            ref = track.draft.order_ref
            _, dot, nth = ref.rpartition(".")
            room.watcher.on_unfilled(f"{room.foreign_ref}{dot}{nth}" if room.foreign_ref else ref, Unfilled.REJECTED)

    def _acknowledged(self, track: Track, seen: BrokerOrder) -> None:
        track.perm_id = seen.perm_id
        track.order_id = seen.order_id or track.order_id
        if track.stage is not Stage.WORKING:
            track.stage = Stage.WORKING
            self._room.records.moved(track.intent, IntentState.ACKNOWLEDGED)

    def _otherwise(self, desk: Desk, track: Track, wrong: str) -> None:
        """The broker has another order than was sent: a preset of the application, most often."""
        why = f"the broker has the {track.draft.leg} of {desk.decision} with {wrong}: see the presets of TWS"
        log.error("order_changed", order=track.draft.order_ref, why=why)
        self._room.break_off(why)
        if track.draft.leg is Leg.STOP:
            desk.distrust = why
            desk.entry_unwanted = True
            if self._room.held.qty:
                self._room.watcher.on_naked(why)
            self._actor.converge(desk)

    def _find(self, seen: BrokerOrder) -> tuple[Desk | None, Track | None]:
        """By our own reference and what kind of order it is: the broker's numbers may come back."""
        ours = named(seen.order_ref, seen.kind)
        desk = None if ours is None else self._room.desks.get(ours.decision)
        return (None, None) if desk is None or ours is None else (desk, desk.find(seen.order_ref, ours.leg))

    def _whose(self, execution: Execution, order_id: int) -> tuple[Desk | None, Track | None]:
        desk = self._room.desks.get(decision_of(execution.order_ref) or "")
        if desk is None:
            return None, None
        same = [track for track in desk.tracks if track.draft.order_ref == execution.order_ref]
        by_number = [t for t in same if execution.perm_id and t.perm_id == execution.perm_id]
        by_number = by_number or [t for t in same if t.order_id == order_id and not t.perm_id]
        if by_number:
            return desk, by_number[-1]
        if desk.bracket is None:
            return desk, same[-1] if same else None
        return desk, desk.find(execution.order_ref or "", leg_of(execution, desk.bracket, desk.target_ticks))


def _named(room: Room, fill: Fill) -> Fill:
    """As the line calls the position, where somebody else has opened it."""
    ref = room.foreign_ref
    return replace(fill, order_ref=ref) if ref and fill.reason is not None else fill
