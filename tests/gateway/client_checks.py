"""What a client of a running gateway sees, with whichever of the two libraries this Python has; a line a check.

Run as `python client_checks.py PORT`, with `trader gateway-sim --speed 1200` at that port. Imports nothing of trader.
"""

import asyncio
import sys

try:
    import ib_async as library
except ImportError:
    import ib_insync as library

WAIT_S = 20.0


async def until(is_true, ib):
    async with asyncio.timeout(WAIT_S):
        while not is_true():
            await ib.updateEvent


async def connected(port, client_id, wait_s=WAIT_S):
    ib = library.IB()
    await ib.connectAsync("127.0.0.1", port, clientId=client_id, timeout=wait_s)
    return ib


async def check_contract(ib):
    (front,) = await ib.reqContractDetailsAsync(library.ContFuture("NQ", "CME"))
    (month,) = await ib.reqContractDetailsAsync(library.Contract(conId=front.contract.conId))
    assert (month.contract.secType, month.minTick, month.contract.multiplier) == ("FUT", 0.25, "20")
    assert await ib.reqContractDetailsAsync(library.Future("ZZ", "203012", "CME")) == []
    return month.contract


async def check_bars(ib, contract):
    bars = await ib.reqHistoricalDataAsync(
        contract, "", "3600 S", "1 min", "TRADES", useRTH=False, formatDate=2, keepUpToDate=True
    )
    first = len(bars)
    assert 30 <= first <= 61
    await until(lambda: len(bars) >= first + 3, ib)
    assert all(bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high for bar in bars)
    assert (bars[-1].date - bars[-2].date).total_seconds() == 60


async def check_bracket(ib, contract):
    price = (await ib.reqHistoricalDataAsync(contract, "", "600 S", "1 min", "TRADES", useRTH=False))[-1].close
    entry_id = ib.client.getReqId()
    together = {"parentId": entry_id, "orderRef": "d1", "tif": "GTC"}
    entry = library.MarketOrder("BUY", 1, orderId=entry_id, transmit=False, orderRef="d1")
    target = library.LimitOrder("SELL", 1, price + 500, orderId=ib.client.getReqId(), transmit=False, **together)
    stop = library.StopOrder("SELL", 1, price - 500, orderId=ib.client.getReqId(), outsideRth=True, **together)
    trades = [ib.placeOrder(contract, order) for order in (entry, target, stop)]
    await until(lambda: trades[0].fills and trades[2].orderStatus.status == "PreSubmitted", ib)
    await until(lambda: ib.positions() and ib.positions()[0].position == 1, ib)
    assert trades[0].fills[0].commissionReport.commission == 2.25
    stop.parentId, stop.auxPrice = 0, price - 400
    ib.placeOrder(contract, stop)
    told = await ib.reqOpenOrdersAsync()  # the answer to the change may be among them a second time
    modified = next(trade for trade in told if trade.order.orderId == stop.orderId)
    assert (modified.order.auxPrice, modified.orderStatus.status) == (price - 400, "PreSubmitted")
    return trades


async def check_errors(ib, contract):
    seen = []
    ib.errorEvent += lambda request, code, *_: seen.append(code)
    ib.client.cancelOrder(4711)
    await until(lambda: 10147 in seen, ib)
    off_tick = ib.placeOrder(contract, library.LimitOrder("BUY", 1, 100.1))
    await until(lambda: 110 in seen, ib)
    assert off_tick.order.permId == 0
    ib.placeOrder(contract, library.MarketOrder("BUY", 50))
    await until(lambda: 201 in seen, ib)


async def check_second_client(port):
    try:
        await connected(port, 7, wait_s=0.5)
    except (ConnectionError, TimeoutError):
        pass
    else:
        msg = "two clients with one id"
        raise AssertionError(msg)


async def check_again(port, contract, trades):
    ib = await connected(port, 7)
    working = {trade.order.orderRef for trade in ib.openTrades()}
    assert working == {"d1"}
    assert [fill.execution.orderRef for fill in ib.fills()] == ["d1"]
    assert ib.positions()[0].position == 1
    ib.placeOrder(contract, library.MarketOrder("SELL", 1, orderRef="flat"))
    await until(lambda: not ib.positions(), ib)
    ib.reqGlobalCancel()
    await until(lambda: not ib.openTrades(), ib)
    assert await ib.reqOpenOrdersAsync() == []
    assert len(await ib.reqExecutionsAsync()) == 2
    values = {value.tag: float(value.value) for value in ib.accountValues() if value.currency == "USD"}
    assert values["NetLiquidation"] == values["AvailableFunds"] < 50_000
    assert values["InitMarginReq"] == 0
    ib.disconnect()


async def main(port):
    ib = await connected(port, 7)
    contract = await check_contract(ib)
    await check_bars(ib, contract)
    trades = await check_bracket(ib, contract)
    await check_errors(ib, contract)
    await check_second_client(port)
    assert (await ib.reqCurrentTimeAsync()).year == 2019
    ib.disconnect()
    await check_again(port, contract, trades)
    sys.stdout.write(f"{library.__name__} {library.__version__}: all checks passed\n")


asyncio.run(main(int(sys.argv[1])))
