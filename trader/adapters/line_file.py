"""A file that grows by whole lines: a line that the disk does not take whole leaves nothing in it.

A new one is this user's alone: it may hold trades.
"""

import errno
import os
from contextlib import suppress
from pathlib import Path

from trader.adapters.state.private import FILE_MODE, sync_folder


class LineFile:
    """Open from here to `close`. Every verb lets OSError pass; after that of `append` only `close` is left to do."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, FILE_MODE)
        self._is_named = False

    def append(self, line: bytes) -> None:
        """Hand the line to the system, or take back what it has taken of it."""
        before = os.fstat(self._descriptor).st_size
        rest = memoryview(line)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError:
            self._take_back(before)
            raise

    def sync(self) -> None:
        """Have the lines survive a loss of power, and the file's name too."""
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            if error.errno != errno.EINVAL:  # a pipe or a device has nothing that could be lost
                raise
        if not self._is_named:
            sync_folder(self._path.parent)
            self._is_named = True

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)

    def _take_back(self, size: int) -> None:
        """An empty file would say that a line has been lost there: it goes too."""
        with suppress(OSError):  # a pipe, or a disk that refuses that as well: a cut line is told from a whole one
            os.ftruncate(self._descriptor, size)
            if not size:
                self._path.unlink()
