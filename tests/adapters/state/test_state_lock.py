"""One writer per account and per folder, for as long as its process lives."""

import os
import pwd
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace
from state_builders import ME

from trader.adapters.state.lock import LOCK_FILE, StateLock, account_file, last_holder, locks_folder
from trader.adapters.state.records import AccountIdentity, BrokerName, Mode
from trader.errors import AccessError, ConfigurationError, InputError

HOLDER = """
import sys
from pathlib import Path
from state_builders import ME
from trader.adapters.state.lock import StateLock
lock = StateLock(Path(sys.argv[1]), ME, Path(sys.argv[2]), "run one")
print("held", flush=True)
sys.stdin.read()
"""
OTHER = replace(ME, account="DU7654321")


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    """The user's folder for locks of accounts; not there yet."""
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
        with pytest.raises(
            AccessError, match=rf"state\.lock: pid {holder.pid}, run one, trades this state folder; `trader status"
        ) as refused:
            StateLock(folder, OTHER, runtime, "run two")
        assert refused.value.exit_code == 77
        with pytest.raises(AccessError, match=f"pid {holder.pid}, run one, trades this account"):
            StateLock(tmp_path / "another", ME, runtime, "a run")
        StateLock(tmp_path / "another", OTHER, runtime, "a run").release()
        holder.send_signal(signal.SIGKILL)
    lock = StateLock(folder, ME, runtime, "a run")
    said = last_holder(folder)
    assert said is not None
    assert (said.pid, said.who, said.broker, said.mode) == (os.getpid(), "a run", BrokerName.IB, Mode.PAPER)
    lock.release()


def test_lock_says_whose_state_it_is_after_its_holder_has_gone(tmp_path: Path, runtime: Path) -> None:
    """Whoever closes a position without a daemon can see that it is the right account's, and never reads a number."""
    folder = tmp_path / "state"
    assert last_holder(folder) is None
    with StateLock(folder, ME, runtime, "a run"):
        pass
    said = last_holder(folder)
    assert said is not None
    assert said.is_of(ME)
    assert not said.is_of(OTHER)
    assert not said.is_of(replace(ME, instrument="MNQ"))
    assert not said.is_of(replace(ME, mode=Mode.LIVE))
    assert "1234567" not in (folder / LOCK_FILE).read_text()
    (folder / LOCK_FILE).write_text("4711\n")
    assert last_holder(folder) is None


def test_simulated_accounts_are_their_folders(tmp_path: Path, runtime: Path) -> None:
    """Two paper daemons run side by side in two folders, and not in one."""
    paper = AccountIdentity(mode=Mode.PAPER, broker=BrokerName.PAPER, account="replay", instrument="NQ")
    with StateLock(tmp_path / "one", paper, runtime, "a run"), StateLock(tmp_path / "two", paper, runtime, "a run"):
        with pytest.raises(AccessError, match="trades this state folder"):
            StateLock(tmp_path / "one", paper, runtime, "a run")
        assert not runtime.exists()


def test_folder_that_is_no_folder_is_named(tmp_path: Path, runtime: Path) -> None:
    """A file or a link in its place, with what to do."""
    (tmp_path / "state").write_text("")
    with pytest.raises(InputError, match=r"state\.dir"):
        StateLock(tmp_path / "state", ME, runtime, "a run")
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(AccessError, match="is a link"):
        StateLock(tmp_path / "link", ME, runtime, "a run")


def test_lock_that_is_refused_by_half_is_not_held_at_all(tmp_path: Path, runtime: Path) -> None:
    """Who has the folder, and not the account, lets the folder go."""
    first = StateLock(tmp_path / "one", ME, runtime, "a run")
    with pytest.raises(AccessError):
        StateLock(tmp_path / "two", ME, runtime, "a run")
    StateLock(tmp_path / "two", OTHER, runtime, "a run").release()
    first.release()
    StateLock(tmp_path / "two", ME, runtime, "a run").release()


def test_lock_files_are_private_and_tell_no_account(tmp_path: Path, runtime: Path) -> None:
    """0600 in folders of 0700."""
    lock = StateLock(tmp_path / "state", ME, runtime, "a run")
    (account,) = runtime.iterdir()
    assert account.name == account_file(ME)
    assert "1234567" not in account.name
    for path in (account, tmp_path / "state" / LOCK_FILE):
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700
    lock.release()


def test_removed_lock_file_is_noticed(tmp_path: Path, runtime: Path) -> None:
    """Another daemon could lock a new one: the holder must be able to see that."""
    lock = StateLock(tmp_path / "state", ME, runtime, "a run")
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
        StateLock(folder, ME, runtime, "a run")
    (folder / LOCK_FILE).unlink()
    runtime.mkdir(mode=0o700)
    runtime.chmod(0o777)
    with pytest.raises(AccessError, match="chmod 700"):
        StateLock(folder, ME, runtime, "a run")
    runtime.rmdir()
    runtime.symlink_to(folder)
    with pytest.raises(AccessError, match=r"is a link.*NQ_TRADER_LOCKS"):
        StateLock(folder, ME, runtime, "a run")


def test_locks_of_accounts_lie_in_one_place_however_a_daemon_was_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """From a login, from a service without one, with another HOME: two daemons of one user meet."""
    there = locks_folder({})
    assert there == Path(pwd.getpwuid(os.geteuid()).pw_dir) / ".local" / "state" / "nq-trader"
    monkeypatch.setenv("HOME", "/somewhere")
    assert locks_folder({"XDG_RUNTIME_DIR": "/run/user/7", "HOME": "/elsewhere", "TMPDIR": "/mine"}) == there
    assert locks_folder({"NQ_TRADER_LOCKS": "/var/lib/trader"}) == Path("/var/lib/trader")
    with pytest.raises(ConfigurationError, match="absolute"):
        locks_folder({"NQ_TRADER_LOCKS": "locks"})


def test_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container; a folder that two of their daemons might not share is none."""
    monkeypatch.setattr(os, "geteuid", lambda: 3_999_999_999)
    with pytest.raises(ConfigurationError, match=r"has no home folder .* set .NQ_TRADER_LOCKS"):
        locks_folder({})
