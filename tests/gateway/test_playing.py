"""Bars in their time, by a clock that the test moves."""

import asyncio
from itertools import pairwise

from gateway_builders import client_of, nq, running, some_bars, until

from trader.gateway.playing import AtOnce, Timed, play


class Clock:
    """A wall clock that jumps to where it is told to wait until."""

    def __init__(self) -> None:
        self.at_s = 0.0

    def now_s(self) -> float:
        return self.at_s

    async def sleep(self, seconds: float) -> None:
        self.at_s += seconds
        await asyncio.sleep(0)


async def test_a_bar_lasts_its_length_at_the_speed_asked_for() -> None:
    """Four minutes at 60 seconds a second, from the first subscription on."""
    clock = Clock()
    async with (
        running(some_bars(before=20, after=4)) as gateway,
        client_of(gateway) as ib,
        asyncio.TaskGroup() as tasks,
    ):
        playing = tasks.create_task(play(gateway, Timed(60.0, clock)))
        await ib.reqCurrentTimeAsync()
        assert gateway.market.at == 20
        ib.reqRealTimeBars(nq(), 5, "TRADES", useRTH=False)
        await playing
        assert clock.at_s == 4.0


async def test_at_full_speed_every_bar_reaches_the_client() -> None:
    """Five hundred of them, in their order."""
    async with running(some_bars(before=20, after=500)) as gateway, client_of(gateway) as ib:
        bars = await ib.reqHistoricalDataAsync(
            nq(), "", "600 S", "1 min", "TRADES", useRTH=False, formatDate=2, keepUpToDate=True
        )
        await play(gateway, AtOnce())
        await until(lambda: len(bars) == 510, ib)
        assert all((later.date - bar.date).total_seconds() == 60 for bar, later in pairwise(bars))
