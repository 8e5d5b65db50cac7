"""What must hold after a scenario, read from the exchange's ledger and from the daemon's own parts."""

from collections.abc import Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from trader.gateway.checker import Findings
from trader.gateway.ledger import Entry, Event
from trader.gateway.orders import STOP_KINDS

UNPROTECTED_MAX_S = 2.0
FOREIGN_MAX_S = 16.0
"""What a human does is noticed by a poll, every ten seconds, and then covered."""
DOUBT_SETTLES_S = 0.5
"""An entry that left in the same moment in which a doubt began is not one in doubt."""


class Span(Struct, frozen=True, kw_only=True):
    """From when to when, virtual seconds."""

    start_s: float
    end_s: float


class Stretch(Struct, frozen=True, kw_only=True):
    """Contracts without a stop. `linked_s` is how long of it daemon and exchange heard each other."""

    start_s: float
    end_s: float
    linked_s: float
    is_foreign: bool


class Evidence(Struct, frozen=True, kw_only=True):
    """All that is known at the end. `up` are the spans in which the daemon was in step and could be heard, `doubts`
    those in which it was not sure of the broker's side. Positions are signed contracts. `fills_around_cancels`: the
    exchange has filled orders although, or just before, they were cancelled."""

    entries: Sequence[Entry]
    findings: Findings
    end_s: float
    up: Sequence[Span]
    doubts: Sequence[Span]
    book_qty: int
    is_closing: bool
    is_up_at_end: bool
    log_status: str
    kept_qty: int | None
    fills_around_cancels: bool


def judge(found: Evidence) -> list[str]:
    """What is wrong; empty where all is well."""
    return [*_exchange(found), *_books(found), *_protection(found), *_doubtful(found)]


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


def stretches(found: Evidence) -> list[Stretch]:
    """Every time at which a position had less than its size in stops."""
    made: list[Stretch] = []
    start_s: float | None = None
    other_s: float | None = None
    is_foreign = False
    exchange = _Exchange()
    for entry in found.entries:
        exchange.take(entry)
        if is_of_others(entry):
            other_s = entry.at_s
        if exchange.naked:
            start_s = entry.at_s if start_s is None else start_s
            is_foreign |= other_s is not None and _linked_s(found, other_s, entry.at_s) <= FOREIGN_MAX_S
        elif start_s is not None:
            made.append(_stretch(found, start_s, entry.at_s, is_foreign=is_foreign))
            start_s, is_foreign = None, False
    if start_s is not None:
        made.append(_stretch(found, start_s, found.end_s, is_foreign=is_foreign))
    return made


def is_of_others(entry: Entry) -> bool:
    """Whether a human, or the exchange, has changed the position."""
    return entry.event in {Event.MANUAL, Event.SETTLED} or (entry.event is Event.EXECUTED and not entry.order_ref)


class _Exchange:
    """Positions and stops as the ledger tells them."""

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
        return sum(max(0, abs(qty) - self._covered(con_id, qty)) for con_id, qty in self.positions.items())

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


def _stretch(found: Evidence, start_s: float, end_s: float, *, is_foreign: bool) -> Stretch:
    linked_s = _linked_s(found, start_s, end_s)
    return Stretch(start_s=start_s, end_s=end_s, linked_s=linked_s, is_foreign=is_foreign)


def _linked_s(found: Evidence, start_s: float, end_s: float) -> float:
    return sum(max(0.0, min(end_s, span.end_s) - max(start_s, span.start_s)) for span in found.up)


def _exchange(found: Evidence) -> Iterator[str]:
    findings = found.findings
    if findings.duplicates:
        yield f"sent twice: {', '.join(findings.duplicates)}"
    if findings.orphans:
        yield f"orphans: {', '.join(findings.orphans)}"
    excused = _crossed_by_hand(found)
    if found.fills_around_cancels and findings.wrong_side_s <= UNPROTECTED_MAX_S:
        excused |= set(findings.wrong_sides)  # the exchange filled what was being cancelled; it was closed at once
    wrong = [ref for ref in findings.wrong_sides if ref and ref not in excused]
    if wrong:
        yield f"wrong side: {', '.join(wrong)}"


def _crossed_by_hand(found: Evidence) -> set[str]:
    """Orders of ours that filled on what a human, or the exchange, had made of the position before a poll could see."""
    changed_s = 0.0
    crossed = set()
    has_changed = False
    for entry in found.entries:
        if is_of_others(entry):
            changed_s, has_changed = entry.at_s, True
        elif has_changed and entry.event is Event.EXECUTED and _linked_s(found, changed_s, entry.at_s) <= FOREIGN_MAX_S:
            crossed.add(entry.order_ref)
    return crossed


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


def _protection(found: Evidence) -> Iterator[str]:
    for each in stretches(found):
        limit_s = FOREIGN_MAX_S if each.is_foreign else UNPROTECTED_MAX_S
        if each.linked_s > limit_s:
            yield f"unprotected for {each.linked_s:.1f} s with the link up, from {each.start_s:.1f} s on"


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
