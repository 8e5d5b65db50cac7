"""Proves a decision log unbroken, or names the first line that was changed, deleted, inserted or moved.

The chain shows damage. It does not stop someone who rewrites every hash: against that stands the head that is kept
elsewhere (`head.json` beside the files, and a copy of it wherever the reader likes).
"""

from collections.abc import Iterator
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import TextIO

import msgspec
from msgspec import Struct

from trader.analysis.damage import Damage, DamageKind, Place, Proved, at, parsed, suspect
from trader.analysis.log import PATTERN, UNDECODABLE, Entry, Kind, open_log, unreadable
from trader.chain import GENESIS, link
from trader.records import ContinueRecord, EndRecord, EventRecord, StartRecord

HEAD_FILE = "head.json"
_SHA_KEY = b'"sha256":"'
_X_TAIL_BYTES = len(_SHA_KEY) + 64 + len(b'"}')


class Status(StrEnum):
    """`not_closed`: every line proves itself, but the log has no end: a crash, a run still at work, or a cut tail."""

    INTACT = "intact"
    NOT_CLOSED = "not_closed"
    DAMAGED = "damaged"


class VerifyReport(Struct, frozen=True, kw_only=True):
    """What was proved: everything, or the lines before the damage. `head` is the last proved line's hash.

    `is_run` is False where one file was checked by itself; `is_head_known` says that a head kept beside the files
    vouches for the last line.
    """

    path: str
    status: Status
    is_run: bool
    files: int
    lines: int
    bars: int
    head: str
    is_head_known: bool
    damage: Damage | None


class _Head(Struct, frozen=True, forbid_unknown_fields=True):
    lines: int
    hash: str


class _BarOfSession(Struct, frozen=True):
    session: str


class _BarPlace(Struct, frozen=True):
    """As much of a bar's record as its place in the log depends on."""

    v: int
    seq: int
    bar: _BarOfSession


_decode_bar = msgspec.json.Decoder(_BarPlace).decode


def verify(path: Path) -> VerifyReport:
    """Check the log at `path`, a run or one of its files; InputError where there is no log to check."""
    log = open_log(path)
    files = log.files()
    known, damage = _known_head(log.path / HEAD_FILE) if log.is_run else (None, None)
    walk = _Walk(is_run=log.is_run, known=known)
    if damage is None:
        damage = walk.through(files)
    closed = Status.INTACT if walk.is_closed else Status.NOT_CLOSED
    return VerifyReport(
        path=str(log.path),
        status=closed if damage is None else Status.DAMAGED,
        is_run=log.is_run,
        files=len(files),
        lines=walk.lines,
        bars=walk.bars,
        head=walk.proved.head,
        is_head_known=known is not None,
        damage=damage,
    )


def describe(report: VerifyReport) -> str:
    """The outcome in one or two lines for a person, each ended by a newline."""
    counts = f"{report.bars:,} bars in {report.lines:,} lines of {report.files} files"
    damage = report.damage
    if damage is not None:
        return (
            f"DAMAGED ({damage.kind.value}): {damage.file}:{damage.line}: {damage.what}\nproved before it: {counts}\n"
        )
    if report.status is Status.NOT_CLOSED:
        return f"not closed: {report.path}: {counts} hold, but have no end: later ones may be missing\n"
    scope = "" if report.is_run else " (one file by itself: what stands before and after it was not checked)"
    kept = ", the head kept beside the files" if report.is_head_known else ""
    return f"intact: {report.path}: {counts}{scope}\nhead {report.head}{kept}\n"


def run_verify(path: Path, *, as_json: bool, out: TextIO) -> int:
    """`trader verify`: 0 if the log is intact and closed, 1 if not; InputError where there is no log."""
    report = verify(path)
    out.write(msgspec.json.encode(report).decode() + "\n" if as_json else describe(report))
    return 0 if report.status is Status.INTACT else 1


class _Walk:
    """One pass over a log, line by line. The counts are of the lines proved so far."""

    def __init__(self, *, is_run: bool, known: _Head | None) -> None:
        self.proved = Proved()
        self.lines = 0
        self.bars = 0
        self.is_closed = False
        self._is_run = is_run
        self._known = known

    def through(self, files: list[Path]) -> Damage | None:
        """The first damage, None if there is none."""
        places = _places(files)
        for place in places:
            damage = self._step(place, places)
            if damage is not None:
                return damage
        if self._known is not None and self.proved.last is not None and self.lines < self._known.lines:
            what = f"the head kept beside the files is line {self._known.lines} of the log, here are {self.lines}"
            return Damage(
                kind=DamageKind.CUT, file=str(self.proved.last.path), line=self.proved.last.number + 1, what=what
            )
        return None

    def _step(self, place: Place, rest: Iterator[Place]) -> Damage | None:
        proved = self.proved
        entry = parsed(place)
        if isinstance(entry, Damage):
            return entry
        if self.is_closed:
            return at(place, DamageKind.INSERTED, "it stands after the end of the log")
        if proved.last is None and not self._is_run and entry.kind is Kind.CONTINUE:
            proved.head = _stated_head(entry)
        if link(proved.head, entry.payload) != entry.hash:
            return suspect(proved, place, entry, next(rest, None))
        what = _fault_of_x(entry.x) or self._fault_of_place(place, entry.kind) or self._take(place, entry)
        if what is not None:
            return at(place, DamageKind.CHANGED, what)
        proved.head_before, proved.head, proved.last = proved.head, entry.hash, place
        self.lines += 1
        return self._beyond_known(place)

    def _fault_of_place(self, place: Place, kind: Kind) -> str | None:
        begins = kind in {Kind.START, Kind.CONTINUE}
        if begins != (place.number == 1):
            return f"a line of kind `{kind.value}` cannot stand here"
        if begins and self._is_run and (kind is Kind.START) != (place.file == 0):
            return f"a run begins with `start`, its later files with `continue`; here is `{kind.value}`"
        return None

    def _take(self, place: Place, entry: Entry) -> str | None:
        """Count what an authentic line says; what is wrong with it, if its content does not fit its place."""
        try:
            match entry.kind:
                case Kind.BAR:
                    return self._take_bar(place, _decode_bar(entry.payload))
                case Kind.CONTINUE:
                    return self._take_continue(msgspec.json.decode(entry.payload, type=ContinueRecord))
                case Kind.END:
                    return self._take_end(msgspec.json.decode(entry.payload, type=EndRecord))
                case Kind.EVENT:
                    msgspec.json.decode(entry.payload, type=EventRecord)
                case Kind.START:
                    msgspec.json.decode(entry.payload, type=StartRecord)
        except UNDECODABLE as error:
            return f"its content is not of its kind: {error}"
        return None

    def _take_bar(self, place: Place, record: _BarPlace) -> str | None:
        if place.path.name != PATTERN.replace("*", record.bar.session):
            return f"a bar of session {record.bar.session} does not belong into this file"
        self.bars += 1
        self.proved.seq = record.seq
        return None

    def _take_continue(self, record: ContinueRecord) -> str | None:
        if self.proved.last is not None and record.previous_file != self.proved.last.path.name:
            return f"it continues {record.previous_file}, but stands after {self.proved.last.path.name}"
        return None if record.head == self.proved.head else "the head that it states is not that of the line before"

    def _take_end(self, record: EndRecord) -> str | None:
        self.is_closed = True
        if self._is_run and (record.bars, record.lines) != (self.bars, self.lines + 1):
            return f"it counts {record.bars} bars in {record.lines} lines, here are {self.bars} in {self.lines + 1}"
        return None

    def _beyond_known(self, place: Place) -> Damage | None:
        known = self._known
        if known is None or self.lines < known.lines:
            return None
        if self.lines > known.lines:
            return at(place, DamageKind.INSERTED, f"the head kept beside the files is line {known.lines} of the log")
        if self.proved.head != known.hash:
            return at(
                place, DamageKind.CHANGED, "its hash is not the head kept beside the files: the log was rewritten"
            )
        return None


def _places(files: list[Path]) -> Iterator[Place]:
    for index, path in enumerate(files):
        try:
            with path.open("rb") as file:
                number = 0
                for number, raw in enumerate(file, 1):
                    yield Place(index, path, number, raw)
                if number == 0:
                    yield Place(index, path, 1, b"")
        except OSError as error:
            raise unreadable(path, error) from error


def _known_head(path: Path) -> tuple[_Head | None, Damage | None]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Head), None
    except FileNotFoundError:
        return None, None
    except OSError as error:
        raise unreadable(path, error) from error
    except UNDECODABLE as error:
        what = f"it does not hold the head of a log: {error}"
        return None, Damage(kind=DamageKind.CHANGED, file=str(path), line=1, what=what)


def _stated_head(entry: Entry) -> str:
    try:
        return msgspec.json.decode(entry.payload, type=ContinueRecord).head
    except UNDECODABLE:
        return GENESIS  # the chain will not hold, and says where


def _fault_of_x(x: bytes) -> str | None:
    """What is wrong with the part beside the chain: it ends with the sha256 of the JSON that comes before."""
    cut = len(x) - _X_TAIL_BYTES
    body = x[:cut].removesuffix(b",") + b"}"
    if cut < 1 or x[cut:] != _SHA_KEY + sha256(body).hexdigest().encode() + b'"}':
        return "its `x` was changed: its own sha256 does not fit"
    return None
