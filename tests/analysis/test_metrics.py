"""The ratios of a report against hand-made cases and a library."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trader.analysis.metrics import calmar, ratio, share_pct, sharpe_daily, sortino_daily


def test_sharpe_of_twenty_sessions_by_hand():
    """Ten of 3 and ten of 1: mean 2, sample variance 20/19, 2 / 1.0259784 x 15.8745079."""
    assert sharpe_daily([300, 100] * 10) == pytest.approx(30.9451126, abs=1e-6)


def test_sharpe_of_nineteen_sessions_is_none():
    """Too few to say anything."""
    assert sharpe_daily([300, 100] * 9 + [300]) is None


def test_sharpe_of_sessions_that_are_all_equal_is_none():
    """Nothing deviates: the ratio has no meaning."""
    assert sharpe_daily([0] * 40) is None


@given(st.lists(st.integers(-1_000_000, 1_000_000), min_size=20, max_size=60).filter(lambda pnl: len(set(pnl)) > 1))
def test_sharpe_of_any_sessions_is_numpys(pnl: list[int]):
    """Against mean and sample deviation of a library."""
    expected = float(np.mean(pnl) / np.std(pnl, ddof=1) * 252**0.5)
    assert sharpe_daily(pnl) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_sortino_counts_all_sessions_in_its_downside():
    """Fifteen of 3 and five of -1: mean 2, downside root(5 / 20) = 1/2, 4 x 15.8745079."""
    assert sortino_daily([3, 3, 3, -1] * 5) == pytest.approx(63.4980315, abs=1e-6)


def test_sortino_of_nineteen_sessions_or_of_none_that_lost_is_none():
    """Too few; nothing to divide by."""
    assert sortino_daily([3, 3, 3, -1] * 4 + [3, -1, 3]) is None
    assert sortino_daily([3, 0] * 10) is None


def test_sortino_of_a_small_downside_is_large():
    """Of one session in twenty that lost a hundredth."""
    assert sortino_daily([1.0] * 19 + [-0.01]) == pytest.approx(18.99 / 20 / (0.0001 / 20) ** 0.5 * 252**0.5)


def test_calmar_is_a_years_mean_over_the_drawdown():
    """100 in four sessions: 25 a session, 6,300 a year, over 30; a drawdown of less than one counts too."""
    assert calmar([50, -30, 40, 40], 30) == pytest.approx(210)
    assert calmar([1.0, -0.5, 0.5], 0.5) == pytest.approx(168)


def test_calmar_without_sessions_or_drawdown_is_none():
    """Nothing to divide, or nothing to divide by."""
    assert calmar([], 30) is None
    assert calmar([50, 40], 0) is None


def test_ratios_of_nothing_are_none():
    """And those of something are theirs."""
    assert (ratio(1, 4), ratio(1, 0), share_pct(1, 4), share_pct(1, 0)) == (0.25, None, 25.0, None)
