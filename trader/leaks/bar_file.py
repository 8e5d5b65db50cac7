"""The bar file with another future, for a strategy that reads the file itself: same layout, other later rows."""

import gzip
from pathlib import Path

import numpy as np
from msgspec import Struct

from trader.adapters.files.clock import to_utc
from trader.adapters.files.facts import FileFacts, Stamp
from trader.adapters.files.rows import Rows, read_rows
from trader.adapters.files.source import BarText
from trader.errors import InputError
from trader.kernels import bar_rows as kernel
from trader.leaks.changes import Change, Later, later

CHUNK_ROWS = 16_384
LARGEST_POINTS = 1e8
"""A whole number above it is a price in a unit of its own, such as billionths of a point."""


class BarFile(Struct, frozen=True, kw_only=True):
    """A bar file, the tick of its market in points, and of the last bar that stays as it is: UTC times, close."""

    facts: FileFacts
    tick: float
    open_ns: int
    close_ns: int
    close: float


def write_changed(file: BarFile, change: Change, folder: Path) -> Path:
    """A copy of the file in `folder` in which every row after `file`'s last bar has another future; returns its path.

    Rows of all contracts are altered; what cannot be read as a row stays as it is. InputError where the file is not
    the one that was opened.
    """
    facts = file.facts
    text = BarText(Path(facts.path))
    lines: list[bytes | None] = list(b"".join(block.buf.tobytes() for block in text.blocks()).split(b"\n"))
    if text.sha256 != facts.sha256:
        msg = f"{facts.path} changed while it was read; start again"
        raise InputError(msg)
    for rows in _later_rows(file):
        _rewrite(lines, rows, later(rows.prices.T, rows.volume, file.close, file.tick, change), facts)
    path = folder / Path(facts.path).name
    content = b"\n".join(line for line in lines if line is not None)
    path.write_bytes(gzip.compress(content, 1) if text.is_gzip else content)
    return path


def _later_rows(file: BarFile) -> list[Rows]:
    """All rows of later bars, as one part or none: a future is drawn once for all of them."""
    facts = file.facts
    last_ns = file.open_ns if facts.stamp is Stamp.OPEN else file.close_ns
    text = BarText(Path(facts.path))
    parts = [
        part.take(to_utc(part.stamp_ns, facts.tz) > last_ns)
        for part, _ in read_rows(text, facts.layout, facts.form, CHUNK_ROWS)
    ]
    parts = [part for part in parts if len(part)]
    if not parts:
        return []
    volumes = [part.volume for part in parts if part.volume is not None]
    return [
        Rows(
            stamp_ns=np.concatenate([part.stamp_ns for part in parts]),
            prices=np.concatenate([part.prices for part in parts], axis=1),
            volume=np.concatenate(volumes) if volumes else None,
            contract=None,
            offset=None,
            line=np.concatenate([part.line for part in parts]),
        )
    ]


def _rewrite(lines: list[bytes | None], rows: Rows, other: Later, facts: FileFacts) -> None:
    """Put the altered numbers into the text of their lines; None takes the place of a line that is gone."""
    layout = facts.layout
    delimiter = layout.delimiter.encode()
    prices = {layout.roles.index(role): role - kernel.OPEN for role in range(kernel.OPEN, kernel.CLOSE + 1)}
    volume_at = layout.roles.index(kernel.VOLUME) if layout.has(kernel.VOLUME) else None
    for i, line in enumerate((rows.line - 1).tolist()):
        old = lines[line]
        cells = [] if old is None else old.split(delimiter)
        if not other.kept[i] or len(cells) != len(layout.columns):
            lines[line] = old if other.kept[i] else None
            continue
        for column, which in prices.items():
            ratio = float(other.prices[i, which]) / float(rows.prices[which, i])
            cells[column] = _in_place(cells[column], ratio)
        if volume_at is not None and other.volume is not None:
            cells[volume_at] = _number_in(cells[volume_at], str(int(other.volume[i])))
        lines[line] = delimiter.join(cells)


def _in_place(cell: bytes, ratio: float) -> bytes:
    """A price that is `ratio` times what is written, in the unit and with the decimals in which it is written."""
    written = cell.strip(b' "\r').decode()
    fraction = written.partition(".")[2]
    decimals = 0 if not fraction and float(written) > LARGEST_POINTS else max(len(fraction), 4)
    return _number_in(cell, f"{float(written) * ratio:.{decimals}f}")


def _number_in(cell: bytes, number: str) -> bytes:
    """`number` in place of the number of a cell, its quotes and line end kept."""
    return cell.replace(cell.strip(b' "\r'), number.encode(), 1)
