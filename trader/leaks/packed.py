"""Bars of a check, packed so that no run finds in memory what it is not given; and who is told how far a check is."""

import pickle
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Protocol

import numpy as np
from msgspec import Struct

from trader.adapters.columns import BarColumns, concatenate
from trader.errors import InputError


class Advances(Protocol):
    """Is told of bars that are done."""

    def advance(self, bars: int) -> None: ...


Meter = Callable[[str, int], AbstractContextManager[Advances]]
"""From a label and a number of bars to whoever shows how many of them are done."""


class Packed(Struct, frozen=True, kw_only=True):
    """`count` bars as bytes. `times` and `closes` are each bar's open and close (UTC ns), and its closing price."""

    data: bytes
    count: int
    times: bytes
    closes: bytes

    def at(self, bar: int) -> tuple[int, int, float]:
        """When bar `bar` opened and closed, UTC nanoseconds, and its closing price in points."""
        open_ns, close_ns = np.frombuffer(self.times, dtype=np.int64).reshape(2, -1)[:, bar].tolist()
        return open_ns, close_ns, float(np.frombuffer(self.closes)[bar])

    @property
    def period(self) -> tuple[int, int]:
        """The first bar's open and the last bar's close, UTC nanoseconds."""
        times = np.frombuffer(self.times, dtype=np.int64).reshape(2, -1)
        return int(times[0, 0]), int(times[1, -1])


def pack(parts: Iterable[BarColumns], limit: int) -> Packed:
    """The first `limit` bars of `parts`; InputError where there is none."""
    taken: list[BarColumns] = []
    missing = limit
    for part in parts:
        taken.append(part.rows(0, missing))
        missing -= len(taken[-1])
        if missing <= 0:
            break
    if missing == limit:
        msg = "there is no bar in the range; give other bars, or another --from and --to"
        raise InputError(msg)
    columns = concatenate(taken)
    return Packed(
        data=pickle.dumps(columns, protocol=pickle.HIGHEST_PROTOCOL),
        count=len(columns),
        times=np.stack([columns.ts_open_ns, columns.ts_close_ns]).tobytes(),
        closes=columns.close.tobytes(),
    )
