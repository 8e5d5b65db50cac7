"""What the daemon does with a position that somebody else has opened on the account."""

from pathlib import Path

import pytest
from gateway_builders import client_of, nq
from ib_insync import MarketOrder
from ib_runs import IbRun, ib_run

from trader.domain.alerts import AlertKind
from trader.gateway.faults import Fault, Verb
from trader.gateway.order_mischief import OrderMischief
from trader.gateway.orders import Leg

QUICK = ("ib.position_poll_s=0.05", "ib.orders_poll_s=0.05", "ib.naked_grace_s=0.1", "ib.ask_every_s=0.05")


def no_stops() -> OrderMischief:
    """The broker takes none."""
    return OrderMischief([Fault(do=Verb.REJECT, rate=1.0, code=201, leg=Leg.STOP)], 1)


async def somebody_buys(run: IbRun) -> None:
    """One contract, by another client, before the first bar."""
    async with client_of(run.gateway, client_id=5) as ib:
        ib.placeOrder(nq(), MarketOrder("BUY", 1, tif="DAY"))
        await run.until(lambda: run.alarms.of(AlertKind.FOREIGN_TRADE))


@pytest.mark.parametrize("policy", ["refuse", "adopt"])
async def test_a_foreign_position_that_no_stop_can_protect_is_closed(tmp_path: Path, policy: str) -> None:
    """Whoever has opened it: the account is flat, and what is told has been done."""
    async with ib_run(tmp_path, f"ib.foreign={policy}", *QUICK, quirks=no_stops()) as run:
        run.engine.controls.pause()  # no entry of ours
        await somebody_buys(run)
        await run.until(lambda: run.position_qty == 0)
        await run.until(lambda: run.engine.parts.book.position_qty == 0)
        assert len(run.alarms.of(AlertKind.UNPROTECTED)) == 1
