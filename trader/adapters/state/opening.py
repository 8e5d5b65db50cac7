"""How `state.db` comes to be opened: made, or proved whole and migrated; nothing of it is believed before that."""

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec.structs import replace

from trader.adapters.state.connection import ERRORS, MUST_HOLD, Connect, Connection
from trader.adapters.state.mark import Mark
from trader.adapters.state.private import check_private, make_private_folder, open_private, sync_folder
from trader.adapters.state.schema import APPLICATION_ID, CREATE, EMPTY, Content, Migration, Row, Schema, added
from trader.adapters.state.store import SealedStore, sealed_content, trusted
from trader.errors import AccessError, ConfigurationError, StateDamagedError, StateFailedError, TraderError

STATE_FILE = "state.db"
BESIDE = ("state.db-wal", "state.db-shm", "state.db-journal")
_BUSY = "SQLITE_BUSY"
_DISK = ("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_NOMEM")
_ALL = "SELECT nth, kind, name, body, seal FROM kept ORDER BY nth"
REMEDY = (
    "move state.db and state.mark (and what begins with state.db-) away together, or put an older copy of all of them"
    " back: the next start then asks the broker what is open"
)


def open_store(folder: Path, schema: Schema, connect: Connect) -> tuple[SealedStore, tuple[str, ...]]:
    """The store in `folder`, made if there is none; with it remarks on what was repaired or migrated.

    AccessError for links, wrong modes and other processes, ConfigurationError for an unknown version,
    StateDamagedError for content that is not as it was written, StateFailedError where the disk refuses.
    """
    make_private_folder(folder)
    path = folder / STATE_FILE
    for name in BESIDE:
        check_private(folder / name)
    mark = Mark(folder)
    connection: Connection | None = None
    try:
        os.close(open_private(path, os.O_RDWR | os.O_CREAT))
        sync_folder(folder)
        connection = connect(path)
        content, remarks = _make_or_prove(path, connection, schema, mark)
        mark.promise(content.generation)
    except BaseException as error:  # whatever it was, the files must not stay open
        if connection is not None:
            connection.close()
        mark.close()
        if isinstance(error, (*ERRORS, msgspec.MsgspecError)):
            raise _error_of(path, error) from error
        if isinstance(error, OSError):
            msg = f"{path}: cannot be opened ({error.strerror}); see to the disk"
            raise StateFailedError(msg) from error
        raise
    return SealedStore(path, connection, mark, content), remarks


def _make_or_prove(path: Path, connection: Connection, schema: Schema, mark: Mark) -> tuple[Content, tuple[str, ...]]:
    for sql in MUST_HOLD:
        connection.execute(sql).fetchall()
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchall()[0][0]
    promised = 0 if mark.is_new else mark.promised
    if not tables:
        if promised != 0:
            msg = f"{path}: is empty, although commits were promised ({mark.path.name}); {REMEDY}"
            raise StateDamagedError(msg)
        return _make(connection, schema), ()
    content, rows = _prove(path, connection, schema)
    remarks: tuple[str, ...] = ()
    if mark.is_new or promised is None:
        remarks = (f"{mark.path.name} was missing or damaged and has been written again",)
    elif promised > content.generation:
        msg = (
            f"{path}: field generation: holds {content.generation} commits, {promised} were promised: the last ones are"
            f" lost; {REMEDY}"
        )
        raise StateDamagedError(msg)
    if content.version < schema.version:
        remarks = (*remarks, _migrate(path, connection, content, rows, schema))
        content, _ = _prove(path, connection, schema)
    return content, remarks


def _make(connection: Connection, schema: Schema) -> Content:
    content = replace(EMPTY, version=schema.version)
    connection.execute("BEGIN IMMEDIATE")
    for sql in CREATE:
        connection.execute(sql)
    connection.execute("INSERT INTO content VALUES (1, ?, ?)", sealed_content(content))
    connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version={schema.version}")
    connection.execute("COMMIT")
    return content


def _prove(path: Path, connection: Connection, schema: Schema) -> tuple[Content, tuple[Row, ...]]:
    """What the file holds, once it is known to be what was written; the layout is that of every version."""
    if _number(connection, "PRAGMA application_id") != APPLICATION_ID:
        msg = f"{path}: field application_id: is no state of this program, or is damaged; {REMEDY}"
        raise StateDamagedError(msg)
    version = _number(connection, "PRAGMA user_version")
    if version > schema.version:
        msg = (
            f"{path}: field user_version: is {version}, this program knows up to {schema.version}; start the newer"
            " program that wrote it, or name another state.dir"
        )
        raise ConfigurationError(msg)
    try:
        return _proved(connection, version)
    except StateDamagedError as error:
        msg = f"{path}: {error}; {REMEDY}"
        raise StateDamagedError(msg) from error


def _proved(connection: Connection, version: int) -> tuple[Content, tuple[Row, ...]]:
    said = connection.execute("PRAGMA integrity_check").fetchall()
    if said != [("ok",)]:
        msg = f"SQLite finds it damaged ({said[0][0]})"
        raise StateDamagedError(msg)
    layout = connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    if sorted(layout) != sorted((sql,) for sql in CREATE):
        msg = "its tables are not laid out as they were made"
        raise StateDamagedError(msg)
    content = _content(connection)
    if content.version != version:
        msg = f"field user_version: is {version}, the content says {content.version}"
        raise StateDamagedError(msg)
    rows = tuple(trusted(row) for row in connection.execute(_ALL).fetchall())
    total = "0"
    for row in rows:
        total = added(total, row.seal())
    last = rows[-1].nth if rows else 0
    if (len(rows), total) != (content.rows, content.total) or last >= content.next_nth:
        msg = f"the table kept has {len(rows)} rows that do not come to what its {content.rows} rows came to"
        raise StateDamagedError(msg)
    return content, rows


def _content(connection: Connection) -> Content:
    found = connection.execute("SELECT body, seal FROM content").fetchall()
    try:
        ((body, seal),) = msgspec.convert(found, tuple[tuple[bytes, bytes]])
        content = msgspec.json.decode(body, type=Content)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        msg = f"the table content cannot be read ({error})"
        raise StateDamagedError(msg) from error
    if sealed_content(content) != (body, seal):
        msg = "the table content is not as it was written"
        raise StateDamagedError(msg)
    return content


def _migrate(path: Path, connection: Connection, content: Content, rows: tuple[Row, ...], schema: Schema) -> str:
    """Bring all rows to the present version in one transaction; a copy of the file as it was stays beside it."""
    copy = path.with_name(f"{path.name}.v{content.version}")
    copy.unlink(missing_ok=True)
    os.close(open_private(copy, os.O_RDWR | os.O_CREAT | os.O_EXCL))
    connection.execute("VACUUM INTO ?", (str(copy),))
    rows = _stepped(rows, content.version, schema.migrations, schema.version)
    total = "0"
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("DELETE FROM kept")
    for row in rows:
        seal = row.seal()
        total = added(total, seal)
        connection.execute("INSERT INTO kept VALUES (?, ?, ?, ?, ?)", (row.nth, row.kind, row.name, row.body, seal))
    last = max((row.nth for row in rows), default=0)
    migrated = Content(
        version=schema.version,
        generation=content.generation + 1,
        next_nth=max(content.next_nth, last + 1),
        rows=len(rows),
        total=total,
    )
    connection.execute("UPDATE content SET body = ?, seal = ? WHERE id = 1", sealed_content(migrated))
    connection.execute(f"PRAGMA user_version={schema.version}")
    connection.execute("COMMIT")
    return f"migrated from version {content.version} to {schema.version}; as it was: {copy.name}"


def _stepped(rows: tuple[Row, ...], version: int, steps: Mapping[int, Migration], wanted: int) -> tuple[Row, ...]:
    for number in range(version, wanted):
        step = steps.get(number)
        if step is None:
            msg = f"field user_version: no way leads from version {number} to {number + 1}"
            raise ConfigurationError(msg)
        rows = step(rows)
    return rows


def _number(connection: Connection, sql: str) -> int:
    return msgspec.convert(connection.execute(sql).fetchall(), tuple[tuple[int]])[0][0]


def _error_of(path: Path, error: Exception) -> TraderError:
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(_BUSY):
        return AccessError(f"{path}: another process has it open; end that one, or name another state.dir")
    if name.startswith(_DISK):
        return StateFailedError(f"{path}: cannot be opened ({error}); see to the disk, its space and its rights")
    return StateDamagedError(f"{path}: SQLite cannot read it ({error}); {REMEDY}")
