"""The feed of live bars, as the port Feed: each closed bar once, in order, and none in between left out.

Bars come from a history that is kept up to date. A bar has closed when the next one begins; after a grace it is frozen
and handed out. What lies between it and the bar before is asked for first.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import structlog
from msgspec import Struct

from trader.adapters.ib.bar_sieve import BarSieve, FeedCounts
from trader.adapters.ib.closed_bars import ClosedBars, ClosingTerms, Sources
from trader.adapters.ib.contract import Pinned
from trader.adapters.ib.data_client import DataLink
from trader.adapters.ib.feed_watch import FeedWatch, WatchTerms
from trader.adapters.ib.front_month import FrontMonth
from trader.adapters.ib.heard import Heard
from trader.adapters.ib.history import SIZES, History, HistoryTerms
from trader.adapters.ib.library import Library
from trader.adapters.ib.live_bars import LiveBars, LiveTerms
from trader.adapters.ib.quotes import Quotes
from trader.adapters.ib.slots import Slots
from trader.domain.bars import Bar
from trader.domain.instruments import Instrument
from trader.domain.sessions import Calendar
from trader.domain.units import MINUTE_NS
from trader.errors import ConfigurationError, LinkError
from trader.ports import Alerts
from trader.risk.gate import LastPrice

log = structlog.get_logger("trader.feed")


class FeedTerms(Struct, frozen=True, kw_only=True):
    """Every figure of the feed.

    `quotes`: ask for quotes too, which show whether data is live. In lockstep (`closing.lockstep`) nothing waits for a
    clock: the grace is 0, there are no quotes, and nothing watches.
    """

    market: Instrument
    bar_minutes: int
    quotes: bool
    live: LiveTerms
    closing: ClosingTerms
    watch: WatchTerms
    history: HistoryTerms


class IbFeed:
    """One market's front month. `now_ns` is the clock that hours and staleness are told by.

    `on_forming` is told of a bar that has begun (its open's time and price) after the bar before it was handed out;
    `between` is awaited when the consumer comes back for the next bar. `closed.is_flat` says whether the month may
    change, `closed.on_roll` is told that it has; `watch.on_stale` is told that nothing may be entered, and that it may.
    """

    def __init__(
        self,
        link: DataLink,
        library: Library,
        terms: FeedTerms,
        calendar: Calendar,
        alerts: Alerts,
        now_ns: Callable[[], int],
    ) -> None:
        if terms.bar_minutes not in SIZES:
            sizes = ", ".join(str(each) for each in SIZES)
            msg = f"bars of {terms.bar_minutes} minutes are none of the broker's; it has those of {sizes}"
            raise ConfigurationError(msg)
        self.counts = FeedCounts()
        self.between: Callable[[], Awaitable[None]] | None = None
        self.on_forming: Callable[[int, float], None] | None = None
        self.needs_price: Callable[[], bool] = _never
        """Whether somebody needs the last price before there are bars."""
        self._link = link
        self._terms = terms
        self._now_ns = now_ns
        self._is_started = False
        self._linked = asyncio.Event()
        self._told_ns = 0
        self._price: LastPrice | None = None
        slots = Slots(calendar, terms.bar_minutes * MINUTE_NS)
        self._month = FrontMonth(link, library, terms.market, calendar)
        self._live = LiveBars(link, library, slots.bar_ns, terms.live, self.counts)
        self._history = History(link, library, terms.market, slots, terms.history)
        sources = Sources(
            market=terms.market,
            month=self._month,
            live=self._live,
            history=self._history,
            slots=slots,
            sieve=BarSieve(slots, terms.market, self.counts, alerts),
            counts=self.counts,
        )
        self.closed = ClosedBars(terms.closing, sources, now_ns)
        self.watch = FeedWatch(terms.watch, slots, alerts, now_ns, self._subscribe)
        self._quotes = Quotes(link, library, self.watch.right, self._quoted)
        self._live.on_update = self._updated
        link.on_sync(self._sync)
        link.on_lost(self.watch.lost)
        link.on_error(lambda request, code, text: self.watch.error(request == self._live.request_id, code, text))

    @property
    def pinned(self) -> Pinned:
        """The month; LinkError before the link was up for the first time."""
        return self._month.pinned

    @property
    def last(self) -> LastPrice | None:
        """The last price heard and when; in lockstep the open of the bar that has begun. None before the first."""
        return self._price

    @property
    def forming(self) -> LastPrice | None:
        """The open of the bar that has begun, and its time; None while none has."""
        bar = self._live.stream.forming
        return None if bar is None else LastPrice(self._terms.market.to_ticks(bar.open), bar.ts_open_ns)

    @property
    def forming_bar(self) -> Heard | None:
        """The bar that has begun, as far as it has traded; None while none has."""
        return self._live.stream.forming

    def begin_after(self, ts_close_ns: int) -> None:
        """Hand out the bars that close after this moment; those that have closed already are asked for."""
        self.closed.last_close_ns = ts_close_ns

    def stop(self) -> None:
        """Hand out nothing more."""
        self.closed.stop()

    async def history(self, before_ns: int, *, bars: int = 0, sessions: int = 0) -> list[Bar]:
        """The last `bars`, or those of the last `sessions` (the open one is the first), that had closed at `before_ns`,
        each of the month that was the front. LinkError where they are not complete."""
        if bars:
            return await self._history.last(self.pinned, bars, before_ns)
        return await self._history.sessions(self.pinned, sessions, before_ns)

    async def missed(self, since_ns: int) -> list[Bar]:
        """The bars that have opened at or after `since_ns` and have closed by now."""
        return await self._history.across(self.pinned, since_ns, await self._time_ns())

    async def run(self) -> None:
        """Ask for the bars with each link and watch over them, for ever; in lockstep there is nothing to watch."""
        if not self._terms.closing.lockstep:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.watch.run(), name="feed watch")
                tasks.create_task(self._begin_with_links(), name="bars with each link")

    async def chunks(self) -> AsyncIterator[tuple[Bar, ...]]:
        """Closed bars, one by one, until `stop`."""
        await self._link.wait_up()
        if not self.closed.last_close_ns:
            self.closed.last_close_ns = await self._beginning_ns()
        self._is_started = True
        if self._terms.closing.lockstep:
            await self._begin()
        else:
            self._linked.set()
        while (bar := await self.closed.next()) is not None:
            yield (bar,)
            await self.closed.roll()
            self._tell_forming()
            if self.between is not None:
                await self.between()

    async def _beginning_ns(self) -> int:
        """What has closed by now is history; in lockstep the last bar closes with the first update."""
        now_ns = await self._time_ns()
        return now_ns - self._terms.bar_minutes * MINUTE_NS if self._terms.closing.lockstep else now_ns

    async def _sync(self) -> None:
        """The link is in step again: know the contract. Its bars can wait, orders cannot: live, they are asked for once
        it is up."""
        if not self._month.is_pinned:
            self._month.pin(await self._month.at(await self._time_ns()))
        if not self._terms.closing.lockstep:
            self._linked.set()
        elif self._is_started:
            await self._begin()

    async def _begin_with_links(self) -> None:
        """After each synchronisation: bars as soon as somebody takes them, before that prices where they are needed."""
        while True:
            await self._linked.wait()
            await self._link.wait_up()
            self._linked.clear()
            if self._is_started:
                await self._begin()
            elif self.needs_price():
                with suppress(LinkError, ConnectionError):  # they come with the next link
                    self._ask_quotes()

    async def _begin(self) -> None:
        """Subscribe. Live, a broker without data is no reason to be without its order channel: the watch goes on."""
        try:
            await self._subscribe()
        except (LinkError, ConnectionError) as error:  # the second is the library's, of a socket that went
            if self._terms.closing.lockstep:
                raise
            log.warning("bars_not_begun", why=str(error))
            self.watch.ended()
        self.watch.linked()

    def _ask_quotes(self) -> None:
        if self._terms.quotes:
            self._quotes.ask(self.pinned)

    async def _subscribe(self) -> None:
        self._ask_quotes()
        await self._live.subscribe(self.pinned, self.closed.last_close_ns, await self._time_ns())
        self.closed.wake()

    async def _time_ns(self) -> int:
        return await self._link.probe() if self._terms.closing.lockstep else self._now_ns()

    def _updated(self, bar: Heard, began: bool) -> None:  # noqa: FBT001 -- the two things that are told
        in_lockstep = self._terms.closing.lockstep
        ts_ns = bar.ts_open_ns if in_lockstep else self._now_ns()
        forming = self._live.stream.forming
        if forming is not None and forming.ts_open_ns == bar.ts_open_ns:
            self._price = LastPrice(self._terms.market.to_ticks(bar.close), ts_ns)
        if not in_lockstep:
            self.watch.heard(bar.ts_open_ns, began=began)
        if began:
            self.closed.wake()

    def _quoted(self, price: float) -> None:
        self._price = LastPrice(self._terms.market.to_ticks(price), self._now_ns())

    def _tell_forming(self) -> None:
        forming = self._live.stream.forming
        if self.on_forming is None or forming is None or self.closed.is_behind:
            return
        if forming.ts_open_ns > self._told_ns:
            self._told_ns = forming.ts_open_ns
            self.on_forming(forming.ts_open_ns, forming.open)


def _never() -> bool:
    return False
