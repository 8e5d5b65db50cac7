"""How many commits were promised: a few bytes beside `state.db`, written after each commit, not synced.

A damaged write-ahead log makes SQLite fall back to an earlier commit, which is whole and would be believed; the mark
tells that more was promised. It survives every death of the process; a loss of power may set it back, never forward.
"""

import os
import zlib
from pathlib import Path

from trader.adapters.state.private import open_private

MARK_FILE = "state.mark"
_DIGITS = 20


class Mark:
    """The open file. `promised` is what it said at opening: None where it says nothing that can be trusted."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / MARK_FILE
        self._descriptor = open_private(self.path, os.O_RDWR | os.O_CREAT)
        said = os.pread(self._descriptor, 64, 0)
        self.is_new = not said
        self.promised = _read(said)

    def promise(self, generation: int) -> None:
        """This many commits are on the disk; OSError passes."""
        line = _line(generation)
        if os.pwrite(self._descriptor, line, 0) != len(line):
            msg = "the mark was written in part"
            raise OSError(msg)

    def close(self) -> None:
        """Close the file; what it says stays."""
        os.close(self._descriptor)


def _line(generation: int) -> bytes:
    digits = b"%0*d" % (_DIGITS, generation)
    return b"%s %08x\n" % (digits, zlib.crc32(digits))


def _read(said: bytes) -> int | None:
    digits = said[:_DIGITS]
    if len(digits) != _DIGITS or not digits.isdigit():
        return None
    generation = int(digits)
    return generation if said == _line(generation) else None
