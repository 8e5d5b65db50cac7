"""Other futures for the same past: bars up to a cut stay as they are, everything after it becomes something else.

Only NumPy and the records of bars: no file, no process.
"""

from enum import StrEnum

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from trader.adapters.columns import BarColumns

Prices = NDArray[np.float64]
LATER_CONTRACT = "LATER"
SCALE = 1.05
HOLES_SHARE = 0.4
ROLL_SHARE = 0.01
"""The offset of a contract that was not there, as a share of the price at the cut."""


class Future(StrEnum):
    """What takes the place of the bars after a cut; a bar's volume is altered too wherever its prices are."""

    MIRROR = "mirror image"
    WALK = "random walk"
    END = "end of the data"
    SHUFFLE = "same bars in another order"
    HOLES = "missing bars"
    ROLL = "roll to another contract"
    SCALE = "prices 5 % higher"


class Change(Struct, frozen=True, kw_only=True):
    """Bars after row `cut` have another future; bars up to and including it are untouched. `seed` draws it."""

    cut: int
    future: Future
    seed: int


class Later(Struct, frozen=True, kw_only=True):
    """The altered rows after a cut: `prices` [n, 4] open, high, low, close, `volume` [n] or None, and which `kept`."""

    prices: Prices
    volume: NDArray[np.int64] | None
    kept: NDArray[np.bool_]


def later(prices: Prices, volume: NDArray[np.int64] | None, anchor: float, tick: float, change: Change) -> Later:
    """Another future for `prices` [n, 4] and `volume` [n] that follow a close of `anchor`, all on the grid of `tick`.

    A bar stays a bar: its high and low hold open and close, and no price is below a tick.
    """
    rng = np.random.default_rng([change.seed, change.cut])
    count = len(prices)
    kept = np.ones(count, dtype=np.bool_)
    match change.future:
        case Future.MIRROR:
            prices = (anchor * anchor / prices)[:, [0, 2, 1, 3]]
        case Future.WALK:
            prices = _walk(prices, anchor, rng)
        case Future.SHUFFLE:
            prices = prices[rng.permutation(count)]
        case Future.SCALE:
            prices = prices * SCALE
        case Future.ROLL:
            prices = prices + anchor * ROLL_SHARE
        case Future.HOLES:
            kept = rng.random(count) >= HOLES_SHARE
            kept[:1] = False
        case Future.END:
            kept[:] = False
    grid = np.maximum(np.rint(prices / tick), 1.0) * tick
    return Later(prices=grid, volume=None if volume is None else _volumes(volume, rng), kept=kept)


def changed(columns: BarColumns, tick: float, change: Change) -> BarColumns:
    """`columns` with another future after row `change.cut`."""
    after = change.cut + 1
    prices = np.stack([columns.open, columns.high, columns.low, columns.close], axis=1)
    volume = None if columns.volume is None else columns.volume[after:]
    other = later(prices[after:], volume, float(columns.close[change.cut]), tick, change)
    prices[after:] = other.prices
    volume = None if columns.volume is None else np.concatenate([columns.volume[:after], _given(other.volume)])
    made = replace(columns, open=prices[:, 0], high=prices[:, 1], low=prices[:, 2], close=prices[:, 3], volume=volume)
    if change.future is Future.ROLL:
        made = _rolled(made, after, float(np.rint(columns.close[change.cut] * ROLL_SHARE / tick)) * tick)
    kept = np.concatenate([np.ones(after, dtype=np.bool_), other.kept])
    return made if kept.all() else _take(made, kept)


def _walk(prices: Prices, anchor: float, rng: np.random.Generator) -> Prices:
    """A walk in logarithms whose steps are as large as those of the bars that it replaces."""
    returns = np.diff(np.log(np.concatenate([[anchor], prices[:, 3]])))
    spread = float(np.sqrt(np.mean(returns**2))) if len(returns) else 0.0
    close = anchor * np.exp(np.cumsum(rng.normal(0.0, max(spread, 1e-4), len(prices))))
    open_ = np.concatenate([[anchor], close[:-1]])
    reach = np.abs(rng.normal(0.0, max(spread, 1e-4), (2, len(prices))))
    high = np.maximum(open_, close) * (1 + reach[0])
    low = np.minimum(open_, close) * (1 - np.minimum(reach[1], 0.5))
    return np.stack([open_, high, low, close], axis=1)


def _volumes(volume: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """The same volumes in another order, one more each: none stays in its place by accident."""
    return rng.permutation(volume) + 1


def _rolled(columns: BarColumns, after: int, offset: float) -> BarColumns:
    """Another contract from row `after` on, `offset` points above; rolls that came later are gone."""
    index = columns.symbol_index.copy()
    index[after:] = len(columns.symbols)
    offsets = columns.roll_offset.copy()
    offsets[after:] = 0.0
    offsets[after : after + 1] = offset
    return replace(columns, symbols=(*columns.symbols, LATER_CONTRACT), symbol_index=index, roll_offset=offsets)


def _take(columns: BarColumns, kept: NDArray[np.bool_]) -> BarColumns:
    return replace(
        columns,
        ts_open_ns=columns.ts_open_ns[kept],
        ts_close_ns=columns.ts_close_ns[kept],
        open=columns.open[kept],
        high=columns.high[kept],
        low=columns.low[kept],
        close=columns.close[kept],
        volume=None if columns.volume is None else columns.volume[kept],
        symbol_index=columns.symbol_index[kept],
        roll_offset=columns.roll_offset[kept],
    )


def _given(volume: NDArray[np.int64] | None) -> NDArray[np.int64]:
    return np.empty(0, dtype=np.int64) if volume is None else volume
