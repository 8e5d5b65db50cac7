"""What one bar does to a resting bracket, as a table written by hand, and as symmetry between long and short."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trader.kernels import matching as m

# A long with stop 100 and target 160; slippage 1; the target must trade one tick through.
LONG_CASES = [
    ("nothing touched", (120, 150, 110), (m.NO_EXIT, 0, 0)),
    ("low exactly at the stop", (120, 130, 100), (m.STOP, 99, 99)),
    ("low one tick above the stop", (120, 130, 101), (m.NO_EXIT, 0, 0)),
    ("open exactly at the stop", (100, 130, 95), (m.STOP, 99, 99)),
    ("open far through the stop", (80, 130, 70), (m.STOP, 79, 79)),
    ("high exactly at the target is not a trade through it", (120, 160, 110), (m.NO_EXIT, 0, 0)),
    ("high one tick through the target", (120, 161, 110), (m.TARGET, 160, 160)),
    ("open through the target", (170, 175, 165), (m.TARGET, 170, 170)),
    ("open exactly at the target, never through", (160, 160, 150), (m.NO_EXIT, 0, 0)),
    ("open at the target, then through", (160, 163, 150), (m.TARGET, 160, 160)),
    ("both inside the bar", (120, 161, 100), (m.AMBIGUOUS, 99, 160)),
    ("stop at the open wins over a later target", (99, 170, 90), (m.STOP, 98, 98)),
    ("target at the open wins over a later stop", (161, 165, 90), (m.TARGET, 161, 161)),
    ("touched target with a stop is only a stop", (120, 160, 100), (m.STOP, 99, 99)),
]


@pytest.mark.parametrize(("name", "bar", "expected"), LONG_CASES, ids=[case[0] for case in LONG_CASES])
def test_exit_in_bar_long_case_gives_the_booked_price(name, bar, expected):
    """Each way a bar can meet a long's bracket."""
    open_, high, low = bar

    assert m.exit_in_bar(1, open_, high, low, 100, 160, 1, 1) == expected


@pytest.mark.parametrize(("name", "bar", "expected"), LONG_CASES, ids=[case[0] for case in LONG_CASES])
def test_exit_in_bar_short_case_is_the_mirror(name, bar, expected):
    """A short on the bar mirrored at 1,000 ends as the long does, at mirrored prices."""
    open_, high, low = bar
    outcome, price, optimistic = expected

    got = m.exit_in_bar(-1, 1000 - open_, 1000 - low, 1000 - high, 900, 840, 1, 1)

    mirrored = (outcome, 0, 0) if outcome == m.NO_EXIT else (outcome, 1000 - price, 1000 - optimistic)
    assert got == mirrored


def test_exit_in_bar_touch_mode_fills_at_the_level_itself():
    """With `touch` a high at the target is a fill."""
    assert m.exit_in_bar(1, 120, 160, 110, 100, 160, 1, 0) == (m.TARGET, 160, 160)


@pytest.mark.parametrize(
    ("side", "fill", "stop", "target", "beyond"),
    [
        (1, 120, 100, 160, False),
        (1, 100, 100, 160, True),
        (1, 99, 100, 160, True),
        (1, 101, 100, 160, False),
        (1, 160, 100, 160, True),
        (-1, 120, 160, 100, False),
        (-1, 160, 160, 100, True),
        (-1, 100, 160, 100, True),
        (-1, 159, 160, 100, False),
    ],
)
def test_is_beyond_fill_at_a_level_counts(side, fill, stop, target, beyond):
    """A fill at the anchored stop or target is already beyond it."""
    assert m.is_beyond(side, fill, stop, target) is beyond


@given(
    prices=st.lists(st.integers(1, 400), min_size=4, max_size=40),
    stop=st.integers(50, 150),
    target=st.integers(200, 350),
    slippage=st.integers(0, 3),
)
def test_exit_in_bar_never_beats_the_path_that_made_the_bar(prices, stop, target, slippage):
    """Walking the bar's own ticks in order never ends worse than what is booked, nor better than the optimistic."""
    open_, high, low = prices[0], max(prices), min(prices)
    outcome, price, optimistic = m.exit_in_bar(1, open_, high, low, stop, target, slippage, 1)
    walked = None
    for i, tick in enumerate(prices):
        if tick <= stop:
            walked = (tick if i == 0 else min(stop, tick)) - slippage
            break
        if tick >= target + 1:
            walked = tick if i == 0 else target
            break
    if walked is None:
        assert outcome == m.NO_EXIT
        return
    # Inside the bar a stop is booked at its level: the ticks of the walk may jump over it.
    assert min(price, optimistic) <= max(walked, stop - slippage)
    assert walked <= max(price, optimistic)
