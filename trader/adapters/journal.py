"""Where decision logs go: a folder a run, a file a session, a chain through all of them."""

import json
import os
import queue
import shutil
import threading
from pathlib import Path
from typing import BinaryIO

import structlog

from trader.errors import InputError
from trader.records import file_name

log = structlog.get_logger(__name__)
HEAD_FILE = "head.json"


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
            self._file = (self._part / file_name(session_date)).open("wb", buffering=1 << 18)
        except OSError as error:
            raise _unwritable(self._part, error) from error

    def write(self, line: bytes) -> None:
        """Append one line."""
        if self._file is None:
            msg = "a line was written before its file was begun"
            raise RuntimeError(msg)
        try:
            self._file.write(line)
        except OSError as error:
            raise _unwritable(self._part, error) from error

    def close(self, head: str, lines: int) -> None:
        """Keep the head beside the files, and let this run take the place of an equal earlier one."""
        try:
            if self._file is not None:
                self._file.close()
                self._file = None
            _write_head(self._part, head, lines)
            _swap(self._part, self.path)
        except OSError as error:
            raise _unwritable(self._part, error) from error

    def discard(self) -> None:
        """Drop an unfinished run."""
        if self._file is not None:
            self._file.close()
            self._file = None
        shutil.rmtree(self._part, ignore_errors=True)


class LiveJournal:
    """Hands lines to one writer thread and never waits for it; flushed per line.

    `is_healthy` turns False for good when the queue is full or the disk refuses: entries stop, protection goes on.
    """

    def __init__(self, root: Path, run_id: str, queue_records: int) -> None:
        self.path = root / run_id
        self.is_healthy = True
        try:
            self.path.mkdir(parents=True)
        except OSError as error:
            raise _unwritable(self.path, error) from error
        self._queue: queue.Queue[tuple[str, bytes]] = queue.Queue(queue_records)
        self._session = ""
        self._thread = threading.Thread(target=self._run, name="journal")
        self._thread.start()

    @property
    def backlog(self) -> int:
        """Lines that wait for the writer."""
        return self._queue.qsize()

    def begin_file(self, session_date: str) -> None:
        """Write the following lines to the file of another session."""
        self._session = session_date

    def write(self, line: bytes) -> None:
        """Queue one line; a full queue makes the journal unhealthy, and the line is lost, loudly."""
        try:
            self._queue.put_nowait((self._session, line))
        except queue.Full:
            self._fail("the queue of the journal is full")

    def close(self, head: str, lines: int) -> None:
        """Write what is queued, keep the head beside the files, end the thread."""
        self._queue.put(("", b""))
        self._thread.join()
        if not self.is_healthy:
            return
        try:
            _write_head(self.path, head, lines)
        except OSError as error:
            self._fail(str(error))

    def discard(self) -> None:
        """End the thread; what was written stays, as after a crash."""
        self._queue.put(("", b""))
        self._thread.join()

    def _fail(self, why: str) -> None:
        if self.is_healthy:
            log.error("journal_failed", reason=why, effect="entries stop, protection goes on")
        self.is_healthy = False

    def _run(self) -> None:
        file: BinaryIO | None = None
        session = ""
        while True:
            wanted, line = self._queue.get()
            if not line:
                break
            if not self.is_healthy:
                continue  # a chain with a hole proves nothing: what follows a lost line is not written
            try:
                if file is None or wanted != session:
                    if file is not None:
                        file.close()
                    file = (self.path / file_name(wanted)).open("ab")
                    session = wanted
                file.write(line)
                file.flush()
            except OSError as error:
                self._fail(str(error))
        if file is not None:
            file.close()


def _write_head(folder: Path, head: str, lines: int) -> None:
    part = folder / f"{HEAD_FILE}.part"
    with part.open("w", encoding="utf-8") as file:
        json.dump({"lines": lines, "hash": head}, file)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    part.replace(folder / HEAD_FILE)


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
    return InputError(f"{path}: the decision log cannot be written ({error.strerror}); choose another --log-dir")
