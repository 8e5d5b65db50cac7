"""The feed of recorded bars: from a file or from memory, as fast as possible or in the time of the bars."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Protocol

from trader.adapters.columns import BarColumns
from trader.domain.bars import Bar
from trader.domain.units import SECOND_NS
from trader.errors import UsageError

CHUNK_BARS = 256
LONGEST_WAIT_NS = 15 * 60 * SECOND_NS
"""Bar time that is waited for at most between two bars, the longest bar: closed hours pass at once."""


class Pace(Protocol):
    """The wall clock that a timed replay waits by."""

    def now_s(self) -> float:
        """Seconds since any fixed moment."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait, and let others run, even for no time at all."""
        ...


class LoopPace:
    """The event loop's own clock."""

    def now_s(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class ReplayFeed:
    """Bars of `columns` in their order, as the port Feed.

    `speed` None gives chunks of `chunk_bars` without waiting, and lets the loop run between them. A number is seconds
    of bar time in one second of the wall clock (60: a one-minute bar a second): bars come one by one, each when it is
    due. `bars` counts those that were handed out. What was skipped in a file stands in its BarSource.
    """

    def __init__(
        self,
        columns: Iterable[BarColumns],
        *,
        speed: float | None = None,
        chunk_bars: int = CHUNK_BARS,
        pace: Pace | None = None,
    ) -> None:
        if speed is not None and not 0 < speed < float("inf"):
            msg = f"the speed of a replay must be above zero, or max; got {speed}"
            raise UsageError(msg)
        if chunk_bars < 1:
            msg = f"a chunk has at least one bar; got {chunk_bars}"
            raise UsageError(msg)
        self.bars = 0
        self._columns = columns
        self._speed = speed
        self._chunk_bars = chunk_bars
        self._pace = pace or LoopPace()

    async def chunks(self) -> AsyncIterator[list[Bar]]:
        """All bars, once."""
        chunks = self._in_chunks() if self._speed is None else self._when_due(self._speed)
        async for chunk in chunks:
            self.bars += len(chunk)
            yield chunk

    async def _in_chunks(self) -> AsyncIterator[list[Bar]]:
        waiting: list[Bar] = []
        for bars in self._records():
            waiting += bars
            while len(waiting) >= self._chunk_bars:
                yield waiting[: self._chunk_bars]
                await self._pace.sleep(0)
                waiting = waiting[self._chunk_bars :]
        if waiting:
            yield waiting

    async def _when_due(self, speed: float) -> AsyncIterator[list[Bar]]:
        due_s = self._pace.now_s()
        before_ns: int | None = None
        for bars in self._records():
            for bar in bars:
                if before_ns is not None:
                    due_s += min(bar.ts_close_ns - before_ns, LONGEST_WAIT_NS) / SECOND_NS / speed
                before_ns = bar.ts_close_ns
                await self._pace.sleep(max(0.0, due_s - self._pace.now_s()))
                yield [bar]

    def _records(self) -> Iterator[list[Bar]]:
        """Records of as many rows at a time as a chunk has, so that few exist at once."""
        for columns in self._columns:
            for start in range(0, len(columns), self._chunk_bars):
                yield list(columns.rows(start, start + self._chunk_bars).to_bars())
