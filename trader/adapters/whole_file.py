"""A small file that is written whole or not at all, whatever becomes of the process, the disk or the power.

It is this user's alone: it may hold trades.
"""

import os
from contextlib import suppress
from pathlib import Path

from trader.adapters.state.private import FILE_MODE, sync_folder

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def write_whole(path: Path, content: bytes) -> None:
    """Put a file of this content in the place of what is there; where OSError passes, that has stayed as it was."""
    part = path.with_name(f"{path.name}.part")
    try:
        part.unlink(missing_ok=True)  # what a crash has left; made anew, the file has no mode of another's choice
        with os.fdopen(os.open(part, _NEW, FILE_MODE), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError:
        with suppress(OSError):  # what it holds is of no use, and takes room on a disk that has none
            part.unlink()
        raise
    sync_folder(path.parent)
