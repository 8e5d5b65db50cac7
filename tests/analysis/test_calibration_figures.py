"""Reliability of confidences against hand-made counts and a plain loop."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trader.analysis.calibration import calibration
from trader.analysis.evaluation_parts import Bin, Calibration


def test_bins_hold_mean_confidence_and_share_of_wins():
    """Twenty at 0.25 of which five won, twenty at 1.0 of which all did: Brier (5 x 0.5625 + 15 x 0.0625) / 40."""
    confidence = np.array([0.25] * 20 + [1.0] * 20)
    won = np.array([True] * 5 + [False] * 15 + [True] * 20)
    assert calibration(confidence, won) == Calibration(
        bins=(
            Bin(low=0.2, high=0.3, trades=20, mean_confidence=0.25, win_share=0.25),
            Bin(low=0.9, high=1.0, trades=20, mean_confidence=1.0, win_share=1.0),
        ),
        brier=pytest.approx((5 * 0.5625 + 15 * 0.0625) / 40),
        trades=40,
    )


def test_twenty_nine_trades_are_too_few():
    """Thirty are not."""
    assert calibration(np.full(29, 0.5), np.ones(29, dtype=bool)) is None
    assert calibration(np.full(30, 0.5), np.ones(30, dtype=bool)) is not None


@given(st.lists(st.tuples(st.integers(0, 1024), st.booleans()), min_size=30, max_size=80))
def test_every_trade_is_in_one_bin(trades: list[tuple[int, bool]]):
    """Confidences as they are rounded, n / 1024, sorted by comparing them with the bounds."""
    confidence, won = np.array([n / 1024 for n, _ in trades]), np.array([win for _, win in trades])
    found = calibration(confidence, won)
    assert found is not None
    assert sum(each.trades for each in found.bins) == len(trades)
    for each in found.bins:
        inside = [(n, win) for n, win in trades if each.low <= n / 1024 < each.high or (n == 1024 and each.high == 1)]
        assert each.trades == len(inside)
        assert each.win_share == pytest.approx(sum(win for _, win in inside) / len(inside))
        assert each.mean_confidence == pytest.approx(sum(n for n, _ in inside) / len(inside) / 1024)
