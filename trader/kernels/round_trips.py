"""How a trade of the training kernels begins and ends: at a bar's open, over its range, or because it must.

Functions take the arrays of one account, not a tuple of them: numba counts references at each field that it reads.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from trader.domain.units import MINUTE_NS
from trader.kernels import book, matching, rules
from trader.kernels.layout import (
    CLOSE,
    CLOSED_BAR,
    CLOSED_NS,
    CLOSES_NS,
    CLOSING,
    ENTRY_BEYOND_STOP,
    ENTRY_SIDE,
    ENTRY_TICKS,
    EXIT_TICKS,
    FORCED_CLOSE,
    HIGH,
    LOW,
    MAE_TICKS,
    MFE_TICKS,
    OPEN,
    OPENED_AT,
    OPENED_BAR,
    OPENS_NS,
    OPTIMISTIC_PNL_CENTS,
    PNL_CENTS,
    REASON,
    RISK_CENTS,
    SIDE,
    STOP,
    STOP_DISTANCE,
    STOP_REASON,
    TARGET,
    TARGET_DISTANCE,
    TRADE_RISK,
    TRADES,
    Bars,
    Plan,
)  # fmt: skip


@njit(cache=True, error_model="numpy")
def _exit(
    terms: book.Terms, limits: rules.Limits, row: book.Row, memory: rules.Memory, plan: Plan, trades: NDArray[np.int64],
    t: int, price: int, best: int, reason: int, ts_ns: int,
) -> None:  # fmt: skip
    """Book the end of a position at `price`; `best` is what an ambiguous bar would have given."""
    qty = row[book.QTY]
    side = 1 if qty > 0 else -1
    entry = row[book.ENTRY]
    mae = max(row[book.MAE], side * (entry - price))
    mfe = max(row[book.MFE], side * (price - entry))
    pnl = book.apply_fill(row, terms, -side, abs(qty), price, int(terms[book.COMMISSION]) * abs(qty))
    rules.trade_closed(memory, limits, pnl, ts_ns)
    if reason in (STOP, ENTRY_BEYOND_STOP):
        row[book.LAST_STOP_MIN] = ts_ns // MINUTE_NS
    plan[CLOSING] = 0
    at = plan[TRADES]
    plan[TRADES] += 1
    if at >= len(trades):
        return
    trades[at, OPENED_BAR] = plan[OPENED_AT]
    trades[at, CLOSED_BAR] = t
    trades[at, SIDE] = side
    trades[at, ENTRY_TICKS] = entry
    trades[at, EXIT_TICKS] = price
    trades[at, PNL_CENTS] = pnl
    trades[at, OPTIMISTIC_PNL_CENTS] = pnl + side * (best - price) * int(terms[book.TICK_VALUE]) * abs(qty)
    trades[at, RISK_CENTS] = plan[TRADE_RISK]
    trades[at, MAE_TICKS] = mae
    trades[at, MFE_TICKS] = mfe
    trades[at, REASON] = reason
    trades[at, CLOSED_NS] = ts_ns


@njit(cache=True, error_model="numpy")
def exit_at_market(
    terms: book.Terms, limits: rules.Limits, row: book.Row, memory: rules.Memory, plan: Plan, trades: NDArray[np.int64],
    t: int, price: int, slippage: int, reason: int, ts_ns: int,
) -> None:  # fmt: skip
    qty = row[book.QTY]
    if qty != 0:
        fill = matching.market_price(-1 if qty > 0 else 1, price, slippage)
        _exit(terms, limits, row, memory, plan, trades, t, fill, fill, reason, ts_ns)


@njit(cache=True, error_model="numpy")
def end_session(
    bars: Bars, terms: book.Terms, limits: rules.Limits, row: book.Row, memory: rules.Memory, plan: Plan,
    trades: NDArray[np.int64], t: int,
) -> float:  # fmt: skip
    """The market has closed after bar t, its session's last: nothing stays open. Returns what that brought, in R."""
    plan[ENTRY_SIDE] = 0
    if row[book.QTY] == 0:
        return 0.0
    before = row[book.EQUITY]
    slippage = int(terms[book.FORCED_SLIPPAGE])
    exit_at_market(
        terms, limits, row, memory, plan, trades, t, bars[t, CLOSE], slippage, FORCED_CLOSE, bars[t, CLOSES_NS]
    )
    gain: float = (row[book.EQUITY] - before) / plan[TRADE_RISK]
    return gain


@njit(cache=True, error_model="numpy")
def _enter(
    bars: Bars, terms: book.Terms, limits: rules.Limits, row: book.Row, memory: rules.Memory, plan: Plan,
    trades: NDArray[np.int64], t: int,
) -> None:  # fmt: skip
    """Fill the entry that was sent at the close before, and rest its bracket."""
    side = plan[ENTRY_SIDE]
    open_ = bars[t, OPEN]
    anchor = bars[t - 1, CLOSE]
    slippage = int(terms[book.SLIPPAGE])
    price = matching.market_price(side, open_, slippage)
    book.apply_fill(row, terms, side, 1, price, int(terms[book.COMMISSION]))
    book.set_bracket(row, terms, plan[STOP_DISTANCE], plan[TARGET_DISTANCE])
    plan[OPENED_AT] = t
    plan[TRADE_RISK] = row[book.RISK]
    plan[STOP_REASON] = STOP
    stop = anchor - side * plan[STOP_DISTANCE]
    target = anchor + side * plan[TARGET_DISTANCE]
    if matching.is_beyond(side, price, stop, target):
        exit_at_market(
            terms, limits, row, memory, plan, trades, t, open_, slippage, ENTRY_BEYOND_STOP, bars[t, OPENS_NS]
        )


@njit(cache=True, error_model="numpy")
def fill_bar(
    bars: Bars, terms: book.Terms, limits: rules.Limits, row: book.Row, memory: rules.Memory, plan: Plan,
    trades: NDArray[np.int64], t: int,
) -> None:  # fmt: skip
    """What bar t does to what rests: a close or an entry at its open, then stop and target over its range."""
    open_ = bars[t, OPEN]
    slippage = int(terms[book.SLIPPAGE])
    if plan[CLOSING] != 0:
        exit_at_market(terms, limits, row, memory, plan, trades, t, open_, slippage, plan[CLOSING], bars[t, OPENS_NS])
    elif plan[ENTRY_SIDE] != 0:
        _enter(bars, terms, limits, row, memory, plan, trades, t)
    plan[ENTRY_SIDE] = 0
    qty = row[book.QTY]
    if qty == 0:
        return
    side = 1 if qty > 0 else -1
    stop = row[book.STOP]
    target = row[book.TARGET]
    through = int(terms[book.TARGET_THROUGH])
    outcome, price, best = matching.exit_in_bar(
        side, open_, bars[t, HIGH], bars[t, LOW], stop, target, slippage, through
    )
    if outcome == matching.NO_EXIT:
        return
    reason = TARGET if outcome == matching.TARGET else plan[STOP_REASON]
    gap = outcome != matching.AMBIGUOUS and matching.opens_beyond(side, open_, stop, target, through)
    ts_ns = bars[t, OPENS_NS] if gap else bars[t, CLOSES_NS]
    _exit(terms, limits, row, memory, plan, trades, t, price, best, reason, ts_ns)


@njit(cache=True, error_model="numpy")
def close_at_next_open(row: book.Row, plan: Plan, reason: int) -> None:
    if row[book.QTY] != 0 and plan[CLOSING] == 0:
        plan[CLOSING] = reason
        row[book.WORKING] = 1
