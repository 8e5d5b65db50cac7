"""Closed bars of the past: to warm up with, to fill gaps, and for the offset between two months."""

import asyncio
from datetime import UTC, datetime

import structlog
from msgspec import Struct

from trader.adapters.files.rolls import expiry
from trader.adapters.ib.contract import Pinned, as_contract, resolve_month, session_from
from trader.adapters.ib.data_client import DataLink, bars_in
from trader.adapters.ib.data_trouble import Trouble, trouble_of
from trader.adapters.ib.heard import Heard, as_bar, flaw_of, heard
from trader.adapters.ib.library import Library
from trader.adapters.ib.pacing import PaceTerms, RequestPace
from trader.adapters.ib.slots import Slots
from trader.domain.bars import Bar
from trader.domain.instruments import Instrument
from trader.domain.rolls import front_contract
from trader.domain.units import DAY_NS, MINUTE_NS, SECOND_NS
from trader.errors import ConfigurationError, LinkError, RefusedError

log = structlog.get_logger("trader.feed")
SIZES = {1: "1 min", 2: "2 mins", 3: "3 mins", 5: "5 mins", 10: "10 mins", 15: "15 mins"}
"""The lengths of bars that the broker knows, by minutes."""
WHAT = "TRADES"
EPOCH_DATES = 2
_OFFSET_DAYS = 4


class HistoryTerms(Struct, frozen=True, kw_only=True):
    """`page_s` is the longest stretch of one request; `tries` how often one is sent, `retry_s` apart.

    `complete_share` of the bars that a warm-up should have by the calendar must be there: minutes without a trade have
    none.
    """

    page_s: int
    tries: int
    retry_s: float
    complete_share: float
    pace: PaceTerms


class History:
    """Asks one market's months for closed bars. LinkError where the broker does not give them."""

    def __init__(self, link: DataLink, library: Library, market: Instrument, slots: Slots, terms: HistoryTerms) -> None:
        self._link = link
        self._library = library
        self._market = market
        self._slots = slots
        self._terms = terms
        self._pace = RequestPace(terms.pace)
        self._months: dict[str, Pinned | None] = {}

    async def between(self, pinned: Pinned, start_ns: int, end_ns: int) -> list[Bar]:
        """The bars of one month that opened in [start, end) and have closed by `end`, in order.

        Bars in closed hours or with a flaw are left out.
        """
        bars = await self._raw(pinned, self._slots.bar_ns, start_ns, end_ns)
        bar_ns = self._slots.bar_ns
        return [
            as_bar(bar, pinned.symbol, self._market, bar_ns)
            for bar in bars
            if self._slots.is_open(bar.ts_open_ns) and flaw_of(bar, self._market, bar_ns) is None
        ]

    async def across(self, last: Pinned, start_ns: int, end_ns: int) -> list[Bar]:
        """As `between`, but of the month that was the front in each session, `last` at the latest; a new month's first
        bar has its `roll_offset`, as in files."""
        bars: list[Bar] = []
        before: Pinned | None = None
        for symbol, from_ns, until_ns in self._parts(last, start_ns, end_ns):
            month = last if symbol == last.symbol else await self._month(symbol)
            if month is None:
                continue
            found = await self.between(month, from_ns, until_ns)
            if before is not None and found:
                found[0] = rolled(found[0], await self.offset(before, month, from_ns))
            bars += found
            before = month if found or before is None else before
        return bars

    async def last(self, last: Pinned, bars: int, before_ns: int) -> list[Bar]:
        """The last `bars` that had closed at `before_ns`, in the months that were the front; LinkError where the
        broker gives too few of them."""
        start_ns = self._session_before(before_ns)
        while self._slots.count(start_ns, before_ns) < bars:
            start_ns = self._session_before(start_ns)
        found = await self.across(last, start_ns, before_ns)
        if len(found) < bars:
            found = await self.across(last, self._session_before(start_ns), before_ns)
        self._require_complete(len(found[-bars:]), bars)
        return found[-bars:]

    async def sessions(self, last: Pinned, sessions: int, before_ns: int) -> list[Bar]:
        """The bars of the last `sessions`, counted with the one that is open, that had closed at `before_ns`."""
        start_ns = before_ns
        for _ in range(sessions):
            start_ns = self._session_before(start_ns)
        found = await self.across(last, start_ns, before_ns)
        self._require_complete(len(found), self._slots.count(start_ns, before_ns))
        return found

    async def offset(self, old: Pinned, new: Pinned, before_ns: int) -> float:
        """New minus old close, in points, at the last minute before `before_ns` that both traded."""
        start_ns = before_ns - _OFFSET_DAYS * DAY_NS
        closes = [
            {bar.ts_open_ns: bar.close for bar in await self._raw(month, MINUTE_NS, start_ns, before_ns)}
            for month in (old, new)
        ]
        both = closes[0].keys() & closes[1].keys()
        if not both:
            msg = f"the broker has no minute with both {old.symbol} and {new.symbol}, so their offset is unknown"
            raise LinkError(msg)
        points = closes[1][max(both)] - closes[0][max(both)]
        return self._market.to_points(self._market.to_ticks(points))

    async def _month(self, symbol: str) -> Pinned | None:
        """A month of the past; None where the broker has forgotten it, so that its bars are missing."""
        if symbol not in self._months:
            try:
                self._months[symbol] = await resolve_month(self._link, self._library, self._market, symbol)
            except ConfigurationError as error:
                log.warning("month_not_known", contract=symbol, why=str(error))
                self._months[symbol] = None
        return self._months[symbol]

    def _parts(self, last: Pinned, start_ns: int, end_ns: int) -> list[tuple[str, int, int]]:
        """Month, start and end of each stretch in which one month was the front."""
        calendar = self._slots.calendar
        parts: list[tuple[str, int, int]] = []
        at_ns = self._slots.next_open_ns(start_ns)
        while at_ns < end_ns:
            session = session_from(calendar, at_ns)
            symbol = front_contract(self._market, session.date)
            if expiry(symbol) > expiry(last.symbol):
                symbol = last.symbol
            until_ns = min(session.close_ns, end_ns)
            if parts and parts[-1][0] == symbol:
                parts[-1] = (symbol, parts[-1][1], until_ns)
            else:
                parts.append((symbol, at_ns, until_ns))
            at_ns = self._slots.next_open_ns(session.close_ns)
        return parts

    def _session_before(self, ts_ns: int) -> int:
        """When the session opened that held the moment before `ts_ns`, or the last one that ended before it."""
        calendar = self._slots.calendar
        index = calendar.index_from(session_from(calendar, ts_ns).date)
        opens_ns = calendar.session(index).open_ns
        return opens_ns if opens_ns < ts_ns else calendar.session(index - 1).open_ns

    def _require_complete(self, found: int, wanted: int) -> None:
        if found < wanted * self._terms.complete_share:
            msg = (
                f"the broker gives {found} of {wanted} bars of {self._market.symbol}'s history; see that the account "
                "has the right to the exchange's data, or ask for less with ib.warmup_sessions"
            )
            raise LinkError(msg)

    async def _raw(self, pinned: Pinned, bar_ns: int, start_ns: int, end_ns: int) -> list[Heard]:
        """Page by page from the end, as the broker told them."""
        found: dict[int, Heard] = {}
        while end_ns > start_ns and self._slots.count(start_ns, end_ns):
            span_ns = min(self._terms.page_s * SECOND_NS, end_ns - start_ns)
            has_trade = self._slots.count(end_ns - span_ns, end_ns)
            page = await self._page(pinned, bar_ns, span_ns, end_ns) if has_trade else []
            for bar in page:
                if start_ns <= bar.ts_open_ns and bar.ts_open_ns + bar_ns <= end_ns:
                    found.setdefault(bar.ts_open_ns, bar)
            # A broker that counts seconds of trade only has gone back further than was asked.
            end_ns = min([end_ns - span_ns, *(bar.ts_open_ns for bar in page[:1])])
        return [found[ts_ns] for ts_ns in sorted(found)]

    async def _page(self, pinned: Pinned, bar_ns: int, span_ns: int, end_ns: int) -> list[Heard]:
        """One answer; the broker says "no data" where there is none, and refuses or falls silent where it is busy."""
        loop, terms = asyncio.get_running_loop(), self._terms
        tried = 0
        while True:
            await asyncio.sleep(self._pace.wait_s(loop.time()))
            tried += 1
            asked = self._link.ib.reqHistoricalDataAsync(
                as_contract(self._library, pinned),
                f"{datetime.fromtimestamp(end_ns // SECOND_NS, UTC):%Y%m%d-%H:%M:%S}",
                f"{-(-span_ns // SECOND_NS)} S",
                SIZES[bar_ns // MINUTE_NS],
                WHAT,
                useRTH=False,
                formatDate=EPOCH_DATES,
            )
            try:
                return [heard(bar) for bar in bars_in(await self._link.ask(f"history of {pinned.symbol}", asked))]
            except RefusedError as refused:
                trouble = trouble_of(refused.code, str(refused))
                if trouble is Trouble.NO_DATA:
                    return []
                if trouble is not Trouble.TRY_AGAIN or tried >= terms.tries:
                    raise
            await asyncio.sleep(terms.retry_s)


def rolled(bar: Bar, offset: float) -> Bar:
    """The bar as the first one of a new month."""
    return Bar(
        bar.ts_open_ns,
        bar.ts_close_ns,
        bar.symbol,
        bar.open,
        bar.high,
        bar.low,
        bar.close,
        bar.volume,
        roll_offset=offset,
    )
