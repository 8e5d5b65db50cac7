"""Where a daemon and its operator meet: files of the state folder that only their owner can use."""

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from trader.adapters.state.private import lstat_of
from trader.errors import AccessError, InputError

SOCKET_FILE = "control.sock"
BACKLOG = 128
_LONGEST_ADDRESS = 100
"""Bytes of a unix socket's path that every system takes."""
_OWNER_ONLY = 0o177


@contextmanager
def listening(folder: Path) -> Iterator[socket.socket]:
    """A listening socket in the folder, mode 0600; its file is removed at the end. To be called by the lock's holder.

    The file of a daemon that has died is replaced. AccessError where somebody listens there, or where it is no socket.
    """
    path = folder / SOCKET_FILE
    _clear(path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener, reachable(path) as address:
        before = os.umask(_OWNER_ONLY)
        try:
            listener.bind(address)
        except OSError as error:
            msg = f"{path}: cannot be made ({error.strerror or error}); name another folder in state.dir"
            raise InputError(msg) from None
        finally:
            os.umask(before)
        mine = path.lstat()
        try:
            listener.listen(BACKLOG)
            yield listener
        finally:
            with suppress(FileNotFoundError):
                if os.path.samestat(path.lstat(), mine):
                    path.unlink()


@contextmanager
def reachable(path: Path) -> Iterator[str]:
    """The address of a socket's path: a path too long for an address is reached through its folder's descriptor."""
    if len(os.fsencode(path)) <= _LONGEST_ADDRESS or not Path("/proc/self/fd").is_dir():
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def check_socket(path: Path) -> bool:
    """Whether a socket of this user is there; AccessError for a link, another user's, no socket."""
    found = lstat_of(path)
    if found is None:
        return False
    if not stat.S_ISSOCK(found.st_mode):
        msg = f"{path}: is a link or no socket; see who has put it there, and remove it"
        raise AccessError(msg)
    if found.st_uid != os.geteuid():
        msg = f"{path}: belongs to user {found.st_uid}, not to this process; use the daemon's own user"
        raise AccessError(msg)
    return True


def _clear(path: Path) -> None:
    if not check_socket(path):
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as trying, reachable(path) as address:
        trying.settimeout(1.0)
        try:
            trying.connect(address)
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)  # its daemon has died
            return
        except OSError as error:
            msg = f"{path}: is in use, or not yours ({error.strerror or error})"
            raise AccessError(msg) from None
    msg = f"{path}: another program listens there; end it, or name another folder in state.dir"
    raise AccessError(msg)
