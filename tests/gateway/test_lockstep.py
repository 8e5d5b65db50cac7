"""A real client in lockstep: each bar waits until the client has decided, so that a run repeats itself."""

import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from builders import some_terms
from gateway_builders import OPEN_NS, bracket, client_of, nq, running, some_bars
from ib_insync import LimitOrder, MarketOrder
from lockstep_client import LockstepClient
from test_same_fills import RICH, Listener, brackets, by_paper, wild_prices

from trader.domain.units import MINUTE_NS, SECOND_NS
from trader.gateway.faults import Fault, Verb
from trader.gateway.fills import Costs
from trader.gateway.order_mischief import OrderMischief
from trader.gateway.playing import Lockstep, play

CHECKS = Path(__file__).with_name("lockstep_checks.py")
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
        paper = by_paper(gateway, some_terms(target_through_ticks=through), 1, Listener(limit_holds=False), SOME)
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


async def test_an_order_and_an_execution_in_the_range_each_ask_for_another_probe() -> None:
    """A limit order, its fill inside the bar, and the end of the file: two probes, two, and one."""

    def decide(client: LockstepClient, bar: Any) -> None:
        if not client.probes:
            client.ib.placeOrder(nq(), LimitOrder("SELL", 1, 8_005.0))

    up = (8_000.0, 8_010.0, 8_000.0, 8_000.0)
    async with running(some_bars(up, after=1)) as gateway, client_of(gateway) as ib:
        client = LockstepClient(ib, decide)
        await in_step(gateway, client, 3)
    assert (client.position, client.probes) == (-1, 5)


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


async def test_an_order_that_fills_in_portions_gets_one_a_bar() -> None:
    """However often the client probes."""
    orders = OrderMischief([Fault(do=Verb.PARTIAL, nth=1, portions=(1, 1))], 1)

    def decide(client: LockstepClient, bar: Any) -> None:
        if not client.fills:
            client.ib.placeOrder(nq(), MarketOrder("BUY", 3))

    async with running(some_bars(after=5), orders) as gateway, client_of(gateway) as ib:
        client = LockstepClient(ib, decide)
        await in_step(gateway, client, 6)
    assert [at for at, _, _ in client.fills] == [opened_s(HISTORY + bar) for bar in range(3)]


async def test_bars_of_any_size_close_at_the_end_of_the_file() -> None:
    """The file ends at 17:22; the bar of five minutes closes too, by one that begins at 17:25."""
    async with running(some_bars(after=2)) as gateway, client_of(gateway) as ib:
        ib.client.MaxRequests = 0
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(play(gateway, Lockstep(gateway)))
            bars = await ib.reqHistoricalDataAsync(
                nq(), "", "600 S", "5 mins", "TRADES", useRTH=False, formatDate=2, keepUpToDate=True
            )
            for _ in range(3):
                assert (await ib.reqCurrentTimeAsync()).second
        assert round(bars[-1].date.timestamp()) == opened_s(25)
        assert (bars[-1].open, bars[-1].close, bars[-1].volume) == (8_000.0, 8_000.0, 0)


def test_the_command_plays_a_session_in_lockstep_and_lets_the_client_go(library_python: str) -> None:
    """Every bar of it, with either library; the last line is said at the end of the file."""
    whole = [sys.executable, "-m", "trader", "gateway-sim", "--bars", "sample", "--port", "0", "--lockstep"]
    session = ["--history", "1", "--from", "2019-12-03", "--to", "2019-12-03"]
    with subprocess.Popen([*whole, *session], stdout=subprocess.PIPE, text=True) as gateway:
        assert gateway.stdout is not None
        listening = gateway.stdout.readline()
        port, bars = re.findall(r"\d+", listening.partition(":")[2])
        done = subprocess.run(
            [library_python, CHECKS, port, bars], capture_output=True, text=True, timeout=60, check=False
        )
        if done.returncode:
            gateway.terminate()
        found = json.loads(gateway.stdout.read())
    assert done.returncode == 0, done.stderr
    assert int(bars) > 1_000
    assert done.stdout == f"{int(bars) + 1} bars decided, 1 filled, the connection ended\n"
    assert (gateway.returncode, found["orders"], found["executions"]) == (0, 1, 1)
