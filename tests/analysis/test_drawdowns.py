"""The list of drawdowns, beside the plainest way to find them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trader.analysis.drawdowns import Drawdown, deepest_drawdowns
from trader.errors import InvariantError

DATES = [f"2021-01-{day:02d}" for day in range(1, 31)]


def listed(values: list[float], most: int = 99) -> tuple[Drawdown, ...]:
    """The drawdowns of these sessions."""
    return deepest_drawdowns(np.array(values, dtype=np.float64), DATES[: len(values)], most)


def test_drawdowns_are_listed_deepest_first_with_their_dates():
    """One from the start that recovers, one that recovers later, one that does not."""
    found = listed([-10, 15, -30, 5, 40, -20])

    assert found == (
        Drawdown(depth=30, sessions=3, peak=DATES[1], trough=DATES[2], recovered=DATES[4]),
        Drawdown(depth=20, sessions=1, peak=DATES[4], trough=DATES[5], recovered=None),
        Drawdown(depth=10, sessions=2, peak=None, trough=DATES[0], recovered=DATES[1]),
    )


def test_no_more_are_listed_than_asked_for_and_none_without_a_fall():
    """The deepest are kept."""
    assert [one.depth for one in listed([-1, 2, -3, 4, -2], most=2)] == [3, 2]
    assert listed([5, 0, 3]) == ()
    assert listed([]) == ()


def test_dates_have_to_fit():
    """A date a session."""
    with pytest.raises(InvariantError, match="2 dates"):
        deepest_drawdowns(np.zeros(3), DATES[:2], 5)


def test_a_peak_that_is_met_again_in_dollars_is_met_again_whatever_the_last_bits_are():
    """0.21, 0.79, 1.70 and back to 1.70: as doubles the sums miss the peak by a last bit."""
    values = [0.21, 0.58, 0.91, -0.65, 0.65]
    assert np.cumsum(values)[-1] < np.cumsum(values)[2]
    assert listed(values) == (
        Drawdown(depth=pytest.approx(0.65), sessions=2, peak=DATES[2], trough=DATES[3], recovered=DATES[4]),
    )


@given(st.lists(st.integers(-50, 50), max_size=30))
def test_the_deepest_is_the_maximum_drawdown_and_sessions_under_water_are_covered_once(values):
    """Walking the curve session by session finds the same depth and the same sessions under water."""
    found = listed([float(value) for value in values])
    equity, peak, under, deepest = 0, 0, 0, 0
    for value in values:
        equity += value
        peak = max(peak, equity)
        under += equity < peak
        deepest = max(deepest, peak - equity)

    assert (found[0].depth if found else 0) == deepest
    assert sum(one.sessions - (one.recovered is not None) for one in found) == under
