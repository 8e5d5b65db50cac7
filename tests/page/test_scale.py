"""Scales hold what they are given and end on round figures."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trader.page.scale import Scale, digits_for, scale_over, ticks

FIGURES = st.lists(st.floats(-1e9, 1e9, allow_nan=False), max_size=20)


@given(FIGURES, st.booleans())
def test_a_scale_holds_every_value_between_its_ends(values, with_zero):
    """No value is drawn outside, whatever the values are; none at all and equal ones included."""
    scale = scale_over(values, 60.0, 500.0, with_zero=with_zero)

    assert scale.low < scale.high
    assert all(scale.low <= value <= scale.high for value in values)
    assert all(60.0 <= scale.at(value) <= 500.0 for value in [*values, -math.inf, math.inf])


@given(FIGURES)
def test_ticks_lie_on_the_scale_and_are_written_apart(values):
    """Tick labels differ from one another and name the place at which they stand."""
    scale = scale_over(values, 0.0, 1.0)
    marks = ticks(scale.low, scale.high)
    digits = digits_for(marks)

    assert 2 <= len(marks) <= 12
    assert len({f"{mark:.{digits}f}" for mark in marks}) == len(marks)
    assert all(scale.low - 1e-9 * scale.high <= mark <= scale.high + 1e-9 * abs(scale.high) for mark in marks)


@pytest.mark.parametrize(
    ("low", "high", "wanted", "marks"),
    [
        (0.0, 10.0, 5, [0, 2, 4, 6, 8, 10]),
        (-1.0, 1.0, 4, [-1, -0.5, 0, 0.5, 1]),
        (3.0, 11.0, 4, [4, 6, 8, 10]),
        (0.0, 1.0, 4, [0, 0.25, 0.5, 0.75, 1.0]),
    ],
)
def test_ticks_are_round_figures(low, high, wanted, marks):
    """1, 2, 2.5 and 5 times powers of ten."""
    assert ticks(low, high, wanted) == pytest.approx(marks)


def test_a_scale_may_run_downward():
    """In a drawing the larger value has the smaller y."""
    assert [Scale(0, 10, 100, 0).at(value) for value in (0, 5, 10, 20)] == [100, 50, 0, 0]


@pytest.mark.parametrize(("marks", "digits"), [([0, 5], 0), ([0, 0.25], 2), ([0, 0.5], 1), ([1000, 3000], 0)])
def test_as_many_decimals_are_written_as_the_ticks_have(marks, digits):
    """0.25 needs two."""
    assert digits_for(marks) == digits
