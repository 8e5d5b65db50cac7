"""What was done to a decision log, told from the line at which its chain breaks."""

from enum import StrEnum
from pathlib import Path

import msgspec
from msgspec import Struct

from trader.analysis.log import UNDECODABLE, Entry, Kind, parse_line
from trader.chain import GENESIS, link
from trader.errors import LogDamagedError
from trader.records import ContinueRecord


class DamageKind(StrEnum):
    """What was done, as far as the chain can tell."""

    CHANGED = "changed"
    DELETED = "deleted"
    INSERTED = "inserted"
    REORDERED = "reordered"
    CUT = "cut"


class Damage(Struct, frozen=True, kw_only=True):
    """The first line that does not prove itself; for lines that are gone, the place where the first one stood."""

    kind: DamageKind
    file: str
    line: int
    what: str


class Place(Struct, frozen=True, gc=False):
    """A line's bytes and where they stand: `file` is an index into the log's files, `number` counts from 1."""

    file: int
    path: Path
    number: int
    raw: bytes


class Proved(Struct, kw_only=True):
    """How far a log has been proved: the `last` line, its hash, the hash before it, and the last bar's seq."""

    last: Place | None = None
    head: str = GENESIS
    head_before: str = GENESIS
    seq: int | None = None


class _Seq(Struct, frozen=True):
    seq: int


def at(place: Place, kind: DamageKind, what: str) -> Damage:
    """Damage of the line at `place`."""
    return Damage(kind=kind, file=str(place.path), line=place.number, what=what)


def parsed(place: Place) -> Entry | Damage:
    """The line taken apart, or why it is not exactly what a writer of this log would have written."""
    if not place.raw.endswith(b"\n"):
        return at(place, DamageKind.CUT, "it has no end" if place.raw else "the file is empty")
    try:
        entry = parse_line(place.path, place.number, place.raw)
    except LogDamagedError:
        return at(place, DamageKind.CHANGED, "it is no line of a decision log")
    written = b"".join(
        (
            b'{"',
            entry.kind.encode(),
            b'":',
            entry.payload,
            b',"x":',
            entry.x,
            b',"hash":"',
            entry.hash.encode(),
            b'"}\n',
        )
    )
    if place.raw != written:
        return at(place, DamageKind.CHANGED, "it is not laid out as the log's writer lays out a line")
    return entry


def suspect(proved: Proved, place: Place, entry: Entry, following: Place | None) -> Damage:
    """What was done where `entry` does not follow what is proved; `following` is the line after it, if any."""
    last = proved.last
    after = None if following is None else parsed(following)
    if isinstance(after, Entry):
        if link(proved.head, after.payload) == after.hash:
            if link(after.hash, entry.payload) == entry.hash:
                return at(place, DamageKind.REORDERED, "it and the line after it have changed places")
            return at(place, DamageKind.INSERTED, "the line after it follows the one before it")
        if link(link(proved.head, entry.payload), after.payload) == after.hash:
            return at(place, DamageKind.CHANGED, "its hash was changed, its content was not")
    if last is not None and link(proved.head_before, entry.payload) == entry.hash:
        return at(last, DamageKind.INSERTED, "the line after it follows the one before it")
    if entry.kind is Kind.CONTINUE and last is not None:
        gap = _gap_between_files(place, entry, last)
        if gap is not None:
            return gap
    return at(place, *_by_seq(entry, proved.seq))


def _gap_between_files(place: Place, entry: Entry, last: Place) -> Damage | None:
    try:
        record = msgspec.json.decode(entry.payload, type=ContinueRecord)
    except UNDECODABLE:
        return None
    if link(record.head, entry.payload) != entry.hash:
        return None
    if record.previous_file != last.path.name:
        return at(place, DamageKind.DELETED, f"{record.previous_file}, which it continues, is not the file before it")
    what = "the file does not reach the head from which the next one goes on"
    return Damage(kind=DamageKind.CUT, file=str(last.path), line=last.number + 1, what=what)


def _by_seq(entry: Entry, seq: int | None) -> tuple[DamageKind, str]:
    changed = DamageKind.CHANGED, "its content was changed, or a line before it was removed"
    if entry.kind is not Kind.BAR or seq is None:
        return changed
    try:
        found = msgspec.json.decode(entry.payload, type=_Seq).seq
    except UNDECODABLE:
        return changed
    if found > seq + 1:
        return DamageKind.DELETED, f"bar {found} stands where bar {seq + 1} should: lines were removed or moved"
    if found <= seq:
        return DamageKind.REORDERED, f"bar {found} stands after bar {seq}: a line was moved or copied here"
    return changed
