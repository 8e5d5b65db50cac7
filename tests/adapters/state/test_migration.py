"""How a state of an earlier version becomes one of the present: version 1 as it was written stands beside this file."""

import shutil
import sqlite3
from itertools import count
from pathlib import Path

import msgspec
import pytest
from state_builders import HELD, ME, STEPS, breaking, content_of, refuse, reopened

from trader.adapters.state.database import StateDb
from trader.adapters.state.records import State
from trader.adapters.state.schema import Row, Schema
from trader.errors import ConfigurationError, StateFailedError

VERSION_1 = Path(__file__).with_name("version-1.sql")


MOVED = msgspec.structs.replace(HELD, symbol="NQM9")


def to_2(rows: tuple[Row, ...]) -> tuple[Row, ...]:
    """What a step may do: leave a kind out, change a record, add one."""
    changed = [
        msgspec.structs.replace(row, body=row.body.replace(b'"bars":14', b'"bars":15'))
        for row in rows
        if row.kind not in {"execution", "position"}
    ]
    return (*changed, Row(max(row.nth for row in rows) + 1, "position", "", msgspec.json.encode(MOVED)))


def to_3(rows: tuple[Row, ...]) -> tuple[Row, ...]:
    """The second step sees what the first has made."""
    return tuple(msgspec.structs.replace(row, body=row.body.replace(b'"bars":15', b'"bars":16')) for row in rows)


THIRD = Schema(3, {1: to_2, 2: to_3})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A state of version 1, as its dump says."""
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    path = folder / "state.db"
    path.touch(0o600)
    connection = sqlite3.connect(path)
    connection.executescript(VERSION_1.read_text(encoding="utf-8"))
    connection.close()
    return folder


def test_state_of_version_1_is_read_by_this_program(folder: Path, tmp_path: Path) -> None:
    """All that the steps of a small account's life had left."""
    lived = StateDb(tmp_path / "lived", ME)
    for step in STEPS[:-3]:
        step(lived)
    found = reopened(folder)
    assert content_of(found) == content_of(lived.snapshot())
    lived.close()


def migrated(folder: Path) -> State:
    """The state as a program of version 3 finds it."""
    state = StateDb(folder, ME, schema=THIRD)
    found = state.snapshot()
    state.close()
    return found


def test_older_state_is_migrated_step_by_step_and_a_copy_stays(folder: Path) -> None:
    """In one transaction; the older program refuses what has become of it, and reads the copy."""
    before = reopened(folder)
    found = migrated(folder)
    assert found.progress is not None
    assert (found.executions, found.progress.bars, found.position) == ((), 16, MOVED)
    assert found.intents == before.intents
    assert found.remarks == ("migrated from version 1 to 3; as it was: state.db.v1",)
    assert migrated(folder).remarks == ()
    with pytest.raises(ConfigurationError, match="is 3, this program knows up to 1"):
        reopened(folder)
    copy = folder / "state.db.v1"
    assert copy.stat().st_mode & 0o777 == 0o600
    (folder / "state.mark").unlink()
    copy.replace(folder / "state.db")
    assert content_of(reopened(folder)) == content_of(before)


def test_migration_that_ends_anywhere_leaves_the_older_state_or_the_newer(folder: Path, tmp_path: Path) -> None:
    """At any statement of it: whole, for the program of its version; the newer one goes on from either."""
    before = content_of(reopened(folder))
    outcomes = []
    for number in count(1):
        copy = tmp_path / f"{number}"
        shutil.copytree(folder, copy)
        try:
            StateDb(copy, ME, schema=THIRD, connect=breaking(number, refuse, after=False)).close()
        except StateFailedError:
            try:
                assert content_of(reopened(copy)) == before
                outcomes.append(1)
            except ConfigurationError:
                outcomes.append(3)
            assert migrated(copy).position == MOVED
        else:
            break
    assert outcomes == sorted(outcomes)
    assert set(outcomes) == {1, 3}
    assert len(outcomes) > 20


def test_version_without_a_step_is_refused(folder: Path) -> None:
    """Rather than read as if it were the present one."""
    with pytest.raises(ConfigurationError, match="no way leads from version 2 to 3"):
        StateDb(folder, ME, schema=Schema(3, {1: to_2}))
    assert reopened(folder).position == HELD
