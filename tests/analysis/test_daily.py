"""Figures of daily P&L against numbers worked out by hand."""

import numpy as np
import pytest

from trader.analysis.daily import daily_figures
from trader.errors import InvariantError


def test_figures_of_thirty_sessions_by_hand():
    """Twenty of 3 and ten of -3: mean 1, sum of squared deviations 240, downside root(90 / 30) = root 3."""
    values = np.array([3.0, 3, -3] * 10)
    figures = daily_figures(values, [f"2022-02-{day:02d}" for day in range(1, 31)])
    assert (figures.sessions, figures.total, figures.mean) == (30, 30.0, 1.0)
    assert figures.deviation == pytest.approx((240 / 29) ** 0.5)
    assert figures.sharpe == pytest.approx((29 / 240) ** 0.5 * 252**0.5)
    assert figures.sortino == pytest.approx(252**0.5 / 3**0.5)
    assert figures.calmar == pytest.approx(252 / 3)
    assert figures.drawdown is not None
    assert (figures.drawdown.depth, figures.drawdown.peak) == (3.0, "2022-02-02")


def test_sessions_without_a_trade_are_zeros_in_every_figure():
    """The same gains among as many idle sessions: half the mean, the same total."""
    busy, idle = np.array([2.0, -1] * 15), np.zeros(30)
    dates = [str(day) for day in range(60)]
    figures = daily_figures(np.concatenate((busy, idle)), dates)
    assert (figures.total, figures.mean, figures.sessions) == (15.0, 0.25, 60)


def test_figures_of_no_session_have_no_mean():
    """Nothing to divide by."""
    figures = daily_figures(np.empty(0), [])
    assert (figures.mean, figures.deviation, figures.sharpe, figures.calmar) == (None, None, None, None)


def test_figures_of_values_and_dates_that_do_not_match_are_refused():
    """A date too few would shift every session."""
    with pytest.raises(InvariantError):
        daily_figures(np.zeros(3), ["2022-01-03", "2022-01-04"])
