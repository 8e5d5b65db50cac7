"""The files of the state folder where a daemon and its operator meet: whose they are, and what is refused."""

import os
import socket
import stat
from pathlib import Path

import pytest

from trader.adapters.control.place import listening
from trader.errors import AccessError


def test_socket_is_its_owners_alone(tmp_path: Path) -> None:
    """0600, whatever the umask."""
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    before = os.umask(0)
    try:
        with listening(folder):
            mode = stat.S_IMODE((folder / "control.sock").lstat().st_mode)
    finally:
        os.umask(before)

    assert mode == 0o600


def test_link_is_refused(tmp_path: Path) -> None:
    """It would let another decide what is written, and where."""
    (tmp_path / "control.sock").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(AccessError, match=r"control\.sock"), listening(tmp_path):
        pass
    assert not (tmp_path / "elsewhere").exists()


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
