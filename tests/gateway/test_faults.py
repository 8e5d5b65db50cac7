"""Each verb of a script of faults, as the real client meets it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from gateway_builders import bracket, client_of, nq, running, some_bars, until
from ib_insync import IB, LimitOrder, MarketOrder

from trader.errors import InputError
from trader.gateway.faults import FRAME_VERBS, ORDER_VERBS, Chance, Fault, Verb, read_faults
from trader.gateway.gateway import Gateway
from trader.gateway.mischief import _DOING, play_faults
from trader.gateway.order_mischief import OrderMischief

UP = (8_000.0, 8_010.0, 7_995.0, 8_004.0)
MORE = (8_004.0, 8_020.0, 8_004.0, 8_015.0)
OPEN_ORDER, STATUS, EXECUTION, COMMISSION, UPDATE = 5, 3, 11, 59, 90


@asynccontextmanager
async def playing(*faults: Fault, seed: int = 1) -> AsyncIterator[tuple[Gateway, OrderMischief]]:
    """A gateway that plays a script; every fault of it has to have happened at the end."""
    orders = OrderMischief(faults, seed)
    async with running(some_bars(UP, MORE), orders) as gateway:
        play_faults(gateway, orders)
        yield gateway, orders
    assert {fault.do for fault in faults} == {verb for verb, times in orders.fired.items() if times}


async def kept_up(ib: Any) -> Any:
    """A history that goes on."""
    return await ib.reqHistoricalDataAsync(
        nq(), "", "600 S", "1 min", "TRADES", useRTH=False, formatDate=2, keepUpToDate=True
    )


def codes(ib: Any) -> list[int]:
    """The errors from now on."""
    seen: list[int] = []
    ib.errorEvent += lambda request, code, text, contract: seen.append(code)
    return seen


async def bought(ib: Any) -> Any:
    """A market order, and the answer to a request after it."""
    trade = ib.placeOrder(nq(), MarketOrder("BUY", 2, orderRef="d1"))
    await ib.reqCurrentTimeAsync()
    return trade


async def test_a_dropped_execution_leaves_a_filled_order_without_a_fill() -> None:
    """The position tells the truth."""
    async with playing(Fault(do=Verb.DROP, nth=1, message=EXECUTION)) as (gateway, _), client_of(gateway) as ib:
        trade = await bought(ib)
        assert (trade.orderStatus.status, trade.fills, ib.positions()[0].position) == ("Filled", [], 2)


async def test_a_delayed_frame_comes_after_the_others() -> None:
    """The commission report."""
    late = Fault(do=Verb.DELAY, nth=1, message=COMMISSION, seconds=0.05)
    async with playing(late) as (gateway, _), client_of(gateway) as ib:
        trade = await bought(ib)
        assert trade.fills[0].commissionReport.commission == 0
        await until(lambda: trade.fills[0].commissionReport.commission == 4.5, ib)


async def test_an_execution_sent_twice_is_one_execution() -> None:
    """It has one execId."""
    async with playing(Fault(do=Verb.DUPLICATE, nth=1, message=EXECUTION)) as (gateway, _), client_of(gateway) as ib:
        received = []
        ib.client.decoder.handlers = {
            **ib.client.decoder.handlers,
            EXECUTION: lambda fields, known=ib.client.decoder.handlers[EXECUTION]: (received.append(1), known(fields)),
        }
        trade = await bought(ib)
        assert (len(received), len(trade.fills)) == (2, 1)


async def test_a_commission_that_overtakes_its_execution_is_lost_to_the_client() -> None:
    """The execution is held until the next frame has gone."""
    async with playing(Fault(do=Verb.REORDER, nth=1, message=EXECUTION)) as (gateway, _), client_of(gateway) as ib:
        trade = await bought(ib)
        assert (len(trade.fills), trade.fills[0].commissionReport.commission) == (1, 0)


@pytest.mark.parametrize("fault", [Fault(do=Verb.TRUNCATE, nth=1, message=EXECUTION), Fault(do=Verb.RESET, bar=0)])
async def test_a_connection_that_breaks_off_can_be_made_again(fault: Fault) -> None:
    """The order has filled meanwhile."""
    async with playing(fault) as (gateway, _):
        async with client_of(gateway) as ib:
            ib.placeOrder(nq(), MarketOrder("BUY", 2, orderRef="d1"))
            await until(lambda: (ib.client.serverVersion() and gateway.exchange.executions) or not ib.isConnected(), ib)
            gateway.open_bar()
            if ib.isConnected():
                await ib.disconnectedEvent
        async with client_of(gateway) as ib:
            assert [fill.execution.orderRef for fill in ib.fills()] == ["d1"]


async def test_a_half_open_connection_says_nothing_and_stays() -> None:
    """isConnected is true, and no answer comes."""
    async with playing(Fault(do=Verb.HALF_OPEN, bar=0)) as (gateway, _), client_of(gateway) as ib:
        gateway.step()
        with pytest.raises(TimeoutError):
            await until_answered(ib, 0.05)
        assert ib.isConnected()


async def until_answered(ib: Any, seconds: float) -> None:
    """The liveness probe."""
    await asyncio.wait_for(ib.reqCurrentTimeAsync(), seconds)


async def refused(gateway: Gateway, client_id: int) -> None:
    """Nobody gets in with this id."""
    with pytest.raises((ConnectionError, TimeoutError)):
        await IB().connectAsync("127.0.0.1", gateway.port, clientId=client_id, timeout=0.1)


@pytest.mark.parametrize(
    "fault", [Fault(do=Verb.REFUSE, bar=0), Fault(do=Verb.HOLD_ID, bar=0), Fault(do=Verb.NIGHTLY_RESET, bar=0)]
)
async def test_nobody_gets_in_for_a_while(fault: Fault) -> None:
    """One bar later somebody does."""
    async with playing(fault) as (gateway, _):
        gateway.step()
        await refused(gateway, 1)
        gateway.step()
        async with client_of(gateway, 1) as ib:
            assert await ib.reqCurrentTimeAsync()


async def test_a_held_client_id_leaves_the_others_alone() -> None:
    """326 for one, not for two."""
    async with playing(Fault(do=Verb.HOLD_ID, bar=0, client=1)) as (gateway, _):
        gateway.step()
        async with client_of(gateway, 2) as ib:
            assert await ib.reqCurrentTimeAsync()


async def test_any_error_can_come() -> None:
    """10197: a competing session."""
    async with playing(Fault(do=Verb.ERROR, bar=0, code=10_197)) as (gateway, _), client_of(gateway) as ib:
        seen = codes(ib)
        gateway.step()
        await until(lambda: 10_197 in seen, ib)


async def test_a_stop_that_fills_in_an_outage_is_told_when_it_is_over() -> None:
    """1100, silence, then everything that waited, and 1102."""
    async with playing(Fault(do=Verb.OUTAGE, bar=0)) as (gateway, _), client_of(gateway) as ib:
        entry, _, stop = bracket(ib, "BUY", 1, stop=7_996.0, target=8_040.0)
        await until(lambda: entry.fills and stop.order.permId, ib)
        seen = codes(ib)
        gateway.step()
        await until(lambda: 1_100 in seen, ib)
        assert gateway.account.qty(gateway.market.front) == 0
        assert not stop.fills
        gateway.step()
        await until(lambda: 1_102 in seen, ib)
        assert stop.fills


async def test_a_fill_can_come_inside_an_outage() -> None:
    """Before 1102."""
    async with playing(Fault(do=Verb.OUTAGE, bar=0, tells=True)) as (gateway, _), client_of(gateway) as ib:
        entry, _, stop = bracket(ib, "BUY", 1, stop=7_996.0, target=8_040.0)
        await until(lambda: entry.fills and stop.order.permId, ib)
        seen = codes(ib)
        gateway.step()
        await until(lambda: stop.fills, ib)
        assert (1_100 in seen, 1_102 in seen) == (True, False)


async def test_after_1101_the_subscriptions_are_gone() -> None:
    """No update comes any more, and nothing says so but the code."""
    async with playing(Fault(do=Verb.OUTAGE, bar=0, code=1_101)) as (gateway, _), client_of(gateway) as ib:
        bars = await kept_up(ib)
        seen = codes(ib)
        gateway.step()
        gateway.step()
        await until(lambda: 1_101 in seen, ib)
        known = bars[-1]
        gateway.step()
        await ib.reqCurrentTimeAsync()
        assert bars[-1] is known


async def test_order_ids_can_roll_back_and_are_taken_again() -> None:
    """The next valid id of a new connection is one that was used."""
    async with playing(Fault(do=Verb.ROLL_BACK_IDS, bar=0, ids=1)) as (gateway, _):
        async with client_of(gateway) as ib:
            first = ib.placeOrder(nq(), MarketOrder("BUY", 1))
            await until(lambda: first.fills, ib)
        gateway.step()
        reader = IB()
        await reader.client.connectAsync("127.0.0.1", gateway.port, 1, 5)
        assert reader.client.getReqId() == first.order.orderId
        reader.client.placeOrder(first.order.orderId, nq(), LimitOrder("BUY", 1, 7_900.0))
        while len(gateway.exchange.book.everything) == 1:
            await reader.updateEvent
        reader.disconnect()


async def test_the_second_order_is_rejected_and_only_it() -> None:
    """With the script's code."""
    async with playing(Fault(do=Verb.REJECT, nth=2, code=201)) as (gateway, _), client_of(gateway) as ib:
        seen = codes(ib)
        trades = [await bought(ib), await bought(ib)]
        assert [len(trade.fills) for trade in trades] == [1, 0]
        assert seen.count(201) == 1


async def test_an_order_fills_in_portions_and_its_stop_protects_what_has_filled() -> None:
    """One contract at once, the other at the next bar's open."""
    async with playing(Fault(do=Verb.PARTIAL, nth=1, portions=(1,))) as (gateway, _), client_of(gateway) as ib:
        entry, _, stop = bracket(ib, "BUY", 2, stop=7_990.0, target=8_040.0)
        await until(lambda: stop.order.permId and entry.fills, ib)
        (resting,) = [each for each in gateway.exchange.book.working() if each.perm_id == stop.order.permId]
        assert (entry.orderStatus.remaining, gateway.exchange.book.fillable(resting)) == (1, 1)
        gateway.step()
        await until(lambda: entry.orderStatus.status == "Filled", ib)
        assert gateway.exchange.book.fillable(resting) == 2


async def test_a_stop_shrinks_with_its_target() -> None:
    """Half of the target fills: the stop protects the other half."""
    async with playing(Fault(do=Verb.PARTIAL, nth=2, portions=(1,))) as (gateway, _), client_of(gateway) as ib:
        _, target, stop = bracket(ib, "BUY", 2, stop=7_990.0, target=8_005.0)
        await until(lambda: stop.order.permId, ib)
        gateway.step()
        await until(lambda: target.fills and stop.order.totalQuantity == 1, ib)
        (resting,) = [each for each in gateway.exchange.book.working() if each.perm_id == stop.order.permId]
        assert (resting.remaining, resting.is_working, target.orderStatus.remaining) == (1, True, 1)


async def test_a_fill_can_overtake_a_cancel() -> None:
    """161, on which the client believes it cancelled."""
    async with playing(Fault(do=Verb.FILL_BEFORE_CANCEL, nth=1)) as (gateway, _), client_of(gateway) as ib:
        seen = codes(ib)
        trade = ib.placeOrder(nq(), LimitOrder("BUY", 1, 7_900.0))
        await until(lambda: trade.order.permId, ib)
        ib.cancelOrder(trade.order)
        await until(lambda: 161 in seen, ib)
        assert (len(trade.fills), ib.positions()[0].position) == (1, 1)


async def test_a_trade_by_hand_moves_the_position_and_is_no_order() -> None:
    """Nothing in the client's executions."""
    async with playing(Fault(do=Verb.MANUAL_TRADE, bar=0, qty=-3)) as (gateway, _), client_of(gateway) as ib:
        gateway.step()
        await until(ib.positions, ib)
        assert (ib.positions()[0].position, ib.fills()) == (-3, [])


@pytest.mark.parametrize("verb", [Verb.MISSING_BAR, Verb.FROZEN])
async def test_a_bar_that_is_not_told_is_missing_from_the_list_and_in_the_history(verb: Verb) -> None:
    """A historical request fills the gap."""
    async with playing(Fault(do=verb, bar=0)) as (gateway, _), client_of(gateway) as ib:
        bars = await kept_up(ib)
        gateway.step()
        gateway.step()
        await until(lambda: bars[-1].close == MORE[3], ib)
        assert (bars[-1].date - bars[-2].date).total_seconds() == 120
        history = await ib.reqHistoricalDataAsync(nq(), "", "120 S", "1 min", "TRADES", useRTH=False)
        assert [bar.close for bar in history] == [UP[3], MORE[3]]


@pytest.mark.parametrize(
    ("verb", "updates", "close"),
    [(Verb.DUPLICATE_BAR, 5, UP[3]), (Verb.LATE_BAR, 4, UP[0]), (Verb.REVISED_BAR, 5, UP[3])],
)
async def test_ends_of_bars_come_twice_or_late_or_are_revised(verb: Verb, updates: int, close: float) -> None:
    """The client drops what comes after the next bar has begun: its closed bar is as it was."""
    async with playing(Fault(do=verb, bar=0)) as (gateway, _), client_of(gateway) as ib:
        bars, received = await kept_up(ib), []
        known = ib.client.decoder.handlers[UPDATE]
        ib.client.decoder.handlers[UPDATE] = lambda fields: (received.append(fields), known(fields))
        gateway.step()
        gateway.step()
        await until(lambda: bars[-1].close == MORE[3], ib)
        assert (len(received), bars[-2].close) == (updates, close)


async def test_delayed_data_says_so() -> None:
    """Market data type 3, and 354 for whoever asks for live data."""
    async with playing(Fault(do=Verb.DELAYED_DATA, bar=0)) as (gateway, _), client_of(gateway) as ib:
        gateway.step()
        seen = codes(ib)
        ib.reqMktData(nq())
        await until(lambda: 354 in seen, ib)
        ib.reqMarketDataType(3)
        ticker = ib.reqMktData(nq(), "233")
        await until(lambda: ticker.last == UP[3], ib)
        assert ticker.marketDataType == 3


def test_a_seed_repeats_its_faults_and_another_line_changes_nothing() -> None:
    """Each fault draws its own numbers."""
    fault = Fault(do=Verb.DROP, rate=0.5)

    def drawn(seed: int, place: int) -> list[bool]:
        chance = Chance(fault, seed, place)
        return [chance.is_due() for _ in range(64)]

    assert drawn(1, 0) == drawn(1, 0)
    assert len({tuple(drawn(seed, place)) for seed in range(3) for place in range(3)}) == 9


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("script.yaml", "- {do: reject, nth: 2, code: 201}\n- {do: reset, bar: 30}\n"),
        ("script.jsonl", '{"do":"reject","nth":2,"code":201}\n{"do":"reset","bar":30}\n'),
    ],
)
def test_a_script_is_yaml_or_json_lines(tmp_path: Path, name: str, text: str) -> None:
    """The same faults."""
    (tmp_path / name).write_text(text)
    assert read_faults(tmp_path / name) == [Fault(do=Verb.REJECT, nth=2, code=201), Fault(do=Verb.RESET, bar=30)]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("- {do: explode, bar: 1}", "explode"),
        ("- {do: reset}", "say when"),
        ("- {do: reset, bar: 1, rate: 0.1}", "say when"),
        ("- {do: drop, bar: 1}", "not at a bar"),
        ("- {do: reject, nth: 1}", "needs a code"),
        ("- {do: reset, bar: 1, until: 4}", "until"),
        ("- [", "script.yaml"),
    ],
)
def test_a_script_that_is_wrong_is_named(tmp_path: Path, text: str, why: str) -> None:
    """With what is wrong in it."""
    (tmp_path / "script.yaml").write_text(text)
    with pytest.raises(InputError, match=why):
        read_faults(tmp_path / "script.yaml")


def test_every_verb_is_played_by_somebody() -> None:
    """On frames, orders or bars."""
    assert set(_DOING) | FRAME_VERBS | ORDER_VERBS == set(Verb)
