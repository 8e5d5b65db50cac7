"""Where decision logs go: a folder a run, a file a session, a chain through all of them."""

import json
import queue
import shutil
import threading
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import structlog

from trader.adapters.line_file import LineFile
from trader.adapters.whole_file import write_whole
from trader.asides import ASIDE_PREFIX, aside_name
from trader.errors import InputError, InvariantError
from trader.records import file_name

log = structlog.get_logger(__name__)
HEAD_FILE = "head.json"
CLOSE_PATIENCE_S = 10.0
"""How long the end of a run waits for a disk that hangs."""
_LAST = ("", b"")
_SYNC = ("", b"sync")


class ReplayJournal:
    """Writes in the caller's thread to `<run_id>.tmp` and swaps it in at the end: a cut replay leaves no half log.

    InputError where the folder cannot be written.
    """

    is_healthy = True
    backlog = 0

    def __init__(self, root: Path, run_id: str) -> None:
        self.path = root / run_id
        self._part = root / f"{run_id}.tmp"
        self._file: BinaryIO | None = None
        self._asides: BinaryIO | None = None
        self._session = ""
        try:
            if self._part.exists():
                shutil.rmtree(self._part)
            self._part.mkdir(parents=True)
        except OSError as error:
            raise _unwritable(self._part, error) from error

    def begin_file(self, session_date: str) -> None:
        """Write the following lines to the file of another session."""
        try:
            if self._file is not None:
                self._file.close()
            if self._asides is not None:
                self._asides.close()
                self._asides = None
            self._file = (self._part / file_name(session_date)).open("wb", buffering=1 << 18)
            self._session = session_date
        except OSError as error:
            raise _unwritable(self._part, error) from error

    def write(self, line: bytes) -> None:
        """Append one line."""
        if self._file is None:
            msg = "a line was written before its file was begun"
            raise InvariantError(msg)
        try:
            self._file.write(line)
        except OSError as error:
            raise _unwritable(self._part, error) from error

    def has_written(self, lines: int, patience_s: float) -> bool:
        """A replay that is cut leaves no log at all."""
        del lines, patience_s
        return True

    def aside(self, line: bytes) -> None:
        """Append one line to the session's advisor log."""
        try:
            if self._asides is None:
                self._asides = (self._part / aside_name(self._session)).open("wb")
            self._asides.write(line)
        except OSError as error:
            raise _unwritable(self._part, error) from error

    def close(self, head: str, lines: int) -> None:
        """Keep the head beside the files, and let this run take the place of an equal earlier one."""
        try:
            for file in (self._file, self._asides):
                if file is not None:
                    file.close()
            self._file = self._asides = None
            _write_head(self._part, head, lines)
            _swap(self._part, self.path)
        except OSError as error:
            raise _unwritable(self._part, error) from error

    def discard(self) -> None:
        """Drop an unfinished run."""
        for file in (self._file, self._asides):
            if file is not None:
                with suppress(OSError):  # what cannot be written is dropped anyway
                    file.close()
        self._file = self._asides = None
        shutil.rmtree(self._part, ignore_errors=True)


class LiveJournal:
    """Hands lines to one writer thread and never waits for it. A line is the system's at once, and on the disk when
    somebody waits for that.

    `is_healthy` turns False for good when the queue is full or the disk refuses: entries stop, protection goes on.
    """

    def __init__(
        self, root: Path, run_id: str, queue_records: int, *, close_patience_s: float = CLOSE_PATIENCE_S
    ) -> None:
        self.path = root / run_id
        self.is_healthy = True
        self._has_lost_asides = False
        self._close_patience_s = close_patience_s
        try:
            self.path.mkdir(parents=True)
        except OSError as error:
            raise _unwritable(self.path, error) from error
        self._queue: queue.Queue[tuple[str, bytes]] = queue.Queue(queue_records)
        self._session = ""
        self._on_disk = 0
        self._has_moved = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    @property
    def backlog(self) -> int:
        """Lines that wait for the writer."""
        return self._queue.qsize()

    def begin_file(self, session_date: str) -> None:
        """Write the following lines to the file of another session."""
        self._session = session_date

    def write(self, line: bytes) -> None:
        """Queue one line; a full queue makes the journal unhealthy, and the line is lost, loudly.

        A chain with a hole proves nothing: lines after a lost one are not written, those before it still are.
        """
        if not self.is_healthy:
            return
        try:
            self._queue.put_nowait((file_name(self._session), line))
        except queue.Full:
            self._fail("the queue of the journal is full")

    def has_written(self, lines: int, patience_s: float) -> bool:
        """Have the first so many lines on the disk, but wait no longer; whether they are there. From any thread."""
        if self._on_disk < lines and self.is_healthy:
            with suppress(queue.Full):  # what waits then is in vain, and ends with patience
                self._queue.put_nowait(_SYNC)
        with self._has_moved:
            self._has_moved.wait_for(lambda: self._on_disk >= lines or not self.is_healthy, patience_s)
            return self._on_disk >= lines

    def aside(self, line: bytes) -> None:
        """Queue one line of the advisor log; it is the first to go where the writer cannot follow."""
        if self._queue.maxsize > 2 * self._queue.qsize():
            self._queue.put_nowait((aside_name(self._session), line))
        else:
            self._lose_aside("the queue of the journal is half full")

    def close(self, head: str, lines: int) -> None:
        """Write what is queued, keep the head beside the files, end the thread."""
        self._end()
        if not self.is_healthy:
            return
        try:
            _write_head(self.path, head, lines)
        except OSError as error:
            self._fail(str(error))

    def discard(self) -> None:
        """End the thread; what was written stays, as after a crash."""
        self._end()

    def _end(self) -> None:
        """Wait for the writer, but not for ever: the process can exit all the same."""
        try:
            self._queue.put(_LAST, timeout=self._close_patience_s)
        except queue.Full:
            self._fail("the disk hangs")
            return
        self._thread.join(self._close_patience_s)
        if self._thread.is_alive():
            self._fail("the disk hangs")

    def _fail(self, why: str) -> None:
        with self._has_moved:
            is_new, self.is_healthy = self.is_healthy, False
            self._has_moved.notify_all()
        if is_new:
            log.error("journal_failed", reason=why, effect="entries stop, protection goes on")

    def _lose_aside(self, why: str) -> None:
        if not self._has_lost_asides:
            log.warning("advisor_log_has_holes", reason=why, effect="none on trading")
        self._has_lost_asides = True

    def _append_aside(self, name: str, line: bytes) -> None:
        try:
            with (self.path / name).open("ab") as file:
                file.write(line)
        except OSError as error:
            self._lose_aside(str(error))

    def _run(self) -> None:
        writing = _Writing(self.path)
        is_broken = False
        while (entry := self._queue.get()) != _LAST:
            wanted, line = entry
            if is_broken:
                continue
            if wanted.startswith(ASIDE_PREFIX):
                self._append_aside(wanted, line)
                continue
            try:
                if entry == _SYNC:
                    self._move(writing.sync())
                else:
                    writing.append(wanted, line)
            except OSError as error:
                is_broken = True
                self._fail(f"{self.path / (wanted or writing.name)}: {error.strerror}")
        try:
            self._move(writing.close())
        except OSError as error:
            if not is_broken:
                self._fail(f"{self.path / writing.name}: {error.strerror}")

    def _move(self, on_disk: int) -> None:
        with self._has_moved:
            self._on_disk = on_disk
            self._has_moved.notify_all()


class _Writing:
    """The file at work, in the writer's thread. OSError passes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: LineFile | None = None
        self._lines = 0
        self.name = ""

    def append(self, name: str, line: bytes) -> None:
        """Write a line; what was before is on the disk before another file begins."""
        if self._file is None or name != self.name:
            self.close()
            self._file = LineFile(self._folder / name)
            self.name = name
        self._file.append(line)
        self._lines += 1

    def sync(self) -> int:
        """How many lines are on the disk: all that were appended."""
        if self._file is not None:
            self._file.sync()
        return self._lines

    def close(self) -> int:
        """The same, and let go of the file."""
        file, self._file = self._file, None
        if file is not None:
            try:
                file.sync()
            finally:
                file.close()
        return self._lines


def _write_head(folder: Path, head: str, lines: int) -> None:
    write_whole(folder / HEAD_FILE, json.dumps({"lines": lines, "hash": head}).encode() + b"\n")


def _swap(part: Path, final: Path) -> None:
    if final.exists():
        old = final.with_name(f"{final.name}.old")
        if old.exists():
            shutil.rmtree(old)
        final.rename(old)
        part.rename(final)
        shutil.rmtree(old)
    else:
        part.rename(final)


def _unwritable(path: Path, error: OSError) -> InputError:
    return InputError(
        f"{path}: the decision log cannot be written ({error.strerror}); choose another --log-dir, or wait for another "
        "run of the same inputs that is writing there"
    )
