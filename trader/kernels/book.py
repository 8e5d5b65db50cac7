"""The account and its one position as a row of int64: money in cents, prices in ticks. Rules of spec decision.md.

Engine, paper broker and training all keep this row; nothing else in the program computes P&L. The terms of trade
(tick value, costs, limits, distances) are a row of float64 that holds whole numbers except for the three multiples.
"""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

Row = NDArray[np.int64]
Terms = NDArray[np.float64]

(
    QTY,  # signed position
    COST,  # sum of qty x price in ticks of what is open, signed
    ENTRY,  # average entry in ticks, rounded
    STOP,
    TARGET,
    TRAILING,
    WORKING,  # an entry or a closing order is on its way
    BARS_HELD,
    RISK,  # cents between entry and first stop
    MAE,  # worst excursion of the open trade in ticks, >= 0
    MFE,
    CASH,  # cents: start balance, fills at full price, commissions
    CASH_BEFORE,  # cents before the open trade's first fill
    EQUITY,
    PEAK,
    THRESHOLD,
    SESSION_OPEN,
    ADVERSE,  # equity at the bar's adverse extreme
    BREACHED,  # that extreme was at or below the threshold from before the bar
    TRADES,
    SESSION_TRADES,
    STREAK,  # losses in a row
    WINS,  # of the last ten closed trades
    LOSSES,
    LAST_STOP_MIN,  # minutes since 1970 of the last stop exit
    REALIZED,  # cents, over all accounts used
) = range(26)
OUTCOMES = 26  # ten results, newest at TRADES % 10: 1 win, -1 loss, 0 neither
WINDOW_TRADES = 10
SIZE = OUTCOMES + WINDOW_TRADES

(
    TICK_VALUE,
    TICKS_PER_POINT,
    COMMISSION,
    SLIPPAGE,
    FORCED_SLIPPAGE,
    TARGET_THROUGH,
    MIN_STOP,
    MIN_GAP,
    BREAK_EVEN,
    START_BALANCE,
    TRAILING_LIMIT,
    TRAILING_KIND,
    FREEZE_AT,  # cents, 0 never
    STOP_ATR,
    TARGET_MULTIPLE,
    TRAIL_ATR,
) = range(16)
TERMS_SIZE = 16
INTRADAY, END_OF_DAY, STATIC = 0, 1, 2

HOLD_BIT, BUY_BIT, SELL_BIT, BE_BIT, TRAIL_BIT, UNTRAIL_BIT = 1, 2, 4, 8, 16, 32


@njit(cache=True)
def break_even_ticks(commission: int, slippage: int, tick_value: int) -> int:
    """Ticks beyond the entry that pay both commissions and the exit's slippage, rounded up."""
    cost = 2 * commission + slippage * tick_value
    return -(-cost // tick_value)


@njit(cache=True)
def new_account(book: Row, terms: Terms) -> None:
    """Begin at start balance; trade statistics run on, the position must be flat."""
    start = int(terms[START_BALANCE])
    book[CASH] = start
    book[EQUITY] = start
    book[PEAK] = start
    book[ADVERSE] = start
    book[SESSION_OPEN] = start
    book[THRESHOLD] = start - int(terms[TRAILING_LIMIT])
    book[BREACHED] = 0


@njit(cache=True)
def begin_session(book: Row, terms: Terms) -> None:
    """Restart what is counted by session; an end-of-day threshold follows the equity of the session that ended."""
    equity = book[EQUITY]
    if int(terms[TRAILING_KIND]) == END_OF_DAY:
        _raise_threshold(book, terms, equity)
    book[SESSION_OPEN] = equity
    book[SESSION_TRADES] = 0


@njit(cache=True)
def _raise_threshold(book: Row, terms: Terms, equity: int) -> None:
    level = equity - int(terms[TRAILING_LIMIT])
    freeze = int(terms[FREEZE_AT])
    if freeze > 0 and level > freeze:
        level = freeze
    book[THRESHOLD] = max(book[THRESHOLD], level)


@njit(cache=True)
def apply_fill(book: Row, terms: Terms, side: int, qty: int, price: int, commission: int) -> int:
    """Book one execution; returns the trade's net P&L in cents when it ends the position, else 0.

    P&L of a trade is the change of cash from before its first fill to after its last: exact in integers, with partial
    fills too. The caller tells an ended trade by QTY == 0.
    """
    before = book[QTY]
    value = int(terms[TICK_VALUE])
    if before == 0:
        book[CASH_BEFORE] = book[CASH]
        book[BARS_HELD] = 0
        book[MAE] = 0
        book[MFE] = 0
        book[TRAILING] = 0
        book[COST] = 0
        book[RISK] = 0
        book[SESSION_TRADES] += 1
    after = before + side * qty
    book[CASH] -= side * qty * price * value + commission
    if before == 0 or (before > 0) == (side > 0):
        book[COST] += side * qty * price
    else:
        book[COST] = book[COST] * after // before
    book[QTY] = after
    if after != 0:
        book[ENTRY] = int(np.rint(book[COST] / after))
        return 0
    return _close_trade(book)


@njit(cache=True)
def _close_trade(book: Row) -> int:
    pnl = book[CASH] - book[CASH_BEFORE]
    book[COST] = 0
    book[ENTRY] = 0
    book[STOP] = 0
    book[TARGET] = 0
    book[TRAILING] = 0
    book[WORKING] = 0
    book[RISK] = 0
    book[BARS_HELD] = 0
    book[MAE] = 0
    book[MFE] = 0
    book[REALIZED] += pnl
    book[EQUITY] = book[CASH]
    slot = OUTCOMES + book[TRADES] % WINDOW_TRADES
    book[TRADES] += 1
    book[slot] = 1 if pnl > 0 else (-1 if pnl < 0 else 0)
    book[STREAK] = 0 if pnl > 0 else (book[STREAK] + 1 if pnl < 0 else book[STREAK])
    wins = 0
    losses = 0
    for i in range(WINDOW_TRADES):
        wins += book[OUTCOMES + i] == 1
        losses += book[OUTCOMES + i] == -1
    book[WINS] = wins
    book[LOSSES] = losses
    return pnl


@njit(cache=True)
def set_bracket(book: Row, terms: Terms, stop_distance: int, target_distance: int) -> None:
    """Anchor stop and target at the average fill, and state the initial risk."""
    side = 1 if book[QTY] > 0 else -1
    book[STOP] = book[ENTRY] - side * stop_distance
    book[TARGET] = book[ENTRY] + side * target_distance
    book[RISK] = stop_distance * int(terms[TICK_VALUE]) * abs(book[QTY])


@njit(cache=True)
def win_rate(book: Row) -> float:
    """Wins among the last ten closed trades that were won or lost; 0.5 with none."""
    decided = book[WINS] + book[LOSSES]
    return book[WINS] / decided if decided > 0 else 0.5


@njit(cache=True)
def mark(book: Row, terms: Terms, high: int, low: int, close: int) -> bool:
    """Value the account at a bar's close, its adverse extreme tested before its favourable one raises the peak.

    A bar that ended the position is valued at its exit price alone: cash. Says whether anything may have changed.
    """
    qty = book[QTY]
    cash = book[CASH]
    if qty == 0 and book[EQUITY] == cash == book[ADVERSE] and book[THRESHOLD] < cash <= book[PEAK]:
        changed = book[BREACHED] != 0
        book[BREACHED] = 0
        return changed
    adverse = cash
    favourable = cash
    equity = cash
    if qty != 0:
        value = qty * int(terms[TICK_VALUE])
        equity = cash + value * close
        adverse = cash + value * (low if qty > 0 else high)
        favourable = cash + value * (high if qty > 0 else low)
        side = 1 if qty > 0 else -1
        entry = book[ENTRY]
        book[MAE] = max(book[MAE], side * (entry - (low if qty > 0 else high)))
        book[MFE] = max(book[MFE], side * ((high if qty > 0 else low) - entry))
        book[BARS_HELD] += 1
    book[EQUITY] = equity
    book[ADVERSE] = adverse
    book[BREACHED] = adverse <= book[THRESHOLD]
    book[PEAK] = max(book[PEAK], favourable)
    if int(terms[TRAILING_KIND]) == INTRADAY:
        _raise_threshold(book, terms, book[PEAK])
    return True


@njit(cache=True)
def stop_distance_ticks(terms: Terms, atr_ticks: float) -> int:
    """ceil(max(STOP_ATR x ATR, MIN_STOP)) in ticks."""
    return math.ceil(max(terms[STOP_ATR] * atr_ticks, terms[MIN_STOP]))


@njit(cache=True)
def target_distance_ticks(terms: Terms, stop_distance: int) -> int:
    """TARGET_MULTIPLE times the stop distance, in whole ticks."""
    return int(np.rint(terms[TARGET_MULTIPLE] * stop_distance))


@njit(cache=True)
def trail_level(terms: Terms, side: int, close: int, atr_ticks: float) -> int:
    """TRAIL_ATR x ATR behind the close, rounded away from the market."""
    return side * math.floor(side * close - terms[TRAIL_ATR] * atr_ticks)


@njit(cache=True)
def break_even_level(book: Row, terms: Terms) -> int:
    """The stop price that closes the open position without a loss after costs.

    Of the exact average entry: several fills can average between two ticks, and ENTRY is the nearest.
    """
    if book[QTY] > 0:
        return -(-book[COST] // book[QTY]) + int(terms[BREAK_EVEN])
    return book[COST] // book[QTY] - int(terms[BREAK_EVEN])


@njit(cache=True)
def tighten(book: Row, level: int) -> bool:
    """Move the stop to `level` if that is tighter; says whether it moved."""
    side = 1 if book[QTY] > 0 else -1
    if side * level <= side * book[STOP]:
        return False
    book[STOP] = level
    return True


@njit(cache=True)
def trail(book: Row, terms: Terms, close: int, atr_ticks: float) -> bool:
    """After a closed bar, pull a trailing stop up; says whether it moved."""
    if book[QTY] == 0 or book[TRAILING] == 0 or book[WORKING] != 0:
        return False
    side = 1 if book[QTY] > 0 else -1
    return tighten(book, trail_level(terms, side, close, atr_ticks))


@njit(cache=True)
def valid_actions(book: Row, terms: Terms, close: int, atr_ticks: float, entries_open: bool) -> int:
    """The mask, bit i for action i. `entries_open`: features ready, inside the entry window, trading enabled."""
    if book[WORKING] != 0:
        return HOLD_BIT
    qty = book[QTY]
    if qty == 0:
        return HOLD_BIT | BUY_BIT | SELL_BIT if entries_open else HOLD_BIT
    side = 1 if qty > 0 else -1
    gap = int(terms[MIN_GAP])
    even = side * break_even_level(book, terms)
    stop = side * book[STOP]
    mask = HOLD_BIT
    if stop < even and side * close >= even + gap:
        mask |= BE_BIT
    if book[TRAILING] != 0:
        mask |= UNTRAIL_BIT
    elif stop >= even and side * (close - trail_level(terms, side, close, atr_ticks)) >= gap:
        mask |= TRAIL_BIT
    return mask
