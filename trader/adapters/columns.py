"""Bars as columns: what file readers and the synthetic market produce, thousands at a time, before they are records."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from trader.domain.bars import Bar
from trader.errors import InvariantError

ROWS_AT_ONCE = 8_192


class BarColumns(Struct, frozen=True, kw_only=True):
    """`n` closed bars in time order, one array of shape (n,) a field; the meaning of each is that of `Bar`'s field.

    Prices are float64 points, times int64 nanoseconds since 1970 UTC. `volume` is int64 contracts, or None where the
    source has no volume at all. The contract of row i is `symbols[symbol_index[i]]`. `first_line` is the file line of
    row 0, counted from 1, where rows and lines run in step; 0 where there is no file.
    """

    ts_open_ns: NDArray[np.int64]
    ts_close_ns: NDArray[np.int64]
    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    volume: NDArray[np.int64] | None
    symbols: tuple[str, ...]
    symbol_index: NDArray[np.int64]
    roll_offset: NDArray[np.float64]
    first_line: int = 0

    def __len__(self) -> int:
        return len(self.ts_open_ns)

    def rows(self, start: int, stop: int) -> "BarColumns":
        """Rows [start, stop) with 0 <= start, as views on the same memory."""
        part = slice(start, stop)
        return BarColumns(
            ts_open_ns=self.ts_open_ns[part],
            ts_close_ns=self.ts_close_ns[part],
            open=self.open[part],
            high=self.high[part],
            low=self.low[part],
            close=self.close[part],
            volume=None if self.volume is None else self.volume[part],
            symbols=self.symbols,
            symbol_index=self.symbol_index[part],
            roll_offset=self.roll_offset[part],
            first_line=self.first_line + start if self.first_line else 0,
        )

    def to_bars(self, rows_at_once: int = ROWS_AT_ONCE) -> Iterator[Bar]:
        """The rows as records; plain numbers exist for `rows_at_once` rows at a time."""
        for start in range(0, len(self), rows_at_once):
            yield from _records(self.rows(start, start + rows_at_once))


def _records(columns: BarColumns) -> Iterator[Bar]:
    symbols = columns.symbols
    volumes: Iterable[int | None] = repeat(None) if columns.volume is None else columns.volume.tolist()
    return map(
        Bar,
        columns.ts_open_ns.tolist(),
        columns.ts_close_ns.tolist(),
        [symbols[index] for index in columns.symbol_index.tolist()],
        columns.open.tolist(),
        columns.high.tolist(),
        columns.low.tolist(),
        columns.close.tolist(),
        volumes,
        columns.roll_offset.tolist(),
    )


def concatenate(parts: Sequence[BarColumns]) -> BarColumns:
    """All rows of `parts` in their order; InvariantError on no parts, or on parts with and without volume."""
    if not parts:
        msg = "no columns to concatenate"
        raise InvariantError(msg)
    volumes = [part.volume for part in parts if part.volume is not None]
    if len(volumes) not in {0, len(parts)}:
        msg = "columns with volume cannot be joined to columns without: a missing volume is not zero"
        raise InvariantError(msg)
    symbols = tuple(dict.fromkeys(symbol for part in parts for symbol in part.symbols))
    return BarColumns(
        ts_open_ns=np.concatenate([part.ts_open_ns for part in parts]),
        ts_close_ns=np.concatenate([part.ts_close_ns for part in parts]),
        open=np.concatenate([part.open for part in parts]),
        high=np.concatenate([part.high for part in parts]),
        low=np.concatenate([part.low for part in parts]),
        close=np.concatenate([part.close for part in parts]),
        volume=np.concatenate(volumes) if volumes else None,
        symbols=symbols,
        symbol_index=np.concatenate([_index_into(symbols, part) for part in parts]),
        roll_offset=np.concatenate([part.roll_offset for part in parts]),
        first_line=parts[0].first_line,
    )


def _index_into(symbols: tuple[str, ...], part: BarColumns) -> NDArray[np.int64]:
    places = np.array([symbols.index(symbol) for symbol in part.symbols], dtype=np.int64)
    return places[part.symbol_index]
