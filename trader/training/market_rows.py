"""Bars in columns to the market half of their observations: 39 numbers a bar, by the engine's own kernel.

A bar's window is the newest 20 of their first 11 numbers. May import the kernels, the domain and
the adapters' columns.
"""

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from trader.adapters.columns import BarColumns
from trader.domain.instruments import Instrument
from trader.domain.sessions import Calendar
from trader.domain.units import MINUTE_NS
from trader.errors import InputError
from trader.kernels import market, market_batch


class MarketBars(Struct, frozen=True, kw_only=True):
    """T bars as the kernel takes them: minutes since 1970 UTC, `prices` [T, 4] and `rolls` [T] in whole ticks.

    `session_of` [T] are rows of `sessions` [S, 6]: open, close, RTH open and close, halt start and end in minutes.
    """

    ts_open_min: NDArray[np.int64]
    ts_close_min: NDArray[np.int64]
    prices: NDArray[np.float64]
    volumes: NDArray[np.float64]
    has_volume: bool
    session_of: NDArray[np.int64]
    sessions: NDArray[np.int64]
    rolls: NDArray[np.float64]
    tick: float

    def __len__(self) -> int:
        return len(self.ts_open_min)

    def part(self, start: int, stop: int) -> "MarketBars":
        """The bars [start, stop) as a history of their own, as views on the same memory."""
        cut = slice(start, stop)
        return MarketBars(
            ts_open_min=self.ts_open_min[cut],
            ts_close_min=self.ts_close_min[cut],
            prices=self.prices[cut],
            volumes=self.volumes[cut],
            has_volume=self.has_volume,
            session_of=self.session_of[cut],
            sessions=self.sessions,
            rolls=self.rolls[cut],
            tick=self.tick,
        )


class MarketRows(Struct, frozen=True, kw_only=True):
    """What T bars give: `rows` [T, 39] float32, the window's newest row and then features 228..255.

    `atrs` [T] is in ticks; `fullness` [T] is 0, 1 where the base vector is full, 2 where the full one is.
    """

    rows: NDArray[np.float32]
    atrs: NDArray[np.float64]
    fullness: NDArray[np.uint8]


def market_bars(bars: BarColumns, instrument: Instrument, calendar: Calendar) -> MarketBars:
    """The columns of a reader or of the synthetic market for the kernel; InputError on a bar outside every session."""
    ticks = instrument.ticks_per_point
    session_of, sessions = session_table(bars.ts_open_ns, calendar)
    prices = np.stack([bars.open, bars.high, bars.low, bars.close], axis=1)
    volume = np.zeros(len(bars)) if bars.volume is None else bars.volume.astype(np.float64)
    return MarketBars(
        ts_open_min=bars.ts_open_ns // MINUTE_NS,
        ts_close_min=bars.ts_close_ns // MINUTE_NS,
        prices=np.rint(prices * ticks),
        volumes=volume,
        has_volume=bars.volume is not None,
        session_of=session_of,
        sessions=sessions,
        rolls=np.rint(bars.roll_offset * ticks),
        tick=instrument.tick,
    )


def session_table(ts_open_ns: NDArray[np.int64], calendar: Calendar) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Session of each opening time: rows [T] of a table [S, 6] of bounds in minutes, 0 for no RTH or no halt."""
    used, session_of = sessions_used(ts_open_ns, calendar)
    table = [_bounds_ns(calendar, int(index)) for index in used]
    return session_of, np.array(table, dtype=np.int64).reshape(-1, 6) // MINUTE_NS


def sessions_used(ts_open_ns: NDArray[np.int64], calendar: Calendar) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The sessions [S] that bars open in, by their index of the calendar, and the place [T] of each bar among them.

    InputError where a bar opens outside every session.
    """
    indices = calendar.session_index(ts_open_ns)
    outside = np.flatnonzero(indices < 0)
    if len(outside):
        msg = f"bar {outside[0]} of {len(indices)} opens outside every session; skip such bars where they are read"
        raise InputError(msg)
    used, session_of = np.unique(indices, return_inverse=True)
    return used, session_of.astype(np.int64)


def _bounds_ns(calendar: Calendar, index: int) -> tuple[int, ...]:
    session = calendar.session(index)
    halt = session.halts[0] if session.halts else (0, 0)
    return session.open_ns, session.close_ns, session.rth_open_ns, session.rth_close_ns, *halt


def market_rows(bars: MarketBars) -> MarketRows:
    """Run the kernel over `bars` from an empty history."""
    out = MarketRows(
        rows=np.empty((len(bars), market.MARKET_SIZE), dtype=np.float32),
        atrs=np.empty(len(bars)),
        fullness=np.empty(len(bars), dtype=np.uint8),
    )
    market_batch.batch_rows(
        market.new_state(),
        market.new_obs(),
        bars.ts_open_min,
        bars.ts_close_min,
        bars.prices,
        bars.volumes,
        bars.has_volume,
        bars.session_of,
        bars.sessions,
        bars.rolls,
        bars.tick,
        out.rows,
        out.atrs,
        out.fullness,
    )
    return out
