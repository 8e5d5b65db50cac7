"""The bars of one month as they come in: subscribed, kept up to date, and subscribed again when the stream has died."""

import asyncio
from collections.abc import Callable

import structlog
from msgspec import Struct

from trader.adapters.ib.bar_stream import BarStream, StreamCounts
from trader.adapters.ib.contract import Pinned
from trader.adapters.ib.data_client import DataLink
from trader.adapters.ib.heard import Heard
from trader.adapters.ib.library import Library
from trader.adapters.ib.subscription import Subscription
from trader.domain.units import SECOND_NS
from trader.errors import LinkError

log = structlog.get_logger("trader.feed")
LIST_MAX_S = 86_400
"""The longest stretch that is asked for in seconds."""


class LiveTerms(Struct, frozen=True, kw_only=True):
    """`grace_s` is how long a closed bar may still be corrected. A subscription begins with the last `list_bars` at
    least; an empty beginning is asked for again after `empty_wait_s`, `empty_tries` times in all.
    """

    grace_s: float
    list_bars: int
    empty_tries: int
    empty_wait_s: float


class LiveBars:
    """`on_update` is told after each update with what it said, and whether a new bar has begun with it."""

    def __init__(
        self,
        link: DataLink,
        library: Library,
        bar_ns: int,
        terms: LiveTerms,
        counts: StreamCounts,
    ) -> None:
        self.stream = BarStream(counts, terms.grace_s)
        self.on_update: Callable[[Heard, bool], None] = _nobody
        self.begun_ahead: Heard | None = None
        """The first bar of the month that is listened to ahead."""
        self.subscribed = 0
        self.empty_lists = 0
        self._link = link
        self._library = library
        self._bar_ns = bar_ns
        self._terms = terms
        self._counts = counts
        self._subscription = Subscription(link, library, bar_ns, self._updated)
        self._ahead: Subscription | None = None
        self._one_at_a_time = asyncio.Lock()

    @property
    def request_id(self) -> int:
        """The subscription's, -1 without one."""
        return self._subscription.request_id

    async def subscribe(self, month: Pinned, since_ns: int, now_ns: int) -> None:
        """Begin, or begin again, with the bars since a moment (or as many of them as one request gives). LinkError
        where the broker begins with nothing: the library would pass on no update of such a list."""
        terms = self._terms
        shortest_s = terms.list_bars * self._bar_ns // SECOND_NS
        span_s = min(max(shortest_s, (now_ns - since_ns) // SECOND_NS + shortest_s), LIST_MAX_S)
        async with self._one_at_a_time:
            for attempt in range(terms.empty_tries):
                if attempt:
                    await asyncio.sleep(terms.empty_wait_s)
                self.subscribed += 1
                bars = await self._subscription.ask(month, span_s)
                if bars:
                    self._begin(bars)
                    return
                self.empty_lists += 1
                log.warning("bars_begin_with_none", contract=month.symbol, attempt=attempt + 1)
        msg = f"the broker begins the bars of {month.symbol} with none, {terms.empty_tries} times"
        raise LinkError(msg)

    def forget(self) -> None:
        """Another month follows: nothing of this one is waited for any more."""
        self._subscription.cancel()
        self.stream = BarStream(self._counts, self._terms.grace_s)

    @property
    def is_ahead(self) -> bool:
        """Whether the next month is listened to as well."""
        return self._ahead is not None

    async def listen_ahead(self, month: Pinned, from_ns: int) -> None:
        """Listen to the next month too: its first bar that opens at or after a moment closes the last one of this."""

        def begins(bar: Heard) -> None:
            if self.begun_ahead is None and bar.ts_open_ns >= from_ns:
                self.begun_ahead = bar
                self.stream.close_forming(asyncio.get_running_loop().time())
                self.on_update(bar, True)  # noqa: FBT003 -- a bar has begun

        self._ahead = Subscription(self._link, self._library, self._bar_ns, begins)
        await self._ahead.ask(month, self._terms.list_bars * self._bar_ns // SECOND_NS)

    def go_ahead(self) -> None:
        """Go on with the next month, which has told its first bar."""
        ahead, bar = self._ahead, self.begun_ahead
        if ahead is None or bar is None:
            return
        self.forget()
        self._ahead, self.begun_ahead = None, None
        self._subscription = ahead
        ahead.on_update = self._updated
        self._updated(bar)

    def _begin(self, bars: list[Heard]) -> None:
        before = self.stream.forming
        self.stream.begin(bars, asyncio.get_running_loop().time())
        forming = self.stream.forming
        if forming is not None and forming != before:
            self.on_update(forming, before is None or forming.ts_open_ns > before.ts_open_ns)

    def _updated(self, bar: Heard) -> None:
        before = self.stream.forming
        self.stream.update(bar, asyncio.get_running_loop().time())
        forming = self.stream.forming
        self.on_update(bar, forming is bar and (before is None or bar.ts_open_ns > before.ts_open_ns))


def _nobody(bar: Heard, began: bool) -> None:  # noqa: FBT001 -- the two things that are told
    """Is told of nothing."""
    del bar, began
