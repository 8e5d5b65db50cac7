"""All drawdowns of a run: each fall below a peak of cumulative P&L until that peak is met again."""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from trader.errors import InvariantError

Floats = NDArray[np.float64]

_DIGITS = 6
"""Of cumulative P&L: sums of cents as dollars come back to the same peak, whatever their last bits are."""


class Drawdown(Struct, frozen=True, kw_only=True):
    """A fall of cumulative P&L below its peak, judged at sessions' ends; the peak before the first is 0.

    `depth` > 0, in the unit of the sessions. `sessions` are counted from the peak to the recovery, or to the last
    session where there is none. `peak` is the last session at the peak (None: the start), `trough` the deepest one,
    `recovered` the first at or above the peak again (None: not yet); all are dates.
    """

    depth: float
    sessions: int
    peak: str | None
    trough: str
    recovered: str | None


def underwater(values: Floats) -> Floats:
    """How far cumulative P&L lies below its peak at each session's end, <= 0, same shape; the peak starts at 0."""
    equity: Floats = np.cumsum(values, axis=-1).round(_DIGITS)
    below: Floats = equity - np.maximum(np.maximum.accumulate(equity, axis=-1), 0.0)
    return below


def deepest_drawdowns(values: Floats, dates: Sequence[str], most: int) -> tuple[Drawdown, ...]:
    """The `most` deepest drawdowns of daily `values`, shape (sessions,), the deepest first, equals in order of time.

    Drawdowns do not overlap: one lasts from the last session at its peak to the first that is at or above it again.
    """
    if values.shape != (len(dates),):
        msg = f"{len(dates)} dates were given for daily values of shape {values.shape}"
        raise InvariantError(msg)
    below = underwater(values)
    is_under = below < 0
    edges = np.flatnonzero(np.diff(np.concatenate(([False], is_under, [False])).astype(np.int8)))
    found = [_drawdown(below, dates, int(start), int(end)) for start, end in zip(edges[::2], edges[1::2], strict=True)]
    return tuple(sorted(found, key=lambda one: -one.depth)[:most])


def _drawdown(below: Floats, dates: Sequence[str], start: int, end: int) -> Drawdown:
    """The sessions `start` to before `end` lie under water, those around them do not."""
    trough = start + int(np.argmin(below[start:end]))
    is_recovered = end < len(dates)
    return Drawdown(
        depth=-float(below[trough]),
        sessions=(end if is_recovered else len(dates) - 1) - (start - 1),
        peak=dates[start - 1] if start else None,
        trough=dates[trough],
        recovered=dates[end] if is_recovered else None,
    )
