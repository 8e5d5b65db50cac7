"""The file RUNNING in a state folder: a run that began to trade and has not ended as it should."""

import os
from contextlib import suppress
from pathlib import Path

from trader.adapters.state.private import open_private, sync_folder
from trader.errors import TraderError

RUNNING_FILE = "RUNNING"


class RunningFile:
    """`begin` and `end` mark a run; a file that a start finds is a crash's. Only that it is there counts."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / RUNNING_FILE
        self.was_left = os.path.lexists(self._path)

    def begin(self) -> None:
        """Trading begins; a disk that refuses changes nothing but what the next start can know."""
        with suppress(OSError, TraderError):
            os.close(open_private(self._path, os.O_WRONLY | os.O_CREAT))
            sync_folder(self._path.parent)

    def end(self) -> None:
        """It has ended in order."""
        with suppress(OSError):
            self._path.unlink()
