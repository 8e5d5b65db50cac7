"""The verdict's rule at its edges, and how often it says yes to nothing."""

import numpy as np
import pytest

from trader.analysis.evaluation_parts import VerdictKind
from trader.analysis.verdict import RANDOM_SEEDS, verdict

SEEDS = np.linspace(-1, 1, RANDOM_SEEDS)


def found(mean_r: float, seeds: np.ndarray = SEEDS, sessions: int = 250, trades: int = 300) -> VerdictKind:
    """The finding alone."""
    return verdict(mean_r, seeds, sessions=sessions, trades=trades).kind


def test_better_than_all_seeds_is_yes():
    """k = 0: p = 2 / 201."""
    seen = verdict(1.5, SEEDS, sessions=250, trades=300)
    assert seen.kind is VerdictKind.BETTER
    assert (seen.seeds_as_far, seen.p, seen.seeds) == (0, pytest.approx(2 / 201), 200)
    assert "YES" in seen.sentence


def test_one_better_seed_leaves_yes_and_two_do_not():
    """k = 1: p = 4 / 201 = 0.0199; k = 2: p = 6 / 201 = 0.0299."""
    assert found((SEEDS[-1] + SEEDS[-2]) / 2) is VerdictKind.BETTER
    assert found((SEEDS[-2] + SEEDS[-3]) / 2) is VerdictKind.NO_DIFFERENCE


def test_a_seed_that_is_equal_counts_against_the_strategy():
    """At least as far out: a tie with the second best has k = 2."""
    assert found(SEEDS[-1]) is VerdictKind.BETTER
    assert found(SEEDS[-2]) is VerdictKind.NO_DIFFERENCE


def test_worse_than_all_seeds_is_worse():
    """The other side has the same rule."""
    assert found(-1.5) is VerdictKind.WORSE
    assert found((SEEDS[1] + SEEDS[2]) / 2) is VerdictKind.NO_DIFFERENCE


def test_fewer_than_sixty_sessions_are_too_short_whatever_they_show():
    """59 and 60."""
    assert found(1.5, sessions=59) is VerdictKind.TOO_SHORT
    assert found(1.5, sessions=60) is VerdictKind.BETTER


def test_without_a_trade_there_is_no_p():
    """Nothing was done, nothing is compared."""
    seen = verdict(0.0, SEEDS, sessions=250, trades=0)
    assert (seen.kind, seen.p, seen.seeds_as_far, seen.mean_daily_r) == (VerdictKind.NO_TRADES, None, None, None)


def test_a_single_trade_is_judged_like_many():
    """Its result is shown, and lies where it lies."""
    seen = verdict(0.25, SEEDS, sessions=250, trades=1)
    assert (seen.kind, seen.mean_daily_r) == (VerdictKind.NO_DIFFERENCE, 0.25)


def test_p_of_exactly_the_limit_is_enough():
    """79 seeds: 2 / 80 = 0.025; 78 are too few to say anything."""
    assert found(2.0, np.zeros(79)) is VerdictKind.BETTER
    assert found(-2.0, np.zeros(79)) is VerdictKind.WORSE
    assert found(2.0, np.zeros(78)) is VerdictKind.NO_DIFFERENCE


def test_without_seeds_nothing_is_compared():
    """One seed is compared, though it proves nothing."""
    none, one = (verdict(2.0, np.zeros(seeds), sessions=250, trades=9) for seeds in (0, 1))
    assert (none.kind, none.p, none.seeds_as_far) == (VerdictKind.NO_DIFFERENCE, None, None)
    assert "compared with nothing" in none.sentence
    assert (one.kind, one.p, one.seeds_as_far) == (VerdictKind.NO_DIFFERENCE, 1.0, 0)
    assert "1 random strategies" in one.sentence


def test_seeds_that_are_all_equal_to_the_strategy_show_no_difference():
    """p stays at most 1."""
    seen = verdict(0.0, np.zeros(RANDOM_SEEDS), sessions=250, trades=1)
    assert seen.kind is VerdictKind.NO_DIFFERENCE
    assert seen.p == 1.0


def test_a_strategy_like_the_seeds_is_said_better_in_about_one_of_a_hundred():
    """By exchangeability two ranks of 201 are yes, 1.0 %: of 4,000 draws 40, and 4 standard deviations are 25 more."""
    rng = np.random.default_rng(20)
    draws = rng.standard_t(3, (4_000, RANDOM_SEEDS + 1))
    kinds = [found(float(row[0]), row[1:]) for row in draws]
    assert 15 <= kinds.count(VerdictKind.BETTER) <= 65
    assert 15 <= kinds.count(VerdictKind.WORSE) <= 65


@pytest.mark.parametrize("kind", VerdictKind)
def test_every_kind_has_its_sentence(kind: VerdictKind):
    """One for each, naming what it rests on."""
    cases = {
        VerdictKind.BETTER: (2.0, 250, 9),
        VerdictKind.WORSE: (-2.0, 250, 9),
        VerdictKind.NO_DIFFERENCE: (0.0, 250, 9),
        VerdictKind.TOO_SHORT: (2.0, 30, 9),
        VerdictKind.NO_TRADES: (0.0, 250, 0),
    }
    mean_r, sessions, trades = cases[kind]
    seen = verdict(mean_r, SEEDS, sessions=sessions, trades=trades)
    assert seen.kind is kind
    assert seen.sentence.startswith(kind.value.upper())
