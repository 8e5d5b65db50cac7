"""Verbs about single orders, requests and executions, as the real client meets them."""

from pathlib import Path

import pytest
from gateway_builders import bracket, client_of, nq, until
from ib_insync import LimitOrder, MarketOrder, StopOrder
from test_faults import codes, playing

from trader.errors import InputError
from trader.gateway.checker import check
from trader.gateway.faults import Fault, Verb, read_faults
from trader.gateway.orders import Kind, Leg, Step

HISTORY = 17
LIED_CODES = (103, 104, 135, 161, 10147, 10148, 10349)


@pytest.mark.parametrize("code", LIED_CODES)
async def test_an_error_on_an_order_makes_the_client_believe_that_it_is_cancelled(code: int) -> None:
    """It works at the exchange all the same, and asking brings it back."""
    lie = Fault(do=Verb.ERROR_ON, nth=1, leg=Leg.STOP, code=code)
    async with playing(lie) as (gateway, _), client_of(gateway) as ib:
        seen = codes(ib)
        _, _, stop = bracket(ib, "BUY", 1, stop=7_990.0, target=8_040.0)
        await until(lambda: code in seen, ib)
        assert stop.orderStatus.status == "Cancelled"
        (resting,) = [each for each in gateway.exchange.book.working() if each.kind is Kind.STOP]
        assert resting.is_working
        told = await ib.reqOpenOrdersAsync()
        assert [each.orderStatus.status for each in told if each.order.permId == resting.perm_id] == ["PreSubmitted"]


async def test_an_error_on_a_change_leaves_the_changed_order_working() -> None:
    """135 on the second message of the stop, which moved it."""
    lie = Fault(do=Verb.ERROR_ON, nth=1, leg=Leg.STOP, step=Step.MODIFY, code=135)
    async with playing(lie) as (gateway, _), client_of(gateway) as ib:
        seen = codes(ib)
        _, _, stop = bracket(ib, "BUY", 1, stop=7_990.0, target=8_040.0)
        await until(lambda: stop.order.permId, ib)
        stop.order.parentId, stop.order.auxPrice = 0, 7_995.0
        ib.placeOrder(nq(), stop.order)
        await until(lambda: 135 in seen, ib)
        (resting,) = [each for each in gateway.exchange.book.working() if each.kind is Kind.STOP]
        assert resting.stop_ticks == 7_995 * 4


async def test_a_cancel_that_is_answered_by_an_error_does_nothing() -> None:
    """10147: the order rests."""
    lie = Fault(do=Verb.ERROR_ON, nth=1, step=Step.CANCEL, code=10_147)
    async with playing(lie) as (gateway, _), client_of(gateway) as ib:
        seen = codes(ib)
        trade = ib.placeOrder(nq(), LimitOrder("BUY", 1, 7_900.0))
        ib.cancelOrder(trade.order)
        await until(lambda: 10_147 in seen, ib)
        assert (trade.orderStatus.status, len(gateway.exchange.book.working())) == ("Cancelled", 1)


@pytest.mark.parametrize(("leg", "place"), [(Leg.ENTRY, 0), (Leg.TARGET, 1), (Leg.STOP, 2), (Leg.CLOSE, 3)])
async def test_a_rejection_can_be_of_one_leg(leg: Leg, place: int) -> None:
    """Of a bracket's orders, or of the order at market that closes what it bought."""
    async with playing(Fault(do=Verb.REJECT, rate=1.0, leg=leg, code=201)) as (gateway, _), client_of(gateway) as ib:
        refused: list[int] = []
        ib.errorEvent += lambda request, code, *_: refused.append(request) if code == 201 else None
        trades = list(bracket(ib, "BUY", 1, stop=7_990.0, target=8_040.0))
        await ib.reqCurrentTimeAsync()
        close = MarketOrder("SELL", 1, ocaGroup="d1", ocaType=2)
        trades.append(ib.placeOrder(nq(), close) if leg is Leg.CLOSE else trades[-1])
        await ib.reqCurrentTimeAsync()
        assert refused == [trades[place].order.orderId]


async def test_a_change_is_of_the_leg_that_the_order_was_sent_as() -> None:
    """A target that is changed without its parent's id is a target."""
    refusal = Fault(do=Verb.REJECT, nth=1, leg=Leg.TARGET, step=Step.MODIFY, code=201)
    async with playing(refusal) as (gateway, _), client_of(gateway) as ib:
        seen = codes(ib)
        _, target, _ = bracket(ib, "BUY", 1, stop=7_990.0, target=8_040.0)
        await until(lambda: target.order.permId, ib)
        target.order.parentId, target.order.lmtPrice = 0, 8_050.0
        ib.placeOrder(nq(), target.order)
        await until(lambda: 201 in seen, ib)


async def test_a_swallowed_acknowledgement_hides_an_order_that_works() -> None:
    """The stop is there, and fills, though nobody has said so."""
    async with playing(Fault(do=Verb.SWALLOW, nth=1, leg=Leg.STOP)) as (gateway, _), client_of(gateway) as ib:
        entry, target, stop = bracket(ib, "BUY", 1, stop=7_996.0, target=8_040.0)
        await until(lambda: entry.fills and target.order.permId, ib)
        await ib.reqCurrentTimeAsync()
        assert (stop.orderStatus.status, stop.order.permId) == ("PendingSubmit", 0)
        told = await ib.reqOpenOrdersAsync()
        assert stop.order.orderId in {each.order.orderId for each in told}
        gateway.step()
        await until(lambda: stop.fills, ib)


async def test_a_lost_order_is_never_acknowledged_and_does_not_exist() -> None:
    """The position has no stop, as the ledger shows."""
    async with playing(Fault(do=Verb.LOSE, nth=1, leg=Leg.STOP)) as (gateway, _), client_of(gateway) as ib:
        _, target, stop = bracket(ib, "BUY", 1, stop=7_996.0, target=8_040.0)
        ib.placeOrder(nq(), LimitOrder("SELL", 1, 8_050.0, parentId=stop.order.parentId))  # sends the family
        await until(lambda: target.order.permId, ib)
        told = {each.order.orderId for each in await ib.reqOpenOrdersAsync()}
        assert (stop.orderStatus.status, target.order.orderId in told) == ("PendingSubmit", True)
        assert stop.order.orderId not in told
        assert check(gateway.ledger.entries, until_s=gateway.ledger.now_s + 1).unprotected_s >= 1


async def test_an_order_can_fill_after_its_cancel_was_confirmed() -> None:
    """202, then an execution: a position that its bracket does not protect any more."""
    async with playing(Fault(do=Verb.FILL_AFTER_CANCEL, nth=1)) as (gateway, _), client_of(gateway) as ib:
        seen = codes(ib)
        entry_id = ib.client.getReqId()
        entry = ib.placeOrder(nq(), LimitOrder("BUY", 1, 7_900.0, orderId=entry_id, transmit=False))
        stop = ib.placeOrder(nq(), StopOrder("SELL", 1, 7_850.0, parentId=entry_id))
        await until(lambda: stop.order.permId, ib)
        ib.cancelOrder(entry.order)
        await until(lambda: entry.fills, ib)
        assert (seen.count(202), stop.orderStatus.status, ib.positions()[0].position) == (2, "Cancelled", 1)
        assert not gateway.exchange.book.working()


async def test_a_corrected_execution_comes_under_the_next_number() -> None:
    """Two ticks dearer; the account and a later request know the second one only."""
    correction = Fault(do=Verb.CORRECTED_EXECUTION, nth=1, ticks=2)
    async with playing(correction) as (gateway, _), client_of(gateway) as ib:
        trade = ib.placeOrder(nq(), MarketOrder("BUY", 2))
        await until(lambda: len(trade.fills) == 2, ib)
        first, second = (fill.execution for fill in trade.fills)
        assert first.execId.removesuffix("01") + "02" == second.execId
        assert (first.price, second.price, ib.positions()[0].avgCost) == (8_000.25, 8_000.75, 8_000.75 * 20)
        asked = await ib.reqExecutionsAsync()
        assert [fill.execution.execId for fill in asked] == [second.execId]


async def test_a_correction_of_what_closes_moves_the_cash() -> None:
    """Bought at 8000.25, sold at 7999.75, corrected to 8000.75: ten dollars a contract instead of minus ten."""
    correction = Fault(do=Verb.CORRECTED_EXECUTION, nth=2, ticks=4)
    async with playing(correction) as (gateway, _), client_of(gateway) as ib:
        ib.placeOrder(nq(), MarketOrder("BUY", 1))
        trade = ib.placeOrder(nq(), MarketOrder("SELL", 1))
        await until(lambda: len(trade.fills) == 2, ib)
        assert gateway.account.cash_cents == 10_000_000 + 1_000 - 2 * 225
        assert trade.fills[1].commissionReport.realizedPNL == 10.0 - 2.25


@pytest.mark.parametrize("kind", [Kind.LIMIT, Kind.STOP])
async def test_somebodys_order_shows_among_all_and_fills(kind: Kind) -> None:
    """Twenty ticks away: the bar that rises by forty reaches a sale at a limit and a purchase at a stop."""
    qty = -2 if kind is Kind.LIMIT else 2
    by_hand = Fault(do=Verb.MANUAL_ORDER, bar=0, qty=qty, kind=kind, ticks=20)
    async with playing(by_hand) as (gateway, _), client_of(gateway) as ib:
        gateway.open_bar()
        assert await ib.reqOpenOrdersAsync() == []
        (theirs,) = await ib.reqAllOpenOrdersAsync()
        assert (theirs.order.clientId, theirs.order.orderId < 0, theirs.order.orderRef) == (0, True, "")
        assert max(theirs.order.lmtPrice, theirs.order.auxPrice) == 8_005.0
        gateway.finish_bar()
        await until(ib.positions, ib)
        assert (ib.positions()[0].position, ib.fills()) == (qty, [])
        assert [fill.execution.clientId for fill in await ib.reqExecutionsAsync()] == [0]


async def test_an_expired_month_is_settled_and_takes_no_orders() -> None:
    """Flat without an execution; the stop has gone; 201 for whatever comes, and nobody trades it by hand."""
    async with playing(Fault(do=Verb.EXPIRY, bar=1)) as (gateway, _), client_of(gateway) as ib:
        entry, _, stop = bracket(ib, "BUY", 1, stop=7_990.0, target=8_040.0)
        await until(lambda: entry.fills and stop.order.permId, ib)
        gateway.step()
        gateway.step()
        seen = codes(ib)
        await until(lambda: not ib.positions() and stop.orderStatus.status == "Cancelled", ib)
        assert (len(ib.fills()), gateway.account.cash_cents) == (1, 10_000_000 + 15 * 500 - 225)
        late = ib.placeOrder(nq(), MarketOrder("BUY", 1))
        await until(lambda: 201 in seen, ib)
        gateway.exchange.trade_by_hand(1)
        found = check(gateway.ledger.entries, until_s=gateway.ledger.now_s)
        assert (late.fills, found.position, found.is_clean) == ([], 0, True)


async def test_the_brokers_clock_can_jump() -> None:
    """An hour back: on what it says of the time, and on executions; bars keep theirs."""
    async with playing(Fault(do=Verb.CLOCK_JUMP, bar=0, seconds=-3_600)) as (gateway, _), client_of(gateway) as ib:
        before = await ib.reqCurrentTimeAsync()
        gateway.step()
        assert (await ib.reqCurrentTimeAsync() - before).total_seconds() == 60 - 3_600
        trade = ib.placeOrder(nq(), MarketOrder("BUY", 1))
        await until(lambda: trade.fills, ib)
        assert (trade.fills[0].execution.time - before).total_seconds() == 60 - 3_600
        (*_, last) = await ib.reqHistoricalDataAsync(nq(), "", "600 S", "1 min", "TRADES", useRTH=False, formatDate=2)
        assert last.date == before


async def test_a_request_for_history_can_be_refused_on_demand() -> None:
    """162 once; the next request is answered."""
    no_data = Fault(do=Verb.ERROR_ON, nth=1, message=20, code=162, text="HMDS query returned no data")
    async with playing(no_data) as (gateway, orders), client_of(gateway) as ib:
        seen, received = codes(ib), []
        known = ib.client.decoder.handlers[HISTORY]
        ib.client.decoder.handlers[HISTORY] = lambda fields: (received.append(fields), known(fields))
        ask = {"endDateTime": "", "durationStr": "600 S", "barSizeSetting": "1 min", "whatToShow": "TRADES"}
        assert len(await ib.reqHistoricalDataAsync(nq(), useRTH=False, **ask)) == 0
        assert (seen, orders.fired) == ([162], {Verb.ERROR_ON: 1})
        assert len(await ib.reqHistoricalDataAsync(nq(), useRTH=False, **ask)) == 10
        assert len(received) == 1


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("- {do: error_on, nth: 1}", "needs a code"),
        ("- {do: reject, nth: 1, code: 201, step: cancel}", "use error_on"),
        ("- {do: error_on, nth: 1, code: 162, message: 20, leg: stop}", "a request has no leg"),
        ("- {do: manual_order, bar: 1}", "needs a qty"),
        ("- {do: manual_order, bar: 1, qty: 1, kind: MKT}", "LMT or STP"),
        ("- {do: reset, bar: 1, leg: stop}", "it has no leg"),
        ("- {do: swallow, nth: 1, step: modify}", "has no step"),
        ("- {do: swallow, nth: 1, leg: parent}", "parent"),
        ("- {do: delay, nth: 1, seconds: -1}", "not below 0"),
    ],
)
def test_a_field_that_a_verb_does_not_have_is_named(tmp_path: Path, text: str, why: str) -> None:
    """With the fault that has it."""
    (tmp_path / "script.yaml").write_text(text)
    with pytest.raises(InputError, match=why):
        read_faults(tmp_path / "script.yaml")
