"""Orders of the real client at the gateway's exchange, over a real socket."""

from gateway_builders import bracket, client_of, running, some_bars, until


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
