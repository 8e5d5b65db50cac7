"""The account is another process's: nothing is sent, what that process closes is booked, and then all is taken back."""

from collections.abc import Callable
from pathlib import Path

from broker_builders import LAST, REF, Bench, a_bracket, a_flatten, trading
from gateway_builders import client_of, nq, some_bars
from gateway_builders import until as until_of
from ib_builders import until
from ib_insync import MarketOrder

from trader.adapters.ib.facts import OPERATOR_REF
from trader.domain.orders import ExitReason, Unfilled

WHY = "KILL is there"


class Switch:
    """Says why nothing may be sent, as the file in the state folder does."""

    def __init__(self, bench: Bench) -> None:
        self.why: str | None = None
        bench.broker.heed(lambda: self.why)


async def operator_closes(bench: Bench, *sides: str) -> None:
    """Market orders of another client, under the reference of `trader flatten`; then all else is cancelled."""
    async with client_of(bench.gateway, client_id=2) as ib:
        for side in sides:
            trade = ib.placeOrder(nq(), MarketOrder(side, 1, orderRef=OPERATOR_REF, tif="DAY"))
            await until_of(lambda trade=trade: trade.orderStatus.status == "Filled", ib)
        ib.reqGlobalCancel()
        await until(lambda: not bench.working)


def count_sent(bench: Bench) -> Callable[[], int]:
    """How many order messages have left since now."""
    before = len(bench.gateway.exchange.book.everything)
    return lambda: len(bench.gateway.exchange.book.everything) - before


async def test_nothing_leaves_while_the_account_is_taken_protection_included(tmp_path: Path) -> None:
    """Neither what waits nor what comes; each is denied, and the state keeps."""
    async with trading(tmp_path) as bench:
        await bench.enter()
        switch, sent = Switch(bench), count_sent(bench)
        bench.broker.submit(a_flatten())  # in the lane: the file appears before it leaves
        switch.why = WHY
        bench.broker.submit(a_bracket("NQH20-2"))
        await bench.broker.idle()
        assert (sent(), bench.position_qty, len(bench.working)) == (0, 1, 2)
        assert bench.watcher.unfilled == [("NQH20-2", Unfilled.REJECTED)]
        assert (await bench.intents())[f"{REF}.c1"] == "denied"
        assert bench.writer.is_healthy


async def test_a_position_that_loses_its_stop_while_the_account_is_taken_is_left_to_who_has_it(tmp_path: Path) -> None:
    """The guard asks nobody to close, and nothing piles up; taken back, it is protected at once."""
    async with trading(tmp_path) as bench:
        await bench.enter()
        switch, sent = Switch(bench), count_sent(bench)
        switch.why = WHY
        bench.gateway.exchange.cancel_all()
        bench.link.resync("the test wants it")
        await bench.link.wait_up()
        await until(lambda: WHY in bench.watcher.doubts)
        assert (sent(), bench.watcher.naked, bench.position_qty) == (0, [], 1)
        switch.why = None
        bench.link.resync("it is ours again")
        await bench.link.wait_up()
        assert [ref for ref, _, _ in bench.resting()] == [f"{REF}.p1"]
        assert bench.watcher.doubts[-1] is None


async def test_what_the_operators_command_has_closed_is_an_exit_and_no_foreign_trade(tmp_path: Path) -> None:
    """Under the decision whose position it was, by the operator's reason, at what it cost."""
    async with trading(tmp_path, commission_cents=200) as bench:
        await bench.enter()
        switch = Switch(bench)
        switch.why = WHY
        await operator_closes(bench, "SELL")
        bench.link.resync("the test wants it")
        await bench.link.wait_up()
        assert bench.watcher.exits == [(1, LAST - 1, ExitReason.OPERATOR)]
        assert (bench.watcher.foreign, bench.watcher.position_qty) == ([], 0)
        assert bench.watcher.fees == [(REF, 25), (REF, 25)]
        switch.why = None
        bench.link.resync("it is ours again")
        await bench.link.wait_up()
        bench.broker.submit(a_bracket("NQH20-2"))
        await bench.broker.rest()
        assert (bench.watcher.position_qty, bench.position_qty) == (1, 1)


async def test_a_stop_that_fills_beside_the_operators_close_is_booked_with_what_mends_it(tmp_path: Path) -> None:
    """Stop and close both sell, the command buys back: three executions, nothing sent, flat."""
    async with trading(tmp_path, columns=some_bars((8_000.0, 8_000.0, 7_985.0, 7_985.0))) as bench:
        await bench.enter()
        switch, sent = Switch(bench), count_sent(bench)
        switch.why = WHY
        bench.gateway.step()
        await operator_closes(bench, "SELL", "BUY")
        bench.link.resync("the test wants it")
        await bench.link.wait_up()
        assert [reason for _, _, reason in bench.watcher.exits] == [
            ExitReason.STOP,
            ExitReason.OPERATOR,
            ExitReason.OPERATOR,
        ]
        assert (bench.watcher.position_qty, bench.position_qty, bench.watcher.foreign) == (0, 0, [])
        assert sent() == 2  # the command's own
        assert bench.watcher.naked == []


async def test_an_order_denied_before_it_was_written_down_leaves_the_state_whole(tmp_path: Path) -> None:
    """The link goes with orders in the lanes: nothing of them is on the disk, and the writer goes on."""
    async with trading(tmp_path) as bench:
        await bench.enter()
        bench.broker.submit(a_flatten())
        bench.broker._lost("the cable")
        assert f"{REF}.c1" not in await bench.intents()
        assert bench.writer.is_healthy
