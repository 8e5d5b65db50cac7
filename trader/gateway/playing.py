"""Moves the gateway's bars: at so many seconds of bar time a second, or as fast as its clients read.

A rhythm says what is waited for between the phases of a bar: time, room in the sockets, or one client's probes.
"""

import asyncio
from typing import Protocol

from trader.adapters.replay import LONGEST_WAIT_NS, Pace
from trader.domain.units import MINUTE_NS, SECOND_NS
from trader.gateway.gateway import Gateway
from trader.gateway.session import Session

READING_S = 10.0
"""A client that has room for nothing for so long is cut off; the others do not wait for it."""


class ClientLeftError(Exception):
    """The client that the bars wait for has gone."""


class Rhythm(Protocol):
    """What is waited for in each phase of a bar. ClientLeftError ends the play."""

    def begin(self, gateway: Gateway) -> None:
        """Somebody has subscribed to market data."""
        ...

    async def opened(self, gateway: Gateway) -> None:
        """The bar has opened, and its first update is on its way."""
        ...

    async def finished(self, gateway: Gateway) -> None:
        """The bar is whole, and its last update is on its way."""
        ...

    async def ended(self, gateway: Gateway) -> None:
        """No bar is left."""
        ...


class Timed:
    """Bars open and close when they are due, at `speed` seconds of bar time a second; closed hours pass at once."""

    def __init__(self, speed: float, pace: Pace) -> None:
        self._speed = speed
        self._pace = pace
        self._due_s: float | None = None

    def begin(self, gateway: Gateway) -> None:
        """Nothing."""

    async def opened(self, gateway: Gateway) -> None:
        """Until the bar closes."""
        bar = gateway.market.bar
        await self._wait(bar.ts_close_ns - bar.ts_open_ns)

    async def finished(self, gateway: Gateway) -> None:
        """Until the next bar opens."""
        market = gateway.market
        if not market.is_over:
            await self._wait(market.bar_at(market.at).ts_open_ns - market.now_ns)

    async def ended(self, gateway: Gateway) -> None:
        """Nothing."""

    async def _wait(self, length_ns: int) -> None:
        now_s = self._pace.now_s()
        due_s = now_s if self._due_s is None else self._due_s
        self._due_s = due_s + min(length_ns, LONGEST_WAIT_NS) / SECOND_NS / self._speed
        await self._pace.sleep(max(0.0, self._due_s - now_s))


class AtOnce:
    """As fast as the clients read."""

    def begin(self, gateway: Gateway) -> None:
        """Nothing."""

    async def opened(self, gateway: Gateway) -> None:
        """Let the clients answer."""
        await _read_by_all(gateway)

    async def finished(self, gateway: Gateway) -> None:
        """Let the clients answer."""
        await _read_by_all(gateway)

    async def ended(self, gateway: Gateway) -> None:
        """Nothing."""


class Lockstep:
    """Waits for one client at each bar, so that a run repeats itself: the first that has subscribed to market data.

    Its probes (reqCurrentTime) say how far it is. Each one fills market orders at the open of the bar that is forming,
    and is answered. After activity, which is an order or a cancel that came, or an execution that was told, since the
    probe before, the answer is the time at which the bar opened, a whole minute, and another probe is waited for. A
    quiet one is answered by the bar's last second: the bar trades, and the next one opens.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._client: Session | None = None
        self._stirred = asyncio.Event()
        self._is_waiting = False
        self._early = 0
        self._counted = 0
        self._tried: set[int] = set()

    def begin(self, gateway: Gateway) -> None:
        """Find the client; from here on market orders fill at a probe, and past their target as in a backtest."""
        self._client = next((each for each in gateway.server.sessions if each.wants.market), None)
        if self._client is not None:
            self._client.on_lost = self._stirred.set
        self._counted = self._count()
        gateway.exchange.fills_at_once = False
        gateway.exchange.matcher.limit_holds = False
        gateway.clock.on_probe = self._probed

    async def opened(self, gateway: Gateway) -> None:
        """Until a quiet probe; ClientLeftError where none will come."""
        del gateway
        self._tried.clear()
        await self._until_quiet()

    async def finished(self, gateway: Gateway) -> None:
        """Nothing: the next bar's beginning says that this one has closed."""

    async def ended(self, gateway: Gateway) -> None:
        """Say that the last bar has closed, and wait for a quiet probe; orders that come now rest."""
        gateway.ticker.closed_for_good()
        await self._until_quiet()
        gateway.clock.on_probe = gateway.clock.tell_time
        if self._client is not None:
            self._client.close()

    async def _until_quiet(self) -> None:
        self._is_waiting = True
        self._stirred.clear()
        while self._early and self._is_waiting:
            self._early -= 1
            self._answer()
        while self._is_waiting:
            if self._client is None or not self._client.is_open:
                raise ClientLeftError
            await self._stirred.wait()
            self._stirred.clear()

    def _probed(self, session: Session) -> None:
        """Answered before the client's next request is read: what it sends behind a probe counts for the next one."""
        if session is not self._client:
            self._gateway.clock.tell_time(session)
        elif self._is_waiting:
            self._answer()
        else:
            self._early += 1

    def _answer(self) -> None:
        if self._client is None:
            return
        if self._gateway.market.is_forming:
            self._gateway.exchange.matcher.match_market(self._tried)
        before, self._counted = self._counted, self._count()
        opened_ns = self._gateway.market.now_ns
        if self._counted != before:
            self._gateway.clock.tell_time(self._client, opened_ns)
            return
        last_second_ns = self._gateway.market.minutes * MINUTE_NS - SECOND_NS
        self._gateway.clock.tell_time(self._client, opened_ns + last_second_ns)
        self._is_waiting = False
        self._stirred.set()

    def _count(self) -> int:
        """Orders and cancels of the client's that came, and executions that were told to it, ever."""
        mine = -1 if self._client is None or self._client.client_id is None else self._client.client_id
        return self._gateway.orders.heard[mine] + self._gateway.reporter.executions[mine]


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
    rhythm.begin(gateway)
    try:
        while not gateway.market.is_over:
            gateway.open_bar()
            await rhythm.opened(gateway)
            gateway.finish_bar()
            await rhythm.finished(gateway)
        await rhythm.ended(gateway)
    except ClientLeftError:
        return
