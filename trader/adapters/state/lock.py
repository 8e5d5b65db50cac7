"""One writer per account and state folder: locks that go with the process, however that ends."""

import hashlib
import os
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
from msgspec import Struct

from trader.adapters.state.private import make_private_folder, open_private
from trader.adapters.state.records import AccountIdentity, BrokerName, Mode
from trader.errors import AccessError, ConfigurationError

LOCK_FILE = "state.lock"
LOCKS_VARIABLE = "NQ_TRADER_LOCKS"
_MAX_BYTES = 4_096


class Holder(Struct, frozen=True, kw_only=True):
    """Who holds a lock, or held it last: it stands in the lock's file. `account` is a digest: see `_digest_of`."""

    pid: int
    who: str
    mode: Mode
    broker: BrokerName
    account: str
    instrument: str

    def is_of(self, identity: AccountIdentity) -> bool:
        """Whether it traded as this identity."""
        return _holder(identity, self.pid, self.who) == self


class StateLock:
    """Held from its making on. AccessError names the process that holds either lock already; `who` is the run.

    One lock is in the state folder, against two daemons of one state; the other in the user's `locks` folder, against
    two daemons with different folders on one account at a broker (a simulated account is its folder's). The files stay
    when the locks go: who unlinked one would let two in. A process that is forked off keeps the locks unless it closes
    its descriptors, as `subprocess` does.
    """

    def __init__(self, folder: Path, identity: AccountIdentity, locks: Path, who: str) -> None:
        self._held: list[tuple[Path, int]] = []
        said = msgspec.json.encode(_holder(identity, os.getpid(), who))
        wanted = [
            (
                folder / LOCK_FILE,
                f"this state folder; `trader status --state {folder}` asks it, and --set state.dir=FOLDER gives this"
                " one a folder of its own",
            )
        ]
        if identity.broker is BrokerName.IB:
            wanted.append(
                (locks / account_file(identity), "this account; end it: two daemons on one account undo each other")
            )
        try:
            for path, what in wanted:
                make_private_folder(path.parent, f"${LOCKS_VARIABLE}" if path.parent == locks else "state.dir")
                self._held.append((path, _lock(path, what, said)))
        except BaseException:  # whatever it was, no half of a lock is held
            self.release()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    @property
    def is_held(self) -> bool:
        """Whether the files are still those that were locked: nobody has removed or replaced one."""
        return bool(self._held) and all(_is_same(path, descriptor) for path, descriptor in self._held)

    def release(self) -> None:
        """Let others in."""
        while self._held:
            os.close(self._held.pop()[1])


def last_holder(folder: Path) -> Holder | None:
    """Who holds the state folder, or held it last; None where nobody ever did, or where it cannot be understood.

    AccessError where the file is a link or open to others.
    """
    try:
        descriptor = open_private(folder / LOCK_FILE, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        return _said(descriptor)
    finally:
        os.close(descriptor)


def locks_folder(environment: Mapping[str, str]) -> Path:
    """Where the locks of this user's accounts lie: one place, however the process was started.

    In the home that the system knows for this user: neither the login nor $HOME, which a service has not, move it. Only
    $NQ_TRADER_LOCKS does, an absolute folder: for tests, and for a user without a home, and then for all of their
    daemons. ConfigurationError where it is not absolute, or there is neither.
    """
    given = environment.get(LOCKS_VARIABLE)
    if given is not None:
        if not Path(given).is_absolute():
            msg = f"${LOCKS_VARIABLE}: must be an absolute folder, the same for all daemons of this user; not {given!r}"
            raise ConfigurationError(msg)
        return Path(given)
    home = _home()
    if home is None:
        msg = (
            f"user {os.geteuid()} has no home folder for the locks of accounts: set ${LOCKS_VARIABLE} to a folder of"
            " theirs, the same for all of their daemons"
        )
        raise ConfigurationError(msg)
    return home / ".local" / "state" / "nq-trader"


def account_file(identity: AccountIdentity) -> str:
    """The account's lock file, named by its digest."""
    return f"account-{_digest(identity)}.lock"


def _home() -> Path | None:
    if sys.platform == "win32":  # it has no such locks either
        return Path.home()
    import pwd  # noqa: PLC0415 -- not on every platform

    try:
        return Path(pwd.getpwuid(os.geteuid()).pw_dir)
    except KeyError:
        return None


def _digest(identity: AccountIdentity) -> str:
    return _digest_of(identity.broker.value, identity.account)


@cache
def _digest_of(broker: str, account: str) -> str:
    """Keeps a number from being read in passing, and is slow to try; who has weeks can find it out.

    The same on every machine: a state folder that was moved must still know whose it is when a position has to be
    closed.
    """
    return hashlib.pbkdf2_hmac("sha256", f"{broker}\0{account}".encode(), b"nq-trader", 100_000, dklen=8).hex()


def _holder(identity: AccountIdentity, pid: int, who: str) -> Holder:
    return Holder(
        pid=pid,
        who=who,
        mode=identity.mode,
        broker=identity.broker,
        account=_digest(identity),
        instrument=identity.instrument,
    )


def _lock(path: Path, what: str, said: bytes) -> int:
    if sys.platform == "win32":
        msg = "a daemon needs locks that go with the process, which this system has not; run it on Linux or macOS"
        raise ConfigurationError(msg)
    import fcntl  # noqa: PLC0415 -- not on every platform

    descriptor = open_private(path, os.O_RDWR | os.O_CREAT)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = _said(descriptor)
            who = "another process" if holder is None else f"pid {holder.pid}, {holder.who},"
            msg = f"{path}: {who} trades {what}"
            raise AccessError(msg) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, said + b"\n", 0)
    except BaseException:  # whatever it was, the descriptor must not stay open
        os.close(descriptor)
        raise
    return descriptor


def _said(descriptor: int) -> Holder | None:
    try:
        return msgspec.json.decode(os.pread(descriptor, _MAX_BYTES, 0), type=Holder)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def _is_same(path: Path, descriptor: int) -> bool:
    try:
        found = path.lstat()
    except OSError:
        return False
    held = os.fstat(descriptor)
    return (found.st_dev, found.st_ino) == (held.st_dev, held.st_ino)
