"""One writer per account and state folder: two locks that go with the process, however that ends."""

import hashlib
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from trader.adapters.state.private import make_private_folder, open_private
from trader.adapters.state.records import AccountIdentity
from trader.errors import AccessError, ConfigurationError

LOCK_FILE = "state.lock"
_PID_BYTES = 32


class StateLock:
    """Held from its making on. AccessError names the process that holds either lock already.

    One lock is in the state folder, against two daemons of one state; the other in the user's `runtime` folder, against
    two daemons with different folders on one account. The files stay when the locks go: who unlinked one would let two
    in. A process that is forked off keeps the locks unless it closes its descriptors, as `subprocess` does.
    """

    def __init__(self, folder: Path, identity: AccountIdentity, runtime: Path) -> None:
        self._held: list[tuple[Path, int]] = []
        try:
            for path, what in (
                (folder / LOCK_FILE, "this state folder"),
                (runtime / account_file(identity), "this account"),
            ):
                make_private_folder(path.parent)
                self._held.append((path, _lock(path, what)))
        except BaseException:  # whatever it was, no half of a lock is held
            self.release()
            raise

    @property
    def is_held(self) -> bool:
        """Whether both files are still those that were locked: nobody has removed or replaced one."""
        return bool(self._held) and all(_is_same(path, descriptor) for path, descriptor in self._held)

    def release(self) -> None:
        """Let others in."""
        while self._held:
            os.close(self._held.pop()[1])


def runtime_folder(environment: Mapping[str, str]) -> Path:
    """The user's folder for what lives as long as the login: $XDG_RUNTIME_DIR, else their own among temporary files."""
    given = environment.get("XDG_RUNTIME_DIR", "")
    if given.startswith("/"):
        return Path(given) / "nq-trader"
    # Made 0700, and refused if it is not this user's alone.
    return Path(tempfile.gettempdir()) / f"nq-trader-{os.geteuid()}"


def account_file(identity: AccountIdentity) -> str:
    """The account's lock file; the account's number does not stand in its name."""
    digest = hashlib.sha256(f"{identity.broker.value}\0{identity.account}".encode()).hexdigest()
    return f"account-{digest[:16]}.lock"


def _lock(path: Path, what: str) -> int:
    if sys.platform == "win32":
        msg = "a daemon needs locks that go with the process, which this system has not; run it on Linux or macOS"
        raise ConfigurationError(msg)
    import fcntl  # noqa: PLC0415 -- not on every platform

    descriptor = open_private(path, os.O_RDWR | os.O_CREAT)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            msg = f"{path}: process {_holder(descriptor)} trades {what}; end it, or name another state.dir and account"
            raise AccessError(msg) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
    except BaseException:  # whatever it was, the descriptor must not stay open
        os.close(descriptor)
        raise
    return descriptor


def _holder(descriptor: int) -> str:
    said = os.pread(descriptor, _PID_BYTES, 0).strip()
    return said.decode() if said.isdigit() else "of another user or machine"


def _is_same(path: Path, descriptor: int) -> bool:
    try:
        found = path.lstat()
    except OSError:
        return False
    held = os.fstat(descriptor)
    return (found.st_dev, found.st_ino) == (held.st_dev, held.st_ino)
