"""Sends what the line wants, and again what is still wanted after the broker was asked: nothing is resent as it was."""

from collections.abc import Callable

import structlog
from msgspec import Struct
from msgspec.structs import replace

from trader.adapters.ib.desk import Desk, Track
from trader.adapters.ib.facts import close_ref, protect_ref
from trader.adapters.ib.orders import Draft, bracket_drafts, close_draft, protect_draft
from trader.adapters.ib.room import Room
from trader.adapters.ib.sender import Job, Lane
from trader.adapters.state.records import IntentState, Leg
from trader.domain.actions import Side
from trader.domain.orders import Amend, Bracket, Cancel, ExitReason, Flatten, Order, Protect, Unfilled

log = structlog.get_logger("trader.orders")
BRACKET_MESSAGES = 3
NOT_IN_STEP = "not in step with the broker"


class Step(Struct, frozen=True):
    """An order of the line or of the broker's own, under the reference of its intent. One of a `kind` at a time."""

    desk: Desk
    ref: str
    order: Order
    kind: str = ""


class Actor:
    """Puts jobs into the sender; each looks at what is the case when it leaves."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._pending: set[str] = set()

    def enter(self, bracket: Bracket) -> None:
        """Send a bracket, if anything may be entered now; else it is rejected here."""
        room = self._room
        desk = Desk(bracket, room.terms.commission_cents)
        why = self._no_entry()
        room.take_desk(desk)
        if why is not None:
            self._reject(desk, why)
            return
        self._put(Step(desk, desk.decision, bracket), lambda: self._send_bracket(desk))

    def amend(self, desk: Desk, order: Amend) -> None:
        """Move the stop and the target that rest."""
        desk.stop_ticks, desk.target_ticks, desk.cause = order.stop_ticks, order.target_ticks, order.cause
        nth = desk.number("a")
        ref = f"{desk.decision}.a{nth}"
        self._put(Step(desk, ref, order), lambda: self._send_amend(desk, ref, nth))

    def close(self, desk: Desk, reason: ExitReason) -> None:
        """Close the position at the market, unless a close is on its way."""
        desk.close_reason = reason
        if desk.live(Leg.CLOSE) or "close" in self._pending or not desk.position_qty:
            return
        nth = desk.number("c")
        side = Side.SELL if desk.position_qty > 0 else Side.BUY
        order = Flatten(order_ref=desk.decision, side=side, qty=abs(desk.position_qty), reason=reason)
        ref = close_ref(desk.decision, nth)
        self._put(Step(desk, ref, order, "close"), lambda: self._send_close(desk, nth))

    def cancel(self, desk: Desk) -> None:
        """Take the entry back, or what is left of it."""
        desk.entry_unwanted = True
        entry = desk.entry
        if entry is not None and (not entry.stage.is_live or entry.is_cancelling):
            return
        self._cancel(desk, [Leg.ENTRY])

    def tidy(self, desk: Desk) -> None:
        """Cancel exits that are left over though there is nothing to protect."""
        self._cancel(desk, [Leg.STOP, Leg.TARGET, Leg.CLOSE])

    def protect(self, desk: Desk, qty: int, stop_ticks: int) -> None:
        """Lay a stop behind a position that has none."""
        if "protect" in self._pending or not desk.position_qty:
            return
        nth = desk.number("p")
        side = Side.SELL if desk.position_qty > 0 else Side.BUY
        order = Protect(order_ref=desk.decision, side=side, qty=qty, stop_ticks=stop_ticks)
        draft = protect_draft(desk.decision, nth, side, qty, stop_ticks)
        ref = protect_ref(desk.decision, nth)
        self._put(Step(desk, ref, order, "protect"), lambda: self._send_one(desk, draft, ref))

    def converge(self, desk: Desk) -> None:
        """Send what is wanted and neither stands at the broker nor is on its way there."""
        if not self._room.may_send:
            return
        entry = desk.entry
        is_over = desk.entry_unwanted or (desk.fills > 0 and not desk.position_qty)
        if is_over and entry is not None and entry.stage.is_live and not entry.is_cancelling:
            self.cancel(desk)
        if desk.close_reason is not None and desk.position_qty:
            self.close(desk, desk.close_reason)

    def _no_entry(self) -> str | None:
        room = self._room
        if not room.link.is_up:
            return NOT_IN_STEP
        if not room.link.may_trade:
            return "the link may only flatten"
        if not room.may_enter:
            return "the broker's side is not certain"
        if not room.records.is_healthy:
            return "the state cannot be kept"
        before = room.desk
        if before is not None and not before.is_done:
            return f"{before.decision} is still at work"
        return None

    def _reject(self, desk: Desk, why: str) -> None:
        log.warning("order_denied", order=desk.decision, why=why)
        self._room.records.moved(desk.decision, IntentState.DENIED, why)
        desk.entry_told = True
        self._room.watcher.on_unfilled(desk.decision, Unfilled.REJECTED)

    def _put(self, step: Step, send: Callable[[], int]) -> None:
        room = self._room
        is_entry = isinstance(step.order, Bracket)
        if step.kind:
            self._pending.add(step.kind)

        def denied(why: str) -> None:
            self._pending.discard(step.kind)
            if is_entry:
                self._reject(step.desk, why)
            else:
                log.warning("order_denied", order=step.ref, why=why, effect="derived again when in step")
                room.records.moved(step.ref, IntentState.DENIED, why)

        def sent() -> int:
            self._pending.discard(step.kind)
            if room.may_send:
                return send()
            denied(NOT_IN_STEP)
            return 0

        room.sender.put(
            Job(
                name=step.ref,
                lane=Lane.ENTRY if is_entry else Lane.PROTECTIVE,
                messages=BRACKET_MESSAGES if is_entry else len(step.desk.live()) or 1,
                intend=room.records.intend(step.ref, step.desk.decision, step.order),
                send=sent,
                deny=denied,
            )
        )

    def _send_bracket(self, desk: Desk) -> int:
        room = self._room
        why = self._late_no(desk)
        if why is not None:
            self._reject(desk, why)
            return 0
        entry, target, stop = bracket_drafts(desk.bracket)
        ids = [room.wire.new_id() for _ in range(BRACKET_MESSAGES)]
        for draft, order_id in zip((entry, target, stop), ids, strict=True):
            desk.tracks.append(Track(draft=draft, intent=desk.decision, order_id=order_id, due_s=room.due_s))
        room.records.moved(desk.decision, IntentState.SENT)
        room.wire.place(entry, ids[0], transmit=False)
        room.wire.place(target, ids[1], parent_id=ids[0], transmit=False)
        room.wire.place(stop, ids[2], parent_id=ids[0])
        return BRACKET_MESSAGES

    def _late_no(self, desk: Desk) -> str | None:
        """Why an entry that waited may not leave any more."""
        room = self._room
        if desk.entry_unwanted:
            return "taken back before it left"
        return None if room.may_enter and room.link.is_up and room.link.may_trade else NOT_IN_STEP

    def _send_amend(self, desk: Desk, ref: str, nth: int) -> int:
        room = self._room
        if not desk.position_qty or nth < desk.numbers["a"]:
            room.records.moved(ref, IntentState.CANCELLED, "there is nothing to move any more")
            return 0
        room.records.moved(ref, IntentState.SENT)
        sent = 0
        for leg, level in ((Leg.STOP, desk.stop_ticks), (Leg.TARGET, desk.target_ticks)):
            for track in desk.live(leg):
                if track.draft.price_ticks != level:
                    track.draft = replace(track.draft, price_ticks=level)
                    track.change, track.due_s = ref, room.due_s
                    room.wire.place(track.draft, track.order_id)
                    sent += 1
        if not sent:
            room.records.moved(ref, IntentState.FILLED, "as it stood")
        return sent

    def _send_close(self, desk: Desk, nth: int) -> int:
        ref = close_ref(desk.decision, nth)
        if not desk.position_qty:
            self._room.records.moved(ref, IntentState.CANCELLED, "there is nothing to close any more")
            return 0
        side = Side.SELL if desk.position_qty > 0 else Side.BUY
        draft = close_draft(desk.decision, nth, side, abs(desk.position_qty), in_group=True)
        return self._send_one(desk, draft, ref)

    def _send_one(self, desk: Desk, draft: Draft, ref: str) -> int:
        room = self._room
        if not desk.position_qty:
            room.records.moved(ref, IntentState.CANCELLED, "there is no position any more")
            return 0
        track = Track(draft=draft, intent=ref, order_id=room.wire.new_id(), due_s=room.due_s)
        desk.tracks.append(track)
        room.records.moved(ref, IntentState.SENT)
        room.wire.place(draft, track.order_id)
        return 1

    def _cancel(self, desk: Desk, legs: list[Leg]) -> None:
        kind = f"cancel {legs[0]}"
        if kind in self._pending:
            return
        ref = f"{desk.decision}.x{desk.number('x')}"
        order = Cancel(order_ref=desk.decision)
        self._put(Step(desk, ref, order, kind), lambda: self._send_cancels(desk, ref, legs))

    def _send_cancels(self, desk: Desk, ref: str, legs: list[Leg]) -> int:
        room = self._room
        if legs != [Leg.ENTRY] and (desk.position_qty or (desk.entry is not None and desk.entry.stage.is_live)):
            room.records.moved(ref, IntentState.CANCELLED, "there is something to protect again")
            return 0
        live = [track for track in desk.live(*legs) if not track.is_cancelling]
        room.records.moved(ref, IntentState.SENT)
        for track in live:
            track.is_cancelling, track.due_s, track.change = True, room.due_s, ref
            room.wire.cancel(track.order_id)
        if not live:
            room.records.moved(ref, IntentState.FILLED, "it had ended")
        return len(live)
