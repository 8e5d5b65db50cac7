"""Puts link, feed and broker of Interactive Brokers together."""

import random
import time
from collections.abc import Callable
from functools import partial

from msgspec import Struct

from trader.adapters.ib.broker import IbBroker
from trader.adapters.ib.contract import Pinned
from trader.adapters.ib.feed import IbFeed
from trader.adapters.ib.library import load_library
from trader.adapters.ib.link import Link
from trader.adapters.ib.margin import MarginDesk
from trader.adapters.ib.nights import Nights
from trader.adapters.ib.plan import Known
from trader.adapters.state.intents import ENDED
from trader.adapters.state.kill_file import KillFile
from trader.adapters.state.records import BrokerName, State
from trader.adapters.state.writer import StateWriter
from trader.app import Run
from trader.assembly import order_limits_at_broker
from trader.assembly_ib import (
    books_terms,
    broker_terms,
    feed_terms,
    link_terms,
    margin_terms,
    night_terms,
    venue_terms,
)
from trader.commands.run_plan import RunPlan
from trader.domain.account import AccountView
from trader.domain.instruments import Instrument
from trader.kernels.book import TARGET_THROUGH, Terms
from trader.live.bar_doubt import BarDoubt
from trader.live.ib_venue import BrokerClock, IbVenue
from trader.live.keeper import Keeper
from trader.live.refusals import Refusals
from trader.live.session_books import Around, SessionBooks
from trader.live.watcher import Watcher
from trader.ports import Alerts, Broker
from trader.risk.margin import MarginFigures
from trader.router import Router, RouterState


class Outside(Struct, frozen=True, kw_only=True):
    """What a run takes from outside itself: the machine's clock, and the jitter of its waits."""

    wall_ns: Callable[[], int]
    chance: random.Random


def this_machine() -> Outside:
    """As it is."""
    return Outside(wall_ns=time.time_ns, chance=random.Random())  # noqa: S311 -- jitter


class IbParts:
    """One run's. Called, it makes the broker; `venue` joins the parts with what they were made for."""

    def __init__(self, plan: RunPlan, writer: StateWriter, alerts: Alerts, outside: Outside) -> None:
        settings, lockstep = plan.settings, plan.wiring.lockstep
        self._plan = plan
        self._writer = writer
        self._alerts = alerts
        self._library = load_library(settings.ib.library)
        self._outside = outside
        self._clock = BrokerClock(outside.wall_ns)
        terms = link_terms(settings, lockstep=lockstep)
        self._link = Link(terms, self._library, alerts, outside.chance, outside.wall_ns)
        if not lockstep:
            self._link.on_sync(self._compare_clocks)
        self._feed = IbFeed(
            self._link,
            self._library,
            feed_terms(settings, plan.market, plan.facts.bar_minutes, lockstep=lockstep),
            plan.calendar,
            alerts,
            self._clock.now_ns,
        )
        self._kill_file = KillFile(plan.folder)
        self._broker: IbBroker | None = None
        self._watcher: Watcher | None = None
        self._margin: MarginDesk | None = None
        self._books: SessionBooks | None = None
        self._through_ticks = 0

    @property
    def trades(self) -> bool:
        """Whether orders go to Interactive Brokers."""
        return self._plan.wiring.broker == BrokerName.IB

    def __call__(self, market: Instrument, terms: Terms, router: Router) -> Broker:
        """The broker, for `assemble`."""
        settings = self._plan.settings
        self._through_ticks = int(terms[TARGET_THROUGH])
        if settings.ib.foreign == "refuse":
            router.spare_foreign()
        self._watcher = Watcher(router, self._alerts, foreign_pauses=settings.ib.foreign != "adopt")
        limits = broker_terms(settings, market, lockstep=self._plan.wiring.lockstep)
        self._broker = IbBroker(self._link, self._library, limits, self._writer, self._watcher, self._outside.wall_ns)
        self._broker.heed(lambda: self._kill_file.why)
        self._margin = self._margin_desk(self._broker, router)
        self._link.on_sync(self._synced)
        return self._broker

    def restore(self, run: Run, kept: State) -> None:
        """Go on where an earlier life ended; the line's own parts are restored already."""
        if self._broker is not None:
            router = run.engine.parts.router
            self._broker.restore(known_of(router.state(), run.engine.parts.book.view(), kept), kept)
            self._broker.on_untold(router.expect)
            if run.logbook is not None:
                self._broker.log_first(run.logbook.newest_line)

    def venue(self, run: Run, keeper: Keeper) -> IbVenue:
        """Everything joined to the engine."""
        settings = self._plan.settings
        if self._watcher is not None:
            self._watcher.connect(run.engine.controls)
            self._watcher.on_change = partial(self._changed, keeper)
            if self._plan.wiring.lockstep:
                self._watcher.doubt = self._doubt(run)
        if self._broker is not None:
            self._feed.closed.on_roll = self._rolled
        terms = venue_terms(settings, lockstep=self._plan.wiring.lockstep)
        nights = Nights(night_terms(settings))
        venue = IbVenue(terms, self._link, self._feed, self._clock, nights, self._broker)
        if self._margin is not None and not terms.lockstep:
            self._books = self._session_books(run)
            venue.beside += [self._margin.run, self._books.run]
        return venue

    def _session_books(self, run: Run) -> SessionBooks:
        plan, book = self._plan, run.engine.parts.book
        around = Around(
            calendar=plan.calendar,
            market=plan.market,
            alerts=self._alerts,
            now_ns=self._clock.now_ns,
            bars=self._feed.missed,
            folder=lambda: run.log_path,
            is_flat=lambda: not book.position_qty and not book.working,
        )
        return SessionBooks(self._link, self._writer, books_terms(plan.settings), around)

    def _margin_desk(self, broker: IbBroker, router: Router) -> MarginDesk:
        settings = self._plan.settings
        refusals = Refusals(self._alerts, order_limits_at_broker(settings))
        router.on_refused = refusals.on_refused

        def heard(figures: MarginFigures) -> None:
            router.fund(figures)
            refusals.on_figures(figures)

        terms = margin_terms(settings, lockstep=self._plan.wiring.lockstep)
        return MarginDesk(self._link, self._library, terms, heard, broker)

    def _changed(self, keeper: Keeper) -> None:
        keeper.after_event()
        if self._margin is not None:
            self._margin.ask_soon()
        if self._books is not None:
            self._books.look_soon()

    def _doubt(self, run: Run) -> BarDoubt:
        book = run.engine.parts.book
        return BarDoubt(lambda: self._feed.forming_bar, book, self._plan.market, self._through_ticks)

    async def _compare_clocks(self) -> None:
        self._clock.told(await self._link.probe())

    async def _synced(self) -> None:
        if self._broker is not None:
            self._broker.pin(self._feed.pinned)
            await self._broker.sync()
        if self._margin is not None:
            self._margin.contract = self._feed.pinned
            if self._plan.wiring.lockstep:
                await self._margin.sync()
            self._margin.ask_soon()
        if self._books is not None:
            self._books.contract = self._feed.pinned
            self._books.look_soon()

    def _rolled(self, month: Pinned, offset: float) -> None:
        del offset
        if self._broker is not None:
            self._broker.pin(month)
        if self._margin is not None:
            self._margin.contract = month
            self._margin.ask_soon()
        if self._books is not None:
            self._books.contract = month


def known_of(line: RouterState, account: AccountView, kept: State) -> Known:
    """What book, line and state say before the broker is asked."""
    return Known(
        symbol="" if kept.progress is None else kept.progress.symbol,
        order_ref=line.holding.order_ref,
        bracket=line.bracket,
        position_qty=account.position_qty,
        entry_ticks=account.entry_ticks,
        entry_working=line.entry_working,
        closing=line.holding.closing_qty > 0,
        stop_ticks=account.stop_ticks,
        target_ticks=account.target_ticks,
        executions=kept.executions,
        intents=tuple(intent for intent in kept.intents if intent.state not in ENDED),
    )
