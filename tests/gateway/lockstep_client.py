"""A client that trades in lockstep with a gateway: it decides on each closed bar, then says that it is done."""

import asyncio
from collections.abc import Callable
from typing import Any

from gateway_builders import nq

Decide = Callable[["LockstepClient", Any], None]


class LockstepClient:
    """Calls `decide` with each bar of the real client that has closed, until it has had `bars` of them.

    `fills` are the executions as they came: the beginning of the bar that was forming, signed quantity, points.
    """

    def __init__(self, ib: Any, decide: Decide) -> None:
        self.ib = ib
        self.fills: list[tuple[int, int, float]] = []
        self.probes = 0
        self._decide = decide
        self._bars: Any = None
        self._closed: asyncio.Queue[Any] = asyncio.Queue()
        ib.client.MaxRequests = 0  # a probe counts as a request, of which the library sends 45 a second
        ib.execDetailsEvent += self._on_execution
        ib.barUpdateEvent += self._on_update  # the list's own event would be too late for a first update

    @property
    def position(self) -> int:
        """By executions."""
        return sum(qty for _, qty, _ in self.fills)

    @property
    def forming_s(self) -> int:
        """When the bar opened that is forming, seconds since 1970."""
        return round(self._bars[-1].date.timestamp())

    async def trade(self, bars: int) -> None:
        """The first bar that it decides on is the last one of the history."""
        await self.ib.reqHistoricalDataAsync(
            nq(), "", "600 S", "1 min", "TRADES", useRTH=False, formatDate=2, keepUpToDate=True
        )
        for _ in range(bars):
            self._decide(self, await self._closed.get())
            await self.settle()

    async def settle(self) -> None:
        """Probe until the answer is the last second of the bar."""
        self.probes += 1
        while not (await self.ib.reqCurrentTimeAsync()).second:
            self.probes += 1

    def _on_update(self, bars: Any, has_new_bar: bool) -> None:
        self._bars = bars
        if has_new_bar:
            self._closed.put_nowait(bars[-2])

    def _on_execution(self, trade: Any, fill: Any) -> None:
        sign = 1 if fill.execution.side == "BOT" else -1
        self.fills.append((self.forming_s, sign * round(fill.execution.shares), fill.execution.price))
