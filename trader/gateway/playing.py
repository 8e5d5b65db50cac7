"""Moves the gateway's bars: at so many seconds of bar time a second, or as fast as its clients read.

A rhythm says what happens between the phases of a bar. One that waits for a client at each phase would make a run
repeatable; it comes with the client that it waits for.
"""

import asyncio
from typing import Protocol

from trader.adapters.replay import LONGEST_WAIT_NS, Pace
from trader.domain.units import SECOND_NS
from trader.gateway.gateway import Gateway

READING_S = 10.0
"""A client that has room for nothing for so long is cut off; the others do not wait for it."""


class Rhythm(Protocol):
    """What is waited for in each phase of a bar."""

    async def opened(self, gateway: Gateway) -> None:
        """The bar has opened, and its first update is on its way."""
        ...

    async def traded(self, gateway: Gateway) -> None:
        """What waited at market has filled at the open."""
        ...

    async def finished(self, gateway: Gateway) -> None:
        """The bar is whole, and its last update is on its way."""
        ...


class Timed:
    """Bars open and close when they are due, at `speed` seconds of bar time a second; closed hours pass at once."""

    def __init__(self, speed: float, pace: Pace) -> None:
        self._speed = speed
        self._pace = pace
        self._due_s: float | None = None

    async def opened(self, gateway: Gateway) -> None:
        """Nothing."""

    async def traded(self, gateway: Gateway) -> None:
        """Until the bar closes."""
        bar = gateway.market.bar
        await self._wait(bar.ts_close_ns - bar.ts_open_ns)

    async def finished(self, gateway: Gateway) -> None:
        """Until the next bar opens."""
        market = gateway.market
        if not market.is_over:
            await self._wait(market.bar_at(market.at).ts_open_ns - market.now_ns)

    async def _wait(self, length_ns: int) -> None:
        now_s = self._pace.now_s()
        due_s = now_s if self._due_s is None else self._due_s
        self._due_s = due_s + min(length_ns, LONGEST_WAIT_NS) / SECOND_NS / self._speed
        await self._pace.sleep(max(0.0, self._due_s - now_s))


class AtOnce:
    """As fast as the clients read."""

    async def opened(self, gateway: Gateway) -> None:
        """Nothing."""

    async def traded(self, gateway: Gateway) -> None:
        """Let the clients answer."""
        await _read_by_all(gateway)

    async def finished(self, gateway: Gateway) -> None:
        """Let the clients answer."""
        await _read_by_all(gateway)


async def _read_by_all(gateway: Gateway) -> None:
    await asyncio.sleep(0)
    for session in gateway.server.sessions:
        try:
            async with asyncio.timeout(READING_S):
                await session.has_room()
        except TimeoutError:
            session.reset()


async def play(gateway: Gateway, rhythm: Rhythm) -> None:
    """All bars that are left, from the moment at which somebody subscribes to market data."""
    await gateway.data.is_wanted.wait()
    while not gateway.market.is_over:
        gateway.open_bar()
        await rhythm.opened(gateway)
        if not gateway.exchange.fills_at_once:
            gateway.exchange.matcher.match_market()
        await rhythm.traded(gateway)
        gateway.finish_bar()
        await rhythm.finished(gateway)
