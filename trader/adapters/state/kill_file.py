"""The file `KILL` in a state folder: while it exists, another process owns the account and the daemon sends nothing."""

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from trader.adapters.state.private import FILE_MODE, make_private_folder, sync_folder
from trader.errors import AccessError, StateFailedError

KILL_FILE = "KILL"
_MAX_BYTES = 4_096


class KillNote(msgspec.Struct, frozen=True, kw_only=True):
    """Who took the account, with which process, and when (nanoseconds since 1970 UTC)."""

    by: str
    pid: int
    ts_ns: int


class KillFile:
    """The name in the folder is the switch: an empty, damaged or foreign file, and even a link, count as well."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / KILL_FILE

    @property
    def exists(self) -> bool:
        """Whether the account is somebody else's. What cannot be looked at counts as taken."""
        try:
            self.path.lstat()
        except FileNotFoundError:
            return False
        except OSError:
            return True
        return True

    @property
    def why(self) -> str | None:
        """Why nothing may be sent and no trading may start, for a person; None where there is no such file."""
        if not self.exists:
            return None
        note = self.read()
        who = "another process" if note is None else f"{note.by} (pid {note.pid})"
        return (
            f"{self.path} is there: {who} took the account, and a daemon sends nothing before it has compared itself "
            "with the broker and is told `trader resume --clear-kill`"
        )

    def read(self) -> KillNote | None:
        """What the file says; None where there is none, or where it cannot be understood."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            return None
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return None
            return msgspec.json.decode(os.read(descriptor, _MAX_BYTES), type=KillNote)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return None
        finally:
            os.close(descriptor)

    def write(self, note: KillNote) -> None:
        """Take the account. The file is there first and says who then: on a full disk it may stay empty, and counts.

        If it is there already, it is left as it is. StateFailedError where it could not be made at all.
        """
        make_private_folder(self.path.parent)
        try:
            descriptor = os.open(
                self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE
            )
        except FileExistsError:
            return
        except OSError as error:
            msg = f"{self.path}: cannot be made ({error.strerror}); stop the daemon before you trade by hand"
            raise StateFailedError(msg) from error
        try:
            os.write(descriptor, msgspec.json.encode(note) + b"\n")
            os.fsync(descriptor)
            sync_folder(self.path.parent)
        except OSError:
            return  # its name is what counts, and that is there
        finally:
            os.close(descriptor)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Close the account by one process at a time: two would turn a position round. AccessError where one is at it.

        A file that cannot be opened keeps nobody from closing.
        """
        descriptor = None
        with suppress(OSError):
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        if descriptor is None:
            yield
            return
        try:
            self._lock(descriptor)
            yield
        finally:
            os.close(descriptor)

    def _lock(self, descriptor: int) -> None:
        if sys.platform == "win32":
            return
        import fcntl  # noqa: PLC0415 -- not on every platform

        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            msg = f"{self.path}: another `trader flatten` is closing this account: let it come to its end"
            raise AccessError(msg) from None

    def remove(self) -> bool:
        """Give the account back, after a reconciliation; whether there was a file. StateFailedError if it stays."""
        try:
            self.path.unlink()
            sync_folder(self.path.parent)
        except FileNotFoundError:
            return False
        except OSError as error:
            msg = f"{self.path}: cannot be removed ({error.strerror}); remove it by hand, then start again"
            raise StateFailedError(msg) from error
        return True
