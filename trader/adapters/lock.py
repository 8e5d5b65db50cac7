"""One writer at a time: two that append to a file would write into each other's lines."""

import sys
from pathlib import Path
from typing import BinaryIO

from trader.errors import InputError


def open_alone(path: Path, taken: str) -> BinaryIO:
    """Open `path` to append, for this process alone until it is closed; InputError with `taken` if another has it.

    The lock goes with the process, however that ends. Windows has no such lock, and none is held there.
    """
    file = path.open("ab")
    if sys.platform == "win32":
        return file
    import fcntl  # noqa: PLC0415 -- not on every platform

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        msg = f"{path}: {taken}"
        raise InputError(msg) from None
    return file
