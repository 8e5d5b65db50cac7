"""The edge to SQLite: how `state.db` is opened, and the little of a connection that is used. Tests break it here."""

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

MUST_HOLD = ("PRAGMA locking_mode=EXCLUSIVE", "PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL")
"""One process; a commit returns when it is on the disk. Exclusive, so that no shared-memory file lies beside it."""


ERRORS = (sqlite3.Error, UnicodeDecodeError)
"""What a statement may raise; the second where SQLite's own message quotes what is damaged."""


class Cursor(Protocol):
    """The rows of one statement."""

    def fetchall(self) -> list[Any]: ...


class Connection(Protocol):
    """What the store needs of `sqlite3.Connection`: any of ERRORS may come out of `execute`."""

    def execute(self, sql: str, parameters: Sequence[object] = (), /) -> Cursor: ...

    def close(self) -> None: ...


Connect = Callable[[Path], Connection]


def connect(path: Path) -> Connection:
    """Open an existing file, without waiting for anybody who has it; transactions are begun by hand."""
    uri = f"{path.absolute().as_uri()}?mode=rw"
    return sqlite3.connect(uri, uri=True, timeout=0, isolation_level=None, check_same_thread=False)
