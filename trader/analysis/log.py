"""Reading decision logs: which files, in which order, and their lines one by one.

May import the records and the standard library only: `trader logs` and `trader verify` start without NumPy.
"""

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import msgspec
from msgspec import Struct

from trader.errors import InputError, LogDamagedError
from trader.records import Canonical, ContinueRecord, EndRecord, EventRecord, Line, StartRecord

PATTERN = "decisions-*.jsonl"
UNFINISHED_SUFFIXES = frozenset({".tmp", ".old"})
"""Folders that a replay is still writing, or is about to replace."""

UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises on bytes that are no JSON of the type, no UTF-8, or nested without end."""

Record = Canonical | EventRecord | StartRecord | ContinueRecord | EndRecord


class Kind(StrEnum):
    """What a line holds; the value is its key in the file."""

    BAR = "c"
    EVENT = "e"
    START = "start"
    CONTINUE = "continue"
    END = "end"


_RECORDS: dict[Kind, type[Record]] = {
    Kind.BAR: Canonical,
    Kind.EVENT: EventRecord,
    Kind.START: StartRecord,
    Kind.CONTINUE: ContinueRecord,
    Kind.END: EndRecord,
}
_decode_line = msgspec.json.Decoder(Line).decode
_decode_bar = msgspec.json.Decoder(Canonical).decode


class Entry(Struct, frozen=True, gc=False):
    """One line: where it stands (`number` counts from 1), its bytes with the newline, and its parts as bytes."""

    path: Path
    number: int
    raw: bytes
    kind: Kind
    payload: bytes
    x: bytes
    hash: str

    def text(self) -> str:
        """The line as it stands in the file; LogDamagedError if it is no UTF-8."""
        try:
            return self.raw.decode()
        except UnicodeDecodeError as error:
            raise damaged(self.path, self.number, str(error)) from error

    def bar(self) -> Canonical:
        """The record of a line of kind BAR; LogDamagedError if it is none."""
        try:
            return _decode_bar(self.payload)
        except UNDECODABLE as error:
            raise damaged(self.path, self.number, str(error)) from error

    def record(self) -> Record:
        """What the line holds, by its kind; LogDamagedError if the kind's schema refuses it."""
        try:
            return msgspec.json.decode(self.payload, type=_RECORDS[self.kind])
        except UNDECODABLE as error:
            raise damaged(self.path, self.number, str(error)) from error


def parse_line(path: Path, number: int, raw: bytes) -> Entry:
    """Take a line apart without decoding what it holds; LogDamagedError if it is no line of a decision log."""
    try:
        line = _decode_line(raw)
    except UNDECODABLE as error:
        raise damaged(path, number, str(error)) from error
    held = [
        (kind, bytes(part))
        for kind, part in (
            (Kind.BAR, line.c),
            (Kind.EVENT, line.e),
            (Kind.START, line.start),
            (Kind.CONTINUE, line.continue_),
            (Kind.END, line.end),
        )
        if part
    ]
    if len(held) != 1:
        raise damaged(path, number, f"a line holds one of {', '.join(Kind)}; this one holds {len(held)} of them")
    kind, payload = held[0]
    return Entry(path, number, raw, kind, payload, bytes(line.x), line.hash)


def damaged(path: Path, number: int, what: str) -> LogDamagedError:
    """The error for a line that cannot be read."""
    return LogDamagedError(f"{path}:{number}: not a line of a decision log: {what}; `trader verify {path}` says more")


class LogReader:
    """The files of one log in order: a whole run, or one file of it."""

    def __init__(self, path: Path, *, is_run: bool) -> None:
        self.path = path
        self.is_run = is_run

    def files(self) -> list[Path]:
        """The files that are there now, oldest session first; none if a finished replay has moved its folder."""
        return sorted(self.path.glob(PATTERN)) if self.is_run else [self.path]

    def entries(self) -> Iterator[Entry]:
        """All whole lines that are there now, in order; a last line that is still being written is left out."""
        with Tail(self) as tail:
            yield from tail.fresh()


class Tail:
    """Reads a log that may still grow: each call of `fresh` goes on where the one before stopped."""

    def __init__(self, log: LogReader) -> None:
        self._log = log
        self._path: Path | None = None
        self._file: BinaryIO | None = None
        self._number = 0
        self.ended = False
        """The log's `end` line has been read: nothing will follow."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the open file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def fresh(self) -> Iterator[Entry]:
        """The whole lines that have come since the last call, out of new files too."""
        while True:
            following = self._following()
            if self._path is not None:
                yield from self._rest(self._path, is_last=following is None)
            if following is None:
                return
            self._open(following)

    def _following(self) -> Path | None:
        """The file after the open one. Asked BEFORE the open one is read to its end: then no line can be missed."""
        files = self._log.files()
        if self._path is None:
            return files[0] if files else None
        return next((file for file in files if file > self._path), None)

    def _open(self, path: Path) -> None:
        self.close()
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise unreadable(path, error) from error
        self._path = path
        self._number = 0

    def _rest(self, path: Path, *, is_last: bool) -> Iterator[Entry]:
        file = self._file
        while file is not None and (raw := file.readline()):
            if not raw.endswith(b"\n"):
                if not is_last:
                    raise damaged(path, self._number + 1, "it has no end, and another file follows")
                file.seek(-len(raw), 1)
                return
            self._number += 1
            entry = parse_line(path, self._number, raw)
            self.ended = self.ended or entry.kind is Kind.END
            yield entry


def open_log(path: Path) -> LogReader:
    """The log at `path`: a run's folder, one of its files, or a folder of runs, of which the newest finished or live
    one is taken. InputError where there is none."""
    if path.is_file():
        return LogReader(path, is_run=False)
    if not path.is_dir():
        msg = (
            f"{path}: there is no such file or folder; name a run's folder, one of its files, or the folder of all logs"
        )
        raise InputError(msg)
    if any(path.glob(PATTERN)):
        return LogReader(path, is_run=True)
    runs = [folder for folder in path.iterdir() if folder.is_dir() and folder.suffix not in UNFINISHED_SUFFIXES]
    written = [(_last_written_ns(run), run.name, run) for run in runs if any(run.glob(PATTERN))]
    if not written:
        msg = f"{path}: no decision log in it; `trader backtest --log-dir {path}` writes one"
        raise InputError(msg)
    return LogReader(max(written)[2], is_run=True)


def unreadable(path: Path, error: OSError) -> InputError:
    """The error for a file that is there and cannot be read."""
    return InputError(f"{path}: cannot be read ({error.strerror}); check its permissions")


def _last_written_ns(run: Path) -> int:
    return max(file.stat().st_mtime_ns for file in run.glob(PATTERN))
