"""Files that are this user's alone: no links, mode 0600, in folders that nobody else may write to."""

import os
import stat
from pathlib import Path

from trader.errors import AccessError, InputError

FILE_MODE = 0o600
FOLDER_MODE = 0o700
_OTHERS = 0o077
_OTHERS_WRITE = 0o022


def make_private_folder(folder: Path, named_by: str = "state.dir") -> None:
    """Make the folder, 0700; AccessError if it is a link, another user's, or others may write to it.

    `named_by` says what names the folder.
    """
    try:
        folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        msg = f"{folder}: cannot be made or read ({error.strerror}); name another folder in {named_by}"
        raise InputError(msg) from error
    if not stat.S_ISDIR(found.st_mode):
        msg = f"{folder}: is a link or no folder; name the folder itself in {named_by}"
        raise AccessError(msg)
    if found.st_uid != os.geteuid():
        msg = f"{folder}: belongs to user {found.st_uid}, not to this process; name a folder of your own in {named_by}"
        raise AccessError(msg)
    if found.st_mode & _OTHERS_WRITE:
        msg = f"{folder}: others may write to it (mode {found.st_mode & 0o777:o}); chmod 700 {folder}"
        raise AccessError(msg)


def open_private(path: Path, flags: int) -> int:
    """A descriptor of the file, made with mode 0600 where `flags` has O_CREAT.

    FileNotFoundError passes; AccessError if it is a link, has a second name, is another user's or open to others;
    InputError if it cannot be opened.
    """
    try:
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, FILE_MODE)
    except FileNotFoundError:
        raise
    except OSError as error:
        if path.is_symlink():
            raise AccessError(_linked(path)) from None
        msg = f"{path}: cannot be opened ({error.strerror}); see that it is a file of this user's"
        raise InputError(msg) from error
    try:
        _check(path, os.fstat(descriptor))
    except BaseException:  # whatever it is, the descriptor must not stay open
        os.close(descriptor)
        raise
    return descriptor


def check_private(path: Path) -> bool:
    """Whether the file is there, and as `open_private` would have it; AccessError if it is not as it must be."""
    found = lstat_of(path)
    if found is None:
        return False
    if stat.S_ISLNK(found.st_mode):
        raise AccessError(_linked(path))
    _check(path, found)
    return True


def lstat_of(path: Path) -> os.stat_result | None:
    """What stands at the path itself, None where nothing does; InputError if it cannot be read."""
    try:
        return path.lstat()
    except FileNotFoundError:
        return None
    except OSError as error:
        msg = f"{path}: cannot be read ({error.strerror})"
        raise InputError(msg) from error


def sync_folder(folder: Path) -> None:
    """Make the names in the folder survive a loss of power; OSError passes."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check(path: Path, found: os.stat_result) -> None:
    why = _objection(path, found)
    if why is not None:
        msg = f"{path}: {why}"
        raise AccessError(msg)


def _objection(path: Path, found: os.stat_result) -> str | None:
    if not stat.S_ISREG(found.st_mode):
        return "is no regular file; move it away"
    if found.st_uid != os.geteuid():
        return f"belongs to user {found.st_uid}, not to this process; use a state folder of your own"
    if found.st_mode & _OTHERS:
        return f"other users may use it (mode {found.st_mode & 0o777:o}); look who has, then chmod 600 {path}"
    if found.st_nlink > 1:
        return "has a second name (hard link), through which others may change it; copy it to a file of its own"
    return None


def _linked(path: Path) -> str:
    return f"{path}: is a symbolic link, which is never followed; put the file itself there"
