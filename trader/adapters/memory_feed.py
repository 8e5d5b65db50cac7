"""Bars that are in memory already: for benchmarks, tests and the synthetic market."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence

from trader.domain.bars import Bar


class MemoryFeed:
    """Yields `bars` in chunks, and to the loop between them."""

    def __init__(self, bars: Sequence[Bar], chunk_bars: int = 64) -> None:
        self._bars = bars
        self._chunk_bars = chunk_bars

    async def chunks(self) -> AsyncIterator[Iterable[Bar]]:
        """The bars, `chunk_bars` at a time."""
        for start in range(0, len(self._bars), self._chunk_bars):
            yield self._bars[start : start + self._chunk_bars]
            await asyncio.sleep(0)
