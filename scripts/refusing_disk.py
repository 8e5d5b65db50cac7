"""A disk that refuses: a statement of `state.db`, a line of the log, or from one moment on every write of the process.

The first is an error as SQLite raises it, the others are the system's own refusals: no file may grow.
"""

import asyncio
import resource
import sqlite3
import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any

from msgspec import Struct

from trader.adapters.journal import LiveJournal
from trader.adapters.state.connection import Connection, Cursor, connect


class Kind(StrEnum):
    """What the disk does."""

    FULL = "full"
    BROKEN = "broken"
    LINE = "line"
    ALL = "all"


SAYS = {Kind.FULL: "database or disk is full", Kind.BROKEN: "disk I/O error"}


class Trouble(Struct, kw_only=True):
    """The disk refuses at write `at` (0: never), a statement of the state's or a line of the log's; `lasts`: from then
    on, else once."""

    kind: Kind
    at: int
    lasts: bool


class Disk:
    """One that refuses as a trouble says."""

    def __init__(self, trouble: Trouble, loop: asyncio.AbstractEventLoop) -> None:
        self._trouble = trouble
        self._loop = loop
        self.statements = self.lines = 0
        self.failed_s: float | None = None
        self.is_mended = False

    def connect(self, path: Path) -> Connection:
        """As the state opens its file."""
        return _Refusing(connect(path), self)

    def state_says(self, sql: str) -> str | None:
        """What SQLite says of this statement, None where it is carried out."""
        trouble = self._trouble
        if self.is_mended or sql.startswith(("SELECT", "PRAGMA")):
            return None
        self.statements += 1
        if trouble.kind is Kind.LINE or not self._is_due(self.statements):
            return None
        self._fails()
        if trouble.kind is Kind.ALL:
            limit_files(0)
            return None
        return SAYS[trouble.kind]

    def watch(self, journal: LiveJournal, is_busy: Callable[[], bool]) -> None:
        """Count the lines of this log."""
        write = journal.write

        def counted(line: bytes) -> None:
            self.lines += 1
            if self.is_mended or self._trouble.kind is not Kind.LINE or not self._is_due(self.lines):
                write(line)
                return
            _until(lambda: not journal.is_healthy or (not journal.backlog and not is_busy()))
            self._fails()
            limit_files(0)
            write(line)
            _until(lambda: not journal.is_healthy)
            if not self._trouble.lasts:
                limit_files(None)

        journal.write = counted  # type: ignore[method-assign]

    def mend(self) -> None:
        """Nothing is refused any more."""
        self.is_mended = True
        limit_files(None)

    def _is_due(self, count: int) -> bool:
        at = self._trouble.at
        return bool(at) and (count >= at if self._trouble.lasts else count == at)

    def _fails(self) -> None:
        if self.failed_s is None:
            self.failed_s = self._loop.time()


class _Refusing:
    """A connection on such a disk."""

    def __init__(self, inner: Connection, disk: Disk) -> None:
        self._inner = inner
        self._disk = disk

    def execute(self, sql: str, parameters: Any = (), /) -> Cursor:
        says = self._disk.state_says(sql)
        if says is not None:
            raise sqlite3.OperationalError(says)
        return self._inner.execute(sql.replace("synchronous=FULL", "synchronous=OFF"), parameters)

    def close(self) -> None:
        self._inner.close()


def limit_files(most_bytes: int | None) -> None:
    """No file of this process may be written beyond this; None: as far as the system lets it."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard if most_bytes is None else most_bytes, hard))


def _until(is_true: Callable[[], bool]) -> None:
    """Wait for a thread."""
    while not is_true():
        time.sleep(0.0002)  # the store's own thread: it sets no event that could be waited for here
