"""Where a server listens: a unix socket that its owner alone can use, or a port of this machine."""

import ipaddress
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trader.errors import InputError, UsageError

BACKLOG = 64
_OWNER_ONLY = 0o177


@contextmanager
def at_socket(path: Path) -> Iterator[socket.socket]:
    """A listening unix socket with mode 0600; its file is removed at the end. InputError where it cannot be made.

    The file of a server that has died is replaced; one that is in use, or no socket, is left alone.
    """
    _clear(path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        before = os.umask(_OWNER_ONLY)
        try:
            listening.bind(str(path))
        except OSError as error:
            msg = f"--socket {path}: cannot be made ({error.strerror or error})"
            raise InputError(msg) from None
        finally:
            os.umask(before)
        try:
            listening.listen(BACKLOG)
            yield listening
        finally:
            path.unlink(missing_ok=True)


@contextmanager
def at_port(host: str, port: int) -> Iterator[socket.socket]:
    """A listening TCP socket of this machine; port 0 takes a free one. UsageError for any other host."""
    if not is_loopback(host):
        msg = (
            f"--host {host}: this server listens on this machine only (127.0.0.1, ::1); for others put a proxy with "
            "TLS and its own access control in front of it"
        )
        raise UsageError(msg)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, port))
        except OSError as error:
            msg = f"--port {port}: cannot listen at {host} ({error.strerror})"
            raise InputError(msg) from None
        listening.listen(BACKLOG)
        yield listening


def is_loopback(host: str) -> bool:
    """Whether `host` is a name of this machine that nobody else can reach."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _clear(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        msg = f"--socket {path}: there is a file that is no socket; name another path"
        raise InputError(msg)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as trying:
        trying.settimeout(1.0)
        try:
            trying.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except OSError as error:
            msg = f"--socket {path}: is in use, or not yours ({error.strerror or error})"
            raise InputError(msg) from None
    msg = f"--socket {path}: another server listens there"
    raise InputError(msg)
