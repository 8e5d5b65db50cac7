"""Brackets of the line at the gateway, through the real client: out, filled, moved, closed."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from broker_builders import LAST, REF, a_bracket, a_flatten, an_amend, trading
from gateway_builders import nq, some_bars
from msgspec.structs import replace

from trader.domain.actions import Side
from trader.domain.orders import AmendCause, ExitReason, Fill, Unfilled
from trader.domain.units import MINUTE_NS
from trader.gateway.orders import OrderSpec
from trader.gateway.playing import Lockstep, play


async def test_a_bracket_leaves_as_three_orders_and_its_entry_is_told(tmp_path: Path) -> None:
    """Entry DAY, stop and target GTC outside regular hours too, one group, account and reference on each."""
    async with trading(tmp_path) as bench:
        await bench.enter()
        assert bench.watcher.fills == [
            Fill(
                order_ref=REF,
                nth=1,
                side=Side.BUY,
                qty=1,
                remaining_qty=0,
                price_ticks=LAST + 1,
                commission_cents=225,
                ts_ns=bench.watcher.fills[0].ts_ns,
            )
        ]
        sent = [
            (each.kind, each.spec.tif, each.spec.outside_rth, each.spec.oca_group, each.spec.account)
            for each in bench.gateway.exchange.book.everything
        ]
        assert sent == [
            ("MKT", "DAY", True, "", "DU1234567"),
            ("LMT", "GTC", True, REF, "DU1234567"),
            ("STP", "GTC", True, REF, "DU1234567"),
        ]
        assert bench.resting() == [(REF, "LMT", LAST + 120), (REF, "STP", LAST - 40)]
        assert await bench.intents() == {REF: "filled"}


async def test_a_stop_that_fills_is_told_with_its_reason(tmp_path: Path) -> None:
    """The bar goes through it; the target ends with it."""
    async with trading(tmp_path, columns=some_bars((8_000.0, 8_000.0, 7_985.0, 7_985.0))) as bench:
        await bench.enter()
        bench.gateway.step()
        await bench.broker.rest()
        assert bench.watcher.exits == [(1, LAST - 41, ExitReason.STOP)]
        assert (bench.working, bench.position_qty) == ([], 0)
        assert (await bench.kept()).working == ()


@pytest.mark.parametrize(
    ("cause", "reason"), [(AmendCause.BREAK_EVEN, ExitReason.BREAK_EVEN), (AmendCause.TRAIL, ExitReason.TRAIL)]
)
async def test_an_amend_moves_both_exits_in_place(tmp_path: Path, cause: AmendCause, reason: ExitReason) -> None:
    """The same orders, by their numbers; the stop's reason becomes the amend's."""
    async with trading(tmp_path, columns=some_bars((8_000.0, 8_000.0, 7_985.0, 7_985.0))) as bench:
        await bench.enter()
        before = [each.perm_id for each in bench.working]
        bench.broker.submit(an_amend(LAST - 20, LAST + 140, cause))
        await bench.broker.rest()
        assert bench.resting() == [(REF, "LMT", LAST + 140), (REF, "STP", LAST - 20)]
        assert [each.perm_id for each in bench.working] == before
        assert await bench.intents() == {REF: "filled", f"{REF}.a1": "filled"}
        bench.gateway.step()
        await bench.broker.rest()
        assert bench.watcher.exits == [(1, LAST - 21, reason)]


async def test_a_close_goes_into_the_group_of_the_stop(tmp_path: Path) -> None:
    """Its fill ends stop and target."""
    async with trading(tmp_path) as bench:
        await bench.enter()
        bench.broker.submit(a_flatten())
        await bench.broker.rest()
        assert bench.watcher.exits == [(1, LAST - 1, ExitReason.OPERATOR)]
        close = bench.gateway.exchange.book.everything[-1]
        assert (close.spec.order_ref, close.spec.oca_group, close.spec.oca_type) == (f"{REF}.c1", REF, 2)
        assert (bench.working, bench.position_qty) == ([], 0)


async def test_a_target_that_fills_is_told_as_one(tmp_path: Path) -> None:
    """A short position, and a bar that falls through its target."""
    columns = some_bars((8_000.0, 8_000.0, 7_960.0, 7_965.0))
    async with trading(tmp_path, columns=columns) as bench:
        bench.broker.submit(a_bracket(side=Side.SELL))
        await bench.broker.rest()
        bench.gateway.step()
        await bench.broker.rest()
        assert bench.watcher.exits == [(1, LAST - 120, ExitReason.TARGET)]


@pytest.mark.parametrize("changed", [{"tif": "DAY"}, {"outside_rth": False}])
async def test_a_stop_that_the_broker_has_otherwise_than_it_was_sent_ends_trading(
    tmp_path: Path, changed: dict[str, Any]
) -> None:
    """A preset of the application: the position is closed, and nothing is entered any more."""
    async with trading(tmp_path) as bench:
        place = bench.gateway.exchange.place

        def preset(client_id: int, spec: OrderSpec, **options: bool) -> None:
            place(client_id, replace(spec, **changed) if spec.kind == "STP" else spec, **options)

        bench.gateway.exchange.place = preset
        bench.broker.submit(a_bracket())
        await bench.until(lambda: bench.watcher.broken and bench.watcher.fills)
        await bench.until(lambda: not bench.position_qty and not bench.working)
        bench.broker.submit(a_bracket("NQH20-2"))
        assert bench.watcher.unfilled[-1] == ("NQH20-2", Unfilled.REJECTED)


async def test_in_lockstep_a_decision_is_carried_out_before_its_bar_trades(tmp_path: Path) -> None:
    """Sent on the close before, filled at the open, stopped inside the bar: each bar waits until all is quiet."""
    falling = (8_000.0, 8_000.0, 7_985.0, 7_985.0)
    async with trading(tmp_path, columns=some_bars((8_000.0,) * 4, falling, after=2)) as bench:
        await bench.link.ib.reqHistoricalDataAsync(
            nq(), "", "600 S", "1 min", "TRADES", useRTH=False, formatDate=2, keepUpToDate=True
        )
        async with asyncio.TaskGroup() as tasks:
            playing = tasks.create_task(play(bench.gateway, Lockstep(bench.gateway)))
            for number in range(5):
                if number == 1:
                    bench.broker.submit(a_bracket())
                await bench.broker.idle()
                while not await bench.link.probe() % MINUTE_NS:
                    await bench.broker.idle()
            await bench.until(lambda: bench.watcher.exits)
            playing.cancel()
        assert bench.watcher.exits == [(1, LAST - 41, ExitReason.STOP)]
        assert [fill.price_ticks for fill in bench.watcher.fills] == [LAST + 1, LAST - 41]
