"""One account over one closed bar of the training kernels, in the engine's order of events.

Session, roll, time to be flat, fills, mark, trail, mask, review; then an action, if its account takes one. Functions
take the arrays of one account, not a tuple of them: numba counts references at each field that it reads.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from trader.domain.units import MINUTE_NS
from trader.kernels import book, line, round_trips, rules
from trader.kernels.layout import (
    ACCOUNTS,
    ACTIVE,
    AT,
    BREAK_EVEN,
    BUY,
    CLOSE,
    CLOSES_NS,
    DAILY_LOSS,
    DISABLE_TRAIL,
    DUE_AT_CLOSE,
    DUE_AT_OPEN,
    ENABLE_TRAIL,
    ENTRIES_OPEN,
    ENTRY_SIDE,
    FIRST,
    FLAGS,
    FLAT_AT,
    HIGH,
    HOLD,
    IN_WINDOW,
    LATE,
    LOW,
    MASK,
    MOVE_TO_BE,
    ROLL,
    ROLLED,
    SELL,
    SESSION_NS,
    STOP_DISTANCE,
    STOP_REASON,
    TARGET_DISTANCE,
    TRADE_RISK,
    TRAIL,
    TRAILING_BREACH,
    Bars,
    Plan,
)  # fmt: skip


@njit(cache=True, error_model="numpy")
def replace_if_exhausted(
    terms: book.Terms, limits: rules.Limits, row: book.Row, memory: rules.Memory, plan: Plan
) -> None:
    if rules.bits(memory) & int(limits[rules.IN_USE]) & rules.EXHAUSTED:
        book.new_account(row, terms)
        rules.account_renewed(memory)
        plan[ACCOUNTS] += 1


@njit(cache=True, error_model="numpy")
def review(
    bars: Bars, atr: float, terms: book.Terms, limits: rules.Limits, row: book.Row, memory: rules.Memory, plan: Plan
) -> None:
    """Note the rules in force at the close where the account stands; close where one of them demands it."""
    t = plan[AT]
    now = bars[t, CLOSES_NS]
    remembered = rules.observe(
        memory, limits, row[book.EQUITY], row[book.THRESHOLD], row[book.SESSION_OPEN], row[book.BREACHED] != 0, now
    )
    since_stop = now - row[book.LAST_STOP_MIN] * MINUTE_NS
    active = rules.of_the_moment(limits, row[book.SESSION_TRADES], since_stop, book.stop_distance_ticks(terms, atr))
    if not bars[t, FLAGS] & IN_WINDOW:
        remembered |= rules.SESSION_WINDOW
    active |= remembered & int(limits[rules.IN_USE])
    if active & int(limits[rules.FLATTENING]):
        breached = active & rules.TRAILING_BREACH
        round_trips.close_at_next_open(row, plan, TRAILING_BREACH if breached else DAILY_LOSS)
    plan[ACTIVE] = active


@njit(cache=True, error_model="numpy")
def settle(bars: Bars, atr: float, terms: book.Terms, row: book.Row, plan: Plan, t: int) -> None:
    """Stand at the close of bar t: value the account, pull the trail, note what is valid."""
    entries_open = bars[t, FLAGS] & ENTRIES_OPEN != 0
    bits = line.settle(row, terms, bars[t, HIGH], bars[t, LOW], bars[t, CLOSE], atr, entries_open)
    if bits & line.TRAILED:
        plan[STOP_REASON] = TRAIL
    plan[AT] = t
    plan[MASK] = bits & line.MASK


@njit(cache=True, error_model="numpy")
def take_bar(
    bars: Bars, atr: float, terms: book.Terms, limits: rules.Limits, row: book.Row, memory: rules.Memory, plan: Plan,
    trades: NDArray[np.int64], t: int,
) -> float:  # fmt: skip
    """Go from the close of bar t - 1 to that of bar t: account, mask, rules in force. Returns what it brought, in R."""
    flags = bars[t, FLAGS]
    gain = 0.0
    if flags & FIRST:
        if t > 0:
            gain = round_trips.end_session(bars, terms, limits, row, memory, plan, trades, t - 1)
        book.begin_session(row, terms)
        rules.session_opened(memory, bars[t, SESSION_NS])
        replace_if_exhausted(terms, limits, row, memory, plan)
    before = row[book.EQUITY]
    if flags & ROLLED:
        plan[ENTRY_SIDE] = 0
        slippage = int(terms[book.SLIPPAGE])
        price, ts_ns = bars[t - 1, CLOSE], bars[t - 1, CLOSES_NS]
        round_trips.exit_at_market(terms, limits, row, memory, plan, trades, t - 1, price, slippage, ROLL, ts_ns)
    if flags & DUE_AT_OPEN:
        round_trips.close_at_next_open(row, plan, FLAT_AT)
    if flags & (LATE | DUE_AT_OPEN):
        plan[ENTRY_SIDE] = 0
    if row[book.QTY] != 0 or plan[ENTRY_SIDE] != 0:
        round_trips.fill_bar(bars, terms, limits, row, memory, plan, trades, t)
    if flags & DUE_AT_CLOSE:
        round_trips.close_at_next_open(row, plan, FLAT_AT)
    settle(bars, atr, terms, row, plan, t)
    review(bars, atr, terms, limits, row, memory, plan)
    if row[book.EQUITY] != before:
        gain += (row[book.EQUITY] - before) / plan[TRADE_RISK]
    return gain


@njit(cache=True, error_model="numpy")
def next_bar(bars: Bars, limits: rules.Limits, row: book.Row, memory: rules.Memory, plan: Plan, stops: int) -> int:
    """The bar to take next: a flat account passes over those at which it may not enter.

    Nothing of it changes there but by the clock. It goes no further than the next bar with a flag of `stops`.
    """
    t = plan[AT] + 1
    if row[book.QTY] != 0 or plan[ENTRY_SIDE] != 0:
        return t
    entries = int(limits[rules.BLOCKING + BUY]) & int(limits[rules.BLOCKING + SELL]) & plan[ACTIVE]
    lasting = rules.TRAILING_BREACH | rules.DRAWDOWN_PROXIMITY | rules.DAILY_LOSS | rules.MAX_TRADES
    until_ns = 0
    if entries & lasting:
        until_ns = rules.NEVER_NS
    elif entries & (rules.CONSECUTIVE_LOSSES | rules.LOW_WIN_RATE):
        until_ns = rules.next_reset_ns(memory, limits)
    while t < len(bars) and not bars[t, FLAGS] & stops:
        if bars[t, FLAGS] & ENTRIES_OPEN and bars[t, CLOSES_NS] >= until_ns:
            break
        t += 1
    return t


@njit(cache=True, error_model="numpy")
def has_choice(limits: rules.Limits, row: book.Row, plan: Plan, actions: int) -> bool:
    """Whether an action besides HOLD is known and valid, passes the review, and finds no close under way."""
    known = plan[MASK] & actions & ~book.HOLD_BIT
    if known == 0 or row[book.WORKING] != 0:
        return False
    return known & rules.allowed(limits, plan[ACTIVE]) != 0


@njit(cache=True, error_model="numpy")
def act(
    bars: Bars, atr: float, terms: book.Terms, limits: rules.Limits, row: book.Row, plan: Plan, action: int
) -> None:
    """Carry out an action at the close where the account stands, unless a rule in force blocks it."""
    if action == HOLD or row[book.WORKING] != 0 or rules.vetoes(limits, plan[ACTIVE], action):
        return
    if action == MOVE_TO_BE:
        book.tighten(row, book.break_even_level(row, terms))
        plan[STOP_REASON] = BREAK_EVEN
    elif action == ENABLE_TRAIL:
        row[book.TRAILING] = 1
        if book.trail(row, terms, bars[plan[AT], CLOSE], atr):
            plan[STOP_REASON] = TRAIL
    elif action == DISABLE_TRAIL:
        row[book.TRAILING] = 0
    else:
        plan[ENTRY_SIDE] = 1 if action == BUY else -1
        plan[STOP_DISTANCE] = book.stop_distance_ticks(terms, atr)
        plan[TARGET_DISTANCE] = book.target_distance_ticks(terms, plan[STOP_DISTANCE])


@njit(cache=True, error_model="numpy")
def manage(
    bars: Bars, atr: float, terms: book.Terms, limits: rules.Limits, row: book.Row, plan: Plan, draw: float,
    rates: NDArray[np.float64],
) -> None:  # fmt: skip
    """Take each of the three managing actions that is valid with its rate of `rates` [3], by the uniform `draw`."""
    for i in range(3):
        action = MOVE_TO_BE + i
        if plan[MASK] >> action & 1:
            if draw < rates[i]:
                act(bars, atr, terms, limits, row, plan, action)
                return
            draw -= rates[i]
