"""The ratios of a report against hand-made cases and a library."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trader.analysis.metrics import sharpe_daily


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
