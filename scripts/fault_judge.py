"""What must hold after a scenario, read from the exchange's ledger and from the daemon's own parts.

What nobody could have prevented is excused, each by its own cause: an order that the exchange filled while it was being
cancelled, and what filled before the daemon could hear that somebody else had traded. What follows from it must end in
time all the same.
"""

from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from trader.gateway.checker import Findings
from trader.gateway.faults import Verb
from trader.gateway.ledger import Entry, Event
from trader.gateway.orders import STOP_KINDS

UNPROTECTED_MAX_S = 2.0
NOTICED_MAX_S = 2.0
"""What somebody else does is told by the position: heard, asked about, acted on."""
DEAF_MAX_S = 16.0
"""The same where answers were lost, late or wrong: they are asked for again, and in the end waited for."""
DEAF_S = 20.0
"""How long such a fault may work on: the longest delay."""
LOOSE_MAX_S = 4.0
"""Exits with nothing to exit: seen, asked about, cancelled."""
DOUBT_SETTLES_S = 0.5
"""An entry that left in the same moment in which a doubt began is not one in doubt."""
MOMENT_S = 1e-6
DEAFENING = frozenset({Verb.DROP, Verb.DELAY, Verb.REORDER, Verb.TRUNCATE, Verb.ERROR_ON})
UNHEARD = frozenset({Verb.LOSE, Verb.SWALLOW})
UNHEARD_S = 4.0
"""An order that nobody answers is waited for until the acknowledgement is overdue, then asked about."""
AROUND_CANCELS = frozenset({Verb.FILL_BEFORE_CANCEL, Verb.FILL_AFTER_CANCEL})


class Span(Struct, frozen=True, kw_only=True):
    """From when to when, virtual seconds."""

    start_s: float
    end_s: float


class Stretch(Struct, frozen=True, kw_only=True):
    """How long something lasted. `linked_s` is how much of it daemon and exchange heard each other; `is_foreign`:
    somebody else had just changed the position."""

    start_s: float
    end_s: float
    linked_s: float
    is_foreign: bool


class Fired(Struct, frozen=True):
    """A fault, when it was played."""

    at_s: float
    verb: Verb


class Pause(Struct, kw_only=True):
    """The daemon stood still. `entries` were in the ledger at its end, `asked_at` when all open orders were asked for
    after it, None where they never were."""

    entries: int
    asked_at: int | None = None


class Wrong(Struct, frozen=True, kw_only=True):
    """An execution that nobody can have wanted, with its place in the ledger and the contracts that it opened."""

    entry: Entry
    place: int
    qty: int


class Evidence(Struct, frozen=True, kw_only=True):
    """All that is known at the end. `up` are the spans in which the daemon was in step and could be heard, `doubts`
    those in which it was not sure of the broker's side. Positions are signed contracts."""

    entries: Sequence[Entry]
    findings: Findings
    end_s: float
    up: Sequence[Span]
    doubts: Sequence[Span]
    faults: Sequence[Fired]
    book_qty: int
    is_closing: bool
    is_up_at_end: bool
    log_status: str
    kept_qty: int | None


def judge(found: Evidence) -> list[str]:
    """What is wrong; empty where all is well."""
    return [*_exchange(found), *_wrong_sides(found), *_books(found), *_lasting(found), *_doubtful(found)]


def sent_unasked(entries: Sequence[Entry], pauses: Sequence[Pause]) -> Iterator[str]:
    """What was sent after a pause of the loop before the broker was asked; `entries` are the whole ledger."""
    for pause in pauses:
        until = len(entries) if pause.asked_at is None else pause.asked_at
        for entry in entries[pause.entries : until]:
            if entry.event in {Event.PLACED, Event.MODIFIED} and entry.order_ref:
                yield f"{entry.order_ref} was sent at {entry.at_s:.1f} s, after a pause and before anything was asked"


def ours_only(entries: Sequence[Entry]) -> list[Entry]:
    """The ledger as if nobody else traded: what counts where others' contracts are ignored."""
    held: dict[int, int] = {}
    ours: list[Entry] = []
    for entry in entries:
        if entry.event is Event.SETTLED:
            held[entry.con_id] = 0
            ours.append(replace(entry, position=0))
        elif entry.event is Event.EXECUTED and entry.order_ref:
            held[entry.con_id] = held.get(entry.con_id, 0) + entry.side * entry.qty
            ours.append(replace(entry, position=held[entry.con_id]))
        elif entry.event is Event.LINK or (entry.order_ref and entry.event is not Event.MANUAL):
            ours.append(entry)
    return ours


def is_of_others(entry: Entry) -> bool:
    """Whether a human, or the exchange, has changed the position."""
    return entry.event in {Event.MANUAL, Event.SETTLED} or (entry.event is Event.EXECUTED and not entry.order_ref)


class _Exchange:
    """Positions and orders as the ledger tells them."""

    def __init__(self) -> None:
        self.working: dict[int, Entry] = {}
        self.positions: dict[int, int] = {}

    def take(self, entry: Entry) -> None:
        match entry.event:
            case Event.PLACED | Event.MODIFIED:
                self.working[entry.perm_id] = entry
            case Event.REJECTED | Event.ENDED:
                self.working.pop(entry.perm_id, None)
            case Event.MANUAL | Event.SETTLED:
                self.positions[entry.con_id] = entry.position
            case Event.EXECUTED:
                self._execute(entry)
            case Event.LINK:
                pass

    def _execute(self, entry: Entry) -> None:
        self.positions[entry.con_id] = entry.position
        if entry.remaining:
            self.working[entry.perm_id] = entry
        else:
            self.working.pop(entry.perm_id, None)

    @property
    def naked(self) -> int:
        """Contracts without a stop."""
        return sum(max(0, abs(qty) - self._covered(con_id, qty)) for con_id, qty in self.positions.items())

    @property
    def loose(self) -> int:
        """Exits of ours that work though there is nothing to exit, and no entry that they wait for."""
        ours = [each for each in self.working.values() if each.order_ref]
        if any(each.kind == "MKT" for each in ours) or any(self.positions.values()):
            return 0
        return len(ours)

    @property
    def all_qty(self) -> int:
        return sum(self.positions.values())

    def _covered(self, con_id: int, qty: int) -> int:
        return sum(
            each.remaining
            for each in self.working.values()
            if each.con_id == con_id and each.kind in STOP_KINDS and each.side * qty < 0
        )


def at_end(entries: Sequence[Entry]) -> _Exchange:
    """The exchange after all of it."""
    exchange = _Exchange()
    for entry in entries:
        exchange.take(entry)
    return exchange


def stretches(found: Evidence, is_so: Callable[[_Exchange], int]) -> list[Stretch]:
    """Every time at which it was so."""
    made: list[Stretch] = []
    start_s: float | None = None
    other_s: float | None = None
    is_foreign = False
    exchange = _Exchange()
    for entry in found.entries:
        exchange.take(entry)
        other_s = entry.at_s if is_of_others(entry) else other_s
        if is_so(exchange):
            start_s = entry.at_s if start_s is None else start_s
            is_foreign |= other_s is not None and _could_not_know(found, other_s, entry.at_s)
        elif start_s is not None:
            made.append(_stretch(found, start_s, entry.at_s, is_foreign=is_foreign))
            start_s, is_foreign = None, False
    if start_s is not None:
        made.append(_stretch(found, start_s, found.end_s, is_foreign=is_foreign))
    return made


def wrong_sides(entries: Sequence[Entry]) -> list[Wrong]:
    """Executions of ours that crossed zero, and exits that made a position or made it larger."""
    held: dict[int, int] = {}
    wrong: list[Wrong] = []
    for place, entry in enumerate(entries):
        if entry.event not in {Event.EXECUTED, Event.MANUAL, Event.SETTLED}:
            continue
        before, after = held.get(entry.con_id, 0), entry.position
        held[entry.con_id] = after
        is_exit = bool(entry.parent_id) or "." in entry.order_ref
        if entry.event is not Event.EXECUTED or not entry.order_ref:
            continue
        if before * after < 0:
            wrong.append(Wrong(entry=entry, place=place, qty=abs(after)))
        elif is_exit and abs(after) > abs(before):
            wrong.append(Wrong(entry=entry, place=place, qty=abs(after) - abs(before)))
    return wrong


def _stretch(found: Evidence, start_s: float, end_s: float, *, is_foreign: bool) -> Stretch:
    linked_s = _linked_s(found, start_s, end_s)
    return Stretch(start_s=start_s, end_s=end_s, linked_s=linked_s, is_foreign=is_foreign)


def _linked_s(found: Evidence, start_s: float, end_s: float) -> float:
    return sum(max(0.0, min(end_s, span.end_s) - max(start_s, span.start_s)) for span in found.up)


def _limit_s(found: Evidence, start_s: float, end_s: float, limit_s: float) -> float:
    """More where something was not heard as it was said."""
    is_deaf = any(each.verb in DEAFENING and start_s - DEAF_S <= each.at_s <= end_s for each in found.faults)
    is_unheard = any(each.verb in UNHEARD and start_s <= each.at_s <= end_s for each in found.faults)
    return DEAF_MAX_S if is_deaf else limit_s + is_unheard * UNHEARD_S


def _could_not_know(found: Evidence, changed_s: float, now_s: float) -> bool:
    """Whether somebody else's trade may not have been heard of by then."""
    return _linked_s(found, changed_s, now_s) <= _limit_s(found, changed_s, now_s, NOTICED_MAX_S)


def _exchange(found: Evidence) -> Iterator[str]:
    findings = found.findings
    if findings.duplicates:
        yield f"sent twice: {', '.join(findings.duplicates)}"
    loose = at_end(found.entries).loose
    if findings.orphans or loose:
        yield f"orphans: {loose} orders, {', '.join(findings.orphans)}"


def _wrong_sides(found: Evidence) -> Iterator[str]:
    for wrong in wrong_sides(found.entries):
        at_s, ref = wrong.entry.at_s, wrong.entry.order_ref
        if not _is_excused(found, wrong):
            yield f"wrong side: {ref} at {at_s:.1f} s"
        if _is_theirs(found, wrong):
            continue
        end_s = _ended_s(found, wrong)
        lasted_s = _linked_s(found, at_s, end_s)
        if lasted_s > _limit_s(found, at_s, end_s, UNPROTECTED_MAX_S):
            yield f"wrong side: {ref} at {at_s:.1f} s, and there for {lasted_s:.1f} s with the link up"


def _is_excused(found: Evidence, wrong: Wrong) -> bool:
    """The exchange filled it while it was being cancelled, or on what somebody else had just made of the position."""
    at_s = wrong.entry.at_s
    if any(each.verb in AROUND_CANCELS and abs(each.at_s - at_s) < MOMENT_S for each in found.faults):
        return True
    before = (each.at_s for each in reversed(found.entries[: wrong.place]) if is_of_others(each))
    changed_s = next(before, None)
    return changed_s is not None and _could_not_know(found, changed_s, at_s)


def _is_theirs(found: Evidence, wrong: Wrong) -> bool:
    """Ours closed our own position in the very moment in which somebody else traded: which came first nobody can tell,
    and what is left is what they have traded.
    """
    entries = found.entries[: wrong.place + 1]
    moment = [each for each in entries if abs(each.at_s - wrong.entry.at_s) < MOMENT_S]
    ours = ours_only(entries)
    own_qty = next((each.position for each in reversed(ours) if each.event in {Event.EXECUTED, Event.SETTLED}), 0)
    return any(map(is_of_others, moment)) and not own_qty


def _ended_s(found: Evidence, wrong: Wrong) -> float:
    """When what it opened was gone, at work to go at the market, or somebody else had changed it."""
    left = wrong.qty
    for entry in found.entries[wrong.place + 1 :]:
        is_closing = entry.event is Event.PLACED and entry.kind == "MKT" and entry.side != wrong.entry.side
        if is_closing and entry.order_ref and entry.remaining >= left:
            return entry.at_s
        if entry.event is Event.EXECUTED and entry.order_ref and entry.side != wrong.entry.side:
            left -= entry.qty
        if left <= 0 or is_of_others(entry):
            return entry.at_s
    return found.end_s


def _books(found: Evidence) -> Iterator[str]:
    exchange = at_end(found.entries)
    there = exchange.all_qty
    if not found.is_up_at_end:
        yield "the link is not up at the end"
    if found.book_qty != there:
        yield f"the book holds {found.book_qty:+d}, the exchange {there:+d}"
    if found.kept_qty is not None and found.kept_qty != found.book_qty:
        yield f"state.db holds {found.kept_qty:+d}, the book {found.book_qty:+d}"
    if found.kept_qty is None and found.book_qty:
        yield "state.db has no book"
    if found.log_status != "intact":
        yield f"the log is {found.log_status}"
    naked = exchange.naked
    if naked and not found.is_closing:
        yield f"{naked} contracts have no stop at the end, and nothing closes them"


def _lasting(found: Evidence) -> Iterator[str]:
    for each in stretches(found, lambda exchange: exchange.naked):
        limit_s = UNPROTECTED_MAX_S
        if each.is_foreign:
            limit_s = _limit_s(found, each.start_s, each.end_s, UNPROTECTED_MAX_S + NOTICED_MAX_S)
        if each.linked_s > limit_s:
            yield f"unprotected for {each.linked_s:.1f} s with the link up, from {each.start_s:.1f} s on"
    for each in stretches(found, lambda exchange: exchange.loose):
        if each.linked_s > _limit_s(found, each.start_s, each.end_s, LOOSE_MAX_S):
            yield f"exits without a position for {each.linked_s:.1f} s with the link up, from {each.start_s:.1f} s on"


def _doubtful(found: Evidence) -> Iterator[str]:
    sent = (
        entry
        for entry in found.entries
        if entry.event is Event.PLACED and entry.kind == "MKT" and entry.order_ref and "." not in entry.order_ref
    )
    for entry in sent:
        in_doubt = any(span.start_s + DOUBT_SETTLES_S < entry.at_s < span.end_s for span in found.doubts)
        if in_doubt:
            yield f"{entry.order_ref} was entered at {entry.at_s:.1f} s while the broker's side was in doubt"
