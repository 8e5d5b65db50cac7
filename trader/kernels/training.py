"""Many accounts on one history of bars: from one real choice to the next.

A choice is real where some valid action besides HOLD passes the review; other bars pass by themselves.

Two ways to go through the bars: `step` in episodes (from a random bar to the end of its session, flat), and `run_on`
through all of them with one account, sessions, rolls and replaced accounts as the engine has them.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from trader.kernels import account_bar, book, line, market, round_trips, rules
from trader.kernels.layout import (
    ACCOUNTS,
    ACTIVE,
    AT,
    BUY,
    CLOSE,
    DUE_AT_CLOSE,
    ENTRIES_OVER,
    ENTRY_SIDE,
    FIRST,
    FLAGS,
    LAST,
    MASK,
    SELL,
    SESSION_NS,
    Bars,
    Plan,
)  # fmt: skip

OWN_START = 220
"""The window ends and the account's features begin; its others follow the context, which starts at 228."""

RUNNING, TRUNCATED, TERMINATED, FINISHED = range(4)

PNL_R, BREACH_R = range(2)
REWARD_TERMS = 2
"""What a step brought, in R: change of equity net of costs over the trade's own risk; 1 where the account breached."""


class Tape(NamedTuple):
    """T bars: `bars` [T, BAR_SIZE] and `atrs` [T] in ticks; the market part of bar t's observation is
    window[11 t : 11 t + 220] and context[28 t : 28 t + 28].

    `window` [11 (T + 19)] are the window's rows after 19 rows of zeros, `context` [28 T] the features 228..255.
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


@njit(cache=True, error_model="numpy", inline="always")
def _scale(
    values: NDArray[np.float32], first: int, mean: NDArray[np.float32], scale: NDArray[np.float32], clip: np.float32,
    begin: int, count: int, out: NDArray[np.float32],
) -> None:  # fmt: skip
    """Write `count` scaled features from place `begin` on; their raw values stand in `values` from place `first` on."""
    # Unsigned places need no test for a negative one, and comparisons, unlike min and max, become vector instructions.
    source, place = np.uint64(first), np.uint64(begin)
    for i in range(np.uint64(count)):
        value = (values[source + i] - mean[place + i]) * scale[place + i]
        value = value if value < clip else clip  # noqa: FURB136
        out[place + i] = value if value > -clip else -clip  # noqa: FURB136


@njit(cache=True, error_model="numpy", inline="always")
def _look(
    tape: Tape, terms: book.Terms, scaling: Scaling, row: book.Row, plan: Plan, own: NDArray[np.float32],
    seen: NDArray[np.float32],
) -> None:  # fmt: skip
    """Write what the policy sees at the bar where an account stands."""
    t = plan[AT]
    line.describe(own, row, terms, tape.bars[t, CLOSE], tape.atrs[t], plan[MASK])
    mean, scale, clip = scaling.mean, scaling.scale, np.float32(scaling.clip)
    _scale(tape.window, t * market.ROW_SIZE, mean, scale, clip, 0, OWN_START, seen)
    _scale(own, OWN_START, mean, scale, clip, OWN_START, market.CONTEXT_START - OWN_START, seen)
    if len(seen) > market.CONTEXT_START:
        context_end = market.CONTEXT_START + market.CONTEXT_SIZE
        at = t * market.CONTEXT_SIZE
        _scale(tape.context, at, mean, scale, clip, market.CONTEXT_START, market.CONTEXT_SIZE, seen)
        _scale(own, context_end, mean, scale, clip, context_end, len(own) - context_end, seen)


@njit(cache=True, error_model="numpy")
def _begin_episode(
    bars: Bars, atr: float, terms: book.Terms, limits: rules.Limits, row: book.Row, memory: rules.Memory, plan: Plan,
    t: int,
) -> None:  # fmt: skip
    """Put an account at bar t as its session would find it; it runs on from episode to episode until exhausted."""
    book.begin_session(row, terms)
    rules.clear_fired(memory, rules.NEVER_NS - 1)  # episodes are not in time order, but each begins a session
    rules.session_opened(memory, bars[t, SESSION_NS])
    account_bar.replace_if_exhausted(terms, limits, row, memory, plan)
    row[book.LAST_STOP_MIN] = 0
    plan[ENTRY_SIDE] = 0
    account_bar.settle(bars, atr, terms, row, plan, t)
    account_bar.review(bars, atr, terms, limits, row, memory, plan)


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
    tape, terms = world.tape, world.terms
    for n in range(len(starts)):
        row, plan, t = fleet.books[n], fleet.plans[n], starts[n]
        _begin_episode(tape.bars, tape.atrs[t], terms, world.limits, row, fleet.memories[n], plan, t)
        _look(tape, terms, world.scaling, row, plan, fleet.own[n], fleet.seen[n])


@njit(cache=True, error_model="numpy")
def _advance(
    bars: Bars, atrs: NDArray[np.float64], terms: book.Terms, limits: rules.Limits, actions: int, row: book.Row,
    memory: rules.Memory, plan: Plan, trades: NDArray[np.int64], action: int,
) -> tuple[int, float]:  # fmt: skip
    """Carry out `action` and go on to the next choice, or to the end of the episode, flat: outcome, and gain in R."""
    account_bar.act(bars, atrs[plan[AT]], terms, limits, row, plan, action)
    gain = 0.0
    while True:
        t = account_bar.next_bar(bars, limits, row, memory, plan, LAST | ENTRIES_OVER | DUE_AT_CLOSE)
        gain += account_bar.take_bar(bars, atrs[t], terms, limits, row, memory, plan, trades, t)
        flags = bars[t, FLAGS]
        if flags & LAST:
            gain += round_trips.end_session(bars, terms, limits, row, memory, plan, trades, t)
        exhausted = plan[ACTIVE] & rules.TRAILING_BREACH
        flat = row[book.QTY] == 0 and plan[ENTRY_SIDE] == 0
        if flags & LAST or (flat and (exhausted or flags & (ENTRIES_OVER | DUE_AT_CLOSE))):
            return TERMINATED if exhausted else TRUNCATED, gain
        if account_bar.has_choice(limits, row, plan, actions):
            return RUNNING, gain


@njit(cache=True, error_model="numpy")
def step(world: World, actions: NDArray[np.int64], starts: NDArray[np.int64], fleet: Fleet) -> int:
    """One step of every account; those whose episode ended begin another at their bar of `starts`.

    Returns -1, or the first account whose action its mask forbids: then nothing was done.
    """
    for n in range(len(actions)):
        if not (fleet.plans[n, MASK] & world.actions) >> actions[n] & 1:
            return n
    # Whatever is read in the loop is taken out of its tuple once: each reading of a field counts a reference.
    tape, terms, limits, scaling, known = world.tape, world.terms, world.limits, world.scaling, world.actions
    books, memories, plans, trades = fleet.books, fleet.memories, fleet.plans, fleet.trades
    own, seen, end_seen = fleet.own, fleet.seen, fleet.end_seen
    rewards, outcomes = fleet.rewards, fleet.outcomes
    episode_rewards, episode_steps = fleet.episode_rewards, fleet.episode_steps
    bars, atrs = tape.bars, tape.atrs
    for n in range(len(actions)):
        row, memory, plan, sight = books[n], memories[n], plans[n], seen[n]
        if outcomes[n] != RUNNING:
            for i in range(REWARD_TERMS):
                episode_rewards[n, i] = 0.0
            episode_steps[n] = 0
        outcome, gain = _advance(bars, atrs, terms, limits, known, row, memory, plan, trades[n], actions[n])
        breach = 1.0 if outcome == TERMINATED else 0.0
        rewards[n, PNL_R] = gain
        rewards[n, BREACH_R] = breach
        episode_rewards[n, PNL_R] += gain
        episode_rewards[n, BREACH_R] += breach
        outcomes[n] = outcome
        episode_steps[n] += 1
        _look(tape, terms, scaling, row, plan, own[n], sight)
        if outcome != RUNNING:
            end_seen[n, :] = sight
            t = starts[n]
            _begin_episode(bars, atrs[t], terms, limits, row, memory, plan, t)
            _look(tape, terms, scaling, row, plan, own[n], sight)
    return -1


@njit(cache=True, error_model="numpy")
def run_on(world: World, n: int, fleet: Fleet, action: int) -> int:
    """Carry out `action` and go on over sessions and rolls to the next choice, or to the end: RUNNING or FINISHED."""
    tape = world.tape
    bars, atrs, terms, limits = tape.bars, tape.atrs, world.terms, world.limits
    row, memory, plan, trades = fleet.books[n], fleet.memories[n], fleet.plans[n], fleet.trades[n]
    if plan[AT] >= 0:
        account_bar.act(bars, atrs[plan[AT]], terms, limits, row, plan, action)
    while True:
        t = account_bar.next_bar(bars, limits, row, memory, plan, FIRST)
        if t >= len(bars):
            round_trips.end_session(bars, terms, limits, row, memory, plan, trades, len(bars) - 1)
            return FINISHED
        account_bar.take_bar(bars, atrs[t], terms, limits, row, memory, plan, trades, t)
        if account_bar.has_choice(limits, row, plan, world.actions):
            _look(tape, terms, world.scaling, row, plan, fleet.own[n], fleet.seen[n])
            return RUNNING


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
        t = account_bar.next_bar(bars, limits, row, memory, plan, FIRST)
        if t >= len(bars):
            break
        account_bar.take_bar(bars, atrs[t], terms, limits, row, memory, plan, trades, t)
        mask = plan[MASK]
        if mask & book.BUY_BIT:
            side = wanted[t]
            if side != 0:
                account_bar.act(bars, atrs[t], terms, limits, row, plan, BUY if side > 0 else SELL)
        elif mask != book.HOLD_BIT:
            account_bar.manage(bars, atrs[t], terms, limits, row, plan, draws[t], manage_rates)
    round_trips.end_session(bars, terms, limits, row, memory, plan, trades, len(bars) - 1)


@njit(cache=True, error_model="numpy")
def run_alone(world: World, fleet: Fleet, t: int, side: int) -> None:
    """Enter `side` at the close of bar t with a new account 0, leave its bracket alone, and go on until it is flat."""
    open_accounts(world, fleet)
    tape = world.tape
    bars, atrs, terms, limits = tape.bars, tape.atrs, world.terms, world.limits
    row, memory, plan, trades = fleet.books[0], fleet.memories[0], fleet.plans[0], fleet.trades[0]
    plan[AT] = t
    account_bar.act(bars, atrs[t], terms, limits, row, plan, BUY if side > 0 else SELL)
    while plan[AT] + 1 < len(bars):
        account_bar.take_bar(bars, atrs[plan[AT] + 1], terms, limits, row, memory, plan, trades, plan[AT] + 1)
        if row[book.QTY] == 0 and plan[ENTRY_SIDE] == 0:
            return
    round_trips.end_session(bars, terms, limits, row, memory, plan, trades, plan[AT])
