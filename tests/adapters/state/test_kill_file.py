"""The file that says: another process owns this account."""

import os
from pathlib import Path

import pytest

from trader.adapters.state.kill_file import KILL_FILE, KillFile, KillNote
from trader.errors import AccessError, StateFailedError

NOTE = KillNote(by="flatten", pid=77, ts_ns=1_678_831_200_000_000_000)


@pytest.fixture
def kill(tmp_path: Path) -> KillFile:
    """The file in a folder that is not there yet."""
    return KillFile(tmp_path / "state")


def test_kill_file_says_who_and_when_until_it_is_removed(kill: KillFile) -> None:
    """Private, and once only: the first who took the account stays the one who has it."""
    assert (kill.exists, kill.read(), kill.remove()) == (False, None, False)
    kill.write(NOTE)
    kill.write(KillNote(by="another", pid=78, ts_ns=2))
    assert (kill.exists, kill.read()) == (True, NOTE)
    assert kill.path.stat().st_mode & 0o777 == 0o600
    assert kill.remove()
    assert (kill.exists, kill.remove()) == (False, False)


def test_account_is_closed_by_one_at_a_time(kill: KillFile) -> None:
    """The next may begin when the first has ended; a file that is no file stops nobody."""
    kill.write(NOTE)
    with kill.alone(), pytest.raises(AccessError, match="another `trader flatten`"), kill.alone():
        pass
    with kill.alone():
        pass
    kill.path.unlink()
    kill.path.symlink_to("nowhere")
    with kill.alone(), kill.alone():
        pass


def test_kill_file_tells_a_person_who_has_the_account_and_how_it_ends(kill: KillFile) -> None:
    """Also where it does not say who."""
    assert kill.why is None
    kill.write(NOTE)
    assert str(kill.why).startswith(f"{kill.path} is there: flatten (pid 77) took the account")
    assert str(kill.why).endswith("`trader resume --clear-kill`")
    kill.path.write_bytes(b"")
    assert "another process took the account" in str(kill.why)


@pytest.mark.parametrize("body", [b"", b"\xff", b'{"by":1}', b"x" * 5_000])
def test_kill_file_counts_whatever_it_says(body: bytes, kill: KillFile) -> None:
    """An operator's `touch KILL` is as good as any."""
    kill.path.parent.mkdir()
    kill.path.write_bytes(body)
    assert (kill.exists, kill.read()) == (True, None)
    kill.write(NOTE)
    assert kill.path.read_bytes() == body


def test_link_fifo_or_folder_of_that_name_counts_and_is_not_followed(kill: KillFile, tmp_path: Path) -> None:
    """Nothing is written or read through it; reading a fifo does not wait."""
    kill.path.parent.mkdir(mode=0o700)
    KillFile(tmp_path / "other").write(NOTE)
    for aim in (tmp_path / "other" / KILL_FILE, tmp_path / "nowhere"):
        kill.path.symlink_to(aim)
        assert (kill.exists, kill.read()) == (True, None)
        kill.write(NOTE)
        assert kill.remove()
    assert KillFile(tmp_path / "other").read() == NOTE
    assert not (tmp_path / "nowhere").exists()
    os.mkfifo(kill.path)
    assert (kill.exists, kill.read()) == (True, None)
    assert kill.remove()
    kill.path.mkdir()
    assert (kill.exists, kill.read()) == (True, None)
    with pytest.raises(StateFailedError, match="remove it by hand"):
        kill.remove()


def test_kill_file_that_cannot_be_looked_at_counts(tmp_path: Path) -> None:
    """Doubt stops the daemon, not the other process."""
    (tmp_path / "state").write_bytes(b"")
    assert KillFile(tmp_path / "state").exists
    assert KillFile(tmp_path / "state").path.name == KILL_FILE
