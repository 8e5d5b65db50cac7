"""Many accounts on one history of bars: the engine's own kernels, stepped from one choice to the next.

A step carries out an action at the close of bar t and goes on bar by bar until the mask leaves a choice again, or the
episode ends: flat at `flat_at`, no entries left, or the account breached. The order of events inside a bar is the
engine's: roll, time to be flat, fills, mark, trail, mask. The risk review's vetoes are not part of it.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from trader.kernels import book, line, market_batch, matching

OPEN, HIGH, LOW, CLOSE = range(4)

(
    ENTRIES_OPEN,  # features ready and inside the entry window at the bar's close
    ENTRIES_OVER,  # the entry window has ended at the bar's close
    DUE_AT_OPEN,  # the bar opens at or after the time to be flat
    DUE_AT_CLOSE,
    AFTER_HALT,  # a halt lies between this bar and the one before
    ROLLED,  # first bar of another contract
    LAST,  # last bar of its session
) = (1 << i for i in range(7))

RUNNING, TRUNCATED, TERMINATED = 0, 1, 2
HOLD, BUY, SELL, MOVE_TO_BE, ENABLE_TRAIL, DISABLE_TRAIL = range(6)


class Tape(NamedTuple):
    """T bars: `prices` [T, 4] in ticks, `rows` [T, 39] as of `market_batch`, `atrs` [T] in ticks, `flags` [T]."""

    prices: NDArray[np.int64]
    rows: NDArray[np.float32]
    atrs: NDArray[np.float64]
    flags: NDArray[np.uint8]


class Fleet(NamedTuple):
    """N accounts: where each stands, what it sees, and how its episode has gone.

    `books` [N, book.SIZE], `at` [N] the bar, `obs` [N, 261], `masks` [N]; `end_obs` [N, 261] is what was seen at the
    end of an episode that ended in the last step. `rewards` [N] are changes of equity in cents; `outcomes` [N] say how
    the step ended; `episode_cents` and `episode_steps` [N] sum up the episode, that of an ended one until the next.
    """

    books: NDArray[np.int64]
    at: NDArray[np.int64]
    obs: NDArray[np.float32]
    masks: NDArray[np.int64]
    end_obs: NDArray[np.float32]
    rewards: NDArray[np.int64]
    outcomes: NDArray[np.int64]
    episode_cents: NDArray[np.int64]
    episode_steps: NDArray[np.int64]


@njit(cache=True)
def _see(tape: Tape, t: int, row: book.Row, terms: book.Terms, obs: NDArray[np.float32]) -> int:
    """Mark the account at the close of bar t and write its features; returns the mask."""
    prices = tape.prices
    bits: int = line.account_part(
        obs,
        row,
        terms,
        prices[t, HIGH],
        prices[t, LOW],
        prices[t, CLOSE],
        tape.atrs[t],
        True,
        tape.flags[t] & ENTRIES_OPEN != 0,
    )
    return bits & line.MASK


@njit(cache=True)
def _exit_at_market(row: book.Row, terms: book.Terms, price: int, slippage: int) -> None:
    qty = row[book.QTY]
    if qty != 0:
        side = -1 if qty > 0 else 1
        fill = matching.market_price(side, price, slippage)
        book.apply_fill(row, terms, side, abs(qty), fill, int(terms[book.COMMISSION]) * abs(qty))


@njit(cache=True)
def _fills(
    tape: Tape, t: int, row: book.Row, terms: book.Terms, entry_side: int, stop_distance: int, target_distance: int
) -> None:
    """What bar t does to the position and to an entry that was sent at the close of bar t-1."""
    open_ = tape.prices[t, OPEN]
    before = tape.prices[t - 1, CLOSE]
    slippage = int(terms[book.SLIPPAGE])
    flags = tape.flags[t]
    if flags & ROLLED:
        _exit_at_market(row, terms, before, slippage)
    if flags & DUE_AT_OPEN:
        _exit_at_market(row, terms, open_, slippage)
        return
    if entry_side != 0 and not flags & (ROLLED | AFTER_HALT):
        price = matching.market_price(entry_side, open_, slippage)
        book.apply_fill(row, terms, entry_side, 1, price, int(terms[book.COMMISSION]))
        book.set_bracket(row, terms, stop_distance, target_distance)
        stop = before - entry_side * stop_distance
        target = before + entry_side * target_distance
        if matching.is_beyond(entry_side, price, stop, target):
            _exit_at_market(row, terms, open_, slippage)
    qty = row[book.QTY]
    if qty == 0:
        return
    side = 1 if qty > 0 else -1
    outcome, price, _ = matching.exit_in_bar(
        side,
        open_,
        tape.prices[t, HIGH],
        tape.prices[t, LOW],
        row[book.STOP],
        row[book.TARGET],
        slippage,
        int(terms[book.TARGET_THROUGH]),
    )
    if outcome != matching.NO_EXIT:
        book.apply_fill(row, terms, -side, abs(qty), price, int(terms[book.COMMISSION]) * abs(qty))


@njit(cache=True)
def _close_out(tape: Tape, t: int, row: book.Row, terms: book.Terms) -> None:
    """End the position after bar t: at the next bar's open, or at this one's close where the session has ended."""
    if tape.flags[t] & LAST:
        _exit_at_market(row, terms, tape.prices[t, CLOSE], int(terms[book.FORCED_SLIPPAGE]))
    elif tape.flags[t + 1] & ROLLED:
        _exit_at_market(row, terms, tape.prices[t, CLOSE], int(terms[book.SLIPPAGE]))
    else:
        _exit_at_market(row, terms, tape.prices[t + 1, OPEN], int(terms[book.SLIPPAGE]))


@njit(cache=True)
def _begin(tape: Tape, n: int, t: int, fleet: Fleet, terms: book.Terms) -> None:
    """Put account n at bar t. It runs on from episode to episode, and is replaced where it has breached."""
    row = fleet.books[n]
    if row[book.BREACHED] or row[book.CASH] <= row[book.THRESHOLD]:
        book.new_account(row, terms)
    book.begin_session(row, terms)
    fleet.at[n] = t
    fleet.masks[n] = _see(tape, t, row, terms, fleet.obs[n])
    market_batch.assemble(tape.rows, t, fleet.obs[n])


@njit(cache=True)
def begin(tape: Tape, starts: NDArray[np.int64], fleet: Fleet, terms: book.Terms) -> None:
    """Open an account of each and put it at its bar of `starts` [N]."""
    for n in range(len(starts)):
        fleet.books[n, :] = 0
        book.new_account(fleet.books[n], terms)
        fleet.episode_cents[n] = 0
        fleet.episode_steps[n] = 0
        fleet.outcomes[n] = RUNNING
        _begin(tape, n, starts[n], fleet, terms)


@njit(cache=True)
def _advance(tape: Tape, n: int, action: int, fleet: Fleet, terms: book.Terms) -> int:
    """Carry out `action` and go on to the next choice; returns RUNNING or how the episode ended, flat then."""
    row = fleet.books[n]
    t = fleet.at[n]
    atr = tape.atrs[t]
    entry_side = 1 if action == BUY else (-1 if action == SELL else 0)
    stop_distance = book.stop_distance_ticks(terms, atr)
    target_distance = book.target_distance_ticks(terms, stop_distance)
    if action == MOVE_TO_BE:
        book.tighten(row, book.break_even_level(row, terms))
    elif action == ENABLE_TRAIL:
        row[book.TRAILING] = 1
        book.trail(row, terms, tape.prices[t, CLOSE], atr)
    elif action == DISABLE_TRAIL:
        row[book.TRAILING] = 0
    obs = fleet.obs[n]
    while True:
        t += 1
        _fills(tape, t, row, terms, entry_side, stop_distance, target_distance)
        entry_side = 0
        mask = _see(tape, t, row, terms, obs)
        flags = tape.flags[t]
        flat = row[book.QTY] == 0
        if row[book.BREACHED] or flags & (DUE_AT_CLOSE | LAST) or (flat and flags & ENTRIES_OVER):
            breached = row[book.BREACHED] != 0
            _close_out(tape, t, row, terms)
            fleet.masks[n] = _see(tape, t, row, terms, obs)
            fleet.at[n] = t
            if breached:
                row[book.BREACHED] = 1
            return TERMINATED if row[book.BREACHED] else TRUNCATED
        if mask & (mask - 1):
            fleet.masks[n] = mask
            fleet.at[n] = t
            return RUNNING


@njit(cache=True)
def step(tape: Tape, actions: NDArray[np.int64], starts: NDArray[np.int64], fleet: Fleet, terms: book.Terms) -> int:
    """One step of every account; those whose episode ended begin another at their bar of `starts`.

    Returns -1, or the first account whose action its mask forbids: then nothing was done.
    """
    for n in range(len(actions)):
        if not fleet.masks[n] >> actions[n] & 1:
            return n
    for n in range(len(actions)):
        if fleet.outcomes[n] != RUNNING:
            fleet.episode_cents[n] = 0
            fleet.episode_steps[n] = 0
        before = fleet.books[n, book.EQUITY]
        outcome = _advance(tape, n, actions[n], fleet, terms)
        reward = fleet.books[n, book.EQUITY] - before
        fleet.rewards[n] = reward
        fleet.outcomes[n] = outcome
        fleet.episode_cents[n] += reward
        fleet.episode_steps[n] += 1
        market_batch.assemble(tape.rows, fleet.at[n], fleet.obs[n])
        if outcome != RUNNING:
            fleet.end_obs[n] = fleet.obs[n]
            _begin(tape, n, starts[n], fleet, terms)
    return -1
