"""From approved decisions to orders, and from executions back to the book."""

import pytest
from router_floor import LIMITS, MINUTE_NS, NOW_NS, NQ, TERMS, Floor

from trader.book import Book
from trader.domain.actions import Action, Side
from trader.domain.orders import (
    Amend,
    AmendCause,
    Bracket,
    Cancel,
    ClosedTrade,
    ExitReason,
    Flatten,
    Unfilled,
)
from trader.errors import InvariantError
from trader.risk.gate import OrderGate, Refusal
from trader.risk.review import Approved
from trader.router import Router


def test_submit_entry_waits_for_its_release() -> None:
    """The order is prepared and reserved; the broker hears of it once it has been recorded."""
    floor = Floor()
    floor.approve(Action.BUY)
    prepared = list(floor.router.orders)
    assert (floor.broker.orders, floor.book.working) == ([], True)

    floor.router.release()
    floor.router.release()

    assert (
        floor.broker.orders
        == prepared
        == [
            Bracket(
                order_ref="r1",
                side=Side.BUY,
                qty=1,
                stop_distance_ticks=30,
                target_distance_ticks=90,
                stop_ticks=970,
                target_ticks=1_090,
            )
        ]
    )


def test_on_fill_of_an_entry_anchors_at_once() -> None:
    """The bracket follows the fill inside the report, without a release, and is no intent of its own."""
    floor = Floor()
    floor.approve(Action.SELL)
    floor.router.release()
    floor.router.drain()

    floor.fill(Side.SELL, 995)

    assert floor.broker.orders[-1] == Amend(order_ref="r1", cause=AmendCause.ANCHOR, stop_ticks=1_025, target_ticks=905)
    assert (floor.router.orders, floor.book.working, floor.router.entry_working) == ([], False, False)


def test_on_fill_of_a_portion_rests_and_anchors_with_the_last() -> None:
    """One anchoring, at the average of both."""
    floor = Floor()
    floor.approve(Action.BUY, qty=2)
    floor.router.release()
    floor.fill(Side.BUY, 1_001, remaining_qty=1)
    assert (floor.book.view().stop_ticks, floor.book.working, len(floor.broker.orders)) == (970, True, 1)

    floor.fill(Side.BUY, 1_007, nth=2)

    assert floor.broker.orders[1:] == [
        Amend(order_ref="r1", cause=AmendCause.ANCHOR, stop_ticks=974, target_ticks=1_094)
    ]
    assert floor.book.view().initial_risk_cents == 2 * 30 * 500


def test_on_unfilled_rest_of_an_entry_anchors_what_was_filled() -> None:
    """The portion that came is a position like any other."""
    floor = Floor()
    floor.approve(Action.BUY, qty=2)
    floor.router.release()
    floor.fill(Side.BUY, 1_001, remaining_qty=1)

    floor.router.on_unfilled("r1", Unfilled.CANCELLED)

    assert floor.broker.orders[-1] == Amend(order_ref="r1", cause=AmendCause.ANCHOR, stop_ticks=971, target_ticks=1_091)
    assert (floor.book.position_qty, floor.book.working, floor.router.entry_working) == (1, False, False)


@pytest.mark.parametrize("outcome", Unfilled)
def test_on_unfilled_entry_frees_the_book(outcome: Unfilled) -> None:
    """Nothing is open, nothing is working."""
    floor = Floor()
    floor.approve(Action.BUY)
    floor.router.release()

    floor.router.on_unfilled("r1", outcome)

    assert (floor.book.position_qty, floor.book.working, floor.router.entry_working) == (0, False, False)


def test_on_fill_of_an_exit_closes_the_trade_whole() -> None:
    """Everything that a report needs of a round trip."""
    floor = Floor().long()
    floor.fill(Side.SELL, 970, nth=2, reason=ExitReason.STOP, optimistic_ticks=1_091, ts_ns=NOW_NS + 2 * MINUTE_NS)

    _, trades = floor.router.drain_results()
    assert trades == [
        ClosedTrade(
            side=Side.BUY,
            qty=1,
            entry_ticks=1_001,
            exit_ticks=970,
            opened_ns=NOW_NS + MINUTE_NS,
            closed_ns=NOW_NS + 2 * MINUTE_NS,
            pnl_cents=-15_950,
            optimistic_pnl_cents=44_550,
            risk_cents=15_000,
            reason=ExitReason.STOP,
            is_ambiguous=True,
        )
    ]


def test_on_fill_times_each_trade_from_its_own_entry() -> None:
    """The second trade opened when its own first fill came."""
    floor = Floor().long()
    floor.fill(Side.SELL, 1_010, nth=2, reason=ExitReason.TARGET)
    floor.approve(Action.SELL, ref="r2")
    floor.router.release()
    floor.fill(Side.SELL, 999, order_ref="r2", ts_ns=NOW_NS + 5 * MINUTE_NS)
    floor.fill(Side.BUY, 990, order_ref="r2", nth=2, reason=ExitReason.TARGET, ts_ns=NOW_NS + 7 * MINUTE_NS)

    _, trades = floor.router.drain_results()
    assert [trade.opened_ns - NOW_NS for trade in trades] == [MINUTE_NS, 5 * MINUTE_NS]


@pytest.mark.parametrize("reason", ExitReason)
def test_on_fill_of_an_exit_starts_the_cooldown_after_stops_only(reason: ExitReason) -> None:
    """A stop at a loss, and a fill beyond the stop: nothing else."""
    floor = Floor().long()
    floor.fill(Side.SELL, 970, nth=2, reason=reason)

    is_stop = reason in {ExitReason.STOP, ExitReason.ENTRY_BEYOND_STOP}
    assert floor.book.view().last_stop_ts_ns == (NOW_NS + MINUTE_NS if is_stop else 0)


def test_flatten_cancels_and_closes_once() -> None:
    """A second request while the close is under way sends nothing."""
    floor = Floor().long()
    floor.router.flatten(ExitReason.FLAT_AT)
    floor.router.flatten(ExitReason.DAILY_LOSS)
    floor.router.release()
    floor.router.flatten(ExitReason.FLAT_AT)
    floor.router.release()

    assert floor.broker.orders == [Flatten(order_ref="r1", side=Side.SELL, qty=1, reason=ExitReason.FLAT_AT)]
    assert (floor.router.closing, floor.book.working) == (True, True)


def test_flatten_with_only_an_entry_takes_it_back() -> None:
    """There is nothing to close."""
    floor = Floor()
    floor.approve(Action.BUY)
    floor.router.release()
    floor.router.flatten(ExitReason.FLAT_AT)
    floor.router.release()

    assert floor.broker.orders[1:] == [Cancel(order_ref="r1")]


def test_flatten_when_flat_sends_nothing() -> None:
    """Before the first trade, and after one."""
    floor = Floor()
    floor.router.flatten(ExitReason.FLAT_AT)
    floor.long().fill(Side.SELL, 1_010, nth=2, reason=ExitReason.TARGET)
    floor.router.flatten(ExitReason.FLAT_AT)
    floor.router.release()

    assert floor.broker.orders == []


def test_on_unfilled_close_may_be_sent_again() -> None:
    """A broker that refuses to close leaves the position to be closed by the next order, with its bracket untouched."""
    floor = Floor().long()
    floor.router.flatten(ExitReason.FLAT_AT)
    floor.router.release()
    floor.router.on_unfilled("r1", Unfilled.REJECTED)
    assert (floor.router.closing, floor.book.working) == (False, False)

    floor.router.flatten(ExitReason.FLAT_AT)
    floor.router.release()

    close = Flatten(order_ref="r1", side=Side.SELL, qty=1, reason=ExitReason.FLAT_AT)
    assert floor.broker.orders == [close, close]


def test_submit_break_even_and_trail_amend_the_stop() -> None:
    """Break-even two ticks above 1,001; the trail twenty below a close of 1,040."""
    floor = Floor().long()
    floor.approve(Action.MOVE_TO_BE)
    floor.approve(Action.ENABLE_TRAIL, close=1_040)
    floor.router.release()

    assert floor.broker.orders == [
        Amend(order_ref="r1", cause=AmendCause.BREAK_EVEN, stop_ticks=1_003, target_ticks=1_091),
        Amend(order_ref="r1", cause=AmendCause.TRAIL, stop_ticks=1_020, target_ticks=1_091),
    ]


def test_submit_trail_that_would_loosen_sends_nothing_yet() -> None:
    """The trail is on; the stop waits where it is for a better close."""
    floor = Floor().long()
    floor.approve(Action.MOVE_TO_BE)
    floor.router.drain()
    floor.approve(Action.ENABLE_TRAIL, close=1_010)

    assert (floor.router.orders, floor.book.view().trailing, floor.book.view().stop_ticks) == ([], True, 1_003)


@pytest.mark.parametrize("action", [Action.HOLD, Action.DISABLE_TRAIL])
def test_submit_without_an_order_sends_nothing(action: Action) -> None:
    """HOLD and DISABLE_TRAIL change no order."""
    floor = Floor().long()
    floor.approve(action)
    floor.router.release()

    assert floor.broker.orders == []


def test_submit_refused_entry_leaves_nothing_behind() -> None:
    """The last gate says no: the reservation is lifted, and the refusal is there to be recorded."""
    floor = Floor()
    floor.router.at(1_000, NOW_NS, NOW_NS + 11_000_000_000)
    floor.approve(Action.BUY)
    floor.router.release()

    orders, fills, refused = floor.router.drain()
    assert (orders, fills, floor.broker.orders) == ([], [], [])
    assert [(refusal.order.order_ref, refusal.why) for refusal in refused] == [("r1", Refusal.STALE_PRICE)]
    assert (floor.book.working, floor.router.entry_working) == (False, False)


def test_drain_hands_over_once() -> None:
    """What one record has shown the next does not show again."""
    floor = Floor()
    floor.approve(Action.BUY)

    assert len(floor.router.drain()[0]) == 1
    assert floor.router.drain() == ([], [], [])


def test_on_fill_of_an_unknown_order_is_an_error() -> None:
    """Nobody sent it: nothing is booked."""
    floor = Floor().long()

    with pytest.raises(InvariantError, match="r9"):
        floor.fill(Side.SELL, 1_000, order_ref="r9", reason=ExitReason.STOP)
    assert floor.book.position_qty == 1


def test_on_unfilled_of_an_unknown_order_is_an_error() -> None:
    """As for fills."""
    with pytest.raises(InvariantError, match="'r1', which nobody has sent"):
        Floor().router.on_unfilled("r1", Unfilled.REJECTED)


def test_release_without_a_broker_is_an_error() -> None:
    """A composition that forgot `connect`."""
    book = Book(TERMS)
    router = Router(book, OrderGate(LIMITS), NQ.tick_value_cents)
    router.at(1_000, NOW_NS, NOW_NS)
    router.submit(Approved(Action.BUY, "r1", 1, 1_000, 20.0, 30, 90))

    with pytest.raises(InvariantError, match="before a broker"):
        router.release()
