"""Figures of daily P&L against numbers worked out by hand and a plain loop."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trader.analysis.daily import (
    Drawdown,
    daily_figures,
    daily_sums,
    longest_drawdown_sessions,
    max_drawdown,
    session_of,
)
from trader.errors import InvariantError

DATES = ["2022-01-03", "2022-01-04", "2022-01-05", "2022-01-06", "2022-01-07", "2022-01-10", "2022-01-11"]


def test_drawdown_is_measured_from_the_peak_to_its_recovery():
    """Equity 100, 150, 90, 60, 120, 150, 140: peak 150 on the second day, trough 60, back at 150 four days later."""
    values = np.array([100.0, 50, -60, -30, 60, 30, -10])
    expected = Drawdown(depth=90.0, sessions=4, peak="2022-01-04", trough="2022-01-06", recovered="2022-01-10")
    assert max_drawdown(values, DATES) == expected


def test_drawdown_from_the_first_session_has_the_start_as_its_peak_and_may_not_end():
    """The account starts at its own peak: losing at once is a drawdown, counted to the last session."""
    values = np.array([-10.0, -20, 5])
    assert max_drawdown(values, DATES[:3]) == Drawdown(
        depth=30.0, sessions=3, peak=None, trough="2022-01-04", recovered=None
    )


def test_drawdown_of_gains_only_is_none():
    """Nothing fell."""
    assert max_drawdown(np.array([1.0, 0, 2]), DATES[:3]) is None
    assert longest_drawdown_sessions(np.array([1.0, 0, 2])) == 0


def test_longest_drawdown_may_be_another_than_the_deepest():
    """A fall of 50 that is back after two sessions, then one of 5 that lasts four."""
    values = np.array([-50.0, 50, 1, -5, 1, 1, 1])
    assert max_drawdown(values, DATES).sessions == 2
    assert longest_drawdown_sessions(values) == 4


@given(st.lists(st.integers(-50, 50), min_size=1, max_size=40))
def test_drawdowns_are_those_of_a_plain_loop(pnl: list[int]):
    """Depth and longest length by walking through the sessions."""
    equity = peak = deepest = longest = length = 0
    for value in pnl:
        equity += value
        was_below = length > 0
        if equity >= peak:
            longest = max(longest, length + 1 if was_below else 0)
            peak, length = equity, 0
        else:
            length += 1
            longest = max(longest, length)
            deepest = max(deepest, peak - equity)
    values = np.array(pnl, dtype=np.float64)
    found = max_drawdown(values, [str(day) for day in range(len(pnl))])
    assert (0 if found is None else found.depth) == deepest
    assert longest_drawdown_sessions(values) == longest


def test_figures_of_thirty_sessions_by_hand():
    """Twenty of 3 and ten of -3: mean 1, sum of squared deviations 240, downside root(90 / 30) = root 3."""
    values = np.array([3.0, 3, -3] * 10)
    figures = daily_figures(values, [f"2022-02-{day:02d}" for day in range(1, 31)], 30)
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
    figures = daily_figures(np.concatenate((busy, idle)), dates, 30)
    assert (figures.total, figures.mean, figures.sessions, figures.sessions_traded) == (15.0, 0.25, 60, 30)


def test_figures_of_no_session_have_no_mean():
    """Nothing to divide by."""
    figures = daily_figures(np.empty(0), [], 0)
    assert (figures.mean, figures.deviation, figures.sharpe, figures.calmar) == (None, None, None, None)


def test_figures_of_values_and_dates_that_do_not_match_are_refused():
    """A date too few would shift every session."""
    with pytest.raises(InvariantError):
        daily_figures(np.zeros(3), DATES[:2], 0)


def test_a_trade_belongs_to_the_session_that_opened_last():
    """An exit at the close, or seen in the break, is the session's before; one at an open is the new one's."""
    opens = np.array([100, 200, 300])
    assert session_of(np.array([100, 150, 199, 200, 999]), opens).tolist() == [0, 0, 0, 1, 2]
    with pytest.raises(InvariantError):
        session_of(np.array([99]), opens)


def test_daily_sums_count_every_session():
    """Sessions without a trade are zeros."""
    assert daily_sums(np.array([5, -2, 4]), np.array([1, 1, 3]), 5).tolist() == [0, 3, 0, 4, 0]
