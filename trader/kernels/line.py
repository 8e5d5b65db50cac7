"""The numeric part of one closed bar in one call: mark the book, market features, trail, mask, account features.

The engine calls this once a bar; training calls the same parts in its own loop.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from trader.domain.units import MINUTE_NS
from trader.kernels import account_features, book, market

READY = 64
"""Bit of `observe`'s result: every feature in use has its full window."""
TRAILED = 128
"""Bit of `observe`'s result: the trail has moved the stop."""
MARKED = 256
"""Bit of `observe`'s result: marking has changed the book."""
MASK = 63


CLOSE_TICKS = market.READING_SIZE
STOP_DISTANCE = market.READING_SIZE + 1
TARGET_DISTANCE = market.READING_SIZE + 2
"""Places in the reading, after the market's: the close, and the bracket of an entry decided here, all in ticks."""


def new_reading() -> NDArray[np.float64]:
    """Room for the indicators that `observe` leaves in units for people."""
    return np.zeros(market.READING_SIZE + 3)


@njit(cache=True, error_model="numpy")
def observe(
    state: NDArray[np.float64],
    obs: NDArray[np.float32],
    reading: NDArray[np.float64],
    row: NDArray[np.int64],
    terms: NDArray[np.float64],
    ts_open_ns: int,
    ts_close_ns: int,
    open_: float,
    high: float,
    low: float,
    close: float,
    volume: int,
    has_volume: bool,
    full: bool,
    entries_open: bool,
) -> int:
    """Take one closed bar (prices in points); returns the mask with the bits READY and TRAILED.

    `full` says which features must be ready (261 or 228); `entries_open` whether everything but readiness allows an
    entry. Fills of the bar are already in the book.
    """
    scale = terms[book.TICKS_PER_POINT]
    open_ticks = np.rint(open_ * scale)
    high_ticks = np.rint(high * scale)
    low_ticks = np.rint(low * scale)
    close_ticks = np.rint(close * scale)
    market.step(
        state,
        obs,
        reading,
        ts_open_ns // MINUTE_NS,
        ts_close_ns // MINUTE_NS,
        open_ticks,
        high_ticks,
        low_ticks,
        close_ticks,
        float(volume),
        has_volume,
        1.0 / scale,
    )
    ready = market.is_full(state, full)
    stop_distance = book.stop_distance_ticks(terms, state[market.ATR])
    reading[CLOSE_TICKS] = close_ticks
    reading[STOP_DISTANCE] = stop_distance
    reading[TARGET_DISTANCE] = book.target_distance_ticks(terms, stop_distance)
    return account_part(
        obs,
        row,
        terms,
        int(high_ticks),
        int(low_ticks),
        int(close_ticks),
        state[market.ATR],
        ready,
        entries_open,
    )


@njit(cache=True, error_model="numpy")
def account_part(
    obs: NDArray[np.float32],
    row: NDArray[np.int64],
    terms: NDArray[np.float64],
    high: int,
    low: int,
    close: int,
    atr_ticks: float,
    ready: bool,
    entries_open: bool,
) -> int:
    """Everything after the market features: mark, trail, mask, features 220..227 and 256..260."""
    bits = settle(row, terms, high, low, close, atr_ticks, ready and entries_open)
    describe(obs, row, terms, close, atr_ticks, bits & MASK)
    return bits | (READY if ready else 0)


@njit(cache=True, error_model="numpy")
def settle(
    row: NDArray[np.int64],
    terms: NDArray[np.float64],
    high: int,
    low: int,
    close: int,
    atr_ticks: float,
    entries_open: bool,
) -> int:
    """Value the account at a bar's close (ticks) and pull a trailing stop; the mask with TRAILED and MARKED."""
    marked = book.mark(row, terms, high, low, close)
    trailed = book.trail(row, terms, close, atr_ticks)
    mask = book.valid_actions(row, terms, close, atr_ticks, entries_open)
    return mask | (TRAILED if trailed else 0) | (MARKED if marked else 0)


@njit(cache=True, error_model="numpy")
def describe(
    obs: NDArray[np.float32],
    row: NDArray[np.int64],
    terms: NDArray[np.float64],
    close: int,
    atr_ticks: float,
    mask: int,
) -> None:
    """Write features 220..227 and 256..260 of an account that is settled at a bar's close."""
    qty = row[book.QTY]
    unrealized = (qty * close - row[book.COST]) * int(terms[book.TICK_VALUE])
    account_features.write(
        obs,
        1 if qty > 0 else (-1 if qty < 0 else 0),
        row[book.ENTRY],
        row[book.STOP],
        row[book.TARGET],
        row[book.BARS_HELD],
        mask & (book.BUY_BIT | book.SELL_BIT) != 0,
        mask & (book.BE_BIT | book.TRAIL_BIT | book.UNTRAIL_BIT) != 0,
        row[book.TRAILING] != 0,
        close,
        atr_ticks,
        unrealized,
        row[book.RISK],
        row[book.PEAK] - row[book.EQUITY],
        int(terms[book.TRAILING_LIMIT]),
        row[book.STREAK],
        book.win_rate(row),
        row[book.MAE],
        row[book.MFE],
    )
