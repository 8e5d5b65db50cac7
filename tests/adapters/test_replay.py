"""The replay feed: the same bars in any chunking, and in the time of the bars."""

import asyncio
from collections.abc import Iterator

import numpy as np
import pytest

from trader.adapters.columns import BarColumns
from trader.adapters.replay import ReplayFeed
from trader.adapters.synthetic import SyntheticMarket, generate
from trader.domain.bars import Bar
from trader.domain.instruments import instrument
from trader.domain.sessions import Calendar
from trader.errors import UsageError

MINUTE_NS = 60 * 10**9


@pytest.fixture(scope="module")
def columns() -> list[BarColumns]:
    market = SyntheticMarket(instrument=instrument("NQ"))
    return list(generate(5, "2019-12-12", 3, calendar=Calendar.load(), market=market))


class Watch:
    """A clock that moves only while somebody sleeps."""

    def __init__(self) -> None:
        self.seconds = 100.0
        self.slept: list[float] = []

    def now_s(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds
        await asyncio.sleep(0)


async def taken(feed: ReplayFeed) -> list[list[Bar]]:
    """All chunks of a feed."""
    return [list(chunk) async for chunk in feed.chunks()]


def minutes(*opens: int) -> BarColumns:
    """One-minute bars that open at these minutes."""
    n = len(opens)
    start = np.array(opens, dtype=np.int64) * MINUTE_NS
    flat = np.full(n, 100.0)
    return BarColumns(
        ts_open_ns=start,
        ts_close_ns=start + MINUTE_NS,
        open=flat,
        high=flat,
        low=flat,
        close=flat,
        volume=None,
        symbols=("NQ",),
        symbol_index=np.zeros(n, dtype=np.int64),
        roll_offset=np.zeros(n),
    )


@pytest.mark.parametrize("chunk_bars", [1, 7, 64, 1_000, 100_000])
async def test_chunks_in_any_size_give_the_same_bars(columns: list[BarColumns], chunk_bars: int) -> None:
    """Every chunk but the last is full, whatever the columns' own sizes; roll and contract come along."""
    whole = [bar for part in columns for bar in part.to_bars()]
    feed = ReplayFeed(columns, chunk_bars=chunk_bars)
    chunks = await taken(feed)
    assert [bar for chunk in chunks for bar in chunk] == whole
    assert {len(chunk) for chunk in chunks[:-1]} <= {chunk_bars}
    assert feed.bars == len(whole)
    assert [bar.symbol for bar in whole if bar.roll_offset] == ["NQH20"]


async def test_chunks_take_columns_when_they_are_needed(columns: list[BarColumns]) -> None:
    """A long file is never read ahead: the second part is asked for when the first has been handed out."""
    asked: list[int] = []

    def reading() -> Iterator[BarColumns]:
        for i, part in enumerate(columns):
            asked.append(i)
            yield part

    stream = ReplayFeed(reading(), chunk_bars=100).chunks()
    await anext(stream)
    assert asked == [0]


async def test_chunks_let_the_loop_run_between_them(columns: list[BarColumns]) -> None:
    """A replay at full speed must not starve a signal handler or a second task."""
    turns: list[int] = []

    async def other() -> None:
        for i in range(5):
            turns.append(i)
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        group.create_task(other())
        await taken(ReplayFeed(columns, chunk_bars=500))
        assert len(turns) >= 3


async def test_chunks_with_a_speed_come_one_by_one_when_due() -> None:
    """At sixty a one-minute bar comes every second; a missing minute is waited for, closed hours are not."""
    watch = Watch()
    feed = ReplayFeed([minutes(0, 1, 2, 4), minutes(5, 500)], speed=60, pace=watch)
    chunks = await taken(feed)
    assert [len(chunk) for chunk in chunks] == [1] * 6
    assert watch.slept == [0, 1, 1, 2, 1, 15]
    assert feed.bars == 6


async def test_chunks_with_a_speed_do_not_drift() -> None:
    """Time that the consumer takes is taken from the next waits, until it has caught up."""
    watch = Watch()
    feed = ReplayFeed([minutes(*range(7))], speed=60, pace=watch)
    async for _ in feed.chunks():
        watch.seconds += 0.25 if feed.bars != 3 else 2.5
    assert watch.slept == [0, 0.75, 0.75, 0, 0, 0, 0.75]


@pytest.mark.parametrize("speed", [0, -1.0, float("nan"), float("inf")])
def test_feed_with_a_speed_that_is_none_is_refused(speed: float) -> None:
    """Neither backwards nor at once: `None` is as fast as possible."""
    with pytest.raises(UsageError, match="the speed of a replay must be above zero"):
        ReplayFeed([], speed=speed)


def test_feed_with_an_empty_chunk_is_refused() -> None:
    """A chunk has a bar."""
    with pytest.raises(UsageError, match="at least one bar"):
        ReplayFeed([], chunk_bars=0)


async def test_chunks_of_nothing_end_at_once() -> None:
    """No columns, no bars, with and without a speed, by the loop's own clock."""
    assert await taken(ReplayFeed([])) == []
    assert await taken(ReplayFeed([minutes()], speed=1)) == []
    assert await taken(ReplayFeed([minutes(0, 1)], speed=1e9)) == [[bar] for bar in minutes(0, 1).to_bars()]
