"""Reads a ledger and says what went wrong: missing stops, orders sent twice, orphans, wrong-side exposure."""

from collections.abc import Iterable

from msgspec import Struct

from trader.gateway.ledger import Entry, Event
from trader.gateway.orders import STOP_KINDS, Status

Role = tuple[str, str, int]
"""Order reference, order type and side: what one decision sends once."""


class Findings(Struct, frozen=True, kw_only=True):
    """What a ledger shows. Seconds are the ledger's clock.

    `unprotected_s` is contracts times seconds without a working stop behind them, `unprotected_linked_s` the part of
    it during which a client heard the broker, and `unprotected_longest_s` its longest stretch. `duplicates` are order
    references whose order was sent again while it worked or after it had filled. `orphans` are order references of
    bracket orders that still work though there is nothing left to protect. `wrong_sides` are order references of
    executions that nobody can have wanted: of a bracket's exit that opened a position, or of an order that crossed
    zero; `wrong_side_s` is contracts times seconds of what they opened.
    """

    orders: int
    executions: int
    position: int
    unprotected_s: float
    unprotected_linked_s: float
    unprotected_longest_s: float
    duplicates: tuple[str, ...]
    orphans: tuple[str, ...]
    wrong_sides: tuple[str, ...]
    wrong_side_s: float

    @property
    def is_clean(self) -> bool:
        """Nothing sent twice, no orphan, no wrong side."""
        return not self.duplicates and not self.orphans and not self.wrong_sides


class _State:
    """The exchange as the entries up to here leave it."""

    def __init__(self) -> None:
        self.working: dict[int, Entry] = {}
        self.filled: set[int] = set()
        self.sent: dict[Role, int] = {}
        self.positions: dict[int, int] = {}
        self.wrong: dict[int, bool] = {}
        self.is_linked = False
        self.duplicates: list[str] = []
        self.wrong_sides: list[str] = []

    def take(self, entry: Entry) -> None:
        """The next entry."""
        match entry.event:
            case Event.PLACED:
                self._note_sent(entry)
                self.working[entry.perm_id] = entry
            case Event.MODIFIED:
                self.working[entry.perm_id] = entry
            case Event.REJECTED | Event.ENDED:
                self.working.pop(entry.perm_id, None)
            case Event.EXECUTED:
                self._execute(entry)
            case Event.MANUAL | Event.SETTLED:
                self.positions[entry.con_id] = entry.position
                self.wrong[entry.con_id] = False
            case Event.LINK:
                self.is_linked = entry.is_up

    @property
    def unprotected(self) -> int:
        """Contracts without a stop of the other side."""
        return sum(max(0, abs(qty) - self._stopped(con_id, qty)) for con_id, qty in self.positions.items() if qty)

    @property
    def wrong_side(self) -> int:
        """Contracts of positions that nobody can have wanted."""
        return sum(abs(qty) for con_id, qty in self.positions.items() if self.wrong.get(con_id, False))

    @property
    def orphans(self) -> tuple[str, ...]:
        """Bracket orders whose parent has ended, and whose contract is flat."""
        parents = {(entry.client_id, entry.order_id) for entry in self.working.values() if not entry.parent_id}
        return tuple(
            entry.order_ref
            for entry in self.working.values()
            if entry.parent_id
            and not self.positions.get(entry.con_id, 0)
            and (entry.client_id, entry.parent_id) not in parents
        )

    def _stopped(self, con_id: int, qty: int) -> int:
        return sum(
            entry.remaining
            for entry in self.working.values()
            if entry.con_id == con_id and entry.kind in STOP_KINDS and entry.side * qty < 0
        )

    def _note_sent(self, entry: Entry) -> None:
        role = (entry.order_ref, entry.kind, entry.side)
        before = self.sent.get(role)
        if entry.order_ref and before is not None and (before in self.working or before in self.filled):
            self.duplicates.append(entry.order_ref)
        self.sent[role] = entry.perm_id

    def _execute(self, entry: Entry) -> None:
        before, after = self.positions.get(entry.con_id, 0), entry.position
        is_exit = bool(entry.parent_id)
        if not after:
            self.wrong[entry.con_id] = False
        elif before * after < 0 or (is_exit and abs(after) > abs(before)):
            self.wrong[entry.con_id] = True
            self.wrong_sides.append(entry.order_ref)
        self.positions[entry.con_id] = after
        self.filled.add(entry.perm_id)
        if entry.remaining and entry.status != Status.FILLED:
            self.working[entry.perm_id] = entry
        else:
            self.working.pop(entry.perm_id, None)


def check(entries: Iterable[Entry], until_s: float) -> Findings:
    """What the entries show, up to `until_s` on the ledger's clock."""
    state, last_s, orders, executions = _State(), None, 0, 0
    total = linked = longest = stretch = wrong = 0.0
    for entry in (*entries, None):
        now_s = until_s if entry is None else entry.at_s
        past_s = 0.0 if last_s is None else max(0.0, now_s - last_s)
        last_s = now_s
        open_qty = state.unprotected
        total += open_qty * past_s
        linked += open_qty * past_s if state.is_linked else 0.0
        stretch = stretch + past_s if open_qty else 0.0
        longest = max(longest, stretch)
        wrong += state.wrong_side * past_s
        if entry is not None:
            state.take(entry)
            orders += entry.event is Event.PLACED
            executions += entry.event is Event.EXECUTED
    return Findings(
        orders=orders,
        executions=executions,
        position=sum(state.positions.values()),
        unprotected_s=total,
        unprotected_linked_s=linked,
        unprotected_longest_s=longest,
        duplicates=tuple(state.duplicates),
        orphans=state.orphans,
        wrong_sides=tuple(state.wrong_sides),
        wrong_side_s=wrong,
    )
