"""A feed over the real link and the real client, in front of a gateway whose bars the test moves."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from gateway_builders import OPEN_NS, Prices, some_bars
from msgspec.structs import replace

from trader.adapters.columns import BarColumns
from trader.adapters.ib.dialing import DialTerms
from trader.adapters.ib.feed import FeedTerms, IbFeed
from trader.adapters.ib.history import HistoryTerms
from trader.adapters.ib.library import load_library
from trader.adapters.ib.link import Link, LinkTerms
from trader.adapters.ib.nights import NightTerms
from trader.adapters.ib.pacing import PaceTerms
from trader.adapters.ib.wire import WireTerms
from trader.domain.alerts import AlertKind
from trader.domain.bars import Bar
from trader.domain.instruments import instrument
from trader.domain.sessions import Calendar
from trader.domain.units import DAY_NS
from trader.gateway.gateway import Gateway

WAIT_S = 10.0
HISTORY = HistoryTerms(
    page_s=86_400, tries=2, retry_s=0.01, complete_share=0.9, pace=PaceTerms(requests=1_000, window_s=1.0, apart_s=0.0)
)
TERMS = FeedTerms(
    market=instrument("NQ"),
    bar_minutes=1,
    grace_s=0.02,
    list_bars=10,
    empty_tries=3,
    empty_wait_s=0.01,
    fill_tries=2,
    fill_wait_s=0.01,
    last_bar_wait_s=5.0,
    roll_retry_s=0.05,
    lockstep=False,
    history=HISTORY,
)


FRONT_NS = OPEN_NS + 14 * DAY_NS  # the session of 2019-12-17: NQH20 is the front month from the 16th on


def front_bars(*moves: Prices, **options: Any) -> BarColumns:
    """As `some_bars`, on a day on which NQH20 is the front month."""
    return some_bars(*moves, **{"start_ns": FRONT_NS, **options})


class Alarms:
    """What a person would have been told."""

    def __init__(self) -> None:
        self.told: list[tuple[AlertKind, str]] = []

    def alert(self, kind: AlertKind, *, why: str, effect: str) -> None:
        """Keep it."""
        del effect
        self.told.append((kind, why))


def link_to(gateway: Gateway, alarms: Alarms) -> Link:
    """The real link, without probes and nights."""
    terms = LinkTerms(
        wire=WireTerms(host="127.0.0.1", port=gateway.port, connect_timeout_s=WAIT_S, request_timeout_s=WAIT_S),
        dial=DialTerms(client_id=1, fallback_client_id=None, in_use_tries=3, account="DU1234567", is_live=False),
        nights=NightTerms(windows=(), no_entries_before_s=0, outlast_s=0, down_alert_s=60, settled_s=0),
        probe_every_s=0,
        probe_misses=2,
        backoff_first_s=0.01,
        backoff_max_s=0.05,
        loop_pause_s=0,
        sync_tries=5,
        sync_timeout_s=WAIT_S,
        lost_max_s=WAIT_S,
        own_id_every_s=WAIT_S,
    )
    return Link(terms, load_library("auto"), alarms, random.Random(1))


class Desk:
    """A feed at work: what it has handed out stands in `bars`."""

    def __init__(self, gateway: Gateway, link: Link, feed: IbFeed, alarms: Alarms) -> None:
        self.gateway = gateway
        self.link = link
        self.feed = feed
        self.alarms = alarms
        self.bars: list[Bar] = []
        self._came = asyncio.Event()

    async def read(self) -> None:
        """Take bars for as long as there are any."""
        async for chunk in self.feed.chunks():
            self.bars += chunk
            self._came.set()

    async def have(self, bars: int) -> list[Bar]:
        """Wait until so many have been handed out."""
        async with asyncio.timeout(WAIT_S):
            while len(self.bars) < bars:
                self._came.clear()
                await self._came.wait()
        return self.bars


@asynccontextmanager
async def feeding(gateway: Gateway, *, reads: bool = True, **terms: Any) -> AsyncIterator[Desk]:
    """A feed that is up, and read; `terms` replace single ones."""
    alarms = Alarms()
    link = link_to(gateway, alarms)
    feed = IbFeed(
        link, load_library("auto"), replace(TERMS, **terms), Calendar.load(), alarms, lambda: gateway.market.now_ns
    )
    desk = Desk(gateway, link, feed, alarms)
    async with asyncio.TaskGroup() as group:
        group.create_task(link.run())
        async with asyncio.timeout(WAIT_S):
            await link.wait_up()
        if reads:
            group.create_task(desk.read())
            await gateway.data.is_wanted.wait()
        yield desk
        feed.stop()
        link.close()


def told(columns: BarColumns, start: int, end: int) -> list[Bar]:
    """The exchange's own bars, by their places."""
    return list(columns.rows(start, end).to_bars())
