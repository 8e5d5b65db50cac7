"""Orders of ours that this connection cannot cancel: another client id has sent them, and it is in use."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from broker_builders import REF, Bench, trading
from gateway_builders import some_bars
from ib_builders import reset
from test_foreign import trade

from trader.adapters.ib.plan import ForeignPolicy
from trader.domain.orders import ExitReason
from trader.gateway.orders import Kind

OWN, FALLBACK = 1, 9
POLLS = {"position_poll_s": 0.05, "order_poll_s": 0.05, "naked_grace_s": 0.05, "ask_every_s": 0.02}
LINK = {"fallback_client_id": FALLBACK, "in_use_tries": 2, "own_id_every_s": 600.0, "own_id_soon_s": 0.1}


@asynccontextmanager
async def closed_by_hand(folder: Path, *kinds: tuple[int, Kind], **terms: Any) -> AsyncIterator[Bench]:
    """A position with its stop and target under the own id, which is then in use elsewhere, while a person closes it
    at market and enters `kinds`; back on the fallback's id."""
    terms = {"policy": ForeignPolicy.ADOPT, **POLLS, **terms}
    link = {**LINK, **terms.pop("link", {})}
    async with trading(folder, columns=some_bars((8_000.0, 8_000.0, 7_975.0, 7_975.0)), link=link, **terms) as bench:
        await bench.enter(qty=1)
        bench.gateway.server.held_ids.add(OWN)
        reset(bench.gateway)
        trade(bench, -1)
        for qty, kind in kinds:
            trade(bench, qty, kind)
        await bench.until(lambda: bench.link.is_up and not bench.link.may_trade)
        yield bench


@pytest.mark.parametrize("policy", [ForeignPolicy.ADOPT, ForeignPolicy.REFUSE])
async def test_what_is_left_of_another_client_id_goes_with_all_orders_where_nothing_else_rests(
    tmp_path: Path, policy: ForeignPolicy
) -> None:
    """A person has closed our position: stop and target would open one."""
    async with closed_by_hand(tmp_path, policy=policy) as bench:
        await bench.until(lambda: not bench.working)
        assert bench.position_qty == 0


@pytest.mark.parametrize("policy", [ForeignPolicy.ADOPT, ForeignPolicy.REFUSE])
async def test_a_persons_order_is_not_cancelled_with_ours_and_the_own_client_id_is_taken_back_soon(
    tmp_path: Path, policy: ForeignPolicy
) -> None:
    """Until then nothing is certain, and somebody is told; a minute's wait for the next try would be too long."""
    async with closed_by_hand(tmp_path, (2, Kind.LIMIT), policy=policy) as bench:
        await bench.until(lambda: any(why and "cannot be cancelled from here" in why for why in bench.watcher.doubts))
        assert len(bench.working) == 3
        bench.gateway.server.held_ids.clear()
        await bench.until(lambda: bench.link.is_up and bench.link.may_trade and len(bench.working) == 1)
        assert bench.resting()[0][:2] == ("", "LMT")
        if policy is not ForeignPolicy.REFUSE:
            await bench.until(lambda: bench.broker.doubt is None)


async def test_an_order_of_ours_that_fills_after_its_position_has_gone_is_closed_and_nobody_elses(
    tmp_path: Path,
) -> None:
    """The exchange was quicker: what our stop has sold is ours, and nobody wants it."""
    async with closed_by_hand(tmp_path, (2, Kind.LIMIT)) as bench:
        await bench.until(lambda: bench.watcher.foreign)
        bench.gateway.step()
        await bench.until(lambda: len(bench.watcher.exits) == 2 and not bench.position_qty)
        stopped, closed = (fill for fill in bench.watcher.fills if fill.reason is not None)
        assert [fill.order_ref for fill in (stopped, closed)] == [REF, REF]
        assert (stopped.side, closed.side, closed.reason) == (-1, 1, ExitReason.UNPROTECTED)
        assert len(bench.watcher.foreign) == 1
