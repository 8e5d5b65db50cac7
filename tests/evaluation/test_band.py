"""Random entries trade as often, on the same sides and in the same hours as the headline, and know nothing."""

from collections import Counter
from functools import cache

import numpy as np
import pytest
from evaluation_builders import columns, done, no_progress, settings
from msgspec.structs import replace

from trader.domain.instruments import instrument
from trader.domain.sessions import Calendar
from trader.errors import InvariantError
from trader.evaluation.band import Arena, EntryPlan, band_of, hours_et, make_arena, plan_entries, random_entries
from trader.training.ground import prepare_ground
from trader.training.rollout import Rollout

SEEDS = 8
SESSIONS = 40
CALM = (
    "strategy.options={seed: 35, rate: 0.06}",
    "account.trailing_limit_usd=20000",
    "account.daily_limit_usd=20000",
)
"""Room for random entries: positions and vetoes leave most of the bars free."""


@cache
def arena() -> Arena:
    ground = prepare_ground(settings(*CALM), columns(SESSIONS), Calendar.load(), instrument("NQ"))
    return make_arena(ground, columns(SESSIONS), Calendar.load(), full=False)


@cache
def plan() -> EntryPlan:
    return plan_entries(done(*CALM, sessions=SESSIONS).witness, arena())


@cache
def entries(seed: int) -> Rollout:
    return random_entries(arena(), plan(), seed)


def mix(rollout: Rollout) -> Counter[tuple[int, int]]:
    """Trades by New York's hour of their decision and side."""
    hours = arena().hours[rollout.trades.opened_bar - 1].tolist()
    return Counter(zip(hours, rollout.trades.side.tolist(), strict=True))


def test_the_plan_is_the_headlines_trades_by_hour_and_side():
    """Counted again from the trades' own times."""
    trades = done(*CALM, sessions=SESSIONS).witness.trades
    by_clock = Counter(
        ((trade.cause.ts_ns // 10**9 + trade.session.et_offset_s) // 3600 % 24, int(trade.side)) for trade in trades
    )

    assert plan().counts == by_clock
    assert plan().trades == len(trades) > 50
    assert plan().manage_rates == done(*CALM, sessions=SESSIONS).witness.managing.rates()


def test_hours_are_new_yorks_at_the_bars_close():
    """The first session opens at 18:00; the clock change of 2022-03-13 lies inside these bars."""
    hours = hours_et(columns(), Calendar.load())

    assert hours[:4].tolist() == [18, 18, 18, 19]
    assert set(hours.tolist()) == {*range(18), *range(18, 24)}
    new_york = columns().ts_close_ns.astype("datetime64[ns]") - np.where(
        columns().ts_close_ns.astype("datetime64[ns]") < np.datetime64("2022-03-13T12"),
        np.timedelta64(5, "h"),
        np.timedelta64(4, "h"),
    )
    assert (hours == new_york.astype("datetime64[h]").astype(np.int64) % 24).all()


@pytest.mark.parametrize("seed", range(1, 1 + SEEDS))
def test_random_entries_match_number_sides_and_hours(seed):
    """Within 2 % of the trades; and 10 % over hours and sides together, where a draw is unlucky."""
    made = mix(entries(seed))
    wanted = plan().counts

    assert abs(made.total() - plan().trades) <= 0.02 * plan().trades
    assert sum(abs(wanted.get(key, 0) - made[key]) for key in {*wanted, *made}) <= 0.1 * plan().trades


def test_random_entries_are_decided_where_entries_are_open():
    """Never at a bar that is not in the window or not ready."""
    assert (arena().classes[entries(1).trades.opened_bar - 1] >= 0).all()


def test_seeds_differ_and_repeat():
    """Another seed enters elsewhere; the same one at the same bars."""
    first, again, other = entries(1), random_entries(arena(), plan(), 1), entries(2)

    assert first.trades.opened_bar.tolist() == again.trades.opened_bar.tolist()
    assert first.trades.opened_bar.tolist() != other.trades.opened_bar.tolist()


def test_entries_are_spread_over_the_sessions():
    """The first and the last third of the sessions hold their part: nothing is bunched at one end."""
    sessions = len(arena().ground.tape.session_dates)
    places = np.concatenate([arena().ground.tape.session_of[entries(seed).trades.opened_bar] for seed in range(1, 9)])
    thirds = np.bincount(np.minimum(places * 3 // sessions, 2), minlength=3) / len(places)

    assert thirds.min() > 0.2
    assert thirds.max() < 0.45


def test_a_crowded_headline_is_matched_in_number_where_its_hours_are_full():
    """Accounts that are used up every other day, and entries at almost every chance: the number comes first."""
    made = done().witness
    crowded = make_arena(
        prepare_ground(settings(), columns(), Calendar.load(), instrument("NQ")), columns(), Calendar.load(), full=False
    )
    wanted = plan_entries(made, crowded)

    counts = [len(random_entries(crowded, wanted, seed).trades) for seed in range(1, 1 + SEEDS)]

    assert max(abs(count - wanted.trades) for count in counts) <= 0.04 * wanted.trades


def test_a_band_holds_each_seeds_result_and_their_quantiles():
    """The last row's quantiles are those of the totals."""
    sessions = arena().ground.tape.session_dates
    band = band_of(arena(), plan(), sessions, SEEDS, no_progress)

    assert band is not None
    totals = [int(entries(seed).daily_cents.sum()) / 100 for seed in range(1, 1 + SEEDS)]
    assert list(band.totals_usd) == totals
    assert list(band.mean_daily_r) == [float(entries(seed).daily_r.mean()) for seed in range(1, 1 + SEEDS)]
    assert [row.session for row in band.rows] == list(sessions)
    last = band.rows[-1]
    assert (last.q025, last.q50, last.q975) == tuple(np.quantile(totals, (0.025, 0.5, 0.975)).tolist())
    wanted = plan().counts
    apart = [
        sum(abs(wanted.get(key, 0) - mix(entries(seed))[key]) for key in {*wanted, *mix(entries(seed))})
        for seed in range(1, 1 + SEEDS)
    ]
    assert band.moved_pct == pytest.approx(100 * sum(apart) / SEEDS / 2 / plan().trades)
    assert (band.fewest, band.most) == tuple(
        limit(len(entries(seed).trades) for seed in range(1, 1 + SEEDS)) for limit in (min, max)
    )


def test_there_is_no_band_where_there_is_nothing_to_match():
    """No trades, or no seeds."""
    sessions = arena().ground.tape.session_dates
    nothing = replace(plan(), counts={}, trades=0)

    assert band_of(arena(), nothing, sessions, SEEDS, no_progress) is None
    assert band_of(arena(), plan(), sessions, 0, no_progress) is None


def test_other_sessions_than_the_headlines_are_refused():
    """A band over other days would be compared with it in silence."""
    with pytest.raises(InvariantError, match="different sessions"):
        band_of(arena(), plan(), ("2022-03-01",), SEEDS, no_progress)
