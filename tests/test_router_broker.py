"""What only a real broker does: fees that were others, trades of somebody else, fills that come late or in parts."""

from msgspec.structs import replace
from router_floor import LIMITS, MINUTE_NS, NOW_NS, Floor

from trader.domain.actions import Action, Side
from trader.domain.orders import Amend, AmendCause, Bracket, Cancel, ExitReason, Flatten, Protect, Unfilled
from trader.news import Adjustment, ForeignTrade
from trader.risk.gate import Refusal
from trader.risk.margin import MarginFigures, MarginPeriod, MarginRule

FOREIGN = f"FOREIGN-{NOW_NS // MINUTE_NS}"


def a_close(qty: int = 1, side: Side = Side.SELL, ref: str = "r1", why: ExitReason = ExitReason.UNPROTECTED) -> Flatten:
    return Flatten(order_ref=ref, side=side, qty=qty, reason=why)


def entered(qty: int = 1) -> Floor:
    """A buy of `qty` has left."""
    floor = Floor()
    floor.approve(Action.BUY, qty=qty)
    floor.router.release()
    floor.router.drain()
    floor.broker.orders.clear()
    return floor


def test_on_fee_belongs_to_the_open_trade() -> None:
    """Bought and sold at the same price: both commissions, and what the broker took beyond them."""
    floor = Floor().long()
    floor.router.on_fee("r1", 35)
    floor.fill(Side.SELL, 1_001, nth=2, reason=ExitReason.TARGET)

    _, (trade,) = floor.router.drain_results()
    assert trade.pnl_cents == -450 - 35
    assert floor.router.drain_outside() == ([Adjustment("r1", 35)], [])
    assert floor.book.view().realized_cents == -485


def test_on_fee_after_the_trade_changes_the_account_alone() -> None:
    """The report of the last commission comes when the position has gone; a rebate gives."""
    floor = Floor().long()
    floor.fill(Side.SELL, 1_001, nth=2, reason=ExitReason.TARGET)
    floor.router.on_fee("r1", -50)

    view = floor.book.view()
    assert (view.balance_cents, view.equity_cents, view.realized_cents) == (4_999_600, 4_999_600, -400)
    assert floor.router.has_news


def test_on_foreign_opens_a_position_on_which_only_hold_is_allowed() -> None:
    """Until somebody lays a stop behind it, at once and without a release; then it is managed like any other."""
    floor = Floor()
    floor.router.on_foreign(-2, 1_000, NOW_NS)
    assert (floor.book.position_qty, floor.book.working) == (-2, True)

    assert floor.router.protect(1_040)

    assert floor.broker.orders == [Protect(order_ref=FOREIGN, side=Side.BUY, qty=2, stop_ticks=1_040)]
    view = floor.book.view()
    assert (view.stop_ticks, view.initial_risk_cents, view.working) == (1_040, 40 * 500 * 2, False)
    assert floor.router.drain_outside() == ([], [ForeignTrade(-2, 1_000, NOW_NS)])
    (booked,) = floor.router.drain()[1]
    assert (booked.fill.order_ref, booked.fill.side, booked.fill.commission_cents) == (FOREIGN, Side.SELL, 0)


def test_on_foreign_position_is_closed_under_a_reference_of_its_own() -> None:
    """Its minute names it, as the wire's grammar wants; the fill of that close is known."""
    floor = Floor()
    floor.router.on_foreign(1, 1_000, NOW_NS)
    floor.router.flatten(ExitReason.OPERATOR)
    floor.router.release()
    floor.fill(Side.SELL, 990, order_ref=FOREIGN, reason=ExitReason.OPERATOR)

    assert floor.broker.orders == [a_close(ref=FOREIGN, why=ExitReason.OPERATOR)]
    assert (floor.book.position_qty, floor.book.working, floor.router.closing) == (0, False, False)


def test_on_foreign_ends_our_trade() -> None:
    """At the price of whoever closed it; what rests is for the broker's side to take away."""
    floor = Floor().long()
    floor.router.on_foreign(-1, 1_011, NOW_NS + MINUTE_NS)

    _, (trade,) = floor.router.drain_results()
    assert (trade.reason, trade.exit_ticks, trade.pnl_cents) == (ExitReason.FOREIGN, 1_011, 10 * 500 - 225)
    assert (floor.book.position_qty, floor.book.working) == (0, False)


def test_on_foreign_through_zero_ends_one_trade_and_begins_another() -> None:
    """Long one, three sold: two short at that price, without levels and without a right to ours."""
    floor = Floor().long()
    floor.router.on_foreign(-3, 1_011, NOW_NS)

    _, (trade,) = floor.router.drain_results()
    view = floor.book.view()
    assert (trade.qty, trade.pnl_cents) == (1, 10 * 500 - 225)
    assert (view.position_qty, view.entry_ticks, view.stop_ticks, view.working) == (-2, 1_011, 0, True)
    assert view.balance_cents == 5_000_000 + 10 * 500 - 225


def test_on_foreign_takes_back_an_entry_that_is_on_its_way() -> None:
    """At once; where it fills all the same, only what it added is closed: the rest is somebody else's."""
    floor = entered()
    floor.router.on_foreign(2, 1_000, NOW_NS)
    floor.fill(Side.BUY, 1_002)

    assert floor.broker.orders == [Cancel(order_ref="r1"), a_close(1)]
    floor.fill(Side.SELL, 1_001, nth=2, reason=ExitReason.UNPROTECTED)
    assert (floor.book.position_qty, floor.router.closing, len(floor.broker.orders)) == (2, False, 2)


def test_flatten_takes_an_entry_back_once_however_often_it_is_asked_for() -> None:
    """Each second of the minutes before an outage: one order, one of the minute's count; the next entry's again."""
    floor = entered()
    for _ in range(5):
        floor.router.flatten(ExitReason.OUTAGE)
        floor.router.release()
    assert floor.broker.orders == floor.router.orders == [Cancel(order_ref="r1")]

    floor.router.on_unfilled("r1", Unfilled.CANCELLED)
    floor.approve(Action.BUY, ref="r2")
    floor.router.release()
    floor.router.cancel_entry()
    floor.router.release()
    assert floor.broker.orders[-1] == Cancel(order_ref="r2")


def test_on_foreign_of_nothing_is_nothing() -> None:
    """No trade, no news."""
    floor = Floor()
    floor.router.on_foreign(0, 1_000, NOW_NS)
    assert not floor.router.has_news


def test_on_fill_after_the_entry_s_end_is_covered_and_closed_at_once() -> None:
    """The cancel was reported, and the fill came all the same: a stop behind it first, then a close; no release."""
    floor = entered()
    floor.router.on_unfilled("r1", Unfilled.CANCELLED)
    floor.fill(Side.BUY, 1_005)

    assert floor.broker.orders == [Protect(order_ref="r1", side=Side.SELL, qty=1, stop_ticks=975), a_close()]
    assert (floor.book.position_qty, floor.book.view().stop_ticks, floor.router.closing) == (1, 975, True)
    assert floor.router.orders == floor.broker.orders


def test_on_fill_after_the_rest_was_cancelled_covers_all_of_it() -> None:
    """One of two was filled and anchored; the other comes after its cancel: a stop for both, a close of both."""
    floor = entered(2)
    floor.fill(Side.BUY, 1_001, remaining_qty=1)
    floor.router.on_unfilled("r1", Unfilled.CANCELLED)
    floor.broker.orders.clear()
    floor.fill(Side.BUY, 1_003, nth=2)

    assert floor.broker.orders == [Protect(order_ref="r1", side=Side.SELL, qty=2, stop_ticks=971), a_close(2)]


def test_on_fill_of_an_entry_after_its_exit_is_covered_and_closed() -> None:
    """The first portion was stopped out before the second came: its stop and target have gone with it."""
    floor = entered(2)
    floor.fill(Side.BUY, 1_001, remaining_qty=1)
    floor.fill(Side.SELL, 970, nth=2, reason=ExitReason.STOP)
    assert floor.book.working
    floor.fill(Side.BUY, 968, nth=3)

    assert floor.broker.orders == [Protect(order_ref="r1", side=Side.SELL, qty=1, stop_ticks=938), a_close()]
    assert len(floor.router.drain_results()[1]) == 1


def test_on_fill_of_an_earlier_bracket_during_a_later_entry_covers_it_and_takes_that_back() -> None:
    """Whose orders the position belongs to is said by the fill."""
    floor = Floor().long()
    floor.fill(Side.SELL, 1_010, nth=2, reason=ExitReason.TARGET)
    floor.approve(Action.BUY, ref="r2")
    floor.router.release()
    floor.broker.orders.clear()
    floor.fill(Side.SELL, 999, nth=3, reason=ExitReason.STOP)

    assert floor.book.position_qty == -1
    stop = Protect(order_ref="r1", side=Side.BUY, qty=1, stop_ticks=1_029)
    assert floor.broker.orders == [Cancel(order_ref="r2"), stop, a_close(side=Side.BUY)]


def test_on_fill_of_an_exit_in_parts_is_one_trade() -> None:
    """Three contracts leave at three prices: their average, all of them, and the money to the cent."""
    floor = entered(3)
    floor.fill(Side.BUY, 1_000, qty=3, commission_cents=675)
    for nth, (price, left) in enumerate(((970, 2), (969, 1), (965, 0)), 2):
        floor.fill(Side.SELL, price, nth=nth, remaining_qty=left, reason=ExitReason.STOP)

    _, (trade,) = floor.router.drain_results()
    assert (trade.qty, trade.exit_ticks, trade.pnl_cents) == (3, 968, -(30 + 31 + 35) * 500 - 1_350)
    assert [booked.pnl_cents for booked in floor.router.drain()[1]] == [None, None, None, trade.pnl_cents]


def test_on_fill_beyond_a_close_is_a_position_to_be_closed() -> None:
    """Stop and close have both filled: what that opens is covered, and closed the other way."""
    floor = Floor().long()
    floor.router.flatten(ExitReason.FLAT_AT)
    floor.router.release()
    floor.fill(Side.SELL, 970, nth=2, reason=ExitReason.STOP)
    floor.broker.orders.clear()
    floor.fill(Side.SELL, 969, nth=3, reason=ExitReason.FLAT_AT)

    assert floor.book.position_qty == -1
    stop = Protect(order_ref="r1", side=Side.BUY, qty=1, stop_ticks=999)
    assert floor.broker.orders == [stop, a_close(side=Side.BUY)]


def test_on_fill_while_a_close_is_under_way_is_closed_after_it() -> None:
    """Half of the entry is being closed when the other half comes: the end of the close is not the end of the wish."""
    floor = entered(2)
    floor.fill(Side.BUY, 1_001, remaining_qty=1)
    floor.router.flatten(ExitReason.TRAILING_BREACH)
    floor.router.release()
    floor.fill(Side.BUY, 1_002, nth=2)
    floor.broker.orders.clear()
    floor.fill(Side.SELL, 990, nth=3, remaining_qty=1, reason=ExitReason.TRAILING_BREACH)

    assert floor.broker.orders == [a_close(why=ExitReason.TRAILING_BREACH)]
    floor.fill(Side.SELL, 989, nth=4, reason=ExitReason.TRAILING_BREACH)
    assert (floor.book.position_qty, len(floor.broker.orders)) == (0, 1)


def test_release_sends_no_close_of_what_has_gone_meanwhile() -> None:
    """The stop filled while the record was written: the close would have opened a position."""
    floor = Floor().long()
    floor.router.flatten(ExitReason.FLAT_AT)
    floor.fill(Side.SELL, 970, nth=2, reason=ExitReason.STOP)
    floor.router.release()

    assert floor.broker.orders == []
    assert [(refused.order, refused.why) for refused in floor.router.drain()[2]] == [
        (a_close(why=ExitReason.FLAT_AT), Refusal.NO_POSITION)
    ]


def test_release_closes_no_more_than_is_left_meanwhile() -> None:
    """One of two was stopped out while the record was written."""
    floor = entered(2)
    floor.fill(Side.BUY, 1_001, qty=2)
    floor.broker.orders.clear()
    floor.router.flatten(ExitReason.FLAT_AT)
    floor.fill(Side.SELL, 970, nth=2, remaining_qty=1, reason=ExitReason.STOP)
    floor.router.release()

    assert floor.broker.orders == [a_close(1, why=ExitReason.FLAT_AT)]


def test_release_of_a_close_that_waited_while_the_position_changed_is_the_only_one() -> None:
    """Somebody sold one more, our stop bought one back: what waits still closes the one that is left."""
    floor = Floor()
    floor.approve(Action.SELL)
    floor.router.release()
    floor.fill(Side.SELL, 999)
    floor.broker.orders.clear()
    floor.router.flatten(ExitReason.OPERATOR)
    floor.router.on_foreign(-1, 1_000, NOW_NS)
    floor.fill(Side.BUY, 1_030, nth=2, remaining_qty=1, reason=ExitReason.STOP)
    floor.router.release()

    assert floor.broker.orders == [a_close(side=Side.BUY, why=ExitReason.OPERATOR)]
    assert (floor.book.position_qty, floor.router.closing) == (-1, True)


def test_release_closes_no_more_than_was_left_where_somebody_adds_to_it_before() -> None:
    """What the line and the gate count as being closed is what leaves: else a second close would go out beside it."""
    floor = entered(3)
    floor.fill(Side.BUY, 1_001, qty=3)
    floor.broker.orders.clear()
    floor.router.flatten(ExitReason.OPERATOR)
    floor.fill(Side.SELL, 980, nth=2, qty=2, remaining_qty=1, reason=ExitReason.STOP)
    floor.router.on_foreign(1, 981, NOW_NS)
    floor.router.release()

    assert floor.broker.orders == [a_close(1, why=ExitReason.OPERATOR)]


def test_on_unfilled_of_a_close_by_its_own_reference_leaves_the_entry_at_work() -> None:
    """Both are under way; the close is refused, and may be sent again."""
    floor = entered(2)
    floor.fill(Side.BUY, 1_001, remaining_qty=1)
    floor.router.flatten(ExitReason.OPERATOR)
    floor.router.release()
    floor.router.on_unfilled("r1.c1", Unfilled.REJECTED)
    assert (floor.router.entry_working, floor.router.closing) == (True, False)

    floor.broker.orders.clear()
    floor.router.flatten(ExitReason.OPERATOR)
    floor.router.release()
    assert floor.broker.orders == [a_close(why=ExitReason.OPERATOR)]  # the entry is taken back already


def test_protect_without_a_position_sends_nothing() -> None:
    """It would open one."""
    floor = Floor()
    assert not floor.router.protect(990)
    assert floor.broker.orders == []


def test_expect_waits_for_an_entry_that_left_before_the_crash() -> None:
    """Its fill anchors it like any other, and no second decision goes out meanwhile."""
    floor = Floor()
    bracket = Bracket(
        order_ref="r1",
        side=Side.BUY,
        qty=1,
        stop_distance_ticks=30,
        target_distance_ticks=90,
        stop_ticks=970,
        target_ticks=1_090,
    )
    floor.router.expect(bracket)
    assert (floor.router.entry_working, floor.book.working) == (True, True)
    floor.fill(Side.BUY, 1_001)

    assert floor.broker.orders == [Amend(order_ref="r1", cause=AmendCause.ANCHOR, stop_ticks=971, target_ticks=1_091)]
    assert (floor.router.entry_working, floor.book.working) == (False, False)


def test_fund_lets_an_entry_leave() -> None:
    """Before the broker has told its figures none does."""
    floor = Floor(replace(LIMITS, margin=MarginRule.DAY))
    floor.approve(Action.BUY, ref="r1")
    period = MarginPeriod(available_cents=100, excess_cents=100, initial_cents=50, maintenance_cents=40)
    floor.router.fund(MarginFigures(day=period, overnight=period))
    floor.approve(Action.BUY, ref="r2")

    orders, _, refused = floor.router.drain()
    assert [order.order_ref for order in orders] == ["r2"]
    assert [(each.order.order_ref, each.why) for each in refused] == [("r1", Refusal.MARGIN)]
