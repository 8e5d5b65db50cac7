"""Trades cut by the clock and by name."""

from datetime import UTC, datetime

import numpy as np
import pytest

from trader.analysis.evaluation_parts import Slice
from trader.analysis.slices import Segment, et_hour, segment_of, sliced

WINTER, SUMMER = -5 * 3_600, -4 * 3_600


def at(text: str) -> int:
    """Nanoseconds of a UTC time."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**9


def test_the_hour_is_new_yorks_in_winter_and_summer():
    """14:35 UTC is 09:35 in January, 10:35 in July; midnight is 00."""
    assert et_hour(at("2022-01-05T14:35:00"), WINTER) == "09"
    assert et_hour(at("2022-07-05T14:35:00"), SUMMER) == "10"
    assert et_hour(at("2022-01-05T05:00:00"), WINTER) == "00"


@pytest.mark.parametrize(
    ("first", "last", "segment"),
    [
        ("18:00", "02:59", Segment.ASIA),
        ("03:00", "09:29", Segment.EUROPE),
        ("09:30", "10:59", Segment.OPEN),
        ("11:00", "13:59", Segment.MIDDAY),
        ("14:00", "15:59", Segment.CLOSE),
        ("16:00", "17:59", Segment.AFTER),
    ],
)
def test_segments_begin_and_end_by_new_yorks_clock(first: str, last: str, segment: Segment):
    """Their first and last minutes, as UTC times read with an offset of zero."""
    for clock in (first, last):
        assert segment_of(at(f"2022-01-05T{clock}:00"), 0) is segment


def test_slices_hold_every_trade_once_in_the_order_asked_for():
    """Sums by hand; a key that was not foreseen comes last."""
    pnl, r = np.array([100, -50, 0, 1]), np.array([1.0, -0.5, 0.0, 0.25])
    assert sliced(["b", "a", "x", "b"], pnl, r, ["a", "b", "c"]) == (
        Slice(key="a", trades=1, wins=0, pnl_usd=-0.5, net_r=-0.5),
        Slice(key="b", trades=2, wins=2, pnl_usd=1.01, net_r=1.25),
        Slice(key="x", trades=1, wins=0, pnl_usd=0.0, net_r=0.0),
    )
