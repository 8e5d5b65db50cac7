"""The kill switch as a file of the state folder: while it is there, no run that starts here enters anything."""

import os
from contextlib import suppress
from pathlib import Path

from trader.adapters.state.private import make_private_folder, open_private, sync_folder
from trader.errors import InputError

KILL_SWITCH_FILE = "kill_switch"


class KillSwitch:
    """Only that the file is there counts: one that is damaged, empty or a link is a switch that is set."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / KILL_SWITCH_FILE

    @property
    def is_kept(self) -> bool:
        """Whether it was set and not lifted."""
        return os.path.lexists(self.path)

    def keep(self, who: str) -> None:
        """Set it so that it survives a loss of power; InputError or AccessError where that fails. May block."""
        if self.is_kept:
            return
        make_private_folder(self.path.parent)
        try:
            descriptor = open_private(self.path, os.O_WRONLY | os.O_CREAT)
            try:
                os.write(descriptor, f"set by the operator of {who}; `trader resume --clear-kill` lifts it\n".encode())
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            sync_folder(self.path.parent)
        except OSError as error:
            msg = f"{self.path}: cannot be written ({error.strerror})"
            raise InputError(msg) from error

    def lift(self) -> None:
        """Remove the file; InputError where it stays."""
        try:
            with suppress(FileNotFoundError):
                self.path.unlink()
        except OSError as error:
            msg = f"{self.path}: cannot be removed ({error.strerror})"
            raise InputError(msg) from error
