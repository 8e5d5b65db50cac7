"""Asks the broker: at each synchronisation, when something is in doubt, and from time to time."""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import TypeVar

import structlog
from msgspec import Struct

from trader.adapters.ib.acting import Actor
from trader.adapters.ib.applying import Applier
from trader.adapters.ib.contract import Pinned
from trader.adapters.ib.desk import Desk, Track
from trader.adapters.ib.facts import Truth
from trader.adapters.ib.foreign_client import IB
from trader.adapters.ib.guard import Guard
from trader.adapters.ib.room import Room
from trader.adapters.ib.truth import TruthLink, fetch_truth
from trader.adapters.state.records import IntentState, Leg
from trader.errors import LinkError

log = structlog.get_logger("trader.orders")
LOOKS = 5
OUT_OF_STEP = "getting in step with the broker"
LOOKS_A_TIMEOUT = 4
HASTY_TRIES = 3
T = TypeVar("T")


class Hasty(Struct, frozen=True):
    """A link that waits `timeout_s` for each answer (None: as long as the link does)."""

    link: TruthLink
    timeout_s: float | None

    @property
    def ib(self) -> IB:
        """The link's."""
        return self.link.ib

    async def ask(self, what: str, awaitable: Awaitable[T], timeout_s: float | None = None) -> T:
        """The link's."""
        return await self.link.ask(what, awaitable, timeout_s or self.timeout_s)


class Asker:
    """The acknowledgement watch, the guard's clock, the polls. `truth` is the last complete answer."""

    def __init__(self, room: Room, actor: Actor, applier: Applier) -> None:
        self._room = room
        self._actor = actor
        self._applier = applier
        self._guard = Guard(room)
        self._one_at_a_time = asyncio.Lock()
        self._asked_s = 0.0
        self._in_vain = 0
        self._doubt: str | None = ""
        terms = room.terms
        self._tick_s = min(terms.ack_timeout_s, terms.naked_grace_s, terms.ask_every_s) / LOOKS_A_TIMEOUT
        self.contract: Pinned | None = None
        self.truth: Truth | None = None

    @property
    def doubt(self) -> str | None:
        """What stands against entries, as last judged."""
        return self._doubt or None

    async def sync(self) -> None:
        """Be in step: everything is asked for, and what follows from it has left. LinkError: not yet."""
        room = self._room
        if self.contract is None:
            msg = "there is no contract yet"
            raise LinkError(msg)
        self._withhold(OUT_OF_STEP)
        for track in room.live():
            track.due_s = room.now_s
        async with self._one_at_a_time:
            await self._look_until_certain(self.contract)
        self._applier.has_synced = True
        self._judge()

    def lost(self, why: str) -> None:
        """The connection is gone: nothing is entered before everything has been asked for again."""
        self._withhold(why)

    def _withhold(self, why: str) -> None:
        room = self._room
        room.may_enter = False
        room.sender.shut(why)
        self._doubt = why
        room.watcher.on_out_of_step()

    async def run(self) -> None:
        """Watch and ask, until cancelled; what watches never waits for an answer."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watching(), name="watch")
            tasks.create_task(self._asking(), name="ask")

    async def _watching(self) -> None:
        while True:
            await asyncio.sleep(self._tick_s)
            if self._is_in_step:
                self._guard.look()
                self._watch()

    async def _asking(self) -> None:
        while True:
            if self._is_too_soon(self._room.now_s):
                await asyncio.sleep(self._tick_s)
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(self._tick_s):
                    await self._room.ask_wanted.wait()
            if self._is_in_step:
                await self._ask_if_due()
            else:
                await asyncio.sleep(self._tick_s)

    @property
    def _is_in_step(self) -> bool:
        return self._room.link.is_up and self._applier.has_synced

    def _watch(self) -> None:
        """Orders of which nothing has been heard in time, and a position that our executions do not make."""
        room, now_s = self._room, self._room.now_s
        told_qty, room.told_qty = room.told_qty, None
        if told_qty is not None and told_qty != room.held.qty + room.others_qty:
            room.ask(f"the account holds {told_qty:+d}, and {room.held.qty + room.others_qty:+d} is known of")
        for desk in list(room.desks.values()):
            for track in desk.live():
                if track.due_s is not None and track.due_s <= now_s and track.doubt_s is None:
                    self._doubted(desk, track)
                elif track.due_s is None:
                    track.doubt_s = None
                elif track.doubt_s is not None and now_s - track.doubt_s >= room.terms.unresolved_s:
                    room.break_off(f"nothing is known of the {track.draft.leg} of {desk.decision}")
        self._judge()

    def _doubted(self, desk: Desk, track: Track) -> None:
        room = self._room
        track.doubt_s = room.now_s
        log.warning("order_unresolved", order=track.draft.order_ref, leg=track.draft.leg)
        room.records.moved(track.change or track.intent, IntentState.UNRESOLVED)
        if track.draft.leg is Leg.ENTRY:
            self._actor.cancel(desk)
        room.ask(f"nothing was heard of the {track.draft.leg} of {desk.decision}")

    def _judge(self) -> None:
        """Whether anything stands against entries; told when it changes."""
        room = self._room
        doubted = [track for track in room.live() if track.doubt_s is not None]
        why = room.taken()
        if why is not None:
            pass  # the account is somebody else's, whatever else there is
        elif doubted:
            draft = doubted[0].draft
            why = f"nothing is known of the {draft.leg} of {draft.order_ref}"
        elif self._applier.out_of_reach.why is not None:
            why = self._applier.out_of_reach.why
        elif self._guard.slow_close is not None:
            why = self._guard.slow_close
        elif not self._applier.may_enter:
            why = "somebody else's position or orders are on this account"
        is_known = self._applier.has_synced and not self._applier.is_puzzled
        room.may_enter = why is None and is_known and not room.is_broken
        if why != self._doubt:
            self._doubt = why
            room.watcher.on_doubt(why)

    async def _ask_if_due(self) -> None:
        room, now_s = self._room, self._room.now_s
        if self.contract is None or not (room.ask_wanted.is_set() or self._is_poll_due(now_s)):
            return
        whys, room.asks = room.asks, []
        room.ask_wanted.clear()
        if whys:
            log.info("asking", why=whys)
        try:
            async with self._one_at_a_time:
                is_certain = await self._look(self.contract, self._patience_s)
            self._in_vain = 0
            if not is_certain:
                room.ask("the broker's side has not come to rest")
        except LinkError as error:
            self._in_vain += 1
            log.warning("asked_in_vain", why=str(error))
            if room.link.is_up:
                room.ask(whys[0] if whys else "a poll had no answer")
        self._judge()

    @property
    def _patience_s(self) -> float | None:
        """An answer that was lost is asked for again soon; where answers are slow, they are waited for in the end."""
        return self._room.terms.ack_timeout_s * 2**self._in_vain if self._in_vain < HASTY_TRIES else None

    def _is_too_soon(self, now_s: float) -> bool:
        return bool(self._asked_s) and now_s - self._asked_s < self._room.terms.ask_every_s

    def _is_poll_due(self, now_s: float) -> bool:
        """Skipped while orders are on their way: their own answers come first."""
        room = self._room
        every_s = room.terms.order_poll_s if room.held.qty or room.live() else room.terms.position_poll_s
        is_busy = not room.sender.is_idle or any(track.due_s is not None for track in room.live())
        return bool(every_s) and not is_busy and now_s - self._asked_s >= every_s

    def _has_moved(self, activity: int) -> bool:
        return activity != self._room.wire.activity or not self._room.sender.is_idle

    async def _look_until_certain(self, contract: Pinned) -> None:
        room = self._room
        for _ in range(LOOKS):
            room.sender.shut(OUT_OF_STEP)  # what the line wants meanwhile, it wants on what it knew before
            before = room.wire.activity
            if await self._look(contract, opens=True) and not self._has_moved(before):
                return
        msg = "the broker's side does not come to rest"
        raise LinkError(msg)

    async def _look(self, contract: Pinned, patience_s: float | None = None, *, opens: bool = False) -> bool:
        """Ask once, and do what follows; False where the answer was of no single moment, or leaves a doubt.

        With `opens` the way is shut, and opened for what follows.
        """
        room = self._room
        await room.sender.idle()
        before, room.answered_qty = room.wire.activity, None
        truth = await fetch_truth(Hasty(room.link, patience_s), contract, room.terms.account)
        self._asked_s = room.now_s
        if self._has_moved(before) or room.answered_qty not in {None, truth.position_qty}:
            return False  # what is no moment's, or was told after the answer's end
        self.truth = truth
        if opens:
            return await self._apply_ahead(truth, contract)
        return self._applier.apply(truth, contract)

    async def _apply_ahead(self, truth: Truth, contract: Pinned) -> bool:
        """Before the link counts as up: what follows from the answer leaves, with whatever the line asks for now."""
        room = self._room
        room.sender.open()
        room.is_applying = True
        try:
            is_certain = self._applier.apply(truth, contract)
            await room.sender.idle()
        finally:
            room.is_applying = False
        return is_certain
