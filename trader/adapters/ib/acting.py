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
from trader.domain.orders import Amend, AmendCause, Bracket, Cancel, ExitReason, Flatten, Order, Protect, Unfilled
from trader.errors import LinkError

log = structlog.get_logger("trader.orders")
BRACKET_MESSAGES = 3
NOT_IN_STEP = "not in step with the broker"
CLOSE, PROTECT, EVERYTHING = "close", "protect", "everything"


class Step(Struct, frozen=True):
    """An order of the line or of the broker's own, under the reference of its intent. One of a `kind` at a time."""

    desk: Desk
    ref: str
    order: Order
    kind: str = ""


class Actor:
    """Puts steps into the sender; each looks at what is the case when it leaves."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._pending: set[str] = set()

    def enter(self, bracket: Bracket) -> None:
        """Send a bracket, if anything may be entered now; else it is rejected here. The same one again is nothing."""
        if bracket.order_ref in self._room.desks:
            log.error("order_denied", order=bracket.order_ref, why="it was sent before")
            return
        why = self._no_entry()
        if why is not None:
            self._deny(bracket.order_ref, why)
            return
        desk = self._room.begin(bracket)
        until_s = self._room.due_s  # judged by the price of now: it does not wait for a disk for ever
        self._put(Step(desk, desk.decision, bracket), lambda: self._send_bracket(desk, bracket, until_s))

    def amend(self, desk: Desk, stop_ticks: int, target_ticks: int, cause: AmendCause) -> None:
        """Move the stop and the target that rest."""
        desk.stop_ticks, desk.target_ticks, desk.cause = stop_ticks, target_ticks, cause
        nth = desk.number("a")
        ref = f"{desk.decision}.a{nth}"
        order = Amend(order_ref=desk.decision, cause=cause, stop_ticks=stop_ticks, target_ticks=target_ticks)
        self._put(Step(desk, ref, order), lambda: self._send_amend(desk, ref, nth))

    def close(self, desk: Desk, reason: ExitReason, leave_qty: int | None = None) -> None:
        """Close the position at the market but for `leave_qty` (None: as before), unless a close is on its way.

        After too many in vain it is remembered, and leaves when it is time; the operator's leaves at once.
        """
        room = self._room
        desk.close_reason = reason
        desk.leave_qty = desk.leave_qty if leave_qty is None else leave_qty
        if room.live(Leg.CLOSE) or CLOSE in self._pending or abs(room.held.qty) <= desk.leave_qty:
            return
        if room.exits_wait and reason is not ExitReason.OPERATOR:
            return
        nth = desk.number("c")
        order = Flatten(
            order_ref=desk.decision, side=self._exit_side(), qty=abs(room.held.qty) - desk.leave_qty, reason=reason
        )
        ref = close_ref(desk.decision, nth)
        self._put(Step(desk, ref, order, CLOSE), lambda: self._send_close(desk, nth))

    def cancel(self, desk: Desk) -> None:
        """Take the entry back, or what is left of it."""
        desk.entry_unwanted = True
        entry = desk.entry
        if (entry is None and desk.entry_told) or (entry is not None and not entry.stage.is_live):
            return
        if entry is not None and (entry.is_cancelling or not self._room.reaches(entry)):
            return
        self._cancel(desk, f"cancel {desk.decision}", lambda track: track.draft.leg is Leg.ENTRY)

    def cancel_track(self, desk: Desk, track: Track) -> None:
        """Cancel one order that must not work any more."""
        if track.stage.is_live and not track.is_cancelling:
            self._cancel(desk, f"cancel {track.order_id}", lambda each: each is track)

    def cancel_all(self, desk: Desk) -> None:
        """Cancel all orders of the login, whoever's they are: where nothing is held, and none is to stay."""
        if EVERYTHING in self._pending:
            return
        ref = f"{desk.decision}.x{desk.number('x')}"
        self._put(Step(desk, ref, Cancel(order_ref=desk.decision), EVERYTHING), lambda: self._send_cancel_all(ref))

    def protect(self, desk: Desk, qty: int, stop_ticks: int) -> None:
        """Lay a stop behind a position that has none; after too many exits in vain, when it is time."""
        room = self._room
        if PROTECT in self._pending or not room.held.qty or room.exits_wait:
            return
        desk.stop_ticks = stop_ticks
        nth = desk.number("p")
        side = self._exit_side()
        order = Protect(order_ref=desk.decision, side=side, qty=qty, stop_ticks=stop_ticks)
        draft = protect_draft(desk.decision, nth, side, qty, stop_ticks)
        ref = protect_ref(desk.decision, nth)
        self._put(Step(desk, ref, order, PROTECT), lambda: self._send_one(desk, draft, ref))

    def converge(self, desk: Desk) -> None:
        """Send what is wanted of a decision and neither stands at the broker nor is on its way there."""
        if not self._room.may_send:
            return
        entry, qty = desk.entry, self._room.held.qty
        is_over = desk.entry_unwanted or desk.entry_told or (desk.fills > 0 and not qty)
        if is_over and entry is not None and entry.stage.is_live:
            self.cancel(desk)
        if desk.close_reason is not None and qty:
            self.close(desk, desk.close_reason)

    def _exit_side(self) -> Side:
        return Side.SELL if self._room.held.qty > 0 else Side.BUY

    def _no_entry(self) -> str | None:
        room = self._room
        why = self._late_no()
        if why is None and not room.records.is_healthy:
            why = "the state cannot be kept"
        if why is None and (room.held.qty or any(not desk.is_done for desk in room.desks.values())):
            why = "another decision is still at work"
        return why

    def _late_no(self) -> str | None:
        """Why an entry that waited may not leave any more."""
        room = self._room
        if not room.link.is_up:
            return NOT_IN_STEP
        if not room.link.may_trade:
            return "the link may only flatten"
        return None if room.may_enter and not room.is_broken else "the broker's side is not certain"

    def _reject(self, desk: Desk, why: str, outcome: Unfilled = Unfilled.REJECTED) -> None:
        desk.entry_told = True
        self._deny(desk.decision, why, outcome)

    def _deny(self, decision: str, why: str, outcome: Unfilled = Unfilled.REJECTED) -> None:
        log.warning("order_denied", order=decision, why=why)
        self._room.records.moved(decision, IntentState.DENIED, why)
        self._room.watcher.on_unfilled(decision, outcome)

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
            if not room.may_send:
                denied(NOT_IN_STEP)
                return 0
            before = len(step.desk.tracks)
            try:
                return send()
            except LinkError as error:
                if is_entry and len(step.desk.tracks) == before:
                    denied(str(error))
                raise

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

    def _send_bracket(self, desk: Desk, bracket: Bracket, until_s: float) -> int:
        room = self._room
        if desk.entry_unwanted:
            self._reject(desk, "taken back before it left", Unfilled.CANCELLED)
            return 0
        why = self._late_no()
        if why is None and room.now_s > until_s:
            why = "it has waited for too long"
        if why is not None:
            self._reject(desk, why)
            return 0
        drafts = bracket_drafts(bracket)
        ids = [room.wire.new_id() for _ in drafts]
        for draft, order_id in zip(drafts, ids, strict=True):
            desk.tracks.append(self._track(draft, desk.decision, order_id))
        room.records.moved(desk.decision, IntentState.SENT)
        for draft, order_id in zip(drafts, ids, strict=True):
            parent_id = 0 if order_id == ids[0] else ids[0]
            room.wire.place(draft, order_id, parent_id=parent_id, transmit=order_id == ids[-1])
        return BRACKET_MESSAGES

    def _send_amend(self, desk: Desk, ref: str, nth: int) -> int:
        room = self._room
        if not room.held.qty or nth < desk.numbers["a"]:
            room.records.moved(ref, IntentState.CANCELLED, "there is nothing to move any more")
            return 0
        room.records.moved(ref, IntentState.SENT)
        sent = 0
        for leg, level in ((Leg.STOP, desk.stop_ticks), (Leg.TARGET, desk.target_ticks)):
            for track in desk.live(leg):
                if track.draft.price_ticks != level and room.reaches(track):
                    track.draft = replace(track.draft, price_ticks=level)
                    track.change, track.due_s = ref, room.due_s
                    room.wire.place(track.draft, track.order_id)
                    sent += 1
        if not sent:
            room.records.moved(ref, IntentState.FILLED, "as it stood")
        return sent

    def _send_close(self, desk: Desk, nth: int) -> int:
        qty = abs(self._room.held.qty) - desk.leave_qty
        if qty <= 0:
            self._room.records.moved(close_ref(desk.decision, nth), IntentState.CANCELLED, "it is closed already")
            return 0
        is_grouped = bool(desk.live(Leg.STOP, Leg.TARGET))
        draft = close_draft(desk.decision, nth, self._exit_side(), qty, in_group=is_grouped)
        return self._send_one(desk, draft, close_ref(desk.decision, nth))

    def _send_one(self, desk: Desk, draft: Draft, ref: str) -> int:
        room = self._room
        if not room.held.qty or draft.side * room.held.qty > 0:
            room.records.moved(ref, IntentState.CANCELLED, "there is no such position any more")
            return 0
        track = self._track(draft, ref, room.wire.new_id())
        desk.tracks.append(track)
        room.records.moved(ref, IntentState.SENT)
        room.wire.place(draft, track.order_id)
        return 1

    def _track(self, draft: Draft, intent: str, order_id: int) -> Track:
        room = self._room
        return Track(draft=draft, intent=intent, order_id=order_id, client_id=room.wire.client_id, due_s=room.due_s)

    def _cancel(self, desk: Desk, kind: str, is_meant: Callable[[Track], bool]) -> None:
        if kind in self._pending:
            return
        ref = f"{desk.decision}.x{desk.number('x')}"
        order = Cancel(order_ref=desk.decision)
        self._put(Step(desk, ref, order, kind), lambda: self._send_cancels(desk, ref, is_meant))

    def _send_cancels(self, desk: Desk, ref: str, is_meant: Callable[[Track], bool]) -> int:
        room = self._room
        meant = [track for track in desk.live() if is_meant(track) and not track.is_cancelling]
        live = [track for track in meant if room.reaches(track)]
        room.records.moved(ref, IntentState.SENT if live else IntentState.FILLED)
        for track in live:
            track.is_cancelling, track.due_s, track.change = True, room.due_s, ref
            room.wire.cancel(track.order_id)
        return len(live)

    def _send_cancel_all(self, ref: str) -> int:
        room = self._room
        if room.held.qty or room.live(Leg.ENTRY):
            room.records.moved(ref, IntentState.CANCELLED, "something is to stay by now")
            return 0
        room.wire.cancel_all()
        room.records.moved(ref, IntentState.FILLED, "all orders of the login were cancelled")
        room.ask("all orders of the login were cancelled")  # the word of it goes to those that have sent them
        return 1
