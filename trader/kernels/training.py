"""Many accounts on one history of bars: the engine's own kernels, bar by bar, from one real choice to the next.

The order of events inside a bar is the engine's: session, roll, time to be flat, fills, mark, trail, mask, review. A
choice is real where some valid action besides HOLD passes the review; other bars pass by themselves.

Functions take the arrays of one account, not the tuples of all: numba counts references at each field that it reads.

Two ways to go through the bars: `step` in episodes (from a random bar to the end of its session, flat), and `run_on`
through all of them with one account, sessions, rolls and replaced accounts as the engine has them.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from trader.domain.units import MINUTE_NS
from trader.kernels import book, line, market, matching, rules

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

OWN_START = 220
"""The window ends and the account's features begin; its others follow the context, which starts at 228."""

RUNNING, TRUNCATED, TERMINATED, FINISHED = range(4)
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

PNL_R, BREACH_R = range(2)
REWARD_TERMS = 2
"""What a step brought, in R: change of equity net of costs over the trade's own risk; 1 where the account breached."""

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


class Tape(NamedTuple):
    """T bars: `bars` [T, BAR_SIZE] and `atrs` [T] in ticks; the market part of bar t's observation is
    window[11 t : 11 t + 220] and context[t].

    `window` [11 (T + 19)] are the window's rows after 19 rows of zeros, `context` [T, 28] the features 228..255.
    """

    bars: Bars
    atrs: NDArray[np.float64]
    window: NDArray[np.float32]
    context: NDArray[np.float32]


class Scaling(NamedTuple):
    """What a policy sees of an observation: clip((obs - mean) x scale, +-clip), its first len(mean) values."""

    mean: NDArray[np.float32]
    scale: NDArray[np.float32]
    clip: float


class Fleet(NamedTuple):
    """N accounts: where each stands, what it sees, and how its episode has gone.

    `books` [N, book.SIZE], `memories` [N, ...] of `rules`, `plans` [N, PLAN_SIZE], `own` [N, 261] the account's
    features at their places, `seen` [N, inputs] the scaled observation; `end_seen` is that at the end of an episode
    that ended in the last step. `rewards` [N, REWARD_TERMS] belong to that step, `outcomes` [N] say how it ended;
    `episode_rewards` and `episode_steps` sum up the episode, that of an ended one until the next step. `trades`
    [N, cap, TRADE_SIZE] keep the first round trips.
    """

    books: NDArray[np.int64]
    memories: NDArray[np.int64]
    plans: NDArray[np.int64]
    own: NDArray[np.float32]
    seen: NDArray[np.float32]
    end_seen: NDArray[np.float32]
    rewards: NDArray[np.float64]
    outcomes: NDArray[np.int64]
    episode_rewards: NDArray[np.float64]
    episode_steps: NDArray[np.int64]
    trades: NDArray[np.int64]


class World(NamedTuple):
    """What all accounts share. `actions` has bit i set where the policy knows action i."""

    tape: Tape
    terms: book.Terms
    limits: rules.Limits
    scaling: Scaling
    actions: int


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
def _exit_at_market(
    terms: book.Terms, limits: rules.Limits, row: book.Row, memory: rules.Memory, plan: Plan, trades: NDArray[np.int64],
    t: int, price: int, slippage: int, reason: int, ts_ns: int,
) -> None:  # fmt: skip
    qty = row[book.QTY]
    if qty != 0:
        fill = matching.market_price(-1 if qty > 0 else 1, price, slippage)
        _exit(terms, limits, row, memory, plan, trades, t, fill, fill, reason, ts_ns)


@njit(cache=True, error_model="numpy")
def _end_session(
    bars: Bars, terms: book.Terms, limits: rules.Limits, row: book.Row, memory: rules.Memory, plan: Plan,
    trades: NDArray[np.int64], t: int,
) -> float:  # fmt: skip
    """The market has closed after bar t, its session's last: nothing stays open. Returns what that brought, in R."""
    plan[ENTRY_SIDE] = 0
    if row[book.QTY] == 0:
        return 0.0
    before = row[book.EQUITY]
    slippage = int(terms[book.FORCED_SLIPPAGE])
    _exit_at_market(
        terms, limits, row, memory, plan, trades, t, bars[t, CLOSE], slippage, FORCED_CLOSE, bars[t, CLOSES_NS]
    )
    gain: float = (row[book.EQUITY] - before) / plan[TRADE_RISK]
    return gain


@njit(cache=True, error_model="numpy")
def _replace_if_exhausted(
    terms: book.Terms, limits: rules.Limits, row: book.Row, memory: rules.Memory, plan: Plan
) -> None:
    if rules.bits(memory) & int(limits[rules.IN_USE]) & rules.EXHAUSTED:
        book.new_account(row, terms)
        rules.account_renewed(memory)
        plan[ACCOUNTS] += 1


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
        _exit_at_market(
            terms, limits, row, memory, plan, trades, t, open_, slippage, ENTRY_BEYOND_STOP, bars[t, OPENS_NS]
        )


@njit(cache=True, error_model="numpy")
def _fills(
    bars: Bars, terms: book.Terms, limits: rules.Limits, row: book.Row, memory: rules.Memory, plan: Plan,
    trades: NDArray[np.int64], t: int,
) -> None:  # fmt: skip
    """What bar t does to what rests: a close or an entry at its open, then stop and target over its range."""
    open_ = bars[t, OPEN]
    slippage = int(terms[book.SLIPPAGE])
    if plan[CLOSING] != 0:
        _exit_at_market(terms, limits, row, memory, plan, trades, t, open_, slippage, plan[CLOSING], bars[t, OPENS_NS])
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
def _close_at_next_open(row: book.Row, plan: Plan, reason: int) -> None:
    if row[book.QTY] != 0 and plan[CLOSING] == 0:
        plan[CLOSING] = reason
        row[book.WORKING] = 1


@njit(cache=True, error_model="numpy")
def _review(
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
        _close_at_next_open(row, plan, TRAILING_BREACH if breached else DAILY_LOSS)
    plan[ACTIVE] = active


@njit(cache=True, error_model="numpy")
def _settle(bars: Bars, atr: float, terms: book.Terms, row: book.Row, plan: Plan, t: int) -> None:
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
            gain = _end_session(bars, terms, limits, row, memory, plan, trades, t - 1)
        book.begin_session(row, terms)
        rules.session_opened(memory, bars[t, SESSION_NS])
        _replace_if_exhausted(terms, limits, row, memory, plan)
    before = row[book.EQUITY]
    if flags & ROLLED:
        plan[ENTRY_SIDE] = 0
        slippage = int(terms[book.SLIPPAGE])
        price, ts_ns = bars[t - 1, CLOSE], bars[t - 1, CLOSES_NS]
        _exit_at_market(terms, limits, row, memory, plan, trades, t - 1, price, slippage, ROLL, ts_ns)
    if flags & DUE_AT_OPEN:
        _close_at_next_open(row, plan, FLAT_AT)
    if flags & (LATE | DUE_AT_OPEN):
        plan[ENTRY_SIDE] = 0
    if row[book.QTY] != 0 or plan[ENTRY_SIDE] != 0:
        _fills(bars, terms, limits, row, memory, plan, trades, t)
    if flags & DUE_AT_CLOSE:
        _close_at_next_open(row, plan, FLAT_AT)
    _settle(bars, atr, terms, row, plan, t)
    _review(bars, atr, terms, limits, row, memory, plan)
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
def _has_choice(limits: rules.Limits, row: book.Row, plan: Plan, actions: int) -> bool:
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
def _scale(
    values: NDArray[np.float32],
    mean: NDArray[np.float32],
    scale: NDArray[np.float32],
    clip: np.float32,
    out: NDArray[np.float32],
) -> None:
    # Plain slices from 0 and comparisons instead of min and max: that is what LLVM turns into vector instructions.
    for i in range(len(out)):
        value = (values[i] - mean[i]) * scale[i]
        value = value if value < clip else clip  # noqa: FURB136
        out[i] = value if value > -clip else -clip  # noqa: FURB136


@njit(cache=True, error_model="numpy")
def _look(tape: Tape, terms: book.Terms, scaling: Scaling, n: int, fleet: Fleet) -> None:
    """Write what the policy sees at the bar where account n stands."""
    plan = fleet.plans[n]
    own = fleet.own[n]
    seen = fleet.seen[n]
    mean, scale, clip = scaling.mean, scaling.scale, np.float32(scaling.clip)
    t = plan[AT]
    line.describe(own, fleet.books[n], terms, tape.bars[t, CLOSE], tape.atrs[t], plan[MASK])
    first = t * market.ROW_SIZE
    _scale(tape.window[first : first + OWN_START], mean, scale, clip, seen[:OWN_START])
    _scale(own[OWN_START:], mean[OWN_START:], scale[OWN_START:], clip, seen[OWN_START:])
    context = seen[market.CONTEXT_START : market.CONTEXT_START + market.CONTEXT_SIZE]
    if len(context) > 0:
        _scale(tape.context[t], mean[market.CONTEXT_START :], scale[market.CONTEXT_START :], clip, context)


@njit(cache=True, error_model="numpy")
def _begin_episode(world: World, n: int, fleet: Fleet, t: int) -> None:
    """Put account n at bar t as its session would find it; it runs on from episode to episode until exhausted."""
    row = fleet.books[n]
    memory = fleet.memories[n]
    plan = fleet.plans[n]
    tape = world.tape
    book.begin_session(row, world.terms)
    rules.clear_fired(memory, rules.NEVER_NS - 1)  # episodes are not in time order, but each begins a session
    rules.session_opened(memory, tape.bars[t, SESSION_NS])
    _replace_if_exhausted(world.terms, world.limits, row, memory, plan)
    row[book.LAST_STOP_MIN] = 0
    plan[ENTRY_SIDE] = 0
    _settle(tape.bars, tape.atrs[t], world.terms, row, plan, t)
    _review(tape.bars, tape.atrs[t], world.terms, world.limits, row, memory, plan)
    _look(world.tape, world.terms, world.scaling, n, fleet)


@njit(cache=True, error_model="numpy")
def open_accounts(world: World, fleet: Fleet) -> None:
    """Give each place a new account that has seen nothing and stands before the first bar."""
    for n in range(len(fleet.books)):
        fleet.books[n, :] = 0
        book.new_account(fleet.books[n], world.terms)
        rules.forget(fleet.memories[n])
        fleet.plans[n, :] = 0
        fleet.plans[n, AT] = -1
        fleet.plans[n, ACCOUNTS] = 1
        fleet.plans[n, MASK] = book.HOLD_BIT
        fleet.rewards[n, :] = 0.0
        fleet.episode_rewards[n, :] = 0.0
        fleet.episode_steps[n] = 0
        fleet.outcomes[n] = RUNNING


@njit(cache=True, error_model="numpy")
def begin(world: World, starts: NDArray[np.int64], fleet: Fleet) -> None:
    """Open accounts and put each at its bar of `starts` [N]."""
    open_accounts(world, fleet)
    for n in range(len(starts)):
        _begin_episode(world, n, fleet, starts[n])


@njit(cache=True, error_model="numpy")
def _advance(
    tape: Tape, terms: book.Terms, limits: rules.Limits, actions: int, row: book.Row, memory: rules.Memory, plan: Plan,
    trades: NDArray[np.int64], action: int,
) -> tuple[int, float]:  # fmt: skip
    """Carry out `action` and go on to the next choice, or to the end of the episode, flat: outcome, and gain in R."""
    bars = tape.bars
    atrs = tape.atrs
    act(bars, atrs[plan[AT]], terms, limits, row, plan, action)
    gain = 0.0
    while True:
        t = next_bar(bars, limits, row, memory, plan, LAST | ENTRIES_OVER | DUE_AT_CLOSE)
        gain += take_bar(bars, atrs[t], terms, limits, row, memory, plan, trades, t)
        flags = bars[t, FLAGS]
        if flags & LAST:
            gain += _end_session(bars, terms, limits, row, memory, plan, trades, t)
        exhausted = plan[ACTIVE] & rules.TRAILING_BREACH
        flat = row[book.QTY] == 0 and plan[ENTRY_SIDE] == 0
        if flags & LAST or (flat and (exhausted or flags & (ENTRIES_OVER | DUE_AT_CLOSE))):
            return TERMINATED if exhausted else TRUNCATED, gain
        if _has_choice(limits, row, plan, actions):
            return RUNNING, gain


@njit(cache=True, error_model="numpy")
def step(world: World, actions: NDArray[np.int64], starts: NDArray[np.int64], fleet: Fleet) -> int:
    """One step of every account; those whose episode ended begin another at their bar of `starts`.

    Returns -1, or the first account whose action its mask forbids: then nothing was done.
    """
    for n in range(len(actions)):
        if not (fleet.plans[n, MASK] & world.actions) >> actions[n] & 1:
            return n
    for n in range(len(actions)):
        if fleet.outcomes[n] != RUNNING:
            fleet.episode_rewards[n, :] = 0.0
            fleet.episode_steps[n] = 0
        outcome, gain = _advance(
            world.tape, world.terms, world.limits, world.actions,
            fleet.books[n], fleet.memories[n], fleet.plans[n], fleet.trades[n], actions[n],
        )  # fmt: skip
        fleet.rewards[n, PNL_R] = gain
        fleet.rewards[n, BREACH_R] = 1.0 if outcome == TERMINATED else 0.0
        fleet.outcomes[n] = outcome
        for i in range(REWARD_TERMS):
            fleet.episode_rewards[n, i] += fleet.rewards[n, i]
        fleet.episode_steps[n] += 1
        _look(world.tape, world.terms, world.scaling, n, fleet)
        if outcome != RUNNING:
            fleet.end_seen[n, :] = fleet.seen[n]
            _begin_episode(world, n, fleet, starts[n])
    return -1


@njit(cache=True, error_model="numpy")
def run_on(world: World, n: int, fleet: Fleet, action: int) -> int:
    """Carry out `action` and go on over sessions and rolls to the next choice, or to the end: RUNNING or FINISHED."""
    tape = world.tape
    bars, atrs, terms, limits = tape.bars, tape.atrs, world.terms, world.limits
    row, memory, plan, trades = fleet.books[n], fleet.memories[n], fleet.plans[n], fleet.trades[n]
    if plan[AT] >= 0:
        act(bars, atrs[plan[AT]], terms, limits, row, plan, action)
    while True:
        t = next_bar(bars, limits, row, memory, plan, FIRST)
        if t >= len(bars):
            _end_session(bars, terms, limits, row, memory, plan, trades, len(bars) - 1)
            return FINISHED
        take_bar(bars, atrs[t], terms, limits, row, memory, plan, trades, t)
        if _has_choice(limits, row, plan, world.actions):
            _look(world.tape, world.terms, world.scaling, n, fleet)
            return RUNNING


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


@njit(cache=True, error_model="numpy")
def run_planned(
    world: World,
    fleet: Fleet,
    wanted: NDArray[np.int8],
    draws: NDArray[np.float32],
    manage_rates: NDArray[np.float64],
) -> None:
    """Send account 0 through all bars: enters side `wanted` [T] where it may, and takes each of the three managing
    actions that is valid at a close with its rate of `manage_rates` [3], by the uniform number of `draws` [T]."""
    open_accounts(world, fleet)
    tape = world.tape
    bars, atrs, terms, limits = tape.bars, tape.atrs, world.terms, world.limits
    row, memory, plan, trades = fleet.books[0], fleet.memories[0], fleet.plans[0], fleet.trades[0]
    while True:
        t = next_bar(bars, limits, row, memory, plan, FIRST)
        if t >= len(bars):
            break
        take_bar(bars, atrs[t], terms, limits, row, memory, plan, trades, t)
        mask = plan[MASK]
        if mask & book.BUY_BIT:
            side = wanted[t]
            if side != 0:
                act(bars, atrs[t], terms, limits, row, plan, BUY if side > 0 else SELL)
        elif mask != book.HOLD_BIT:
            manage(bars, atrs[t], terms, limits, row, plan, draws[t], manage_rates)
    _end_session(bars, terms, limits, row, memory, plan, trades, len(bars) - 1)


@njit(cache=True, error_model="numpy")
def run_alone(world: World, fleet: Fleet, t: int, side: int) -> None:
    """Enter `side` at the close of bar t with a new account 0, leave its bracket alone, and go on until it is flat."""
    open_accounts(world, fleet)
    tape = world.tape
    bars, atrs, terms, limits = tape.bars, tape.atrs, world.terms, world.limits
    row, memory, plan, trades = fleet.books[0], fleet.memories[0], fleet.plans[0], fleet.trades[0]
    plan[AT] = t
    act(bars, atrs[t], terms, limits, row, plan, BUY if side > 0 else SELL)
    while plan[AT] + 1 < len(bars):
        take_bar(bars, atrs[plan[AT] + 1], terms, limits, row, memory, plan, trades, plan[AT] + 1)
        if row[book.QTY] == 0 and plan[ENTRY_SIDE] == 0:
            return
    _end_session(bars, terms, limits, row, memory, plan, trades, plan[AT])
