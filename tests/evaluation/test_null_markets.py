"""The verdict on markets where nothing can be earned, and on one where something can."""

from functools import cache

import numpy as np
import pytest

from trader.analysis.evaluation_parts import VerdictKind
from trader.evaluation.null_markets import NullMarket, NullResult, false_yes, judge, null_bars
from trader.settings import Settings, load_settings

pytestmark = pytest.mark.timeout(300)
"""The kernels may have to be compiled first."""

SESSIONS = 66
NULL = [NullMarket(seed=seed, bar_minutes=15, sessions=SESSIONS) for seed in range(1, 31)]


@cache
def settings_of(*overrides: str) -> Settings:
    """The shipped paper settings without an advisor, accounts renewed."""
    return load_settings(environ={}, overrides=["advisor.backend=off", "account.on_exhausted=renew", *overrides])


SMA_CROSS = settings_of("strategy.name=sma_cross")


@cache
def results() -> list[NullResult]:
    """The SMA cross on thirty random walks."""
    return [judge(SMA_CROSS, market) for market in NULL]


def test_at_most_three_of_thirty_random_walks_are_called_better() -> None:
    """By the rule it happens on one of a hundred; more than three of thirty would say that the rule is broken."""
    assert false_yes(results()) <= 3
    assert {one.kind for one in results()} <= {VerdictKind.BETTER, VerdictKind.WORSE, VerdictKind.NO_DIFFERENCE}


def test_random_strategies_trade_as_often_as_the_strategy() -> None:
    """Every one of two hundred on each walk, to 2 %."""
    for one in results():
        assert one.trades >= 10
        assert one.fewest >= 0.98 * one.trades
        assert one.most <= 1.02 * one.trades


def test_the_strategy_lies_among_its_random_ones_as_one_of_them_would() -> None:
    """In units of their deviation it is off by about 0 on the mean of thirty walks, and by about 1 each.

    Three standard errors: 3 / root 30 for the mean; a share of the cost or a side that was not matched would show.
    """
    off = np.array([(one.mean_daily_r - one.random_mean_r) / one.random_deviation_r for one in results()])
    assert abs(off.mean()) < 3 / len(off) ** 0.5
    assert 0.5 < off.std() < 1.5


@pytest.mark.parametrize("seed", [0, 1])
def test_a_strategy_that_has_found_something_is_called_better(seed: int) -> None:
    """Strong momentum in bars of five minutes is what the SMA cross looks for: the verdict can say yes."""
    found = judge(SMA_CROSS, NullMarket(seed=seed, bar_minutes=5, sessions=SESSIONS, momentum=0.6))
    assert found.kind is VerdictKind.BETTER
    assert false_yes([found, results()[0]]) == 1 + (results()[0].kind is VerdictKind.BETTER)


def test_the_shipped_model_is_judged_too() -> None:
    """On bars that it was not made for, as they are fewer: a result with the model's name, found the same twice."""
    settings = settings_of("strategy.name=ppo", "policy.allow_mismatch=true")
    found = [judge(settings, NULL[0]) for _ in range(2)]
    assert found[0] == found[1]
    assert len(found[0].bundle or "") == 64
    assert found[0].trades > 0


def test_a_market_too_short_for_a_verdict_gets_none() -> None:
    """Fifty-nine sessions."""
    short = NullMarket(seed=1, bar_minutes=15, sessions=59)
    assert judge(SMA_CROSS, short, seeds=5).kind is VerdictKind.TOO_SHORT


def test_a_seed_gives_the_same_walk_and_another_seed_another() -> None:
    """A campaign can be repeated."""
    one, again, other = (null_bars(NULL[place], "NQ") for place in (0, 0, 1))
    assert np.array_equal(one.close, again.close)
    assert not np.array_equal(one.close[:100], other.close[:100])
