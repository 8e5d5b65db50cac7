"""Our executions against the broker's, and their prices against the simulated ones."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from trader.adapters.ib.books import (
    Account,
    BooksReport,
    Difference,
    Mismatch,
    Simulated,
    Slippage,
    SlippageReport,
    compare_books,
    in_session,
    measure_slippage,
    simulated_ticks,
)
from trader.adapters.state.records import Execution, Leg
from trader.domain.actions import Side
from trader.domain.instruments import instrument

NQ = instrument("NQ")
BUY, SELL = Side.BUY, Side.SELL


def filled(number: int, side: Side = BUY, qty: int = 1, price: int = 32_000, leg: Leg = Leg.ENTRY) -> Execution:
    """One execution of NQ-1 with its commission."""
    return Execution(
        exec_id=f"0000e0d5.{number:08x}.01.01",
        order_ref="NQ-1",
        leg=leg,
        perm_id=9,
        side=side,
        qty=qty,
        price_ticks=price,
        commission_cents=225 * qty,
        ts_ns=1_000 + number,
    )


DAY = (filled(1, BUY, 2), filled(2, SELL, 1, 32_040, Leg.TARGET), filled(3, SELL, 1, 31_960, Leg.STOP))


def one(what: Mismatch, here: int | None, there: int | None, number: int = 2) -> tuple[Difference, ...]:
    """The difference that is expected."""
    exec_id = f"0000e0d5.{number:08x}.01.01"
    return (Difference(what=what, exec_id=exec_id, order_ref="NQ-1", here=here, there=there),)


def test_equal_books_come_to_the_same_and_say_so() -> None:
    """Two bought, one sold 40 ticks higher and one 40 lower: nothing earned, nine dollars paid."""
    account = Account(executions=3, contracts=4, cash_cents=0, commission_cents=900)
    report = compare_books(DAY, DAY[::-1], NQ)
    assert report == BooksReport(here=account, there=account, differences=())
    assert report.text() == "books of 3 executions, 4 contracts, commission 9.00 $: equal to the broker's"


@pytest.mark.parametrize(
    ("theirs", "expected"),
    [
        ((DAY[0], DAY[2]), one(Mismatch.MISSING_THERE, -1, None)),
        ((DAY[0], replace(DAY[1], price_ticks=32_041), DAY[2]), one(Mismatch.PRICE, 32_040, 32_041)),
        ((DAY[0], replace(DAY[1], qty=3), DAY[2]), one(Mismatch.QTY, 1, 3)),
        ((DAY[0], replace(DAY[1], side=BUY), DAY[2]), one(Mismatch.SIDE, -1, 1)),
        ((DAY[0], replace(DAY[1], commission_cents=226), DAY[2]), one(Mismatch.COMMISSION, 225, 226)),
        ((DAY[0], replace(DAY[1], commission_cents=None), DAY[2]), one(Mismatch.COMMISSION, 225, None)),
        ((*DAY, filled(4, BUY, 2)), one(Mismatch.MISSING_HERE, None, 2, 4)),
    ],
)
def test_a_difference_is_named(theirs: tuple[Execution, ...], expected: tuple[Difference, ...]) -> None:
    """What, of which execution, and both sides of it."""
    report = compare_books(DAY, theirs, NQ)
    assert report.differences == expected
    assert not report.are_equal
    assert len(report.text().splitlines()) == 2


def test_a_corrected_execution_is_compared_by_its_last_revision() -> None:
    """The broker's second word replaces its first, on either side."""
    corrected = replace(DAY[1], exec_id="0000e0d5.00000002.01.02", price_ticks=32_044)
    assert compare_books(DAY, (*DAY, corrected), NQ).differences == one(Mismatch.PRICE, 32_040, 32_044)
    assert compare_books((corrected, *DAY), (*DAY, corrected), NQ).are_equal


def test_a_commission_that_nobody_knows_is_no_difference() -> None:
    """It is compared once it has been told."""
    unknown = replace(DAY[0], commission_cents=None)
    assert compare_books([unknown], [unknown], NQ).are_equal


def test_what_was_traded_is_worth_whole_cents() -> None:
    """A long round trip of 40 ticks of 5 dollars."""
    report = compare_books(DAY[:2], (), NQ)
    assert report.here.cash_cents == (-2 * 32_000 + 32_040) * 500
    assert report.there == Account(executions=0, contracts=0, cash_cents=0, commission_cents=0)
    assert [each.what for each in report.differences] == [Mismatch.MISSING_THERE] * 2


executions = st.lists(
    st.builds(filled, st.integers(1, 6), st.sampled_from(list(Side)), st.integers(1, 3), st.integers(1, 4)), max_size=6
)


@given(executions, executions)
def test_the_books_are_equal_exactly_when_the_executions_are(one: list[Execution], other: list[Execution]) -> None:
    """And the differences are those of the other way round, with sides exchanged."""
    here, there = ({each.exec_id: each for each in some} for some in (one, other))
    report = compare_books(here.values(), there.values(), NQ)
    same = {key: replace(each, leg=None) for key, each in here.items()} == {
        key: replace(each, leg=None) for key, each in there.items()
    }
    assert report.are_equal == same
    turned = compare_books(there.values(), here.values(), NQ)
    assert len(turned.differences) == len(report.differences)
    assert (turned.here, turned.there) == (report.there, report.here)


def test_a_session_ends_where_the_next_begins() -> None:
    """An execution is of one session only."""
    assert in_session(DAY, 1_001, 1_003) == DAY[:2]
    assert in_session(DAY, 1_003, 2_000) == DAY[2:]


@pytest.mark.parametrize(
    ("leg", "side", "expected"),
    [
        (Leg.ENTRY, BUY, 32_001),
        (Leg.ENTRY, SELL, 31_999),
        (Leg.STOP, SELL, 31_999),
        (Leg.CLOSE, BUY, 32_001),
        (Leg.TARGET, SELL, 32_000),
    ],
)
def test_the_simulated_fill_slips_against_us_but_for_a_limit(leg: Leg, side: Side, expected: int) -> None:
    """As the paper broker fills."""
    assert simulated_ticks(leg, side, 32_000, 1) == expected


def test_slippage_is_measured_an_order_over_all_its_executions() -> None:
    """Two contracts at 2 and 3 ticks more than simulated; the sale at a tick better."""
    fills = (filled(1, BUY, 1, 32_002), filled(2, BUY, 1, 32_003), filled(3, SELL, 2, 31_961, Leg.STOP))
    simulated = (
        Simulated(order_ref="NQ-1", leg=Leg.ENTRY, price_ticks=32_000),
        Simulated(order_ref="NQ-1", leg=Leg.STOP, price_ticks=31_960),
    )
    report = measure_slippage(simulated, fills, NQ)
    assert report.orders == (
        Slippage(
            order_ref="NQ-1",
            leg=Leg.ENTRY,
            side=BUY,
            qty=2,
            simulated_ticks=32_000,
            filled_ticks=32_002.5,
            worse_ticks=2.5,
            worse_cents=2_500,
            ts_ns=1_001,
        ),
        Slippage(
            order_ref="NQ-1",
            leg=Leg.STOP,
            side=SELL,
            qty=2,
            simulated_ticks=31_960,
            filled_ticks=31_961.0,
            worse_ticks=-1.0,
            worse_cents=-1_000,
            ts_ns=1_003,
        ),
    )
    assert report.worse_cents == 1_500


def test_an_order_without_a_simulated_price_is_named() -> None:
    """Orders of others are left out."""
    stranger = replace(filled(5), order_ref=None, leg=None)
    report = measure_slippage((), (filled(1), stranger), NQ)
    assert report == SlippageReport(orders=(), unmeasured=("NQ-1 entry",))


def test_the_table_has_a_line_an_order_and_a_line_a_leg() -> None:
    """Aligned, with signs."""
    report = measure_slippage(
        [Simulated(order_ref="NQ-1", leg=Leg.ENTRY, price_ticks=32_000)], [filled(1, BUY, 2, 32_003)], NQ
    )
    assert report.text().splitlines() == [
        "order            leg      qty  simulated     filled   worse        cost",
        "NQ-1             entry     +2      32000   32003.00   +3.00     30.00 $",
        "all              entry      2                         +3.00     30.00 $",
    ]


def test_reports_go_through_json_unchanged() -> None:
    """For whoever keeps them."""
    books = compare_books(DAY, DAY[:1], NQ)
    slippage = measure_slippage([Simulated(order_ref="NQ-1", leg=Leg.ENTRY, price_ticks=1)], DAY, NQ)
    assert msgspec.json.decode(msgspec.json.encode(books), type=BooksReport) == books
    assert msgspec.json.decode(msgspec.json.encode(slippage), type=SlippageReport) == slippage
