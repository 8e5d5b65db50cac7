"""A real client in lockstep: each bar waits until the client has decided, so that a run repeats itself."""

import asyncio
from typing import Any

import pytest
from builders import some_terms
from gateway_builders import OPEN_NS, bracket, client_of, nq, running, some_bars
from ib_insync import LimitOrder, MarketOrder
from lockstep_client import LockstepClient
from test_same_fills import RICH, brackets, by_paper, wild_prices

from trader.domain.units import MINUTE_NS, SECOND_NS
from trader.gateway.fills import Costs
from trader.gateway.playing import Lockstep, play

SOME = 600
HISTORY = 20


def opened_s(index: int) -> int:
    """When a bar of the file opened."""
    return (OPEN_NS + index * MINUTE_NS) // SECOND_NS


async def in_step(gateway: Any, client: LockstepClient, bars: int) -> None:
    """Play the file to its end, and past it."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(play(gateway, Lockstep(gateway)))
        await client.trade(bars)


@pytest.mark.parametrize("through", [0, 1])
async def test_a_client_in_lockstep_gets_the_paper_brokers_fills(through: int) -> None:
    """Brackets over a real socket, one whenever nothing is open: the same bars, quantities and prices."""
    orders = brackets(1)

    def decide(client: LockstepClient, bar: Any) -> None:
        if not client.position:
            side, qty, stop, target = next(orders)
            away = side / 4
            bracket(client.ib, side.name, qty, bar.close - stop * away, bar.close + target * away)

    columns = some_bars(*wild_prices(1)[:SOME], after=0)
    costs = Costs(slippage_ticks=1, through_ticks=through)
    async with running(columns, account=RICH, costs=costs) as gateway:
        paper = by_paper(gateway, some_terms(target_through_ticks=through), 1, SOME)
        async with client_of(gateway) as ib:
            client = LockstepClient(ib, decide)
            await in_step(gateway, client, SOME + 1)
    assert len(paper) > SOME / 3
    assert client.fills == [(opened_s(at), qty, price / 4) for at, qty, price in paper]


async def test_an_order_sent_while_a_bar_forms_fills_at_its_open() -> None:
    """Though the bar has moved far by its end; the next decision knows the fill."""
    seen: list[tuple[float, int]] = []

    def decide(client: LockstepClient, bar: Any) -> None:
        seen.append((bar.close, client.position))
        if len(seen) == 1:
            client.ib.placeOrder(nq(), MarketOrder("BUY", 1))

    async with running(some_bars((8_001.0, 8_090.0, 8_000.0, 8_080.0), after=0)) as gateway, client_of(gateway) as ib:
        client = LockstepClient(ib, decide)
        await in_step(gateway, client, 2)
    assert seen == [(8_000.0, 0), (8_080.0, 1)]
    assert client.fills == [(opened_s(HISTORY), 1, 8_001.25)]


async def test_the_whole_file_is_decided_from_one_bar_of_history_on() -> None:
    """Its first bar and its last one too; a quiet bar takes one probe."""
    closes: list[float] = []
    prices = [(price, price, price, price) for price in (8_000.0, 8_001.0, 8_002.0)]
    columns = some_bars(*prices, before=0, after=0)
    async with running(columns, history_bars=1) as gateway, client_of(gateway) as ib:
        client = LockstepClient(ib, lambda _, bar: closes.append(bar.close))
        await in_step(gateway, client, 3)
    assert closes == [8_000.0, 8_001.0, 8_002.0]
    assert client.probes == 3


async def test_what_a_fill_makes_the_client_send_still_counts_for_the_bar() -> None:
    """Stop and target sent after the entry's fill at the open: the stop fills in the range of the same bar."""

    def decide(client: LockstepClient, bar: Any) -> None:
        if not client.fills:
            entry = client.ib.placeOrder(nq(), MarketOrder("BUY", 1))
            entry.fillEvent += lambda *_: client.ib.placeOrder(nq(), LimitOrder("SELL", 1, 8_005.0))

    async with running(some_bars((8_000.0, 8_010.0, 8_000.0, 8_000.0), after=0)) as gateway, client_of(gateway) as ib:
        client = LockstepClient(ib, decide)
        await in_step(gateway, client, 2)
    assert client.fills == [(opened_s(HISTORY), 1, 8_000.25), (opened_s(HISTORY), -1, 8_005.0)]


async def test_an_order_after_the_last_bar_rests() -> None:
    """No bar comes that it could fill in; when that is settled the connection ends."""

    def decide(client: LockstepClient, bar: Any) -> None:
        if client.forming_s == opened_s(HISTORY + 1):
            client.ib.placeOrder(nq(), MarketOrder("BUY", 1))

    async with running(some_bars(after=1)) as gateway, client_of(gateway) as ib:
        client = LockstepClient(ib, decide)
        await in_step(gateway, client, 2)
        assert (client.fills, len(gateway.exchange.book.working())) == ([], 1)
        if ib.isConnected():
            await ib.disconnectedEvent


async def test_another_clients_probe_is_answered_and_moves_nothing() -> None:
    """The bar goes on forming."""
    async with (
        running() as gateway,
        client_of(gateway) as ib,
        client_of(gateway, 2) as other,
        asyncio.TaskGroup() as tasks,
    ):
        tasks.create_task(play(gateway, Lockstep(gateway)))
        await LockstepClient(ib, lambda *_: None).trade(3)
        for _ in range(3):
            assert (await other.reqCurrentTimeAsync()).timestamp() == opened_s(HISTORY + 3)
        ib.disconnect()


async def test_the_play_ends_when_the_client_goes() -> None:
    """In the middle of a bar, without an error."""
    async with running() as gateway, client_of(gateway) as ib, asyncio.TaskGroup() as tasks:
        tasks.create_task(play(gateway, Lockstep(gateway)))
        await LockstepClient(ib, lambda *_: None).trade(3)
        ib.disconnect()
    assert gateway.market.at == HISTORY + 3
