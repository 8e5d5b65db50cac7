"""Longer bars from shorter ones, anchored at the session's open, cut by halts, closes and contract rolls."""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from trader.adapters.columns import BarColumns, concatenate
from trader.adapters.files.hours import open_stretches
from trader.domain.sessions import Calendar
from trader.domain.units import MINUTE_NS
from trader.errors import InputError

Times = NDArray[np.int64]


def resample(chunks: Iterable[BarColumns], minutes: int, calendar: Calendar) -> Iterator[BarColumns]:
    """Bars of `minutes` from shorter bars of one file, chunk by chunk; exact, and the same for any chunking.

    A bucket begins `k * minutes` after the session's open, or where a halt ends, and ends after `minutes`, or where a
    halt or the session's close cuts it. A roll inside a bucket ends its bar: a bar is of one contract. Buckets in which
    nothing traded give no bar. InputError where a bar reaches beyond its bucket.
    """
    rest: BarColumns | None = None
    for chunk in chunks:
        columns = chunk if rest is None else concatenate((rest, chunk))
        if not len(columns):
            continue
        starts, ends = _buckets(columns, minutes, calendar)
        done = int(np.searchsorted(starts, starts[-1]))
        rest = columns.rows(done, len(columns))
        if done:
            yield _merged(columns.rows(0, done), starts[:done], ends[:done])
    if rest is not None:
        yield _merged(rest, *_buckets(rest, minutes, calendar))


def _buckets(columns: BarColumns, minutes: int, calendar: Calendar) -> tuple[Times, Times]:
    """Start and end of the bucket of each bar, shape (n,)."""
    period_ns = minutes * MINUTE_NS
    opens = columns.ts_open_ns
    index, first, last = open_stretches(opens, calendar)
    sessions, place = np.unique(index, return_inverse=True)
    anchor = np.array([calendar.session(i).open_ns for i in sessions.tolist()], dtype=np.int64)[place]
    grid = anchor + (opens - anchor) // period_ns * period_ns
    ends = np.minimum(grid + period_ns, last)
    beyond = np.flatnonzero(columns.ts_close_ns > ends)
    if len(beyond):
        moment = np.datetime64(int(opens[beyond[0]]), "ns").astype("datetime64[m]")
        msg = f"the bar of {moment} UTC reaches beyond a bar of {minutes} minutes; resample to a multiple of the period"
        raise InputError(msg)
    return np.maximum(grid, first), ends


def _merged(columns: BarColumns, starts: Times, ends: Times) -> BarColumns:
    """One bar for each stretch of equal start and contract; a second contract in a bucket begins at its first bar."""
    is_new_bucket = np.append(True, np.diff(starts) != 0)
    is_new = is_new_bucket | np.append(True, np.diff(columns.symbol_index) != 0)
    at = np.flatnonzero(is_new)
    opens = np.where(is_new_bucket, starts, columns.ts_open_ns)[at]
    return BarColumns(
        ts_open_ns=opens,
        ts_close_ns=np.minimum(ends[at], np.append(opens[1:], np.iinfo(np.int64).max)),
        open=columns.open[at],
        high=np.maximum.reduceat(columns.high, at),
        low=np.minimum.reduceat(columns.low, at),
        close=columns.close[np.append(at[1:], len(columns)) - 1],
        volume=None if columns.volume is None else np.add.reduceat(columns.volume, at),
        symbols=columns.symbols,
        symbol_index=columns.symbol_index[at],
        roll_offset=np.add.reduceat(columns.roll_offset, at),
    )
