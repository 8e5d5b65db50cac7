"""The operator's end: an answer, or a clear word within the bound."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from trader.adapters.control.client import ask
from trader.adapters.control.messages import LONGEST_REPLY, CommandName, Reply, Request, line_of
from trader.errors import AccessError, UnreachableError

STATUS = Request(command=CommandName.STATUS)


@contextmanager
def a_daemon(folder: Path, says: bytes | None, *, leaves: bool = True) -> Iterator[None]:
    """Accepts one client and says `says` to it, and leaves; None keeps the connection and says nothing."""
    kept: list[socket.socket] = []

    def serve() -> None:
        connection, _ = listener.accept()
        kept.append(connection)
        connection.recv(1_000)
        if says is not None:
            with suppress(OSError):  # it has heard enough
                connection.sendall(says)
            if leaves:
                connection.close()

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "control.sock"))
        listener.listen(1)
        thread = threading.Thread(target=serve)
        thread.start()
        yield
        thread.join(10)
        for connection in kept:
            connection.close()


def test_reply_is_what_the_daemon_said(tmp_path: Path) -> None:
    """Whole."""
    reply = Reply(ok=True, message="x" * 20_000)
    with a_daemon(tmp_path, line_of(reply)):
        assert ask(tmp_path, STATUS) == reply


@pytest.mark.parametrize("says", [None, b'{"ok":'])
def test_daemon_that_does_not_answer_in_time_is_unreachable(tmp_path: Path, says: bytes | None) -> None:
    """And it is said that the command may still be carried out."""
    with a_daemon(tmp_path, says), pytest.raises(UnreachableError, match=r"may (still|have)") as caught:
        ask(tmp_path, STATUS, patience_s=0.05)
    assert caught.value.exit_code == 75


@pytest.mark.parametrize("says", [b"hello\n", b"{}\n", b"\xff\n"])
def test_what_is_no_daemon_of_this_version_is_named(tmp_path: Path, says: bytes) -> None:
    """Garbage is not believed."""
    with a_daemon(tmp_path, says), pytest.raises(UnreachableError, match=r"control\.sock"):
        ask(tmp_path, STATUS)


def test_line_without_end_is_not_read_without_end(tmp_path: Path) -> None:
    """Past the longest reply nobody waits for more."""
    endless = a_daemon(tmp_path, b"x" * (2 * LONGEST_REPLY), leaves=False)
    with endless, pytest.raises(UnreachableError, match="broke off"):
        ask(tmp_path, STATUS)


def test_no_daemon_is_said_and_how_to_have_one(tmp_path: Path) -> None:
    """Neither a missing nor a dead socket is a mystery."""
    with pytest.raises(UnreachableError, match="no daemon runs"):
        ask(tmp_path, STATUS)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "control.sock"))
    with pytest.raises(UnreachableError, match="is gone"):
        ask(tmp_path, STATUS)


def test_link_is_not_spoken_to(tmp_path: Path) -> None:
    """It may lead to another's socket."""
    os.symlink(tmp_path / "elsewhere", tmp_path / "control.sock")

    with pytest.raises(AccessError, match="is a link"):
        ask(tmp_path, STATUS)
