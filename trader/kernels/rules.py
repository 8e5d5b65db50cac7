"""The risk review's rules on numbers: which are in force, and which actions they block. Rules of spec decision.md.

The engine's `trader.risk` and the training environment call these same functions. A row of int64 remembers what the
rules need besides the account; a row of float64 holds the limits (whole numbers but for the two shares). Bits are in
the order of `trader.domain.decisions.Rule`; times are nanoseconds since 1970 UTC.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Memory = NDArray[np.int64]
Limits = NDArray[np.float64]

(
    CONSECUTIVE_LOSSES,
    LOW_WIN_RATE,
    DRAWDOWN_PROXIMITY,
    TRAILING_BREACH,
    DAILY_LOSS,
    COST_SHARE,
    INVALID_NOW,
    MAX_TRADES,
    COOLDOWN,
    SESSION_WINDOW,
    STALE_DATA,
    NOT_RECONCILED,
    KILL_SWITCH,
) = (1 << i for i in range(13))
EVERY_RULE = (1 << 13) - 1
EVERY_ACTION = 63
OPTIONAL = CONSECUTIVE_LOSSES | LOW_WIN_RATE | DRAWDOWN_PROXIMITY
"""What `enable_risk_veto: false` turns off."""
EXHAUSTED = DRAWDOWN_PROXIMITY | TRAILING_BREACH
"""What does not end by itself: the account is exhausted."""

(
    STREAK,  # losses in a row since the counter was last cleared
    STREAK_FIRED_NS,  # when the rule fired, NEVER_NS if it has not
    WIN_RATE_FIRED_NS,
    SESSION_OPEN_NS,
    PROXIMITY,  # ARMED, FIRED or WAIVED
    LATCHED,  # bits that stay until the session or the account ends
    RESULTS,  # closed trades in the window, at most its size
    NEWEST,  # place of the newest result in the window
) = range(8)
WINDOW = 8  # the results themselves: 1 win, -1 loss, 0 neither
NEVER_NS = (1 << 63) - 1
ARMED, FIRED, WAIVED = 0, 1, 2

(
    MAX_LOSSES,
    MIN_WIN_RATE,
    WIN_RATE_WINDOW,
    BUFFER,  # cents between equity and threshold under which entries end
    DAILY_LIMIT,  # cents
    RESET_NS,
    MIN_STOP,  # ticks: the smallest stop whose costs are no more than the allowed share
    SESSION_TRADES_MAX,
    COOLDOWN_NS,
    IN_USE,  # bits of the rules that count
    FLATTENING,  # bits of the rules that close a position
    BLOCKING,  # six places: the bits that block each action
) = range(12)
LIMITS_SIZE = BLOCKING + 6


@njit(cache=True)
def forget(memory: Memory) -> None:
    """Begin with nothing seen."""
    memory[:] = 0
    memory[STREAK_FIRED_NS] = NEVER_NS
    memory[WIN_RATE_FIRED_NS] = NEVER_NS


@njit(cache=True)
def bits(memory: Memory) -> int:
    """The rules in force out of those that remember: streak, win rate, nearness, breach, daily loss."""
    found = memory[LATCHED]
    if memory[STREAK_FIRED_NS] != NEVER_NS:
        found |= CONSECUTIVE_LOSSES
    if memory[WIN_RATE_FIRED_NS] != NEVER_NS:
        found |= LOW_WIN_RATE
    if memory[PROXIMITY] == FIRED:
        found |= DRAWDOWN_PROXIMITY
    return found


@njit(cache=True)
def next_reset_ns(memory: Memory, limits: Limits) -> int:
    """When a rule that has fired ends by the clock, NEVER_NS if none has."""
    first = min(memory[STREAK_FIRED_NS], memory[WIN_RATE_FIRED_NS])
    return NEVER_NS if first == NEVER_NS else first + int(limits[RESET_NS])


@njit(cache=True)
def observe(
    memory: Memory, limits: Limits, equity: int, threshold: int, session_open: int, breached: bool, ts_ns: int
) -> int:
    """Take the account at `ts_ns`, money in cents, after its fills are booked; returns `bits`."""
    clear_fired(memory, ts_ns - int(limits[RESET_NS]))
    near = equity - threshold < limits[BUFFER]
    if memory[PROXIMITY] == ARMED and near:
        memory[PROXIMITY] = FIRED
    elif memory[PROXIMITY] == WAIVED and not near:
        memory[PROXIMITY] = ARMED
    if equity - session_open <= -int(limits[DAILY_LIMIT]):
        memory[LATCHED] |= DAILY_LOSS
    if breached:
        memory[LATCHED] |= TRAILING_BREACH
    return bits(memory)


@njit(cache=True)
def trade_closed(memory: Memory, limits: Limits, pnl: int, ts_ns: int) -> None:
    """A round trip has ended with this result in cents net of costs. Exactly 0 is neither win nor loss."""
    outcome = int(pnl > 0) - int(pnl < 0)
    size = int(limits[WIN_RATE_WINDOW])
    memory[NEWEST] = (memory[NEWEST] + 1) % size
    memory[WINDOW + memory[NEWEST]] = outcome
    memory[RESULTS] = min(memory[RESULTS] + 1, size)
    if outcome != 0:
        memory[STREAK] = memory[STREAK] + 1 if outcome < 0 else 0
    if memory[STREAK] < limits[MAX_LOSSES]:
        memory[STREAK_FIRED_NS] = NEVER_NS
    elif memory[STREAK_FIRED_NS] == NEVER_NS:
        memory[STREAK_FIRED_NS] = ts_ns
    if win_rate(memory, limits) >= limits[MIN_WIN_RATE]:
        memory[WIN_RATE_FIRED_NS] = NEVER_NS
    elif memory[WIN_RATE_FIRED_NS] == NEVER_NS:
        memory[WIN_RATE_FIRED_NS] = ts_ns
    # A forced close is booked when the next session's first bar shows it, after that session's open.
    clear_fired(memory, memory[SESSION_OPEN_NS] - 1)


@njit(cache=True)
def win_rate(memory: Memory, limits: Limits) -> float:
    """Of the trades in the window that were won or lost; 1 while the window is not full."""
    size = int(limits[WIN_RATE_WINDOW])
    wins = 0
    losses = 0
    for i in range(size):
        wins += memory[WINDOW + i] == 1
        losses += memory[WINDOW + i] == -1
    if memory[RESULTS] < size or wins + losses == 0:
        return 1.0
    return wins / (wins + losses)


@njit(cache=True)
def forget_results(memory: Memory) -> None:
    """Empty the win-rate window."""
    memory[RESULTS] = 0
    memory[WINDOW:] = 0


@njit(cache=True)
def clear_fired(memory: Memory, until_ns: int) -> None:
    """Clear the counters of the rules that fired at or before `until_ns`."""
    if memory[STREAK_FIRED_NS] <= until_ns:
        memory[STREAK] = 0
        memory[STREAK_FIRED_NS] = NEVER_NS
    if memory[WIN_RATE_FIRED_NS] <= until_ns:
        forget_results(memory)
        memory[WIN_RATE_FIRED_NS] = NEVER_NS


@njit(cache=True)
def session_opened(memory: Memory, ts_ns: int) -> None:
    """A session begins: what fired before it ends."""
    memory[SESSION_OPEN_NS] = ts_ns
    memory[LATCHED] &= ~DAILY_LOSS
    clear_fired(memory, ts_ns - 1)


@njit(cache=True)
def account_renewed(memory: Memory) -> None:
    """A new account begins at its start balance; streak and win rate run on."""
    memory[PROXIMITY] = ARMED
    memory[LATCHED] = 0


@njit(cache=True)
def of_the_moment(limits: Limits, session_trades: int, since_stop_ns: int, stop_distance: int) -> int:
    """The rules that follow from an entry's stop distance in ticks, the session's entries and the time since a stop."""
    found = 0
    if stop_distance < limits[MIN_STOP]:
        found |= COST_SHARE
    if session_trades >= limits[SESSION_TRADES_MAX]:
        found |= MAX_TRADES
    if since_stop_ns < limits[COOLDOWN_NS]:
        found |= COOLDOWN
    return found


@njit(cache=True)
def vetoes(limits: Limits, active: int, action: int) -> int:
    """Those of the rules `active` that block `action`."""
    return active & int(limits[BLOCKING + action])


@njit(cache=True)
def allowed(limits: Limits, active: int) -> int:
    """The actions that no rule of `active` blocks, bit i for action i."""
    mask = 0
    if active == 0:
        return EVERY_ACTION
    for action in range(6):
        if vetoes(limits, active, action) == 0:
            mask |= 1 << action
    return mask
