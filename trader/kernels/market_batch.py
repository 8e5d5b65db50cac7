"""The second caller of `market.step`: whole arrays of bars, for training, measurements and tests.

Bars come as columns: times in minutes since 1970 UTC, `prices` [T, 4] open, high, low, close in whole ticks, `volumes`
[T] contracts, `session_of` [T] the row of `sessions` [S, 6] (open, close, RTH open, RTH close, halt start, halt end in
minutes, 0 for none), `rolls` [T] the roll offset in ticks, 0 but on a new contract's first bar.
Imports numpy and numba only.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from trader.kernels.market import (
    ATR,
    CONTEXT_SIZE,
    CONTEXT_START,
    READING_SIZE,
    ROW_SIZE,
    ROW_START,
    SESSION_OPEN_MIN,
    begin_session,
    is_full,
    roll,
    step,
)


@njit(cache=True, error_model="numpy")
def advance(
    state: NDArray[np.float64],
    obs: NDArray[np.float32],
    reading: NDArray[np.float64],
    t: int,
    ts_open_min: NDArray[np.int64],
    ts_close_min: NDArray[np.int64],
    prices: NDArray[np.float64],
    volumes: NDArray[np.float64],
    has_volume: bool,
    session_of: NDArray[np.int64],
    sessions: NDArray[np.int64],
    rolls: NDArray[np.float64],
    tick: float,
) -> None:
    """Take bar `t` of the columns: its session and its roll first, if they are new."""
    bounds = sessions[session_of[t]]
    if state[SESSION_OPEN_MIN] != bounds[0]:
        begin_session(state, bounds[0], bounds[1], bounds[2], bounds[3], bounds[4], bounds[5])
    if rolls[t] != 0.0:
        roll(state, rolls[t])
    step(
        state, obs, reading, ts_open_min[t], ts_close_min[t],
        prices[t, 0], prices[t, 1], prices[t, 2], prices[t, 3], volumes[t], has_volume, tick,
    )  # fmt: skip


@njit(cache=True, error_model="numpy")
def batch(
    state: NDArray[np.float64],
    obs: NDArray[np.float32],
    ts_open_min: NDArray[np.int64],
    ts_close_min: NDArray[np.int64],
    prices: NDArray[np.float64],
    volumes: NDArray[np.float64],
    has_volume: bool,
    session_of: NDArray[np.int64],
    sessions: NDArray[np.int64],
    rolls: NDArray[np.float64],
    tick: float,
    observations: NDArray[np.float32],
    readings: NDArray[np.float64],
) -> None:
    """Write the observation [T, 261] and the reading [T, 9] of every bar; `state` and `obs` go on where they stand."""
    for t in range(len(ts_open_min)):
        advance(
            state, obs, readings[t], t, ts_open_min, ts_close_min, prices, volumes, has_volume,
            session_of, sessions, rolls, tick,
        )  # fmt: skip
        observations[t] = obs


@njit(cache=True, error_model="numpy")
def batch_rows(
    state: NDArray[np.float64],
    obs: NDArray[np.float32],
    ts_open_min: NDArray[np.int64],
    ts_close_min: NDArray[np.int64],
    prices: NDArray[np.float64],
    volumes: NDArray[np.float64],
    has_volume: bool,
    session_of: NDArray[np.int64],
    sessions: NDArray[np.int64],
    rolls: NDArray[np.float64],
    tick: float,
    rows: NDArray[np.float32],
    atrs: NDArray[np.float64],
    fullness: NDArray[np.uint8],
) -> None:
    """Write per bar what is new: `rows` [T, 39] (the window's newest row, then 228..255), `atrs` [T] in ticks, and
    `fullness` [T]: 0 not full, 1 the base vector is full, 2 the full one too."""
    reading = np.empty(READING_SIZE)
    for t in range(len(ts_open_min)):
        advance(
            state, obs, reading, t, ts_open_min, ts_close_min, prices, volumes, has_volume,
            session_of, sessions, rolls, tick,
        )  # fmt: skip
        for k in range(ROW_SIZE):
            rows[t, k] = obs[ROW_START + k]
        for k in range(CONTEXT_SIZE):
            rows[t, ROW_SIZE + k] = obs[CONTEXT_START + k]
        atrs[t] = state[ATR]
        fullness[t] = int(is_full(state, False)) + int(is_full(state, True))
