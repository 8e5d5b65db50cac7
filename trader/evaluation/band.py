"""Random entries that trade like the headline: what luck comes to with as many trades of the same kind.

Each seed enters at random bars of the entry window, as many in each hour of New York and on each side as the headline
did (`trader.kernels.matched`), and manages its positions at random with the headline's rates; bracket, costs, vetoes
and accounts are the engine's. Positions and vetoes that stand in the way can leave entries of a crowded hour unmade:
then more are wanted on that side, and the seed is drawn again, at most ATTEMPTS times, until its number of trades is
within 2 % of the headline's. The first such draw is taken: to choose the one whose hours are nearest would choose the
lucky ones, as losses bring vetoes. The record states the fewest and the most trades of any seed, and how many lie in
another hour or on another side.
"""

from collections import Counter
from collections.abc import Callable, Mapping

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from trader.adapters.columns import BarColumns
from trader.analysis.evaluation_parts import Band, BandRow
from trader.analysis.metrics import share_pct, sharpe_daily
from trader.domain.actions import Side
from trader.domain.sessions import Calendar
from trader.domain.units import HOUR_NS, SECOND_NS
from trader.errors import InvariantError
from trader.evaluation.witness import Witness
from trader.kernels.matched import run_matched
from trader.training.ground import Ground, new_fleet, unscaled
from trader.training.rollout import Rollout, follow_planned

TOLERANCE = 0.02
ATTEMPTS = 40
DAMPING = 0.5
HOURS = 24
SIDES = (1, -1)
FIRST_SEED = 1
QUANTILES = (0.025, 0.25, 0.5, 0.75, 0.975)
MATCHING = (
    "entries at random bars of the entry window, as many on each side as the headline made and, as far as positions "
    "and vetoes leave room, in each hour; same bracket, costs, vetoes and accounts; positions managed at random with "
    "the headline's rates"
)

Ints = NDArray[np.int64]
Stratum = tuple[int, int]
"""Hour of New York's clock of the decision, and side, 1 or -1."""


class EntryPlan(Struct, frozen=True, kw_only=True):
    """What is matched: `counts` trades by hour and side, and the rates of the three managing actions."""

    counts: Mapping[Stratum, int]
    manage_rates: tuple[float, float, float]
    trades: int


class Arena(Struct, frozen=True, kw_only=True, eq=False):
    """Where random entries trade: `hours` [T] is New York's hour at each bar's close, `classes` [T] the same where
    entries are open, else -1, `left` [T] the number of bars of that class from a bar on. `full` says that the headline
    reads the full vector, which is ready later."""

    ground: Ground
    hours: Ints
    classes: Ints
    left: Ints
    full: bool


def make_arena(ground: Ground, columns: BarColumns, calendar: Calendar, *, full: bool) -> Arena:
    """Prepare the bars once for all seeds; `columns` are those of `ground`."""
    hours = hours_et(columns, calendar)
    classes = np.full(len(columns), -1, dtype=np.int64)
    starts = ground.tape.for_inputs(full=full).starts
    classes[starts] = hours[starts]
    left = np.zeros(len(columns), dtype=np.int64)
    for hour in range(HOURS):
        bars = np.flatnonzero(classes == hour)
        left[bars] = np.arange(len(bars), 0, -1)
    return Arena(ground=ground, hours=hours, classes=classes, left=left, full=full)


def hours_et(columns: BarColumns, calendar: Calendar) -> Ints:
    """New York's hour at the close of each bar, shape (bars,)."""
    known, place = np.unique(calendar.session_index(columns.ts_open_ns), return_inverse=True)
    offsets_s = np.array([calendar.session(int(index)).et_offset_s for index in known], dtype=np.int64)
    hours: Ints = (columns.ts_close_ns + offsets_s[place] * SECOND_NS) // HOUR_NS % 24
    return hours


def plan_entries(witness: Witness, arena: Arena) -> EntryPlan:
    """What random entries have to match of a run."""
    counts = Counter((int(arena.hours[trade.cause.seq]), int(trade.side)) for trade in witness.trades)
    return EntryPlan(
        counts=dict(sorted(counts.items())), manage_rates=witness.managing.rates(), trades=len(witness.trades)
    )


def random_entries(arena: Arena, plan: EntryPlan, seed: int) -> Rollout:
    """One random strategy; the same arguments give the same trades."""
    rng = np.random.default_rng(seed)
    goal = counts_of(plan)
    allowed = TOLERANCE * plan.trades
    extra = np.zeros(len(SIDES))  # wanted beyond the goal, because so many were not made before
    tried: list[tuple[float, Rollout]] = []
    while len(tried) < ATTEMPTS:
        made = _attempt(arena, plan, goal + _spread(goal, extra), rng)
        missing = (goal - _reached(arena, made)).sum(axis=0)
        tried.append((float(np.abs(missing).sum()), made))
        if tried[-1][0] <= allowed:
            break
        extra = np.maximum(extra + DAMPING * missing, 0)
    return min(tried, key=lambda one: one[0])[1]


def counts_of(plan: EntryPlan) -> Ints:
    """The wanted trades by hour and side, shape (24, 2), long before short."""
    return np.array([[plan.counts.get((hour, side), 0) for side in SIDES] for hour in range(HOURS)], dtype=np.int64)


def _reached(arena: Arena, made: Rollout) -> Ints:
    """The trades that were made, as `counts_of` has those that were wanted."""
    reached = np.zeros((HOURS, len(SIDES)), dtype=np.int64)
    np.add.at(reached, (arena.hours[made.trades.opened_bar - 1], np.where(made.trades.side > 0, 0, 1)), 1)
    return reached


def _spread(goal: Ints, extra: NDArray[np.float64]) -> Ints:
    """So many entries more of each side, spread over the hours as those of `goal` are; shape (24, 2)."""
    upto = np.cumsum(goal, axis=0) / np.maximum(goal.sum(axis=0), 1)
    more: Ints = np.diff(np.rint(upto * extra).astype(np.int64), axis=0, prepend=0)
    return more


def _attempt(arena: Arena, plan: EntryPlan, counts: Ints, rng: np.random.Generator) -> Rollout:
    ground, full = arena.ground, arena.full
    wanted = np.zeros(len(arena.hours), dtype=np.int8)
    luck = rng.random((len(wanted), 3), dtype=np.float32)
    run_matched(
        ground.world(unscaled(), full=full),
        new_fleet(ground, 1, trades=int(counts.sum())),
        arena.classes,
        arena.left,
        counts.copy(),
        luck,
        np.array(plan.manage_rates),
        wanted,
    )
    return follow_planned(
        ground, wanted, draws=np.ascontiguousarray(luck[:, 2]), manage_rates=plan.manage_rates, full=full
    )


def band_of(
    arena: Arena, plan: EntryPlan, sessions: tuple[str, ...], seeds: int, advance: Callable[[int], None]
) -> Band | None:
    """All seeds of a plan; None where there is nothing to match. `advance` is told of each seed's bars."""
    if not plan.trades or not seeds:
        return None
    if arena.ground.tape.session_dates != sessions:
        msg = "random entries and headline were judged on different sessions"
        raise InvariantError(msg)
    made = []
    for seed in range(FIRST_SEED, FIRST_SEED + seeds):
        made.append(random_entries(arena, plan, seed))
        advance(len(arena.hours))
    apart = np.mean([np.abs(counts_of(plan) - _reached(arena, one)).sum() for one in made])
    return _band(made, plan, sessions, moved_pct=float(apart) / 2 / plan.trades * 100)


def _band(made: list[Rollout], plan: EntryPlan, sessions: tuple[str, ...], moved_pct: float) -> Band:
    equity = np.cumsum(np.array([one.daily_cents for one in made]), axis=1) / 100
    rows = np.quantile(equity, QUANTILES, axis=0).T.tolist()
    counts = [len(one.trades) for one in made]
    longs = sum(count for (_, side), count in plan.counts.items() if side == Side.BUY)
    return Band(
        seeds=len(made),
        first_seed=FIRST_SEED,
        matched_trades=plan.trades,
        fewest=min(counts),
        most=max(counts),
        long_share_pct=share_pct(longs, plan.trades),
        rows=tuple(
            BandRow(session=session, q025=low, q25=lower, q50=middle, q75=upper, q975=high)
            for session, (low, lower, middle, upper, high) in zip(sessions, rows, strict=True)
        ),
        totals_usd=tuple((equity[:, -1]).tolist()),
        mean_daily_r=tuple(float(one.daily_r.mean()) for one in made),
        sharpes=tuple(sharpe_daily((one.daily_cents / 100).tolist()) for one in made),
        matching=MATCHING,
        moved_pct=moved_pct,
    )
