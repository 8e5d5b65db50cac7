"""Limits have no defaults, and costs are what they are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import NODEFAULT
from msgspec.structs import fields

from trader.risk.limits import OrderLimits, RiskLimits, min_stop_for_cost_ticks, round_trip_cost_cents


@pytest.mark.parametrize("record", [RiskLimits, OrderLimits])
def test_limits_have_no_default(record: type[RiskLimits] | type[OrderLimits]) -> None:
    """A limit that nobody stated must not exist."""
    assert [
        field.name
        for field in fields(record)
        if field.default is not NODEFAULT or field.default_factory is not NODEFAULT
    ] == []


def test_round_trip_cost_of_nq_is_fourteen_fifty() -> None:
    """Twice 2.25 $ and two ticks of 5 $."""
    assert round_trip_cost_cents(225, 1, 500) == 1_450


@pytest.mark.parametrize(
    ("cost_cents", "share", "tick_value_cents", "ticks"),
    [
        (1_450, 0.15, 500, 20),  # 14.50 $ is 15.3 % of 19 ticks (95 $), 14.5 % of 20 (100 $)
        (1_500, 0.15, 500, 20),  # exactly 15 % of 100 $ is not more than 15 %
        (1_501, 0.15, 500, 21),
        (224, 0.15, 50, 30),  # 2.24 $ is 14.9 % of 15 $
        (1_450, 1.0, 500, 3),
    ],
)
def test_min_stop_for_cost_is_the_first_of_which_the_cost_is_not_too_much(
    cost_cents: int, share: float, tick_value_cents: int, ticks: int
) -> None:
    """By hand."""
    assert min_stop_for_cost_ticks(cost_cents, share, tick_value_cents) == ticks


@given(st.integers(1, 100_000), st.integers(1, 100), st.integers(1, 5_000))
def test_min_stop_for_cost_agrees_with_whole_percents(cost_cents: int, percent: int, tick_value_cents: int) -> None:
    """cost > percent/100 x risk, in integers: it fires one tick below, and not there."""
    ticks = min_stop_for_cost_ticks(cost_cents, percent / 100, tick_value_cents)
    assert cost_cents * 100 <= percent * ticks * tick_value_cents
    assert cost_cents * 100 > percent * (ticks - 1) * tick_value_cents
