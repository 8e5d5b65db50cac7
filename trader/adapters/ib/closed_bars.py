"""Closed bars in their order: frozen, believed, with what was missing before them, of one month after the other."""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress

import structlog
from msgspec import Struct

from trader.adapters.ib.bar_sieve import BarSieve, FeedCounts
from trader.adapters.ib.contract import Pinned
from trader.adapters.ib.front_month import FrontMonth, Retry
from trader.adapters.ib.heard import as_bar
from trader.adapters.ib.history import History, rolled
from trader.adapters.ib.live_bars import LiveBars
from trader.adapters.ib.slots import Slots
from trader.domain.bars import Bar
from trader.domain.instruments import Instrument
from trader.domain.units import DAY_NS, SECOND_NS
from trader.errors import LinkError

log = structlog.get_logger("trader.feed")


class ClosingTerms(Struct, frozen=True, kw_only=True):
    """Seconds. A gap is asked for `fill_tries` times, `fill_wait_s` apart; then the bar behind it goes out without it.

    The bar with which trade pauses is closed by the clock, `last_bar_wait_s` after its end. A roll that fails is tried
    again after `roll_retry_s`. The clock is looked at each `clock_every_s`. `lockstep`: nothing is done by the clock.
    """

    fill_tries: int
    fill_wait_s: float
    last_bar_wait_s: float
    roll_retry_s: float
    clock_every_s: float
    lockstep: bool


class Sources(Struct, frozen=True, kw_only=True):
    """Where bars come from, and what is believed of them."""

    market: Instrument
    month: FrontMonth
    live: LiveBars
    history: History
    slots: Slots
    sieve: BarSieve
    counts: FeedCounts


class ClosedBars:
    """`is_flat` says whether the month may change; `on_roll` is told when it has, with the offset in points."""

    def __init__(self, terms: ClosingTerms, sources: Sources, now_ns: Callable[[], int]) -> None:
        self.last_close_ns = 0
        self.is_flat: Callable[[], bool] = _never
        self.on_roll: Callable[[Pinned, float], None] | None = None
        self._terms = terms
        self._from = sources
        self._now_ns = now_ns
        self._ready: deque[Bar] = deque()
        self._offset = 0.0
        self._roll_retry = Retry(terms.roll_retry_s)
        self._woken = asyncio.Event()
        self._is_stopped = False

    @property
    def is_behind(self) -> bool:
        """Whether bars wait to be handed out."""
        return bool(self._ready) or self._from.live.stream.due_s is not None

    def wake(self) -> None:
        """Something may have closed."""
        self._woken.set()

    def stop(self) -> None:
        """Nothing more."""
        self._is_stopped = True
        self._woken.set()

    async def next(self) -> Bar | None:
        """The next bar, however long it takes; None once it is stopped."""
        while not self._is_stopped:
            if self._ready:
                bar = self._ready.popleft()
                if self._offset:
                    bar, self._offset = rolled(bar, self._offset), 0.0
                self.last_close_ns = bar.ts_close_ns
                return bar
            if not await self._take() and not await self.roll():
                await self._wait()
        return None

    async def _take(self) -> bool:
        """The oldest closed bar, behind what is missing before it; False where none may be taken yet."""
        parts = self._from
        self._close_by_clock()
        told = parts.live.stream.take(asyncio.get_running_loop().time())
        if told is None:
            return False
        if parts.sieve.passes(told, self.last_close_ns):
            await self._fill(told.ts_open_ns)
            bar_ns = parts.slots.bar_ns
            self._ready.append(as_bar(told, parts.month.pinned.symbol, parts.market, bar_ns))
        return True

    async def _fill(self, until_ns: int) -> None:
        """Ask for what is missing before a bar."""
        parts, terms = self._from, self._terms
        missing = parts.slots.count(self.last_close_ns, until_ns)
        found: list[Bar] = []
        for attempt in range(terms.fill_tries):
            if len(found) == missing or (attempt and terms.lockstep):
                break
            if attempt:
                await asyncio.sleep(terms.fill_wait_s)
            with suppress(LinkError):
                found = await parts.history.between(parts.month.pinned, self.last_close_ns, until_ns)
        parts.counts.filled += len(found)
        parts.counts.missing += missing - len(found)
        if found:
            log.warning("bars_filled", missing=missing, found=len(found))
        elif missing:
            log.info("minutes_without_bars", missing=missing, why="no trades, as the broker tells")
        self._ready.extend(found)

    def _close_by_clock(self) -> None:
        """The market has closed, or pauses: no later bar will say that its last one has closed."""
        live, slots = self._from.live, self._from.slots
        forming = live.stream.forming
        if forming is None or self._terms.lockstep:
            return
        closes_ns = forming.ts_open_ns + slots.bar_ns
        is_over = self._now_ns() >= closes_ns + self._terms.last_bar_wait_s * SECOND_NS
        if is_over and not slots.is_open(closes_ns):
            live.stream.close_forming(asyncio.get_running_loop().time())

    async def roll(self) -> bool:
        """Change to the next month, once its time has come, all of this one is handed out and nothing is held in it."""
        if self.is_behind:
            return False
        if self._terms.lockstep:
            return await self._roll_in_lockstep()
        month = self._from.month
        if self.last_close_ns < month.until_ns or not self.is_flat() or not self._roll_retry.is_due():
            return False
        try:
            new, offset = await self._following()
        except LinkError as error:
            log.warning("roll_failed", why=str(error))
            return False
        self._from.live.forget()
        self._move(new, offset)
        with suppress(LinkError):  # silence is noticed, and then it is asked for again
            await self._from.live.subscribe(new, self.last_close_ns, self._now_ns())
        return True

    async def _roll_in_lockstep(self) -> bool:
        """Without a clock only the next month's first bar says that this one's last has closed, so that both are
        listened to in the last session."""
        live, until_ns = self._from.live, self._from.month.until_ns
        if not live.is_ahead and self.last_close_ns >= until_ns - DAY_NS:
            await live.listen_ahead(await self._from.month.at(until_ns), until_ns)
        if live.begun_ahead is None:
            return False
        new, offset = await self._following()
        live.go_ahead()
        self._move(new, offset)
        return True

    async def _following(self) -> tuple[Pinned, float]:
        """The next month, and its offset in points; LinkError where the broker does not say."""
        month, opens_ns = self._from.month, self._from.slots.next_open_ns(self.last_close_ns)
        new = await month.at(opens_ns)
        return new, await month.offset_to(new, self._from.history, opens_ns)

    def _move(self, new: Pinned, offset: float) -> None:
        self._from.month.pin(new)
        self._offset = offset
        if self.on_roll is not None:
            self.on_roll(new, offset)

    async def _wait(self) -> None:
        """Until something has happened, a bar is frozen, or the clock has to be looked at."""
        due_s = self._from.live.stream.due_s
        if due_s is None and not self._terms.lockstep:
            due_s = asyncio.get_running_loop().time() + self._terms.clock_every_s
        with suppress(TimeoutError):
            async with asyncio.timeout_at(due_s):
                await self._woken.wait()
        self._woken.clear()


def _never() -> bool:
    return False
