"""The operator's end of the control socket: one request, one reply, within a bound of time."""

import socket
import time
from pathlib import Path

import msgspec

from trader.adapters.control.messages import LONGEST_REPLY, Reply, Request, line_of
from trader.adapters.control.place import SOCKET_FILE, check_socket, reachable
from trader.errors import AccessError, UnreachableError

PATIENCE_S = 2.0
_PIECE = 8_192


def ask(folder: Path, request: Request, *, patience_s: float = PATIENCE_S) -> Reply:
    """What the daemon of this state folder replies.

    UnreachableError where none is there, or none answers in time: then the command may still be carried out later.
    """
    path = folder / SOCKET_FILE
    if not check_socket(path):
        msg = f"{path}: no daemon runs with this state folder; `trader run` starts one, --state names another folder"
        raise UnreachableError(msg)
    deadline_s = time.monotonic() + patience_s
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection, reachable(path) as address:
        try:
            connection.settimeout(patience_s)
            connection.connect(address)
            connection.sendall(line_of(request))
            line = _line(connection, deadline_s)
        except ConnectionRefusedError:
            msg = f"{path}: the daemon that made it is gone; `trader run` starts one"
            raise UnreachableError(msg) from None
        except PermissionError:
            msg = f"{path}: may not be used by this user; use the daemon's own"
            raise AccessError(msg) from None
        except (TimeoutError, BlockingIOError):
            msg = (
                f"{path}: the daemon did not answer within {patience_s:g} s; the command may still be carried out, "
                "`trader status` shows it once the daemon answers"
            )
            raise UnreachableError(msg) from None
        except OSError as error:
            msg = f"{path}: the daemon broke off ({error.strerror or error}); the command may have been carried out"
            raise UnreachableError(msg) from None
    return _reply(path, line)


def _line(connection: socket.socket, deadline_s: float) -> bytes:
    pieces = bytearray()
    while not pieces.endswith(b"\n"):
        left_s = deadline_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        connection.settimeout(left_s)
        piece = connection.recv(_PIECE)
        if not piece or len(pieces) > LONGEST_REPLY:
            raise ConnectionResetError
        pieces += piece
    return bytes(pieces)


def _reply(path: Path, line: bytes) -> Reply:
    try:
        return msgspec.json.decode(line, type=Reply)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        msg = f"{path}: what answers there is no daemon of this version ({error})"
        raise UnreachableError(msg) from None
