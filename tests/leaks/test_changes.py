"""Other futures are bars like any others, begin where they are told to, and differ from what was there."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from leak_builders import NQ, market, prices_of

from trader.adapters.columns import BarColumns
from trader.leaks.changes import LATER_CONTRACT, Change, Future, changed

COUNT = 60


def some_bars() -> BarColumns:
    """An hour of bars."""
    return market(1).rows(0, COUNT)


@given(st.sampled_from(Future), st.integers(0, COUNT - 2), st.integers(0, 5))
def test_changed_keeps_the_past_to_the_bit_and_alters_the_future(future: Future, cut: int, seed: int) -> None:
    """Every column up to the cut is the same; afterwards no bar is, but in the order of shuffled ones."""
    bars = some_bars()
    other = changed(bars, NQ.tick, Change(cut=cut, future=future, seed=seed))

    past, other_past = bars.rows(0, cut + 1), other.rows(0, cut + 1)
    assert [prices_of(past).tolist(), past.ts_open_ns.tolist(), past.volume.tolist(), past.roll_offset.tolist()] == [
        prices_of(other_past).tolist(),
        other_past.ts_open_ns.tolist(),
        other_past.volume.tolist(),
        other_past.roll_offset.tolist(),
    ]
    was, now = bars.rows(cut + 1, COUNT), other.rows(cut + 1, COUNT)
    assert (
        len(was) != len(now) or (was.volume != now.volume).any() or not np.array_equal(prices_of(was), prices_of(now))
    )


@given(st.sampled_from(Future), st.integers(0, COUNT - 2), st.integers(0, 5))
def test_changed_bars_are_bars(future: Future, cut: int, seed: int) -> None:
    """On the tick, above zero, high and low hold open and close, times ascend."""
    other = changed(some_bars(), NQ.tick, Change(cut=cut, future=future, seed=seed))

    prices = prices_of(other)
    assert (prices / NQ.tick == np.rint(prices / NQ.tick)).all()
    assert (prices >= NQ.tick).all()
    assert (other.high == prices.max(axis=1)).all()
    assert (other.low == prices.min(axis=1)).all()
    assert (np.diff(other.ts_open_ns) > 0).all()
    assert {len(other.ts_close_ns), len(other.symbol_index), len(other.roll_offset)} == {len(other)}


def test_changed_mirror_falls_where_the_market_rose() -> None:
    """A bar that gained a tenth loses a tenth of its price, and its high becomes the low."""
    bars = some_bars()
    other = changed(bars, NQ.tick, Change(cut=9, future=Future.MIRROR, seed=1))

    anchor = bars.close[9]
    assert other.close[10:] == pytest.approx(anchor**2 / bars.close[10:], abs=NQ.tick)
    assert other.low[10:] == pytest.approx(anchor**2 / bars.high[10:], abs=NQ.tick)


def test_changed_end_leaves_nothing_and_holes_leave_some() -> None:
    """A file that ends after the cut; one in which the next bar and others are missing."""
    bars = some_bars()
    ended = changed(bars, NQ.tick, Change(cut=9, future=Future.END, seed=1))
    holed = changed(bars, NQ.tick, Change(cut=9, future=Future.HOLES, seed=1))

    assert len(ended) == 10
    assert bars.ts_open_ns[10] not in holed.ts_open_ns
    assert 10 < len(holed) < COUNT


def test_changed_roll_is_another_contract_at_its_own_price() -> None:
    """The new contract's offset is what its prices are higher by."""
    bars = some_bars()
    rolled = changed(bars, NQ.tick, Change(cut=9, future=Future.ROLL, seed=1))

    names = [rolled.symbols[index] for index in rolled.symbol_index]
    assert names == ["NQ"] * 10 + [LATER_CONTRACT] * (COUNT - 10)
    assert np.flatnonzero(rolled.roll_offset).tolist() == [10]
    assert rolled.close[10:] - bars.close[10:] == pytest.approx(
        np.full(COUNT - 10, rolled.roll_offset[10]), abs=NQ.tick
    )


def test_changed_bars_without_volume_have_none() -> None:
    """What the file does not know is not invented."""
    bars = some_bars()
    without = BarColumns(
        **{name: getattr(bars, name) for name in bars.__struct_fields__ if name != "volume"}, volume=None
    )

    assert changed(without, NQ.tick, Change(cut=9, future=Future.WALK, seed=1)).volume is None
