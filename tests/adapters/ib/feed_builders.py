"""A feed over the real link and the real client, in front of a gateway whose bars the test moves."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from gateway_builders import OPEN_NS, Prices, some_bars
from ib_builders import LIBRARY, WAIT_S, Told, linked, until
from msgspec.structs import replace

from trader.adapters.columns import BarColumns
from trader.adapters.ib.closed_bars import ClosingTerms
from trader.adapters.ib.feed import FeedTerms, IbFeed
from trader.adapters.ib.feed_watch import WatchTerms
from trader.adapters.ib.history import HistoryTerms
from trader.adapters.ib.link import Link
from trader.adapters.ib.live_bars import LiveTerms
from trader.adapters.ib.pacing import PaceTerms
from trader.domain.bars import Bar
from trader.domain.instruments import instrument
from trader.domain.sessions import Calendar
from trader.domain.units import DAY_NS, SECOND_NS
from trader.gateway import layouts
from trader.gateway.gateway import Gateway
from trader.gateway.layouts import Price

HISTORY = HistoryTerms(
    page_s=86_400, tries=2, retry_s=0.01, complete_share=0.9, pace=PaceTerms(requests=1_000, window_s=1.0, apart_s=0.0)
)
LIVE = LiveTerms(grace_s=0.02, list_bars=10, empty_tries=3, empty_wait_s=0.01)
CLOSING = ClosingTerms(
    fill_tries=2, fill_wait_s=0.01, last_bar_wait_s=0.0, roll_retry_s=0.05, clock_every_s=0.01, lockstep=False
)
WATCH = WatchTerms(stale_after_s=5.0, quiet_s=3_600.0, rights_retry_s=0.02, every_s=0.01)
TERMS = FeedTerms(
    market=instrument("NQ"),
    bar_minutes=1,
    quotes=True,
    live=LIVE,
    closing=CLOSING,
    watch=WATCH,
    history=HISTORY,
)
FRONT_NS = OPEN_NS + 14 * DAY_NS  # the session of 2019-12-17: NQH20 is the front month from the 16th on


def front_bars(*moves: Prices, **options: Any) -> BarColumns:
    """As `some_bars`, on a day on which NQH20 is the front month."""
    return some_bars(*moves, **{"start_ns": FRONT_NS, **options})


class Desk:
    """A feed at work: what it has handed out stands in `bars`."""

    feed: IbFeed
    link: Link

    def __init__(self, gateway: Gateway, alarms: Told) -> None:
        self.gateway = gateway
        self.alarms = alarms
        self.bars: list[Bar] = []
        self._came = asyncio.Event()

    async def read(self) -> None:
        """Take bars for as long as there are any."""
        async for chunk in self.feed.chunks():
            self.bars += chunk
            self._came.set()

    async def step(self) -> None:
        """One bar of the market, and wait until the feed has heard of it: its clock does not run ahead of it."""
        self.gateway.step()
        bar = self.gateway.market.bar
        await until(lambda: self.feed.forming is not None and self.feed.forming.ts_ns >= bar.ts_open_ns)

    def tell(self, ts_open_ns: int, *prices: float, volume: int = 100) -> None:
        """Send a bar (open, high, low, close) to whoever keeps up with the market, whatever the exchange has."""
        for session in self.gateway.server.sessions:
            for request in session.wants.history:
                bar = Price(str(ts_open_ns // SECOND_NS), *prices, volume)
                session.send(layouts.history_update(request, bar))

    def complain(self, code: int, text: str) -> None:
        """Send an error about the bars of whoever keeps up with the market."""
        for session in self.gateway.server.sessions:
            for request in session.wants.history:
                session.send(layouts.error(request, code, text))

    def forget(self) -> None:
        """The broker tells nothing more, and does not say so."""
        for session in self.gateway.server.sessions:
            session.wants.forget_market()

    async def renewed(self) -> None:
        """Wait until the feed has asked for what was forgotten again, and has been answered."""
        await until(lambda: any(session.wants.history for session in self.gateway.server.sessions))
        await self.link.probe()

    async def have(self, bars: int) -> list[Bar]:
        """Wait until so many have been handed out."""
        async with asyncio.timeout(WAIT_S):
            while len(self.bars) < bars:
                self._came.clear()
                await self._came.wait()
        return self.bars


def terms_with(**changes: Any) -> FeedTerms:
    """Terms for tests; `changes` are found in whichever part has a field of that name."""
    parts: dict[str, Any] = {"live": LIVE, "closing": CLOSING, "watch": WATCH, "history": HISTORY}
    for name, part in parts.items():
        mine = {field: changes.pop(field) for field in part.__struct_fields__ if field in changes}
        parts[name] = replace(part, **mine)
    return replace(TERMS, **parts, **changes)


@asynccontextmanager
async def feeding(
    gateway: Gateway, *, before: Callable[[IbFeed], None] | None = None, reads: bool = True, **terms: Any
) -> AsyncIterator[Desk]:
    """A feed that is up, and read; `terms` replace single ones; `before` is called before the link is."""
    alarms = Told()
    desk = Desk(gateway, alarms)

    def equip(link: Link) -> None:
        desk.feed = IbFeed(link, LIBRARY, terms_with(**terms), Calendar.load(), alarms, lambda: gateway.market.now_ns)
        if before is not None:
            before(desk.feed)

    async with linked(gateway, before=equip) as link, asyncio.TaskGroup() as group:
        desk.link = link
        tasks = [group.create_task(desk.feed.run())]
        if reads:
            tasks.append(group.create_task(desk.read()))
            await until(lambda: desk.feed.forming is not None)
        try:
            yield desk
        finally:
            desk.feed.stop()
            for task in tasks:
                task.cancel()


def told(columns: BarColumns, start: int, end: int) -> list[Bar]:
    """The exchange's own bars, by their places."""
    return list(columns.rows(start, end).to_bars())
