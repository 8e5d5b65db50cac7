"""What the broker says, asked for in full: the real client against the real gateway."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from gateway_builders import client_of, nq, running, some_bars
from ib_builders import ACCOUNT, LIBRARY, linked, relinked, soon

from trader.adapters.ib.contract import Pinned
from trader.adapters.ib.facts import Funds, OrderKind, Truth
from trader.adapters.ib.link import Link
from trader.adapters.ib.truth import fetch_executions, fetch_funds, fetch_truth
from trader.domain.actions import Side
from trader.errors import LinkError
from trader.gateway.contracts import Wanted
from trader.gateway.faults import Fault, Verb
from trader.gateway.gateway import Gateway
from trader.gateway.layouts import Request
from trader.gateway.mischief import OrderMischief, play_faults

NOW_NS = 1_575_388_800_000_000_000
UP = (8_000.0, 8_010.0, 7_995.0, 8_004.0)
OPEN_ORDER, POSITION_END, OPEN_ORDER_END, SUMMARY_END, EXECUTION_END = 5, 62, 53, 64, 55
Asking = tuple[Gateway, Link, Callable[[], Any]]


@asynccontextmanager
async def asking(*faults: Fault, **changes: Any) -> AsyncIterator[Asking]:
    """A gateway that plays a script once the link is up, the link, and the whole question."""
    orders = OrderMischief(faults, 1)
    async with running(some_bars(UP), orders) as gateway, linked(gateway, **changes) as link:
        pinned = pinned_of(gateway)
        play_faults(gateway, orders)
        yield gateway, link, lambda: soon(fetch_truth(link, pinned, ACCOUNT, lambda: NOW_NS))


def pinned_of(gateway: Gateway) -> Pinned:
    """The month that the bars are of."""
    front = gateway.market.front
    return Pinned(
        con_id=front.con_id,
        market=front.symbol,
        symbol=front.code,
        local_symbol=front.local_symbol,
        trading_class=front.symbol,
        exchange="CME",
        expiry="2020-03-20",
        multiplier=front.multiplier,
    )


def send_bracket(link: Link, gateway: Gateway, side: str = "BUY", qty: int = 2, ref: str = "NQ-1") -> list[Any]:
    """Entry, target 30 points away and stop 15 away."""
    client, sign = link.ib.client, 1 if side == "BUY" else -1
    exits = {"action": "SELL" if side == "BUY" else "BUY", "tif": "GTC", "ocaGroup": ref, "ocaType": 2}
    common = {"totalQuantity": qty, "orderRef": ref, "account": ACCOUNT}
    entry_id = client.getReqId()
    drafts = [
        {"orderId": entry_id, "action": side, "orderType": "MKT", "tif": "DAY"},
        {"orderId": client.getReqId(), "orderType": "LMT", "lmtPrice": 8_000.0 + 30 * sign, "parentId": entry_id},
        {"orderId": client.getReqId(), "orderType": "STP", "auxPrice": 8_000.0 - 15 * sign, "parentId": entry_id},
    ]
    contract = nq()
    contract.conId = gateway.market.front.con_id
    sent = []
    for draft in drafts:
        extra = exits if "parentId" in draft else {}
        order = LIBRARY.order(**{**common, **extra, **draft, "transmit": draft["orderType"] == "STP"})
        order.outsideRth = draft["orderType"] == "STP"
        sent.append(link.ib.placeOrder(contract, order))
    return sent


async def test_an_empty_account_is_told_as_empty() -> None:
    """Every list empty, every figure there."""
    async with asking() as (_, _, ask):
        assert await ask() == Truth(
            position_qty=0,
            entry_ticks=0,
            orders=(),
            executions=(),
            elsewhere=(),
            funds=Funds(
                net_liquidation_cents=10_000_000,
                available_cents=10_000_000,
                excess_cents=10_000_000,
                initial_margin_cents=0,
                maintenance_margin_cents=0,
                ahead_available_cents=10_000_000,
                ahead_excess_cents=10_000_000,
                ahead_initial_margin_cents=0,
                ahead_maintenance_margin_cents=0,
            ),
            ts_ns=NOW_NS,
        )


async def test_a_bracket_in_position_is_told_whole() -> None:
    """Prices in ticks, the average without the multiplier, the execution's cost, who sent what."""
    async with asking() as (gateway, link, ask):
        entry, target, stop = send_bracket(link, gateway)
        truth = await ask()
        assert (truth.position_qty, truth.entry_ticks) == (2, 32_001)
        told = {each.kind: each for each in truth.orders}
        assert set(told) == {OrderKind.LIMIT, OrderKind.STOP}
        assert told[OrderKind.STOP].price_ticks == 31_940
        assert told[OrderKind.LIMIT].price_ticks == 32_120
        assert told[OrderKind.STOP].order_id == stop.order.orderId
        assert told[OrderKind.LIMIT].order_id == target.order.orderId
        assert {each.order_ref for each in truth.orders} == {"NQ-1"}
        assert all(each.is_working and not each.is_held and each.side is Side.SELL for each in truth.orders)
        (execution,) = truth.executions
        assert (execution.order_ref, execution.leg, execution.side, execution.qty) == ("NQ-1", None, Side.BUY, 2)
        assert (execution.price_ticks, execution.commission_cents) == (32_001, 450)
        assert execution.perm_id == entry.order.permId
        assert truth.funds.initial_margin_cents == 4_000_000


async def test_an_execution_is_timed_by_the_broker_in_utc() -> None:
    """The gateway tells Chicago's wall clock with its zone."""
    async with asking() as (gateway, link, ask):
        send_bracket(link, gateway)
        (execution,) = (await ask()).executions
        assert execution.ts_ns == gateway.market.now_ns // 10**9 * 10**9


async def test_orders_of_another_client_are_seen_and_carry_its_number() -> None:
    """The human on the same account."""
    async with asking() as (gateway, _, ask), client_of(gateway, 7) as human:
        human.placeOrder(nq(), LIBRARY.limit_order("BUY", 1, 7_900.0))
        await soon(human.reqCurrentTimeAsync())
        (order,) = (await ask()).orders
        assert (order.client_id, order.order_ref, order.price_ticks) == (7, "", 31_600)


async def test_executions_of_another_client_are_told_as_nobodys() -> None:
    """And its position is the account's."""
    async with asking() as (gateway, _, ask), client_of(gateway, 7) as human:
        human.placeOrder(nq(), LIBRARY.market_order("SELL", 3))
        await soon(human.reqCurrentTimeAsync())
        truth = await ask()
        assert truth.position_qty == -3
        assert [(each.order_ref, each.side, each.qty) for each in truth.executions] == [(None, Side.SELL, 3)]


async def test_a_position_in_another_month_is_told_as_elsewhere() -> None:
    """By its local name."""
    async with asking() as (gateway, _, ask):
        (june,) = gateway.market.find(Wanted(local_symbol="NQM0"))
        gateway.account.book(june, -2, 32_000)
        truth = await ask()
        assert (truth.position_qty, truth.elsewhere) == (0, (("NQM0", -2),))


async def test_an_order_that_the_library_calls_cancelled_is_told_as_working() -> None:
    """A modification with a filled parent's id is refused (135), and the stop works on."""
    async with asking() as (gateway, link, ask):
        _, _, stop = send_bracket(link, gateway)
        await ask()
        stop.order.parentId, stop.order.auxPrice = 999, 7_990.0
        link.ib.client.placeOrder(stop.order.orderId, stop.contract, stop.order)
        await soon(link.probe())
        assert stop.orderStatus.status == "Cancelled"
        truth = await ask()
        assert [each.price_ticks for each in truth.orders if each.kind is OrderKind.STOP] == [31_940]


async def test_a_commission_known_before_the_question_is_in_the_answer() -> None:
    """The library hangs a report on its first copy of an execution, and answers with another one."""
    async with asking() as (gateway, link, ask):
        send_bracket(link, gateway)
        await soon(link.probe())
        first = (await ask()).executions
        assert (await ask()).executions == first
        assert first[0].commission_cents == 450


@pytest.mark.parametrize("message", [POSITION_END, OPEN_ORDER_END, SUMMARY_END, EXECUTION_END])
async def test_an_answer_without_its_end_is_no_answer(message: int) -> None:
    """Part of the truth is none."""
    cut = Fault(do=Verb.DROP, rate=1.0, message=message)
    async with asking(cut, request_timeout_s=0.1) as (gateway, link, ask):
        send_bracket(link, gateway)
        with pytest.raises(LinkError, match="no answer"):
            await ask()


async def test_a_question_after_one_without_an_end_is_answered_whole() -> None:
    """What was left over of the first is not taken for the second's."""
    cut = Fault(do=Verb.DROP, nth=1, message=OPEN_ORDER_END)
    async with asking(cut, request_timeout_s=0.1) as (gateway, link, ask):
        send_bracket(link, gateway)
        with pytest.raises(LinkError):
            await ask()
        assert len((await ask()).orders) == 2


async def test_a_fill_between_two_answers_makes_it_ask_again() -> None:
    """Positions before and after the orders must be the same."""
    async with asking() as (gateway, link, ask):
        asked = []
        known = link.ib.reqAllOpenOrdersAsync

        def fill_meanwhile() -> Any:
            asked.append(1)
            if len(asked) == 1:
                gateway.exchange.trade_by_hand(1)
            return known()

        link.ib.reqAllOpenOrdersAsync = fill_meanwhile
        assert (await ask()).position_qty == 1
        assert len(asked) == 2


async def test_an_account_that_never_stands_still_is_no_truth() -> None:
    """Better none than one of several moments."""
    async with asking() as (gateway, link, ask):
        known = link.ib.reqAllOpenOrdersAsync

        def fill_meanwhile() -> Any:
            gateway.exchange.trade_by_hand(1)
            return known()

        link.ib.reqAllOpenOrdersAsync = fill_meanwhile
        with pytest.raises(LinkError, match="stand still"):
            await ask()


async def test_the_accounts_figures_are_those_of_now() -> None:
    """The library's own way gives those of the first question for ever."""
    async with asking() as (gateway, link, _):
        assert (await soon(fetch_funds(link, ACCOUNT))).initial_margin_cents == 0
        gateway.exchange.trade_by_hand(1)
        assert (await soon(fetch_funds(link, ACCOUNT))).initial_margin_cents == 2_000_000


async def test_each_question_about_the_account_is_taken_back() -> None:
    """The broker refuses the third one that is open (322)."""
    async with asking() as (gateway, link, _):
        cancelled = set()
        gateway.server.serve({Request.CANCEL_ACCOUNT_SUMMARY: lambda _, fields: cancelled.add(fields[2])})
        for _ in range(3):
            await soon(fetch_funds(link, ACCOUNT))
        await soon(link.probe())
        assert len(cancelled) == 3


async def test_a_lost_connection_in_the_middle_is_an_error_of_the_link() -> None:
    """Not an empty answer."""
    async with asking(Fault(do=Verb.DROP, rate=1.0, message=OPEN_ORDER_END)) as (gateway, _, ask):
        async with asyncio.TaskGroup() as group:
            asked = group.create_task(caught(ask()))
            group.create_task(cut_soon(gateway))
        assert isinstance(asked.result(), LinkError)


async def test_a_socket_that_went_before_a_question_is_an_error_of_the_link() -> None:
    """The client's own error says nothing to those who wait for the link."""
    async with asking() as (gateway, link, ask):
        pinned = pinned_of(gateway)
        questions = (
            ask,
            lambda: fetch_funds(link, ACCOUNT),
            lambda: fetch_executions(link, pinned, ACCOUNT),
        )
        for question in questions:
            link.ib.client.disconnect()
            assert isinstance(await caught(question()), LinkError)
            await relinked(link, lambda: None)


async def test_who_asks_for_the_figures_and_is_cancelled_as_the_socket_goes_is_cancelled() -> None:
    """Taking the question back fails then, and must not hide it: whoever ends the task would wait for it for ever."""
    cut = Fault(do=Verb.DROP, rate=1.0, message=SUMMARY_END)
    async with asking(cut) as (_, link, _), asyncio.TaskGroup() as group:
        heard = asyncio.Event()
        link.ib.accountSummaryEvent.connect(lambda _: heard.set())
        asked = group.create_task(fetch_funds(link, ACCOUNT))
        await soon(heard.wait())
        link.ib.client.disconnect()
        asked.cancel()
        await asyncio.wait([asked])
        assert asked.cancelled()


async def caught(answer: Any) -> Exception | None:
    """What an answer raises."""
    try:
        await answer
    except LinkError as error:
        return error
    return None


async def cut_soon(gateway: Gateway) -> None:
    """After some turns of the loop."""
    for _ in range(50):
        await asyncio.sleep(0)
    for session in gateway.server.sessions:
        session.reset()
