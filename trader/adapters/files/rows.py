"""Rows of a bar file as arrays, chunk by chunk, with the line of each; what cannot be read becomes a Fault."""

import math
from collections.abc import Iterator

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from trader.adapters.files.faults import Fault, Reason
from trader.adapters.files.layout import Layout, read_stamp, split_cells
from trader.adapters.files.source import UTF8_MARK, BarText, Block
from trader.kernels import bar_rows as kernel

_MISSING = {"", "nan", "na", "n/a", "null", "none", "-"}


class Rows(Struct, frozen=True, kw_only=True):
    """`n` rows in the order of the file, each array of shape (n,) but `prices`, (4, n): open, high, low, close.

    `stamp_ns` is by the file's own clock, nothing is checked yet. `volume`, `contract` (ASCII) and `offset` (points)
    are None where the file has no such column. `line` counts from 1.
    """

    stamp_ns: NDArray[np.int64]
    prices: NDArray[np.float64]
    volume: NDArray[np.int64] | None
    contract: NDArray[np.bytes_] | None
    offset: NDArray[np.float64] | None
    line: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.stamp_ns)

    def take(self, which: NDArray[np.bool_] | slice) -> "Rows":
        """The rows that `which` selects."""
        return Rows(
            stamp_ns=self.stamp_ns[which],
            prices=self.prices[:, which],
            volume=None if self.volume is None else self.volume[which],
            contract=None if self.contract is None else self.contract[which],
            offset=None if self.offset is None else self.offset[which],
            line=self.line[which],
        )

    def with_contracts(self, contract: NDArray[np.bytes_]) -> "Rows":
        """The same rows with other names of their contracts."""
        return replace(self, contract=contract)

    def with_lines(self, line: NDArray[np.int64]) -> "Rows":
        """The same rows with other numbers of their lines."""
        return replace(self, line=line)


class _Room:
    """Arrays that the kernel fills, for one chunk."""

    def __init__(self, layout: Layout, size: int) -> None:
        self.stamps = np.empty(size, dtype=np.int64)
        self.prices = np.empty((4, size))
        self.volumes = np.empty(size if layout.has(kernel.VOLUME) else 0, dtype=np.int64)
        with_contract = size if layout.has(kernel.CONTRACT) else 0
        self.contracts = np.empty((with_contract, kernel.CONTRACT_BYTES), dtype=np.uint8)
        self.offsets = np.empty(size if layout.has(kernel.OFFSET) else 0)
        self.lines = np.empty(size, dtype=np.int64)
        self.begins = np.empty(size, dtype=np.int64)
        self.marks = np.empty(size, dtype=np.int8)

    def rows(self, count: int) -> Rows:
        contract = self.contracts[:count].view(f"S{kernel.CONTRACT_BYTES}")[:, 0] if len(self.contracts) else None
        return Rows(
            stamp_ns=self.stamps[:count],
            prices=self.prices[:, :count],
            volume=self.volumes[:count] if len(self.volumes) else None,
            contract=contract,
            offset=self.offsets[:count] if len(self.offsets) else None,
            line=self.lines[:count],
        )


def read_rows(text: BarText, layout: Layout, form: int, chunk_rows: int) -> Iterator[tuple[Rows, list[Fault]]]:
    """All rows below the header that can be read, at most `chunk_rows` at a time, and the faults of the others.

    `form` is one of `layout.forms`. Each row is in exactly one of the two. InputError where the file ends badly (gz).
    """
    roles = np.array(layout.roles, dtype=np.int8)
    for block in text.blocks():
        position, line = _below_header(block, layout.header_line)
        while position < len(block.buf):
            room = _Room(layout, chunk_rows)
            count, position, passed = kernel.read_rows(
                block.buf,
                position,
                len(block.buf),
                ord(layout.delimiter),
                roles,
                form,
                layout.is_zoned,
                room.stamps,
                room.prices,
                room.volumes,
                room.contracts,
                room.offsets,
                room.lines,
                room.begins,
                room.marks,
            )
            room.lines[:count] += line
            line += passed
            yield _sorted_out(room, count, block, layout, form)


def _below_header(block: Block, header_line: int) -> tuple[int, int]:
    """Where the rows begin in a block: position and line."""
    to_skip = max(0, header_line + 1 - block.first_line)
    if not to_skip:
        has_mark = block.first_line == 1 and block.buf[:3].tobytes() == UTF8_MARK
        return len(UTF8_MARK) * has_mark, block.first_line
    ends = np.flatnonzero(block.buf[: 1 << 16] == ord("\n"))
    return int(ends[to_skip - 1]) + 1, header_line + 1


def _sorted_out(room: _Room, count: int, block: Block, layout: Layout, form: int) -> tuple[Rows, list[Fault]]:
    """Rows that were read, some of them by the slow path, and faults of the rest."""
    marked = np.flatnonzero(room.marks[:count])
    faults = [fault for i in marked.tolist() if (fault := _read_slowly(room, i, block, layout, form)) is not None]
    rows = room.rows(count)
    if not faults:
        return rows, faults
    return rows.take(~np.isin(rows.line, [fault.line for fault in faults])), faults


def _read_slowly(room: _Room, i: int, block: Block, layout: Layout, form: int) -> Fault | None:
    """Read row `i` cell by cell into `room`; the Fault where that is not possible either."""
    begin, line = int(room.begins[i]), int(room.lines[i])
    end = begin + int(np.argmax(block.buf[begin:] == ord("\n")))
    cells = split_cells(block.buf[begin:end].tobytes().decode("utf-8", "replace"), layout.delimiter)
    if len(cells) != len(layout.columns):
        cut = ", cut off by the end of the file" if block.is_cut and end + 1 == len(block.buf) else ""
        value = f"{len(cells)} instead of {len(layout.columns)}{cut}"
        return Fault(line=line, reason=Reason.CELLS, field="cells", value=value)
    written = dict(zip(layout.roles, cells, strict=True))
    fault = _read_stamp(room, i, written, layout, form)
    if fault is None:
        fault = _read_texts(room, i, written, layout)
    return fault or _read_numbers(room, i, written, layout)


def _read_stamp(room: _Room, i: int, written: dict[int, str], layout: Layout, form: int) -> Fault | None:
    role = kernel.STAMP if kernel.STAMP in written else kernel.DATE
    text = written[role] if role == kernel.STAMP else f"{written[role]} {written[kernel.CLOCK]}"
    answer = read_stamp(text, form)
    if answer is None or answer[1] != layout.is_zoned:
        return Fault(line=int(room.lines[i]), reason=Reason.UNREADABLE, field=layout.column(role), value=text)
    room.stamps[i] = answer[0]
    return None


def _read_texts(room: _Room, i: int, written: dict[int, str], layout: Layout) -> Fault | None:
    if kernel.CONTRACT not in written:
        return None
    contract = written[kernel.CONTRACT].encode()
    if not 0 < len(contract) <= kernel.CONTRACT_BYTES:
        reason = Reason.UNREADABLE if contract else Reason.MISSING
        name = layout.column(kernel.CONTRACT)
        return Fault(line=int(room.lines[i]), reason=reason, field=name, value=written[kernel.CONTRACT])
    room.contracts[i] = np.frombuffer(contract.ljust(kernel.CONTRACT_BYTES, b"\0"), dtype=np.uint8)
    return None


def _read_numbers(room: _Room, i: int, written: dict[int, str], layout: Layout) -> Fault | None:
    for role, text in written.items():
        if role not in _NUMBERS:
            continue
        value = 0.0 if role == kernel.OFFSET and not text else _number(text)
        if isinstance(value, Reason):
            return Fault(line=int(room.lines[i]), reason=value, field=layout.column(role), value=text)
        if role == kernel.VOLUME and (value != int(value) or abs(value) > _LARGEST_VOLUME):
            return Fault(line=int(room.lines[i]), reason=Reason.NOT_WHOLE, field=layout.column(role), value=text)
        if role == kernel.VOLUME:
            room.volumes[i] = int(value)
        elif role == kernel.OFFSET:
            room.offsets[i] = value
        else:
            room.prices[role - kernel.OPEN, i] = value
    return None


_NUMBERS = {kernel.OPEN, kernel.HIGH, kernel.LOW, kernel.CLOSE, kernel.VOLUME, kernel.OFFSET}
_LARGEST_VOLUME = 1 << 53


def _number(text: str) -> float | Reason:
    if text.lower() in _MISSING:
        return Reason.MISSING
    if not text.isascii() or "_" in text:
        return Reason.UNREADABLE  # Python would read them
    try:
        value = float(text)
    except ValueError:
        return Reason.UNREADABLE
    if math.isnan(value):
        return Reason.MISSING
    return value if math.isfinite(value) else Reason.NOT_FINITE
