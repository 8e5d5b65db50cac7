"""The files of the state folder where a daemon and its operator meet: whose they are, and what is refused."""

import os
import socket
import stat
from pathlib import Path

import pytest

from trader.adapters.control.place import held, listening
from trader.errors import AccessError, InputError


def test_socket_and_folder_are_their_owners_alone(tmp_path: Path) -> None:
    """0600 in a folder of 0700, whatever the umask."""
    folder = tmp_path / "state"
    before = os.umask(0)
    try:
        with held(folder, "a test"), listening(folder):
            modes = [stat.S_IMODE(path.lstat().st_mode) for path in (folder, *sorted(folder.iterdir()))]
    finally:
        os.umask(before)

    assert modes == [0o700, 0o600, 0o600]


@pytest.mark.parametrize("name", ["control.sock", "daemon.lock"])
def test_link_is_refused(tmp_path: Path, name: str) -> None:
    """It would let another decide what is written, and where."""
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    (folder / name).symlink_to(tmp_path / "elsewhere")

    with pytest.raises(AccessError, match=name), held(folder, "a test"), listening(folder):
        pass
    assert not (tmp_path / "elsewhere").exists()


def test_folder_that_is_a_link_is_refused(tmp_path: Path) -> None:
    """The folder itself has to be named."""
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "state").symlink_to(tmp_path / "real")

    with pytest.raises(AccessError, match="link"), held(tmp_path / "state", "a test"):
        pass


def test_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    """Nobody's file is removed."""
    (tmp_path / "control.sock").write_text("notes")

    with pytest.raises(AccessError, match="no socket"), listening(tmp_path):
        pass
    assert (tmp_path / "control.sock").read_text() == "notes"


def test_socket_of_a_dead_daemon_is_replaced_and_a_live_one_is_not(tmp_path: Path) -> None:
    """What nobody listens at is in nobody's way."""
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "control.sock"))
    with listening(tmp_path):
        with pytest.raises(AccessError, match="another program listens"), listening(tmp_path):
            pass
        assert (tmp_path / "control.sock").is_socket()
    assert not (tmp_path / "control.sock").exists()


def test_second_holder_is_told_who_the_first_is(tmp_path: Path) -> None:
    """By process and run; when the first has gone, the second may."""
    refused = pytest.raises(AccessError, match=f"pid {os.getpid()}, run one")
    with held(tmp_path, "run one"), refused, held(tmp_path, "run two"):
        pass
    with held(tmp_path, "run two"):
        pass


def test_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    """With what to do."""
    (tmp_path / "state").write_text("")

    with pytest.raises((AccessError, InputError), match=r"state\.dir"), held(tmp_path / "state", "a test"):
        pass
