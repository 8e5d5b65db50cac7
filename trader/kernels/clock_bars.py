"""The 15- and 60-minute bars of the higher time frames: built from closed bars inside a block of the state array.

Buckets are anchored at the session's open and end at the grid, at a halt, or with the session. A bar belongs whole to
the bucket of its open; a bucket is closed by the bar that reaches its end, or else by the first later bar. The bucket
in which the history begins is left out unless it was seen from its start. Prices are ticks relative to the state's
base, so that a contract roll moves nothing here. Imports numpy and numba only.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from trader.kernels.indicators import wilder

# Offsets inside a block.
OPEN = 0  # 1 while a bucket is being built
WHOLE = 1  # 1 unless the history began inside it
END_MIN = 2
HIGH = 3
LOW = 4
LAST = 5  # close of the newest bar in the bucket
CLOSED = 6  # buckets closed so far
CLOSE = 7  # close of the last closed bucket
CLOSE_BEFORE = 8  # close of the one before
GAIN = 9
LOSS = 10
TRUE_RANGE = 11
SIZE = 12

PERIOD = 14


@njit(cache=True, error_model="numpy")
def bucket_start(t_min: int, period_min: int, open_min: int, halt_end_min: int) -> int:
    """Start of the bucket that holds minute `t_min`; a halt's end inside the grid's bucket starts a new one."""
    start = open_min + (t_min - open_min) // period_min * period_min
    return halt_end_min if start < halt_end_min <= t_min else start


@njit(cache=True, error_model="numpy")
def bucket_end(t_min: int, period_min: int, open_min: int, close_min: int, halt_start_min: int) -> int:
    """End of the bucket that holds minute `t_min`: the grid's, cut by a halt and by the session's close."""
    end = open_min + ((t_min - open_min) // period_min + 1) * period_min
    if t_min < halt_start_min < end:
        end = halt_start_min
    if t_min < close_min < end:
        end = close_min
    return end


@njit(cache=True, error_model="numpy")
def close_bucket(state: NDArray[np.float64], block: int) -> None:
    """Turn the bucket being built into a closed bar and update its averages."""
    state[block + OPEN] = 0.0
    if state[block + WHOLE] == 0.0:
        return
    close = state[block + LAST]
    before = state[block + CLOSE]
    changes = int(state[block + CLOSED])
    state[block + CLOSED] = changes + 1
    state[block + CLOSE] = close
    if changes == 0:
        state[block + CLOSE_BEFORE] = close
        state[block + TRUE_RANGE] = state[block + HIGH] - state[block + LOW]
        return
    state[block + CLOSE_BEFORE] = before
    change = close - before
    state[block + GAIN] = wilder(state[block + GAIN], max(change, 0.0), changes, PERIOD)
    state[block + LOSS] = wilder(state[block + LOSS], max(-change, 0.0), changes, PERIOD)
    true_range = max(state[block + HIGH], before) - min(state[block + LOW], before)
    state[block + TRUE_RANGE] = wilder(state[block + TRUE_RANGE], true_range, changes, PERIOD)


@njit(cache=True, error_model="numpy")
def add_bar(
    state: NDArray[np.float64],
    block: int,
    period_min: int,
    ts_open_min: int,
    ts_close_min: int,
    high: float,
    low: float,
    close: float,
    first_of_history: bool,
    first_of_session: bool,
    open_min: int,
    close_min: int,
    halt_start_min: int,
    halt_end_min: int,
) -> None:
    """Take one closed bar; closes the bucket before it, its own, both or none."""
    if state[block + OPEN] != 0.0 and (first_of_session or ts_open_min >= state[block + END_MIN]):
        close_bucket(state, block)
    if state[block + OPEN] == 0.0:
        state[block + OPEN] = 1.0
        starts = bucket_start(ts_open_min, period_min, open_min, halt_end_min) == ts_open_min
        state[block + WHOLE] = 1.0 if starts or not first_of_history else 0.0
        state[block + END_MIN] = bucket_end(ts_open_min, period_min, open_min, close_min, halt_start_min)
        state[block + HIGH] = high
        state[block + LOW] = low
    else:
        state[block + HIGH] = max(state[block + HIGH], high)
        state[block + LOW] = min(state[block + LOW], low)
    state[block + LAST] = close
    if ts_close_min >= state[block + END_MIN]:
        close_bucket(state, block)
