"""No position without a stop: whether one is, and for how long. Pure."""

from trader.adapters.ib.desk import Stage, Track
from trader.adapters.ib.room import Room
from trader.adapters.state.records import Leg


class Guard:
    """Looks at what is held against what stops it, and at what is left over when nothing is held."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._naked_since_s: float | None = None
        self._loose_since_s: float | None = None
        self._unheard_since_s: float | None = None
        self._closing_since_s: float | None = None

    @property
    def slow_close(self) -> str | None:
        """Why a close is in doubt: the broker has had it for too long. None where none is."""
        room, since_s = self._room, self._closing_since_s
        if since_s is None or room.now_s - since_s < room.terms.unresolved_s:
            return None
        return f"the close of {room.held.qty:+d} contracts has not filled: the market may stand still"

    @property
    def naked_qty(self) -> int:
        """Contracts held that no stop covers and no close is about to end."""
        room = self._room
        closing = sum(t.remaining_qty for t in room.live(Leg.CLOSE) if t.draft.side * room.held.qty < 0)
        return max(abs(room.held.qty) - max(room.stopped_qty, closing), 0)

    @property
    def unheard(self) -> list[Track]:
        """Stops of which nothing was heard yet, where those that work do not cover the position."""
        room = self._room
        stops = [track for track in room.live(Leg.STOP) if room.guards(track)]
        works_qty = sum(track.remaining_qty for track in stops if track.stage is Stage.WORKING)
        unheard = [track for track in stops if track.stage is Stage.SENT and not track.cannot_wait]
        return unheard if works_qty < abs(room.held.qty) and not room.live(Leg.ENTRY) else []

    @property
    def has_loose(self) -> bool:
        """Exits work though there is nothing to exit, and no entry that they wait for."""
        room = self._room
        return not room.held.qty and not room.live(Leg.ENTRY) and any(map(room.reaches, room.live()))

    def look(self) -> None:
        """Judge; what has lasted too long is told (naked), or asked about (loose, unheard). Again after as long."""
        room, now_s = self._room, self._room.now_s
        grace_s = room.terms.naked_grace_s
        may_exit = room.may_send and not room.exits_wait
        self._naked_since_s = _since(self._naked_since_s, now_s, lasts=bool(self.naked_qty) and may_exit)
        self._closing_since_s = _since(self._closing_since_s, now_s, lasts=bool(room.held.qty and room.live(Leg.CLOSE)))
        self._loose_since_s = _since(self._loose_since_s, now_s, lasts=self.has_loose and room.may_send)
        if self._naked_since_s is not None and now_s - self._naked_since_s >= grace_s:
            self._naked_since_s = now_s
            room.watcher.on_naked(f"{self.naked_qty} of {room.held.qty:+d} contracts have no stop")
            room.ask("a position has no stop")
        if self._loose_since_s is not None and now_s - self._loose_since_s >= grace_s:
            self._loose_since_s = now_s
            room.ask("exits are left over")
        self._look_for_unheard(now_s)

    def _look_for_unheard(self, now_s: float) -> None:
        room, unheard = self._room, self.unheard
        self._unheard_since_s = _since(self._unheard_since_s, now_s, lasts=bool(unheard) and room.may_send)
        if self._unheard_since_s is not None and now_s - self._unheard_since_s >= room.terms.naked_grace_s:
            self._unheard_since_s = None
            for track in unheard:
                track.cannot_wait = True
            room.ask(f"nothing was heard of the only stop, {unheard[0].draft.order_ref}")


def _since(since_s: float | None, now_s: float, *, lasts: bool) -> float | None:
    return (now_s if since_s is None else since_s) if lasts else None
