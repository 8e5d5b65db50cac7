"""The feed of live bars, as the port Feed: each closed bar once, in order, and none in between left out.

Bars come from a history that is kept up to date. A bar has closed when the next one begins; after a grace it is frozen
and handed out. What lies between it and the bar before is asked for first.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import structlog
from msgspec import Struct

from trader.adapters.ib.bar_stream import BarStream, StreamCounts
from trader.adapters.ib.contract import Pinned, resolve
from trader.adapters.ib.data_client import DataLink
from trader.adapters.ib.heard import Heard, as_bar, flaw_of
from trader.adapters.ib.history import History, HistoryTerms
from trader.adapters.ib.library import Library
from trader.adapters.ib.slots import Slots
from trader.adapters.ib.subscription import Subscription
from trader.domain.alerts import AlertKind
from trader.domain.bars import Bar
from trader.domain.instruments import Instrument
from trader.domain.sessions import Calendar
from trader.domain.units import MINUTE_NS, SECOND_NS
from trader.errors import LinkError
from trader.ports import Alerts

log = structlog.get_logger("trader.feed")


class FeedTerms(Struct, frozen=True, kw_only=True):
    """Every figure of the feed; seconds.

    `grace_s` is how long a closed bar may still be corrected. `list_bars` are the bars that a subscription begins with
    at least; an empty beginning is asked for again after `empty_wait_s`, `empty_tries` times. A gap is asked for
    `fill_tries` times, `fill_wait_s` apart. A bar with which trade pauses is closed by the clock, `last_bar_wait_s`
    after its end. `lockstep`: nothing waits for a clock.
    """

    market: Instrument
    bar_minutes: int
    grace_s: float
    list_bars: int
    empty_tries: int
    empty_wait_s: float
    fill_tries: int
    fill_wait_s: float
    last_bar_wait_s: float
    roll_retry_s: float
    lockstep: bool
    history: HistoryTerms


class FeedCounts(StreamCounts, kw_only=True):
    """More of it: `closed_hours` and `refused` (a flaw) were dropped, `filled` came by a request for a gap, `missing`
    are bars of the calendar that the broker has not, `repeated` were handed out already.
    """

    closed_hours: int = 0
    refused: int = 0
    filled: int = 0
    missing: int = 0
    repeated: int = 0
    empty_lists: int = 0
    subscribed: int = 0


class IbFeed:
    """One market's front month. `on_forming` is told of a bar that has begun (its open's time and price) after the bar
    before it has been handed out; `between` is awaited when the consumer comes back for the next bar.
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
        self.counts = FeedCounts()
        self.between: Callable[[], Awaitable[None]] | None = None
        self.on_forming: Callable[[int, float], None] | None = None
        self.is_flat: Callable[[], bool] = _never
        self.pinned: Pinned | None = None
        self._link = link
        self._library = library
        self._terms = terms
        self._calendar = calendar
        self._alerts = alerts
        self._now_ns = now_ns
        self._bar_ns = terms.bar_minutes * MINUTE_NS
        self._slots = Slots(calendar, self._bar_ns)
        self._stream = BarStream(self.counts, terms.grace_s)
        self._subscription = Subscription(link, library, self._bar_ns, self._updated)
        self._subscribing = asyncio.Lock()
        self._history = History(link, library, terms.market, self._slots, terms.history)
        self._ready: deque[Bar] = deque()
        self._last_close_ns = 0
        self._told_ns = 0
        self._is_started = False
        self._is_stopped = False
        self._woken = asyncio.Event()
        link.on_sync(self._sync)

    async def chunks(self) -> AsyncIterator[tuple[Bar, ...]]:
        """Closed bars, one by one, until `stop`."""
        await self._link.wait_up()
        if not self._last_close_ns:
            self._last_close_ns = await self._link.probe() if self._terms.lockstep else self._now_ns()
        self._is_started = True
        await self._subscribe()
        while (bar := await self._next()) is not None:
            yield (bar,)
            self._tell_forming()
            if self.between is not None:
                await self.between()

    def begin_after(self, ts_close_ns: int) -> None:
        """Hand out the bars that close after this moment; those that have closed already are asked for."""
        self._last_close_ns = ts_close_ns

    def stop(self) -> None:
        """Hand out nothing more."""
        self._is_stopped = True
        self._woken.set()

    async def _sync(self) -> None:
        """The link is in step again: know the contract, and go on with its bars."""
        if self.pinned is None:
            self.pinned = await resolve(
                self._link, self._library, self._terms.market, self._calendar, await self._time_ns()
            )
        if self._is_started:
            await self._subscribe()

    async def _time_ns(self) -> int:
        return await self._link.probe() if self._terms.lockstep else self._now_ns()

    async def _subscribe(self) -> None:
        """Ask for the bars from the last that was handed out; an empty list would be no beginning."""
        terms, month = self._terms, self._month()
        async with self._subscribing:
            for attempt in range(terms.empty_tries):
                if attempt:
                    await asyncio.sleep(terms.empty_wait_s)
                bars = await self._subscription.ask(month, self._span_s())
                self.counts.subscribed += 1
                if bars:
                    self._stream.begin(bars, self._loop_s())
                    self._woken.set()
                    return
                self.counts.empty_lists += 1
        msg = f"the broker begins the bars of {month.symbol} with none, {terms.empty_tries} times"
        raise LinkError(msg)

    def _month(self) -> Pinned:
        if self.pinned is None:
            msg = "the feed has no contract yet"
            raise LinkError(msg)
        return self.pinned

    def _span_s(self) -> int:
        return self._terms.list_bars * self._bar_ns // SECOND_NS

    def _updated(self, bar: Heard) -> None:
        stream = self._stream
        stream.update(bar, self._loop_s())
        if stream.due_s is not None:
            self._woken.set()

    async def _next(self) -> Bar | None:
        """The next bar; None once there is to be none."""
        while not self._is_stopped:
            if self._ready:
                bar = self._ready.popleft()
                self._last_close_ns = bar.ts_close_ns
                return bar
            taken = self._stream.take(self._loop_s())
            if taken is None:
                await self._wait(self._stream.due_s)
            else:
                await self._accept(taken)
        return None

    async def _wait(self, until_s: float | None) -> None:
        """Until something has happened, or until a moment of the loop's clock."""
        self._woken.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout_at(until_s):
                await self._woken.wait()

    async def _accept(self, told: Heard) -> None:
        """A frozen bar: believe it, and hand it out behind what is missing before it."""
        counts = self.counts
        if told.ts_open_ns < self._last_close_ns:
            counts.repeated += 1
            return
        if not self._slots.is_open(told.ts_open_ns):
            counts.closed_hours += 1
            return
        flaw = flaw_of(told, self._terms.market, self._bar_ns)
        if flaw is not None:
            counts.refused += 1
            self._alerts.alert(
                AlertKind.STALE_BARS, why=f"a bar that is not believed: {flaw}", effect="the broker is asked for it"
            )
            return
        await self._fill(told.ts_open_ns)
        self._ready.append(as_bar(told, self._month().symbol, self._terms.market, self._bar_ns))

    async def _fill(self, until_ns: int) -> None:
        """Ask for what is missing before a bar."""
        missing = self._slots.count(self._last_close_ns, until_ns)
        for attempt in range(self._terms.fill_tries if missing else 0):
            if attempt:
                await asyncio.sleep(self._terms.fill_wait_s)
            try:
                bars = await self._history.between(self._month(), self._last_close_ns, until_ns)
            except LinkError:
                continue
            self._ready.extend(bars)
            self.counts.filled += len(bars)
            break

    def _tell_forming(self) -> None:
        forming = self._stream.forming
        if self._ready or self._stream.due_s is not None or forming is None or self.on_forming is None:
            return
        if forming.ts_open_ns > self._told_ns:
            self._told_ns = forming.ts_open_ns
            self.on_forming(forming.ts_open_ns, forming.open)

    def _loop_s(self) -> float:
        return asyncio.get_running_loop().time()


def _never() -> bool:
    return False
