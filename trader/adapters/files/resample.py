"""Longer bars from shorter ones, anchored at the session's open, cut by halts, closes and contract rolls."""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from trader.adapters.columns import BarColumns, concatenate
from trader.domain.sessions import MINUTE_NS, Calendar
from trader.errors import InputError


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
        bucket, starts, ends = _buckets(columns, minutes, calendar)
        done = int(np.flatnonzero(bucket == bucket[-1])[0])
        rest = columns.rows(done, len(columns))
        if done:
            yield _merge(columns.rows(0, done), bucket[:done], starts[:done], ends[:done])
    if rest is not None:
        yield _merge(rest, *_buckets(rest, minutes, calendar))
