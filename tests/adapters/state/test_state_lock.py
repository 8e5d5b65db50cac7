"""One writer per account and per folder, for as long as its process lives."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from msgspec.structs import replace
from state_builders import ME

from trader.adapters.state.lock import LOCK_FILE, StateLock, account_file, runtime_folder
from trader.errors import AccessError

HOLDER = """
import sys
from pathlib import Path
from state_builders import ME
from trader.adapters.state.lock import StateLock
lock = StateLock(Path(sys.argv[1]), ME, Path(sys.argv[2]))
print("held", flush=True)
sys.stdin.read()
"""
OTHER = replace(ME, account="DU7654321")


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    """The user's runtime folder; not there yet."""
    return tmp_path / "runtime"


def test_second_daemon_is_told_which_process_has_folder_or_account(tmp_path: Path, runtime: Path) -> None:
    """The locks go with the process, also when it is killed."""
    folder = tmp_path / "state"
    paths = os.pathsep.join((str(Path(__file__).parent), str(Path(__file__).parents[3])))
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder), str(runtime)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": paths},
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(AccessError, match=f"state.lock: process {holder.pid} trades this state folder") as refused:
            StateLock(folder, OTHER, runtime)
        assert refused.value.exit_code == 77
        with pytest.raises(AccessError, match=f"process {holder.pid} trades this account"):
            StateLock(tmp_path / "another", ME, runtime)
        StateLock(tmp_path / "another", OTHER, runtime).release()
        holder.send_signal(signal.SIGKILL)
    lock = StateLock(folder, ME, runtime)
    assert (folder / LOCK_FILE).read_text() == f"{os.getpid()}\n"
    lock.release()


def test_lock_that_is_refused_by_half_is_not_held_at_all(tmp_path: Path, runtime: Path) -> None:
    """Who has the folder, and not the account, lets the folder go."""
    first = StateLock(tmp_path / "one", ME, runtime)
    with pytest.raises(AccessError):
        StateLock(tmp_path / "two", ME, runtime)
    StateLock(tmp_path / "two", OTHER, runtime).release()
    first.release()
    StateLock(tmp_path / "two", ME, runtime).release()


def test_lock_files_are_private_and_tell_no_account(tmp_path: Path, runtime: Path) -> None:
    """0600 in folders of 0700."""
    lock = StateLock(tmp_path / "state", ME, runtime)
    (account,) = runtime.iterdir()
    assert account.name == account_file(ME)
    assert "1234567" not in account.name
    for path in (account, tmp_path / "state" / LOCK_FILE):
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700
    lock.release()


def test_removed_lock_file_is_noticed(tmp_path: Path, runtime: Path) -> None:
    """Another daemon could lock a new one: the holder must be able to see that."""
    lock = StateLock(tmp_path / "state", ME, runtime)
    assert lock.is_held
    path = tmp_path / "state" / LOCK_FILE
    path.unlink()
    assert not lock.is_held
    path.write_text("")
    assert not lock.is_held
    lock.release()
    assert not lock.is_held


def test_lock_follows_no_link_and_trusts_no_open_folder(tmp_path: Path, runtime: Path) -> None:
    """A lock on somebody else's file keeps nobody out."""
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    (tmp_path / "away").touch(0o600)
    (folder / LOCK_FILE).symlink_to(tmp_path / "away")
    with pytest.raises(AccessError, match="symbolic link"):
        StateLock(folder, ME, runtime)
    (folder / LOCK_FILE).unlink()
    runtime.mkdir(mode=0o700)
    runtime.chmod(0o777)
    with pytest.raises(AccessError, match="chmod 700"):
        StateLock(folder, ME, runtime)
    runtime.rmdir()
    runtime.symlink_to(folder)
    with pytest.raises(AccessError, match="is a link"):
        StateLock(folder, ME, runtime)


def test_runtime_folder_is_the_login_sessions_or_the_users_own() -> None:
    """A relative one is no folder of the session."""
    own = Path(tempfile.gettempdir()) / f"nq-trader-{os.geteuid()}"
    assert runtime_folder({"XDG_RUNTIME_DIR": "/run/user/7"}) == Path("/run/user/7/nq-trader")
    assert runtime_folder({}) == runtime_folder({"XDG_RUNTIME_DIR": "run"}) == own
