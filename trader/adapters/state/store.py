"""Sealed rows in SQLite, changed in transactions; knows nothing of what the rows mean.

The first error of SQLite ends it for good: what is on the disk is then what was committed before, whole.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
from msgspec.structs import replace

from trader.adapters.state.connection import ERRORS, Connection
from trader.adapters.state.mark import Mark
from trader.adapters.state.schema import Content, Row, added
from trader.errors import InvariantError, StateDamagedError, StateFailedError

_FOUND = tuple[int, str, str, bytes, bytes]
_SELECT = "SELECT nth, kind, name, body, seal FROM kept WHERE kind = ?"


class SealedStore:
    """One open file. Everything raises StateFailedError once something has gone wrong with the disk."""

    def __init__(self, path: Path, connection: Connection, mark: Mark, content: Content) -> None:
        self.path = path
        self._connection = connection
        self._mark = mark
        self._content = content
        self._depth = 0
        self._failed: str | None = None

    @property
    def generation(self) -> int:
        """How many transactions have been committed."""
        return self._content.generation

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it or nothing. Inside another one it is a part of that, which an error of its own takes back alone."""
        if self._depth:
            with self._part():
                yield
            return
        before = self._content
        self._execute("BEGIN IMMEDIATE")
        self._depth = 1
        try:
            yield
            if self._content is not before:
                self._commit()
            else:
                self._execute("ROLLBACK")
        except BaseException:  # whatever it was, nothing of it stays
            self._content = before
            self._roll_back()
            raise
        finally:
            self._depth = 0

    def get(self, kind: str, name: str) -> Row | None:
        """One row; None where there is none."""
        found = self._execute(f"{_SELECT} AND name = ?", (kind, name))
        return self._trusted(found[0]) if found else None

    def rows(self, kind: str) -> tuple[Row, ...]:
        """All rows of a kind, in the order in which they were begun."""
        return tuple(self._trusted(row) for row in self._execute(f"{_SELECT} ORDER BY nth", (kind,)))

    def put(self, kind: str, name: str, body: bytes) -> None:
        """Write a row, in place of the one with this name if there is one."""
        self._demand_transaction()
        old = self.get(kind, name)
        content = self._content
        row = Row(content.next_nth if old is None else old.nth, kind, name, body)
        seal = row.seal()
        if old is None:
            self._execute("INSERT INTO kept VALUES (?, ?, ?, ?, ?)", (row.nth, kind, name, body, seal))
            self._content = replace(
                content, next_nth=row.nth + 1, rows=content.rows + 1, total=added(content.total, seal)
            )
        else:
            self._execute("UPDATE kept SET body = ?, seal = ? WHERE nth = ?", (body, seal, row.nth))
            self._content = replace(content, total=added(added(content.total, old.seal(), -1), seal))

    def drop(self, kind: str, name: str) -> bool:
        """Take a row away; whether there was one."""
        self._demand_transaction()
        old = self.get(kind, name)
        if old is None:
            return False
        self._execute("DELETE FROM kept WHERE nth = ?", (old.nth,))
        content = self._content
        self._content = replace(content, rows=content.rows - 1, total=added(content.total, old.seal(), -1))
        return True

    def close(self) -> None:
        """Let go of the file; what was committed is there."""
        with suppress(*ERRORS):  # closing only tidies up: nothing is lost by its failure
            self._connection.close()
        with suppress(OSError):  # the mark is as it was written
            self._mark.close()
        self._failed = self._failed or "it has been closed"

    @contextmanager
    def _part(self) -> Iterator[None]:
        before = self._content
        self._execute("SAVEPOINT part")
        try:
            yield
        except BaseException:  # whatever it was, nothing of this part stays
            self._content = before
            if self._failed is None:
                self._execute("ROLLBACK TO part")
                self._execute("RELEASE part")
            raise
        self._execute("RELEASE part")

    def _commit(self) -> None:
        content = self._content = replace(self._content, generation=self._content.generation + 1)
        self._execute("UPDATE content SET body = ?, seal = ? WHERE id = 1", sealed_content(content))
        self._execute("COMMIT")
        try:
            self._mark.promise(content.generation)
        except OSError as error:
            why = f"{self._mark.path.name}: {error}"
            raise self._fail(why) from error

    def _roll_back(self) -> None:
        with suppress(*ERRORS):  # SQLite may have done so itself, and what failed has been told
            self._connection.execute("ROLLBACK")

    def _execute(self, sql: str, parameters: tuple[object, ...] = ()) -> list[object]:
        if self._failed is not None:
            raise self._error()
        try:
            return self._connection.execute(sql, parameters).fetchall()
        except ERRORS as error:
            raise self._fail(str(error)) from error

    def _trusted(self, found: object) -> Row:
        try:
            return trusted(found)
        except StateDamagedError as error:
            raise self._fail(str(error)) from error

    def _demand_transaction(self) -> None:
        if not self._depth:
            msg = "a row was changed outside a transaction"
            raise InvariantError(msg)

    def _fail(self, why: str) -> StateFailedError:
        self._failed = why
        return self._error()

    def _error(self) -> StateFailedError:
        return StateFailedError(
            f"{self.path}: the state cannot be kept ({self._failed}); nothing is entered any more: see to the disk,"
            " then start again"
        )


def sealed_content(content: Content) -> tuple[bytes, bytes]:
    """Body and seal of the row that says what all others come to."""
    body = msgspec.json.encode(content)
    return body, Row(0, "content", "", body).seal()


def trusted(found: object) -> Row:
    """A row as it was written; StateDamagedError otherwise."""
    try:
        nth, kind, name, body, seal = msgspec.convert(found, _FOUND)
    except msgspec.ValidationError as error:
        msg = f"a row is not of its columns' types ({error})"
        raise StateDamagedError(msg) from error
    row = Row(nth, kind, name, body)
    if row.seal() != seal:
        msg = f"the row {kind} {name!r} is not as it was written"
        raise StateDamagedError(msg)
    return row
