"""Random entries that trade like the headline: what luck comes to with as many trades of the same kind.

Each seed enters at bars drawn without replacement among those at which entries are open, as many in each hour of New
York and on each side as the headline did, and manages its positions at random with the headline's rates; bracket,
costs, vetoes and accounts are the engine's. A drawn entry may be blocked, by an open position or a veto; then others
are drawn in its place (and surplus ones dropped) until the number of trades in each hour and on each side differs from
the headline's by no more than 2 % in all, or MOST_ROUNDS are over.
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
from trader.training.ground import Ground
from trader.training.rollout import Rollout, follow_planned

TOLERANCE = 0.02
MOST_ROUNDS = 40
FIRST_SEED = 1
QUANTILES = (0.025, 0.25, 0.5, 0.75, 0.975)
MATCHING = (
    "entries at random bars of the entry window, as many in each hour and on each side as the headline made; same "
    "bracket, costs, vetoes and accounts; positions managed at random with the headline's rates"
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
    """Where random entries trade: `hours` [T] is New York's hour at each bar's close, `open_bars` by hour are the bars
    at which entries are open, `full` says whether the headline reads the full vector and is ready later."""

    ground: Ground
    hours: Ints
    open_bars: Mapping[int, Ints]
    full: bool


def make_arena(ground: Ground, columns: BarColumns, calendar: Calendar, *, full: bool) -> Arena:
    """Prepare the bars once for all seeds; `columns` are those of `ground`."""
    hours = hours_et(columns, calendar)
    starts = ground.tape.for_inputs(full=full).starts
    open_bars = {int(hour): starts[hours[starts] == hour] for hour in np.unique(hours[starts])}
    return Arena(ground=ground, hours=hours, open_bars=open_bars, full=full)


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
    size = len(arena.hours)
    waiting = {hour: rng.permutation(bars).tolist() for hour, bars in arena.open_bars.items()}
    draws = rng.random(size, dtype=np.float32)
    wanted = np.zeros(size, dtype=np.int8)
    missing: dict[Stratum, int] = dict(plan.counts)
    allowed = int(TOLERANCE * plan.trades)
    best: tuple[int, Rollout] | None = None
    for _ in range(MOST_ROUNDS):
        _enter(wanted, waiting, missing)
        made = follow_planned(arena.ground, wanted, draws=draws, manage_rates=plan.manage_rates, full=arena.full)
        missing = _missing(arena, plan, made)
        off = sum(abs(count) for count in missing.values())
        if best is None or off < best[0]:
            best = (off, made)
        if off <= allowed:
            break
        _drop(wanted, arena, made, missing)
    if best is None:
        msg = "random entries were asked for without a round"
        raise InvariantError(msg)
    return best[1]


def _enter(wanted: NDArray[np.int8], waiting: Mapping[int, list[int]], missing: Mapping[Stratum, int]) -> None:
    """Want an entry at the next drawn bars of each hour, as many as are missing."""
    for (hour, side), count in missing.items():
        bars = waiting.get(hour, [])
        for _ in range(min(count, len(bars))):
            wanted[bars.pop()] = side


def _missing(arena: Arena, plan: EntryPlan, made: Rollout) -> dict[Stratum, int]:
    hours = arena.hours[made.trades.opened_bar - 1].tolist()
    counts = Counter(zip(hours, made.trades.side.tolist(), strict=True))
    return {stratum: plan.counts.get(stratum, 0) - counts[stratum] for stratum in sorted({*plan.counts, *counts})}


def _drop(wanted: NDArray[np.int8], arena: Arena, made: Rollout, missing: Mapping[Stratum, int]) -> None:
    """Give up the last entries of each hour and side of which there are too many."""
    bars = made.trades.opened_bar - 1
    hours, sides = arena.hours[bars], made.trades.side
    for (hour, side), count in missing.items():
        if count < 0:
            wanted[bars[(hours == hour) & (sides == side)][count:]] = 0


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
    return _band(made, plan, sessions)


def _band(made: list[Rollout], plan: EntryPlan, sessions: tuple[str, ...]) -> Band:
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
    )
