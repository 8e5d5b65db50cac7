"""A gateway on a free port, bars that are written down in the test, and the real client.

IB_LIBRARY=ib_async in the environment chooses the other client library, in a Python that has it.
"""

import asyncio
import importlib
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from msgspec.structs import replace

from trader.adapters.columns import BarColumns
from trader.domain.instruments import instrument
from trader.domain.sessions import Calendar
from trader.domain.units import MINUTE_NS
from trader.gateway.account import AccountTerms
from trader.gateway.fills import Costs
from trader.gateway.gateway import Gateway, GatewayTerms
from trader.gateway.ports import Quirks

CLIENT = importlib.import_module(os.environ.get("IB_LIBRARY", "ib_insync"))
WAIT_S = 10.0
OPEN_NS = 1_575_327_600_000_000_000  # 2019-12-02 17:00 in Chicago: the session of December 3rd
FLAT = (8_000.0, 8_000.0, 8_000.0, 8_000.0)
Prices = tuple[float, float, float, float]

TERMS = GatewayTerms(
    market=instrument("NQ"),
    account=AccountTerms(
        name="DU1234567",
        start_cents=10_000_000,
        initial_margin_cents=2_000_000,
        maintenance_margin_cents=1_800_000,
        commission_cents=225,
    ),
    costs=Costs(slippage_ticks=1, through_ticks=1),
    history_bars=20,
)


def some_bars(*moves: Prices, before: int = 20, after: int = 40, start_ns: int = OPEN_NS) -> BarColumns:
    """One-minute bars of NQH20: `before` flat ones at 8000, `moves` (open, high, low, close), and flat ones after."""
    rows: list[Prices] = [FLAT] * before + list(moves)
    rows += [(rows[-1][3],) * 4] * after
    prices = np.array(rows)
    opens = start_ns + np.arange(len(rows), dtype=np.int64) * MINUTE_NS
    return BarColumns(
        ts_open_ns=opens,
        ts_close_ns=opens + MINUTE_NS,
        open=prices[:, 0].copy(),
        high=prices[:, 1].copy(),
        low=prices[:, 2].copy(),
        close=prices[:, 3].copy(),
        volume=np.full(len(rows), 100),
        symbols=("NQH20",),
        symbol_index=np.zeros(len(rows), dtype=np.int64),
        roll_offset=np.zeros(len(rows)),
    )


@asynccontextmanager
async def running(
    columns: BarColumns | None = None, quirks: Quirks | None = None, **terms: Any
) -> AsyncIterator[Gateway]:
    """A gateway that listens; `terms` replace single ones."""
    gateway = Gateway(some_bars() if columns is None else columns, Calendar.load(), replace(TERMS, **terms), quirks)
    await gateway.start()
    try:
        yield gateway
    finally:
        await gateway.close()


@asynccontextmanager
async def client_of(gateway: Gateway, client_id: int = 1, **options: Any) -> AsyncIterator[Any]:
    """The real client, connected and in step with the broker."""
    ib = CLIENT.IB()
    await ib.connectAsync("127.0.0.1", gateway.port, clientId=client_id, timeout=WAIT_S, **options)
    try:
        yield ib
    finally:
        ib.disconnect()


async def until(is_true: Callable[[], Any], ib: Any) -> None:
    """Wait for messages until something is the case."""
    async with asyncio.timeout(WAIT_S):
        while not is_true():
            await ib.updateEvent


def nq() -> Any:
    """The month that the bars are of."""
    return CLIENT.Future("NQ", "202003", "CME")


def bracket(ib: Any, side: str, qty: int, stop: float, target: float, ref: str = "d1") -> Sequence[Any]:
    """Entry at market, target and stop, sent as one: the last one transmits."""
    other = "SELL" if side == "BUY" else "BUY"
    entry_id = ib.client.getReqId()
    ids = {"parentId": entry_id, "orderRef": ref, "tif": "GTC"}
    orders = (
        CLIENT.MarketOrder(side, qty, orderId=entry_id, transmit=False, orderRef=ref, tif="DAY"),
        CLIENT.LimitOrder(other, qty, target, orderId=ib.client.getReqId(), transmit=False, **ids),
        CLIENT.StopOrder(other, qty, stop, orderId=ib.client.getReqId(), outsideRth=True, **ids),
    )
    return [ib.placeOrder(nq(), order) for order in orders]
