"""What is not as it was written is refused, or repaired, and never believed."""

import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace
from state_builders import ME, STEPS, content_of, reopened

from trader.adapters.state.database import StateDb
from trader.adapters.state.records import AccountIdentity, BrokerName, Mode, State
from trader.errors import AccessError, ConfigurationError, StateDamagedError, TraderError

FLIPS = 350


def make_state(folder: Path) -> State:
    """A state with all steps in it, closed."""
    state = StateDb(folder, ME)
    for step in STEPS[:-1]:
        step(state)
    lived = content_of(state.snapshot())
    state.close()
    return lived


@pytest.fixture
def lived(tmp_path: Path) -> State:
    """What the closed state in `tmp_path/state` holds."""
    return make_state(tmp_path / "state")


def copy_open_state(folder: Path, to: Path) -> State:
    """The files of a state as a kill would leave them, its last commits in the write-ahead log."""
    state = StateDb(folder, ME)
    for step in STEPS[:-1]:
        step(state)
    shutil.copytree(folder, to)
    lived = content_of(state.snapshot())
    state.close()
    return lived


def assert_never_believed(folder: Path, lived: State) -> bool:
    """Either all is as it was lived, or nothing is told; whether it was refused."""
    try:
        assert content_of(reopened(folder)) == lived
    except TraderError:
        return True
    return False


def flipped(files: dict[str, bytes], name: str, at: int, bit: int) -> dict[str, bytes]:
    """The files with one bit of one of them changed."""
    body = bytearray(files[name])
    body[at] ^= 1 << bit
    return {**files, name: bytes(body)}


def lay(folder: Path, files: dict[str, bytes]) -> None:
    """A folder with exactly these files."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    for name, body in files.items():
        path = folder / name
        path.write_bytes(body)
        path.chmod(0o600)


@pytest.mark.parametrize(("is_open", "name"), [(False, "state.db"), (True, "state.db-wal"), (True, "state.db")])
def test_bit_flipped_anywhere_is_refused_or_without_effect(is_open: bool, name: str, tmp_path: Path) -> None:
    """In the file, and in the write-ahead log, of which SQLite would silently drop what follows the damage."""
    folder = tmp_path / "state"
    lived = copy_open_state(tmp_path / "live", folder) if is_open else make_state(folder)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert name in files
    chance = random.Random(5)
    refused = 0
    for _ in range(FLIPS):
        lay(folder, flipped(files, name, chance.randrange(len(files[name])), chance.randrange(8)))
        refused += assert_never_believed(folder, lived)
    assert refused > 10 or (is_open and name == "state.db")


def test_layout_that_is_no_text_any_more_is_refused(tmp_path: Path, lived: State) -> None:
    """SQLite quotes it in its message, which then is no text either."""
    folder = tmp_path / "state"
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    begin = files["state.db"].index(b"CREATE TABLE kept")
    for at in range(begin, begin + 150, 5):
        lay(folder, flipped(files, "state.db", at, 7))
        with pytest.raises(StateDamagedError):
            reopened(folder)


def test_write_ahead_log_that_was_cut_is_refused_or_whole(tmp_path: Path) -> None:
    """Commits that were promised and are not there are missed, wherever the log ends; also where it is gone."""
    folder = tmp_path / "state"
    lived = copy_open_state(tmp_path / "live", folder)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    length = len(files["state.db-wal"])
    for cut in range(0, length, 4_101):
        lay(folder, {**files, "state.db-wal": files["state.db-wal"][:cut]})
        assert assert_never_believed(folder, lived)
    lay(folder, {name: body for name, body in files.items() if name != "state.db-wal"})
    with pytest.raises(StateDamagedError, match=r"state\.db"):
        reopened(folder)
    lay(folder, files)
    assert not assert_never_believed(folder, lived)


def test_damaged_or_missing_mark_is_written_again_and_said(tmp_path: Path, lived: State) -> None:
    """It protects the log only: the rows prove themselves."""
    folder = tmp_path / "state"
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    damaged = [flipped(files, "state.mark", at, 3) for at in range(len(files["state.mark"]))]
    for case in (*damaged, {**files, "state.mark": b""}, {"state.db": files["state.db"]}):
        lay(folder, case)
        found = reopened(folder)
        assert content_of(found) == lived
        assert found.remarks == ("state.mark was missing or damaged and has been written again",)
        assert reopened(folder).remarks == ()


def test_state_that_lies_behind_its_mark_is_refused(tmp_path: Path, lived: State) -> None:
    """An older copy of the file alone, or an empty one: orders that were sent would be unknown."""
    folder = tmp_path / "state"
    older = (folder / "state.db").read_bytes()
    state = StateDb(folder, ME)
    STEPS[-1](state)
    state.close()
    for body in (older, b""):
        (folder / "state.db").write_bytes(body)
        with pytest.raises(StateDamagedError, match="were promised"):
            reopened(folder)


def changed_by_hand(sql: str) -> Callable[[Path], object]:
    """A change that another program makes in the file."""

    def change(folder: Path) -> None:
        connection = sqlite3.connect(folder / "state.db")
        connection.execute(sql)
        connection.commit()
        connection.close()

    return change


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE kept SET body = replace(body, '\"killed\":true', '\"killed\":false') WHERE kind = 'switches'",
        "DELETE FROM kept WHERE kind = 'execution'",
        "UPDATE kept SET name = 'd9' WHERE name = 'd1-2'",
        "INSERT INTO kept SELECT nth + 100, kind, 'copy', body, seal FROM kept WHERE kind = 'execution'",
        "UPDATE kept SET nth = nth + 1000 WHERE kind = 'intent'",
        "UPDATE content SET body = replace(body, '\"rows\":', '\"rows\": ')",
        "DELETE FROM content",
        "DROP TABLE kept",
        "PRAGMA application_id = 7",
        "PRAGMA user_version = 0",
    ],
)
def test_row_changed_by_hand_is_refused_with_file_and_remedy(sql: str, tmp_path: Path, lived: State) -> None:
    """A changed, missing, renamed, copied, moved row, a changed sum, another program's file."""
    changed_by_hand(sql)(tmp_path / "state")
    with pytest.raises(StateDamagedError, match=r"state\.db: .*move state\.db and state\.mark"):
        reopened(tmp_path / "state")


def test_changed_row_is_named(tmp_path: Path, lived: State) -> None:
    """Whoever looks for the reason knows where."""
    changed_by_hand("UPDATE kept SET body = CAST('{}' AS BLOB) WHERE name = 'd1-2'")(tmp_path / "state")
    with pytest.raises(StateDamagedError, match="the row intent 'd1-2' is not as it was written"):
        reopened(tmp_path / "state")


def test_older_row_put_back_under_its_own_seal_is_refused(tmp_path: Path, lived: State) -> None:
    """A seal alone would believe it; the sum of all does not."""
    folder = tmp_path / "state"
    connection = sqlite3.connect(folder / "state.db")
    old = connection.execute("SELECT body, seal FROM kept WHERE kind = 'progress'").fetchone()
    connection.close()
    state = StateDb(folder, ME)
    assert lived.progress is not None
    state.keep(replace(lived.progress, bars=15))
    state.close()
    connection = sqlite3.connect(folder / "state.db")
    connection.execute("UPDATE kept SET body = ?, seal = ? WHERE kind = 'progress'", old)
    connection.commit()
    connection.close()
    with pytest.raises(StateDamagedError, match="do not come to"):
        reopened(folder)


@pytest.mark.parametrize(
    ("other", "field"),
    [
        (replace(ME, mode=Mode.LIVE), "mode"),
        (replace(ME, broker=BrokerName.PAPER), "broker"),
        (replace(ME, account="DU7654321"), "account"),
        (replace(ME, instrument="ES"), "instrument"),
    ],
)
def test_state_of_another_identity_is_refused_and_left_as_it_is(
    other: AccountIdentity, field: str, tmp_path: Path, lived: State
) -> None:
    """The message names file, field and remedy, and no account's number."""
    with pytest.raises(AccessError, match=rf"state\.db: field {field}: .* state\.dir") as refused:
        StateDb(tmp_path / "state", other)
    assert refused.value.exit_code == 77
    assert "1234567" not in str(refused.value)
    assert content_of(reopened(tmp_path / "state")) == lived


def test_state_of_a_newer_version_is_refused(tmp_path: Path, lived: State) -> None:
    """What this program does not know it does not touch."""
    changed_by_hand("PRAGMA user_version = 2")(tmp_path / "state")
    with pytest.raises(ConfigurationError, match=r"state\.db: field user_version: is 2, this program knows up to 1"):
        reopened(tmp_path / "state")


@pytest.mark.parametrize("name", ["state.db", "state.mark", "state.db-wal", "state.db-journal"])
def test_link_is_never_followed(name: str, tmp_path: Path, lived: State) -> None:
    """Nor a second name for a file: others might write through it."""
    path = tmp_path / "state" / name
    away = tmp_path / "away"
    if path.exists():
        path.rename(away)
    else:
        away.write_bytes(b"")
    path.symlink_to(away)
    with pytest.raises(AccessError, match=f"{name}: is a symbolic link"):
        reopened(path.parent)
    path.unlink()
    path.hardlink_to(away)
    away.chmod(0o600)
    with pytest.raises(AccessError, match=f"{name}: has a second name"):
        reopened(path.parent)


@pytest.mark.parametrize("name", ["state.db", "state.mark"])
def test_file_that_others_may_read_is_refused(name: str, tmp_path: Path, lived: State) -> None:
    """With the command that closes it; new files are closed."""
    path = tmp_path / "state" / name
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    with pytest.raises(AccessError, match="chmod 600"):
        reopened(path.parent)


def test_folder_that_others_may_write_to_or_that_is_a_link_is_refused(tmp_path: Path, lived: State) -> None:
    """Who may rename in the folder may put another state there."""
    folder = tmp_path / "state"
    link = tmp_path / "link"
    link.symlink_to(folder)
    with pytest.raises(AccessError, match="is a link"):
        reopened(link)
    folder.chmod(0o770)
    with pytest.raises(AccessError, match="chmod 700"):
        reopened(folder)
    folder.chmod(0o700)
    (folder / "state.db").unlink()
    os.mkfifo(folder / "state.db", 0o600)
    with pytest.raises(AccessError, match="no regular file"):
        reopened(folder)


def test_state_that_is_open_is_not_opened_again(tmp_path: Path, lived: State) -> None:
    """Even where somebody has gone around the lock."""
    state = StateDb(tmp_path / "state", ME)
    with pytest.raises(AccessError, match="another process has it open"):
        reopened(tmp_path / "state")
    state.close()
    assert content_of(reopened(tmp_path / "state")) == lived
