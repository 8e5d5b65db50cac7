"""A client in lockstep with a running gateway, with whichever of the two libraries this Python has.

Run as `python lockstep_checks.py PORT BARS`, with `trader gateway-sim --lockstep --history 1` at that port. It buys
once, decides on every bar, and waits until the gateway ends the connection. Imports nothing of trader.
"""

import asyncio
import sys

try:
    import ib_async as library
except ImportError:
    import ib_insync as library

WAIT_S = 20.0


async def main(port, count):
    ib = library.IB()
    await ib.connectAsync("127.0.0.1", port, clientId=1, timeout=WAIT_S)
    ib.client.MaxRequests = 0
    gone = asyncio.Event()
    ib.disconnectedEvent += gone.set
    (front,) = await ib.reqContractDetailsAsync(library.ContFuture("NQ", "CME"))
    (month,) = await ib.reqContractDetailsAsync(library.Contract(conId=front.contract.conId))
    closed, decided, fills = asyncio.Queue(), 0, []
    ib.execDetailsEvent += lambda trade, fill: fills.append(fill)
    ib.barUpdateEvent += lambda bars, has_new_bar: closed.put_nowait(bars[-2]) if has_new_bar else None
    await ib.reqHistoricalDataAsync(
        month.contract, "", "600 S", "1 min", "TRADES", useRTH=False, formatDate=2, keepUpToDate=True
    )
    while decided <= count:
        async with asyncio.timeout(WAIT_S):
            await closed.get()
        decided += 1
        if decided == 1:
            ib.placeOrder(month.contract, library.MarketOrder("BUY", 1))
        while not (await ib.reqCurrentTimeAsync()).second:
            pass
    async with asyncio.timeout(WAIT_S):
        await gone.wait()
    sys.stdout.write(f"{decided} bars decided, {len(fills)} filled, the connection ended\n")


asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
