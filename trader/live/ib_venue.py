"""Live bars, and orders to Interactive Brokers or to the simulated broker: what a start and each second do there."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from functools import partial

import structlog
from msgspec import Struct

from trader.adapters.control.messages import LinkStatus
from trader.adapters.ib.broker import IbBroker
from trader.adapters.ib.feed import IbFeed
from trader.adapters.ib.link import Link
from trader.adapters.ib.nights import Nights
from trader.clock_text import utc_text
from trader.domain.bars import Bar
from trader.domain.orders import ExitReason
from trader.domain.units import MINUTE_NS, SECOND_NS
from trader.engine import Engine
from trader.errors import LinkError, StateDamagedError
from trader.live.quote_watch import QuoteWatch
from trader.live.restoring import Restored
from trader.live.venue import OnWarm
from trader.ports import Feed

log = structlog.get_logger("trader.run")
CLOCKS_AGREE_NS = 2 * SECOND_NS
"""The broker tells whole seconds."""
OUTAGE_AHEAD = "outage_ahead"
HALT_AHEAD = "halt_ahead"
LATE_BAR = "late_bar"


class BrokerClock:
    """The time as the broker has it: this machine's, and how far the broker's is from it where that matters."""

    def __init__(self, wall_ns: Callable[[], int] = time.time_ns) -> None:
        self._wall_ns = wall_ns
        self._ahead_ns = 0

    def now_ns(self) -> int:
        """Nanoseconds since 1970 UTC."""
        return self._wall_ns() + self._ahead_ns

    def told(self, broker_ns: int) -> None:
        """The broker has said that it is so late."""
        ahead_ns = broker_ns - self._wall_ns()
        is_far = abs(ahead_ns) > CLOCKS_AGREE_NS
        if is_far != (self._ahead_ns != 0):
            log.warning("clocks_differ", seconds=round(ahead_ns / SECOND_NS), effect="the broker's counts")
        self._ahead_ns = ahead_ns if is_far else 0


class IbVenueTerms(Struct, frozen=True, kw_only=True):
    """`warmup_sessions` of history before the first bar, 0 for none. What is due by the clock is done `late_s` after it
    if no bar has come. An entry at work is taken back `halt_lead_s` before trading halts or ends. Nothing is entered on
    a bar that closed more than `late_bar_s` ago by the broker's clock. `flatten_before_s` before a planned outage a
    position is closed; None: it is not. `quote_watch`: the last limits are watched on prices between bars. Bars of
    before that do not come are asked for again after `history_retry_s`, when nothing is open `history_tries` times in
    all. `in_step_s`: how long a comparison may take.
    """

    warmup_sessions: int
    late_s: float
    halt_lead_s: float
    late_bar_s: float
    flatten_before_s: float | None
    quote_watch: bool
    lockstep: bool
    history_tries: int
    history_retry_s: float
    in_step_s: float


class IbVenue:
    """One run's. `broker` is None where the simulated broker fills orders."""

    def __init__(
        self, terms: IbVenueTerms, link: Link, feed: IbFeed, clock: BrokerClock, nights: Nights, broker: IbBroker | None
    ) -> None:
        self._terms = terms
        self._link = link
        self._feed = feed
        self._clock = clock
        self._nights = nights
        self._broker = broker
        self._engine: Engine | None = None
        self._starting: Engine | None = None
        self._quotes: QuoteWatch | None = None
        self.beside: list[Callable[[], Coroutine[None, None, None]]] = []
        """What else runs as long as the link does: questions about money."""

    @property
    def feed(self) -> Feed:
        """The closed bars."""
        return self._feed

    async def run(self) -> None:
        """Keep the link up, the orders going and the bars watched."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._link.run(), name="link")
            tasks.create_task(self._feed.run(), name="feed")
            if self._broker is not None:
                tasks.create_task(self._broker.run(), name="broker")
            for each in self.beside:
                tasks.create_task(each())

    async def bring_up(self, engine: Engine, restored: Restored, on_warm: OnWarm) -> None:
        """Connect, take in the bars before, book what the simulated broker missed. LinkError where bars do not come,
        and nothing is open. What an earlier run has left open at the broker is watched meanwhile."""
        if self._broker is not None and not self._terms.lockstep:
            self._starting = engine
            self._quotes = QuoteWatch(engine) if self._terms.quote_watch else None
            self._feed.needs_price = lambda: engine.parts.book.position_qty != 0
        book = engine.parts.book
        self._link.heed(lambda: book.position_qty != 0 or book.working)
        before = await self._before(engine, restored)
        reached_ns = restored.ts_close_ns
        is_simulated = self._broker is None
        missed = [bar for bar in before if bar.ts_open_ns >= reached_ns] if is_simulated and reached_ns else []
        warm = before[: len(before) - len(missed)]
        engine.warm_up(warm)
        on_warm(tuple(warm))
        if missed:
            log.warning("caught_up", bars=await engine.catch_up(missed))
        if before:
            self._feed.begin_after(before[-1].ts_close_ns)
        self._connect(engine)
        if is_simulated:
            engine.controls.reconciled()

    def tick(self) -> None:
        """What is due by the clock, bar or no bar."""
        terms, now_ns = self._terms, self._clock.now_ns()
        engine = self._engine
        if engine is None:
            engine = self._starting if self._link.is_up else None
        if engine is None or terms.lockstep:
            return
        due_ns = now_ns - round(terms.late_s * SECOND_NS)
        engine.passage.advance(due_ns)
        if self._broker is not None and self._link.is_up:
            engine.passage.guard(due_ns)
        last = self._feed.last
        if self._quotes is not None and last is not None:
            self._quotes.on_price(last.ticks, last.ts_ns)
        controls = engine.controls
        controls.withhold(HALT_AHEAD, on=engine.passage.near_halt(now_ns, round(terms.halt_lead_s * SECOND_NS)))
        ahead = self._nights.no_entries(now_ns)
        controls.withhold(OUTAGE_AHEAD, on=ahead is not None)
        if terms.flatten_before_s is not None:
            self._flatten_before_outage(engine, now_ns, terms.flatten_before_s)

    async def drained(self) -> None:
        """What was sent at the end has been answered."""
        if self._broker is not None and self._link.is_up:
            await self._settled(self._broker)
        self._link.close()

    async def reconcile(self) -> None:
        """Compare book and broker anew; LinkError where they are not in step in time."""
        if self._broker is None:
            return
        self._link.resync("the operator wants the account back")
        try:
            async with asyncio.timeout(self._terms.in_step_s):
                await self._link.wait_up()
        except TimeoutError:
            msg = f"not in step with the broker in {self._terms.in_step_s:g} s: {self._link.why}"
            raise LinkError(msg) from None

    def link(self) -> LinkStatus:
        """How the connection, the bars and the broker's side stand."""
        last = self._feed.last
        return LinkStatus(
            state=self._link.state.value,
            is_up=self._link.is_up,
            why=self._link.why,
            feed_age_s=None if last is None else max(self._clock.now_ns() - last.ts_ns, 0) / SECOND_NS,
            is_stale=self._feed.watch.is_stale,
            doubt=None if self._broker is None else self._broker.doubt,
        )

    async def _before(self, engine: Engine, restored: Restored) -> list[Bar]:
        """The bars before. Asked for until they come where something is open: no outage ends a run that guards it."""
        tries, book = 0, engine.parts.book
        while True:
            await self._link.wait_up()
            self._demand_later_than(restored.ts_close_ns)
            try:
                return await self._history(restored)
            except LinkError as error:
                tries += self._link.is_up
                is_over = tries >= self._terms.history_tries and not book.position_qty and not book.view().working
                if self._terms.lockstep or is_over:
                    raise
                log.warning("bars_before_missing", why=str(error), effect="they are asked for again")
            await asyncio.sleep(self._terms.history_retry_s)

    async def _settled(self, broker: IbBroker) -> None:
        """What was sent has been answered; a link that goes meanwhile is made again, and everything compared then."""
        try:
            await broker.rest()
        except LinkError as error:
            log.warning("not_settled", why=str(error), effect="compared once the link is back")

    def _demand_later_than(self, reached_ns: int) -> None:
        """StateDamagedError where the broker's clock is behind the bars that the account has seen: another market's."""
        now_ns = self._clock.now_ns()
        if reached_ns > now_ns + MINUTE_NS and not self._terms.lockstep:
            msg = (
                f"state.db: the account has seen bars up to {utc_text(reached_ns)}, and the broker says that it is"
                f" {utc_text(now_ns // SECOND_NS * SECOND_NS)}: see to its clock, or name another state.dir"
            )
            raise StateDamagedError(msg)

    async def _history(self, restored: Restored) -> list[Bar]:
        if not self._terms.warmup_sessions:
            return []
        now_ns = self._clock.now_ns()
        bars = await self._feed.history(now_ns, sessions=self._terms.warmup_sessions)
        if restored.ts_close_ns and bars and restored.ts_close_ns < bars[0].ts_open_ns:
            bars = await self._feed.missed(restored.ts_close_ns)
        return bars

    def _connect(self, engine: Engine) -> None:
        self._engine = engine
        self._quotes = QuoteWatch(engine) if self._terms.quote_watch else None
        controls = engine.controls
        self._feed.on_forming = lambda ts_open_ns, _: engine.passage.advance(ts_open_ns)
        self._feed.watch.on_stale = lambda is_stale: controls.mark_stale(on=is_stale)
        self._feed.closed.is_flat = lambda: not engine.parts.book.position_qty and not engine.parts.book.working
        if self._terms.lockstep:
            self._feed.between = self._in_step
            self._link.on_lost(lambda _: self._feed.stop())  # a gateway in lockstep ends when its bars do
        else:
            engine.before_order = partial(self._price_orders, engine)
            engine.price_if_late = partial(self._price_if_late, engine)
        if self._broker is not None and not self._terms.lockstep:
            self._feed.between = partial(self._settled, self._broker)

    def _price_orders(self, engine: Engine) -> None:
        """An order is measured against the last price heard; how old it is says the broker's clock, the rest is the
        bars' time, which a gateway may play faster."""
        last, at_ns = self._feed.last, engine.passage.last_close_ns
        if last is not None:
            engine.parts.router.at(last.ticks, at_ns - (self._clock.now_ns() - last.ts_ns), at_ns)

    def _price_if_late(self, engine: Engine, ts_close_ns: int) -> int | None:
        """The price of now where a bar comes late, so that nothing is entered on it: after an outage they all do."""
        late_ns = self._clock.now_ns() - ts_close_ns
        is_late = late_ns > self._terms.late_bar_s * SECOND_NS
        engine.controls.withhold(LATE_BAR, on=is_late)
        last = self._feed.last
        return last.ticks if is_late and last is not None else None

    async def _in_step(self) -> None:
        """Probe until the gateway lets the bar go on: it answers with a whole minute while it waits for more.

        Counting here would not do: what was sent while a probe was on its way counts for the next one there, and what
        the bar then trades may arrive together with the answer.
        """
        while True:
            if self._broker is not None:
                await self._broker.idle()
            if await self._link.probe() % MINUTE_NS:
                return

    def _flatten_before_outage(self, engine: Engine, now_ns: int, before_s: float) -> None:
        span = self._nights.next_window(now_ns)
        if span is not None and now_ns < span.start_ns <= now_ns + round(before_s * SECOND_NS):
            engine.parts.router.flatten(ExitReason.OUTAGE)
            engine.parts.router.release()
