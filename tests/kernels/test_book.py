"""The book: money, levels, threshold and mask, by hand and by conservation."""

import numpy as np
import pytest
from builders import some_terms
from hypothesis import given
from hypothesis import strategies as st

from trader.domain.instruments import INSTRUMENTS
from trader.kernels import book as k

NQ = INSTRUMENTS["NQ"]


def a_terms(**changes):
    """NQ with the paper limits; one changed field at a time."""
    return some_terms(**changes).as_row(NQ)


def a_book(terms):
    """A fresh account."""
    row = np.zeros(k.SIZE, dtype=np.int64)
    k.new_account(row, terms)
    return row


def a_long(terms, entry=60_000, stop_distance=40, target_distance=120):
    """One contract bought at `entry` ticks, bracket anchored."""
    row = a_book(terms)
    k.apply_fill(row, terms, 1, 1, entry, 225)
    k.set_bracket(row, terms, stop_distance, target_distance)
    return row


def test_apply_fill_round_trip_books_price_and_two_commissions():
    """Bought at 60,000 ticks and sold 10 ticks higher: 10 x 5.00 $ less 4.50 $."""
    terms = a_terms()
    row = a_long(terms)

    pnl = k.apply_fill(row, terms, -1, 1, 60_010, 225)

    assert pnl == 4_550
    assert (row[k.CASH], row[k.EQUITY], row[k.REALIZED], row[k.QTY]) == (5_004_550, 5_004_550, 4_550, 0)
    assert (row[k.TRADES], row[k.WINS], row[k.STREAK]) == (1, 1, 0)


def test_apply_fill_scratch_after_costs_is_neither_win_nor_loss():
    """A trade of exactly zero after costs leaves streak and win rate alone."""
    terms = a_terms(commission_side_cents=250)
    row = a_book(terms)
    k.apply_fill(row, terms, 1, 1, 60_000, 250)

    pnl = k.apply_fill(row, terms, -1, 1, 60_001, 250)

    assert pnl == 0
    assert (row[k.TRADES], row[k.WINS], row[k.LOSSES], row[k.STREAK]) == (1, 0, 0, 0)
    assert k.win_rate(row) == 0.5


def test_break_even_ticks_nq_pays_nine_fifty_with_two_ticks():
    """Both commissions and the exit's slippage are 9.50 $: two ticks."""
    assert k.break_even_ticks(225, 1, 500) == 2


def test_break_even_level_stopped_there_nets_fifty_cents():
    """The specification's own example: net +0.50 $ at the slipped stop."""
    terms = a_terms()
    row = a_long(terms)
    level = k.break_even_level(row, terms)

    pnl = k.apply_fill(row, terms, -1, 1, level - 1, 225)

    assert pnl == 50


@pytest.mark.parametrize("side", [1, -1])
def test_break_even_level_of_an_average_between_two_ticks_still_pays_the_costs(side):
    """Two contracts at an average of 60,000.5 (short 59,999.5): the nearest tick would be the better one by half."""
    terms = a_terms()
    row = np.zeros(k.SIZE, dtype=np.int64)
    k.new_account(row, terms)
    for price in (60_000, 60_000 + side):
        k.apply_fill(row, terms, side, 1, price, 225)

    level = k.break_even_level(row, terms)

    assert level == 60_000 + side * 3
    assert k.apply_fill(row, terms, -side, 2, level - side, 450) == 600


def test_set_bracket_states_levels_and_initial_risk():
    """40 ticks below, 120 above, 200 $ at risk."""
    row = a_long(a_terms())

    assert (row[k.STOP], row[k.TARGET], row[k.RISK]) == (59_960, 60_120, 20_000)


@pytest.mark.parametrize(("atr", "expected"), [(5.0, 20), (13.33, 20), (13.4, 21), (40.0, 60), (40.1, 61)])
def test_stop_distance_ticks_rounds_up_from_the_minimum(atr, expected):
    """ceil(max(1.5 ATR, 20))."""
    assert k.stop_distance_ticks(a_terms(), atr) == expected


def test_mark_adverse_extreme_is_tested_before_the_peak_rises():
    """A bar that touches the old threshold and then makes a new peak is a breach."""
    terms = a_terms(trailing_limit_cents=10_000)
    row = a_long(terms)

    k.mark(row, terms, 60_100, 59_980, 60_000)

    assert row[k.ADVERSE] == 5_000_000 - 225 - 20 * 500
    assert row[k.BREACHED] == 1
    assert row[k.PEAK] == 5_000_000 - 225 + 100 * 500
    assert row[k.THRESHOLD] == row[k.PEAK] - 10_000


def test_mark_threshold_raised_by_this_bar_does_not_breach_it():
    """The favourable extreme counts from the next bar on."""
    terms = a_terms(trailing_limit_cents=10_000)
    row = a_long(terms)

    k.mark(row, terms, 60_100, 59_990, 60_000)

    assert row[k.BREACHED] == 0
    assert row[k.ADVERSE] < row[k.THRESHOLD]


def test_mark_exit_bar_is_valued_at_the_exit_price_alone():
    """Once flat, the bar's range does not touch peak or threshold."""
    terms = a_terms()
    row = a_long(terms)
    k.apply_fill(row, terms, -1, 1, 60_010, 225)

    k.mark(row, terms, 70_000, 50_000, 60_000)

    assert (row[k.EQUITY], row[k.PEAK], row[k.BREACHED]) == (5_004_550, 5_004_550, 0)


@pytest.mark.parametrize(
    ("kind", "freeze", "expected"),
    [
        (k.INTRADAY, 0, 4_800_000 - 225),
        (k.INTRADAY, 4_770_000, 4_770_000),
        (k.END_OF_DAY, 0, 4_750_000),
        (k.STATIC, 0, 4_750_000),
    ],
)
def test_mark_threshold_follows_its_kind(kind, freeze, expected):
    """Intraday follows the peak, up to the freeze; end of day and static wait."""
    terms = a_terms(trailing_kind=kind, freeze_at_cents=freeze)
    row = a_long(terms)

    k.mark(row, terms, 60_100, 60_000, 60_050)

    assert row[k.THRESHOLD] == expected


def test_begin_session_end_of_day_threshold_follows_closing_equity():
    """An end-of-day threshold rises at the session's turn, by equity and not by the peak."""
    terms = a_terms(trailing_kind=k.END_OF_DAY)
    row = a_long(terms)
    k.mark(row, terms, 60_500, 60_000, 60_100)

    k.begin_session(row, terms)

    assert row[k.THRESHOLD] == 4_750_000 - 225 + 100 * 500
    assert row[k.SESSION_TRADES] == 0


MASKS = [
    ("far from break-even", {"close": 60_001}, k.HOLD_BIT),
    ("one tick short of the gap", {"close": 60_003}, k.HOLD_BIT),
    ("gap reached", {"close": 60_004}, k.HOLD_BIT | k.BE_BIT),
    ("stop at break-even, trail near", {"close": 60_010, "stop": 60_002, "atr": 1.0}, k.HOLD_BIT),
    ("stop at break-even, trail at the gap", {"close": 60_010, "stop": 60_002, "atr": 2.0}, k.HOLD_BIT | k.TRAIL_BIT),
    ("trail on", {"close": 60_010, "stop": 60_002, "trailing": 1}, k.HOLD_BIT | k.UNTRAIL_BIT),
    ("order working", {"close": 60_010, "working": 1}, k.HOLD_BIT),
]


@pytest.mark.parametrize(("name", "given_", "expected"), MASKS, ids=[case[0] for case in MASKS])
def test_valid_actions_in_a_long_follow_stop_and_close(name, given_, expected):
    """Entry 60,000, break-even 60,002, gap 2 ticks."""
    terms = a_terms()
    row = a_long(terms)
    row[k.STOP] = given_.get("stop", row[k.STOP])
    row[k.TRAILING] = given_.get("trailing", 0)
    row[k.WORKING] = given_.get("working", 0)

    assert k.valid_actions(row, terms, given_["close"], given_.get("atr", 40.0), True) == expected


def test_valid_actions_flat_need_open_entries():
    """BUY and SELL exist only when flat and allowed."""
    terms = a_terms()
    row = a_book(terms)

    assert k.valid_actions(row, terms, 60_000, 40.0, True) == k.HOLD_BIT | k.BUY_BIT | k.SELL_BIT
    assert k.valid_actions(row, terms, 60_000, 40.0, False) == k.HOLD_BIT


def test_trail_only_tightens_and_rounds_away_from_the_market():
    """Close 60,100 less 10.5 ticks of ATR is 60,089; a lower close moves nothing."""
    terms = a_terms()
    row = a_long(terms)
    row[k.TRAILING] = 1

    assert k.trail(row, terms, 60_100, 10.5)
    assert row[k.STOP] == 60_089
    assert not k.trail(row, terms, 60_050, 10.5)
    assert row[k.STOP] == 60_089


def test_trail_short_is_the_mirror():
    """A short trails down, rounded up."""
    terms = a_terms()
    row = a_book(terms)
    k.apply_fill(row, terms, -1, 1, 60_000, 225)
    k.set_bracket(row, terms, 40, 120)
    row[k.TRAILING] = 1

    assert k.trail(row, terms, 59_900, 10.5)
    assert row[k.STOP] == 59_911


@given(st.lists(st.tuples(st.sampled_from([-1, 1]), st.integers(1, 5), st.integers(1, 100_000)), max_size=30))
def test_apply_fill_any_sequence_conserves_money(fills):
    """Cash equals start less the signed value of all fills and their commissions, in integers."""
    terms = a_terms()
    row = a_book(terms)
    cash = 5_000_000
    qty = 0
    for side, contracts, price in fills:
        if qty and (qty > 0) != (side > 0):
            contracts = min(contracts, abs(qty))  # noqa: PLW2901 -- a position never turns over in one step
        k.apply_fill(row, terms, side, contracts, price, 225 * contracts)
        cash -= side * contracts * price * 500 + 225 * contracts
        qty += side * contracts

    assert (row[k.CASH], row[k.QTY]) == (cash, qty)
    if qty == 0:
        assert row[k.REALIZED] == cash - 5_000_000
