"""Orders of the real client at the gateway's exchange, over a real socket."""

from typing import Any

import pytest
from gateway_builders import OPEN_NS, TERMS, bracket, client_of, nq, running, some_bars, until
from ib_insync import ContFuture, Contract, Future, LimitOrder, MarketOrder, Order, StopLimitOrder, StopOrder

from trader.adapters.columns import concatenate
from trader.domain.units import DAY_NS, MINUTE_NS
from trader.gateway.checker import check


def codes_seen(ib: Any) -> list[tuple[int, int]]:
    """Request and code of the errors from now on."""
    seen: list[tuple[int, int]] = []
    ib.errorEvent += lambda request, code, text, contract: seen.append((request, code))
    return seen


async def test_a_bracket_at_market_fills_and_its_stop_ends_the_target() -> None:
    """Entry at the last price and one tick of slippage; the stop fills in the bar that reaches it."""
    columns = some_bars((8_000.0, 8_005.0, 7_980.0, 7_990.0))
    async with running(columns) as gateway, client_of(gateway) as ib:
        entry, target, stop = bracket(ib, "BUY", 2, stop=7_990.0, target=8_040.0)
        await until(lambda: stop.orderStatus.status == "PreSubmitted" and entry.fills, ib)
        assert entry.orderStatus.avgFillPrice == 8_000.25
        gateway.step()
        await until(lambda: stop.fills and target.orderStatus.status == "Cancelled", ib)
        assert (stop.orderStatus.status, stop.orderStatus.avgFillPrice) == ("Filled", 7_989.75)
        await until(lambda: not ib.positions(), ib)
        assert stop.fills[0].commissionReport.realizedPNL == -2 * 10.5 * 20 - 4.5


async def test_a_bar_that_reaches_stop_and_target_books_the_stop() -> None:
    """Pessimistic, as the paper broker is."""
    columns = some_bars((8_000.0, 8_050.0, 7_980.0, 7_990.0))
    async with running(columns) as gateway, client_of(gateway) as ib:
        _, target, stop = bracket(ib, "BUY", 1, stop=7_990.0, target=8_040.0)
        await until(lambda: stop.orderStatus.status == "PreSubmitted", ib)
        gateway.step()
        await until(lambda: stop.fills and target.orderStatus.status == "Cancelled", ib)


async def test_children_wait_for_their_parent() -> None:
    """A bracket whose entry is a limit that is not reached: nothing but the entry can fill; its cancel ends all."""
    columns = some_bars((8_000.0, 8_100.0, 7_960.0, 8_000.0))
    async with running(columns) as gateway, client_of(gateway) as ib:
        entry_id = ib.client.getReqId()
        entry = ib.placeOrder(nq(), LimitOrder("BUY", 1, 7_950.0, orderId=entry_id, transmit=False))
        stop_order = StopOrder("SELL", 1, 7_970.0, parentId=entry_id, outsideRth=True, tif="GTC")
        stop = ib.placeOrder(nq(), stop_order)
        await until(lambda: stop.orderStatus.status == "PreSubmitted", ib)
        gateway.step()
        ib.cancelOrder(entry.order)
        await until(lambda: entry.orderStatus.status == stop.orderStatus.status == "Cancelled", ib)
        assert not ib.fills()


async def test_an_entry_inside_a_bar_can_be_stopped_in_the_same_bar() -> None:
    """The limit is reached and then the stop below it."""
    columns = some_bars((8_000.0, 8_000.0, 7_960.0, 7_990.0))
    async with running(columns) as gateway, client_of(gateway) as ib:
        entry_id = ib.client.getReqId()
        entry = ib.placeOrder(nq(), LimitOrder("BUY", 1, 7_990.0, orderId=entry_id, transmit=False))
        stop = ib.placeOrder(nq(), StopOrder("SELL", 1, 7_970.0, parentId=entry_id, outsideRth=True, tif="GTC"))
        await until(lambda: stop.orderStatus.status == "PreSubmitted", ib)
        gateway.step()
        await until(lambda: entry.fills and stop.fills, ib)
        assert [trade.orderStatus.avgFillPrice for trade in (entry, stop)] == [7_990.0, 7_969.75]


@pytest.mark.parametrize(
    ("order", "price"),
    [
        (MarketOrder("SELL", 1), 7_999.75),
        (LimitOrder("BUY", 1, 7_990.0), 7_990.0),
        (LimitOrder("BUY", 1, 7_980.0), None),  # touched is not traded through
        (StopOrder("BUY", 1, 8_010.0, outsideRth=True), 8_010.25),
        (StopOrder("BUY", 1, 8_010.0), None),  # sleeps outside regular hours
        (StopLimitOrder("BUY", 1, 8_011.0, 8_010.0, outsideRth=True), 8_010.25),
        (StopLimitOrder("BUY", 1, 8_010.0, 8_010.0, outsideRth=True), None),
        (Order(action="SELL", totalQuantity=1, orderType="TRAIL", auxPrice=15.0, outsideRth=True), 7_984.75),
    ],
    ids=lambda value: f"{value.orderType} {value.action}" if isinstance(value, Order) else str(value),
)
async def test_each_kind_of_order_fills_as_the_paper_brokers_rule_says(order: Order, price: float | None) -> None:
    """One bar that opens at 8000 and trades from 7980 to 8020."""
    columns = some_bars((8_000.0, 8_020.0, 7_980.0, 8_000.0))
    async with running(columns) as gateway, client_of(gateway) as ib:
        trade = ib.placeOrder(nq(), order)
        await until(lambda: trade.order.permId, ib)
        gateway.step()
        await ib.reqCurrentTimeAsync()
        assert [fill.execution.price for fill in trade.fills] == ([] if price is None else [price])


async def test_a_trailing_stop_follows_the_high_and_never_goes_back() -> None:
    """Up, a little down, and then through the level of the highest bar."""
    falling = ((8_018.0, 8_018.5, 8_015.0, 8_016.0), (8_016.0, 8_016.0, 8_009.0, 8_009.0))
    columns = some_bars((8_000.0, 8_020.0, 8_000.0, 8_018.0), *falling)
    async with running(columns) as gateway, client_of(gateway) as ib:
        order = Order(action="SELL", totalQuantity=1, orderType="TRAIL", auxPrice=10.0, outsideRth=True)
        trade = ib.placeOrder(nq(), order)
        await until(lambda: trade.order.permId, ib)
        gateway.step()
        gateway.step()
        await ib.reqCurrentTimeAsync()
        assert not trade.fills
        gateway.step()
        await until(lambda: trade.fills, ib)
        assert trade.fills[0].execution.price == 8_009.75


async def test_the_sixteenth_order_on_a_side_is_rejected() -> None:
    """15 is the broker's limit for a contract."""
    async with running() as gateway, client_of(gateway) as ib:
        seen = codes_seen(ib)
        trades = [ib.placeOrder(nq(), LimitOrder("BUY", 1, 7_900.0)) for _ in range(16)]
        await until(lambda: seen, ib)
        assert (seen, len(gateway.exchange.book.working())) == ([(trades[-1].order.orderId, 201)], 15)


async def test_a_stop_is_modified_without_its_parents_id() -> None:
    """With it 135 comes back, on which the client believes the stop cancelled; it works on at the exchange."""
    async with running() as gateway, client_of(gateway) as ib:
        seen = codes_seen(ib)
        entry, _, stop = bracket(ib, "BUY", 1, stop=7_990.0, target=8_040.0)
        await until(lambda: entry.fills and stop.order.permId, ib)
        ib.placeOrder(nq(), stop.order)
        await until(lambda: (stop.order.orderId, 135) in seen, ib)
        (resting,) = [each for each in gateway.exchange.book.working() if each.perm_id == stop.order.permId]
        assert (stop.orderStatus.status, resting.is_working) == ("Cancelled", True)
        stop.order.parentId, stop.order.auxPrice = 0, 7_995.0
        ib.client.placeOrder(stop.order.orderId, nq(), stop.order)
        await until(lambda: stop.orderStatus.status == "PreSubmitted", ib)
        assert resting.stop_ticks == 7_995 * 4


CONTINUOUS = ContFuture("NQ", "CME")


@pytest.mark.parametrize(
    ("contract", "order", "code"),
    [
        (nq(), LimitOrder("BUY", 1, 7_990.1), 110),
        (nq(), MarketOrder("BUY", 6), 201),  # margin
        (Future("NQ", "203306", "CME"), MarketOrder("BUY", 1), 200),
        (CONTINUOUS, MarketOrder("BUY", 1), 200),
        (nq(), Order(action="BUY", totalQuantity=1, orderType="MOC"), 387),
        (nq(), MarketOrder("BUY", 1, account="U999"), 321),
        (nq(), MarketOrder("BUY", 0.5), 434),
        (nq(), MarketOrder("BUY", 1, parentId=77), 135),
    ],
    ids=["off-tick", "margin", "unknown month", "continuous", "kind", "account", "size", "parent"],
)
async def test_what_is_wrong_with_an_order_is_said_by_the_brokers_code(
    contract: Contract, order: Order, code: int
) -> None:
    """Nothing of it is left at the exchange."""
    async with running() as gateway, client_of(gateway) as ib:
        seen = codes_seen(ib)
        trade = ib.placeOrder(contract, order)
        await until(lambda: (trade.order.orderId, code) in seen, ib)
        assert gateway.exchange.book.everything == []


async def test_an_order_that_is_done_can_be_neither_cancelled_nor_changed() -> None:
    """10147 for an id that nobody has used, 10148 for a filled order, 104 for its change."""
    async with running() as gateway, client_of(gateway) as ib:
        seen = codes_seen(ib)
        trade = ib.placeOrder(nq(), MarketOrder("BUY", 1))
        await until(lambda: trade.fills, ib)
        order_id = trade.order.orderId
        ib.client.cancelOrder(4_711)
        ib.client.cancelOrder(order_id)
        ib.client.placeOrder(order_id, nq(), trade.order)
        await until(lambda: {(4_711, 10_147), (order_id, 10_148), (order_id, 104)} <= set(seen), ib)
        assert [each.is_working for each in gateway.exchange.book.everything] == [False]


async def test_what_if_says_the_margin_and_leaves_nothing() -> None:
    """Two contracts of 20,000 dollars initial and 18,000 maintenance margin."""
    async with running() as gateway, client_of(gateway) as ib:
        state = await ib.whatIfOrderAsync(nq(), MarketOrder("BUY", 2))
        assert (state.initMarginChange, state.maintMarginChange) == ("40000.00", "36000.00")
        assert gateway.exchange.book.everything == []


async def test_day_orders_end_with_their_session_and_gtc_orders_stay() -> None:
    """The bars go on in the next session."""
    evening = some_bars(before=21, after=0, start_ns=OPEN_NS + (23 * 60 - 21) * MINUTE_NS)
    joined = concatenate([evening, some_bars(before=2, after=0, start_ns=OPEN_NS + DAY_NS)])
    async with running(joined) as gateway, client_of(gateway) as ib:
        day = ib.placeOrder(nq(), LimitOrder("BUY", 1, 7_900.0, tif="DAY"))
        good = ib.placeOrder(nq(), LimitOrder("BUY", 1, 7_900.0, tif="GTC"))
        await until(lambda: good.order.permId and day.order.permId, ib)
        gateway.step()
        gateway.step()
        await until(lambda: day.orderStatus.status == "Cancelled", ib)
        assert good.orderStatus.status == "Submitted"


async def test_another_clients_order_cannot_be_cancelled_but_a_global_cancel_ends_it() -> None:
    """10147 to the one who does not own it."""
    async with running() as gateway, client_of(gateway, 1) as owner, client_of(gateway, 2) as other:
        trade = owner.placeOrder(nq(), LimitOrder("BUY", 1, 7_900.0))
        await until(lambda: trade.order.permId, owner)
        seen = codes_seen(other)
        other.client.cancelOrder(trade.order.orderId)
        await until(lambda: (trade.order.orderId, 10_147) in seen, other)
        assert [each.order.permId for each in await other.reqAllOpenOrdersAsync()] == [trade.order.permId]
        other.reqGlobalCancel()
        await until(lambda: trade.orderStatus.status == "Cancelled", owner)


async def test_an_oca_group_without_a_parent_ends_when_one_fills() -> None:
    """Stop and target placed by hand around a position."""
    columns = some_bars((8_000.0, 8_050.0, 8_000.0, 8_050.0))
    async with running(columns) as gateway, client_of(gateway) as ib:
        group = {"ocaGroup": "g", "ocaType": 1, "outsideRth": True, "tif": "GTC"}
        target = ib.placeOrder(nq(), LimitOrder("SELL", 1, 8_040.0, **group))
        stop = ib.placeOrder(nq(), StopOrder("SELL", 1, 7_990.0, **group))
        await until(lambda: target.order.permId and stop.order.permId, ib)
        gateway.step()
        await until(lambda: target.fills and stop.orderStatus.status == "Cancelled", ib)


async def test_the_checker_counts_unprotected_contracts_and_orders_sent_twice() -> None:
    """An entry without a stop for two seconds of the ledger's clock, and its like sent again."""
    now = [0.0]
    async with running() as gateway, client_of(gateway) as ib:
        gateway.ledger._clock = lambda: now[0]
        gateway.ledger.entries.clear()
        first = ib.placeOrder(nq(), MarketOrder("BUY", 1, orderRef="d1"))
        await until(lambda: first.fills, ib)
        now[0] = 2.0
        second = ib.placeOrder(nq(), MarketOrder("BUY", 1, orderRef="d1"))
        await until(lambda: second.fills, ib)
        found = check(gateway.ledger.entries, until_s=3.0)
        assert (found.unprotected_s, found.unprotected_longest_s, found.duplicates) == (4.0, 3.0, ("d1",))
        flip = ib.placeOrder(nq(), MarketOrder("SELL", 3, orderRef="d2"))
        await until(lambda: flip.fills, ib)
        assert check(gateway.ledger.entries, until_s=4.0).wrong_sides == ("d2",)
    assert TERMS.account.commission_cents == 225
