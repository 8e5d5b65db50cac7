"""The rows of the training kernels: of a bar, of what an account is about to do, of a round trip. Places and bits."""

import numpy as np
from numpy.typing import NDArray

(
    OPEN,  # prices in ticks
    HIGH,
    LOW,
    CLOSE,
    FLAGS,
    OPENS_NS,
    CLOSES_NS,
    SESSION_NS,  # when the bar's session opened
) = range(8)
BAR_SIZE = 8

(
    ENTRIES_OPEN,  # features ready and inside the entry window at the bar's close
    IN_WINDOW,  # inside the entry window at the bar's close
    ENTRIES_OVER,  # the entry window has ended at the bar's close
    LATE,  # an entry cannot be filled at this bar's open: a halt lies before it, or the window has ended
    DUE_AT_OPEN,  # the bar opens at or after the time to be flat
    DUE_AT_CLOSE,
    ROLLED,  # first bar of another contract
    FIRST,  # first bar of its session
    LAST,  # last bar of its session
) = (1 << i for i in range(9))

HOLD, BUY, SELL, MOVE_TO_BE, ENABLE_TRAIL, DISABLE_TRAIL = range(6)

(
    STOP,
    TARGET,
    BREAK_EVEN,
    TRAIL,
    ENTRY_BEYOND_STOP,
    FLAT_AT,
    FORCED_CLOSE,
    ROLL,
    TRAILING_BREACH,
    DAILY_LOSS,
) = range(1, 11)
"""Why a trade ended; 0 is no reason."""

(
    AT,  # the bar at whose close the account stands
    ENTRY_SIDE,  # of an entry that was sent at this bar's close, 0 none
    STOP_DISTANCE,
    TARGET_DISTANCE,
    CLOSING,  # why the position is being closed at the next open, 0 if it is not
    STOP_REASON,  # what a stop that is hit now means
    OPENED_AT,  # the bar of the entry's fill
    TRADE_RISK,  # cents, of the open trade, or of the last
    ACCOUNTS,  # accounts begun
    ACTIVE,  # the rules in force at that close
    MASK,  # the valid actions there
    TRADES,  # round trips that have ended
) = range(12)
PLAN_SIZE = 12

Bars = NDArray[np.int64]
Plan = NDArray[np.int64]

(
    OPENED_BAR,
    CLOSED_BAR,
    SIDE,
    ENTRY_TICKS,
    EXIT_TICKS,
    PNL_CENTS,
    OPTIMISTIC_PNL_CENTS,
    RISK_CENTS,
    MAE_TICKS,
    MFE_TICKS,
    REASON,
    CLOSED_NS,
) = range(12)
TRADE_SIZE = 12
