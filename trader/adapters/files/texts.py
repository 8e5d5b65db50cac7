"""What the rows of bars are read from: one file, or a folder with a file for each day (folder.py)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from msgspec.structs import replace

from trader.adapters.files.databento import outrights
from trader.adapters.files.faults import Fault
from trader.adapters.files.layout import Layout, LayoutName, detect_layout
from trader.adapters.files.rows import Rows, read_rows
from trader.adapters.files.source import BarText
from trader.domain.sessions import Calendar

LINES_A_FILE = 1 << 32
"""Rows are numbered through all files: number of the file times this, plus the line in it."""


class BarTexts(Protocol):
    """Rows in the order in which they are written; each call of `rows` reads anew.

    `sha256` is the hash of all bytes of the last reading that came to its end, `size_bytes` their number, `spreads`
    the rows of the last reading that were left out as calendar spreads.
    """

    @property
    def path(self) -> Path: ...

    @property
    def size_bytes(self) -> int: ...

    @property
    def sha256(self) -> str: ...

    @property
    def spreads(self) -> int: ...

    def layout(self, wanted: str) -> Layout: ...

    def rows(self, layout: Layout, form: int, chunk_rows: int) -> Iterator[tuple[Rows, list[Fault]]]: ...

    def placed(self, fault: Fault) -> Fault: ...

    def place(self, line: int) -> str: ...

    def gaps(self, calendar: Calendar) -> list[str]: ...


class OneText:
    """One file. InputError where it cannot be text."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.spreads = 0
        self._text = BarText(path)
        self.size_bytes = self._text.size_bytes

    @property
    def sha256(self) -> str:
        return self._text.sha256

    def layout(self, wanted: str) -> Layout:
        """The file's layout; InputError where it has none, or another than is wanted."""
        return detect_layout(self.path, self._text.head, wanted)

    def rows(self, layout: Layout, form: int, chunk_rows: int) -> Iterator[tuple[Rows, list[Fault]]]:
        """Rows that can be read, `chunk_rows` at a time, and the faults of the others."""
        self.spreads = 0
        self._text = BarText(self.path)
        for rows, faults in read_rows(self._text, layout, form, chunk_rows):
            if layout.name != LayoutName.DATABENTO:
                yield rows, faults
                continue
            kept, spreads = outrights(rows)
            self.spreads += spreads
            yield kept, faults

    def placed(self, fault: Fault) -> Fault:
        """The fault as a reader of the file finds it."""
        return fault

    def place(self, line: int) -> str:
        """File and line, for messages."""
        return f"{self.path}, line {line}"

    def gaps(self, _calendar: Calendar) -> list[str]:
        """Nothing: of one file nobody knows which days it should have."""
        return []


def placed(fault: Fault, file: str) -> Fault:
    """A fault by the line in its own file."""
    return replace(fault, line=fault.line % LINES_A_FILE, file=file)
