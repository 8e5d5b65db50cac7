"""The log's line of an order is on the disk before the order leaves: an entry waits for it, protection a moment."""

from pathlib import Path

from broker_builders import LAST, REF, a_bracket, a_flatten, an_amend, trading

from trader.adapters.ib.order_records import LineKept
from trader.domain.orders import Unfilled


async def test_entry_whose_line_is_not_on_the_disk_does_not_leave(tmp_path: Path) -> None:
    """Neither it nor its intent; the next one, whose line is, does."""
    async with trading(tmp_path) as bench:
        is_there, asked = [False], []

        def is_kept(patience_s: float) -> bool:
            asked.append(patience_s)
            return is_there[0]

        bench.broker.log_first(lambda: is_kept)
        bench.broker.submit(a_bracket())
        await bench.broker.idle()
        assert bench.watcher.unfilled == [(REF, Unfilled.REJECTED)]
        assert (bench.gateway.exchange.book.everything, await bench.intents(), bench.writer.is_healthy) == (
            [],
            {},
            True,
        )
        is_there[0] = True
        await bench.enter(ref="NQH20-2")
        assert asked == [1.0, 1.0]


async def test_line_that_counts_is_the_newest_when_the_order_is_taken(tmp_path: Path) -> None:
    """Later ones are of no matter to it."""
    async with trading(tmp_path) as bench:
        line, waited = [5], []

        def newest_line() -> LineKept:
            number = line[0]
            return lambda _: waited.append(number) is None

        bench.broker.log_first(newest_line)
        bench.broker.submit(a_bracket())
        line[0] = 6
        await bench.broker.idle()
        assert waited == [5]


async def test_protection_leaves_without_its_line(tmp_path: Path) -> None:
    """It waits for a quarter of a second once, and then not at all."""
    async with trading(tmp_path) as bench:
        await bench.enter()
        waited: list[float] = []
        bench.broker.log_first(lambda: lambda patience_s: waited.append(patience_s) is not None)
        bench.broker.submit(an_amend(LAST - 20, LAST + 120))
        await bench.calm()
        bench.broker.submit(a_flatten())
        await bench.until(lambda: bench.position_qty == 0)
        await bench.calm()
        assert await bench.intents() == {REF: "filled", f"{REF}.a1": "filled", f"{REF}.c1": "filled"}
        assert waited == [0.25, 0.0]
