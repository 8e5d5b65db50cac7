"""Puts the parts of a daemon together: engine, venue, and what is kept over a restart."""

import asyncio
from collections.abc import Callable, Iterator

import numpy as np
from msgspec import Struct

from trader.adapters.columns import BarColumns
from trader.adapters.replay import ReplayFeed
from trader.adapters.state.database import StateDb
from trader.adapters.state.records import LogHead
from trader.adapters.state.writer import StateWriter, WriterLimits
from trader.advisor.asker import Asker
from trader.app import LogChoice, MakeBroker, Run, assemble
from trader.assembly import order_limits_at_broker
from trader.commands.run_ib import IbParts, Outside, this_machine
from trader.commands.run_plan import RunPlan
from trader.domain.alerts import AlertKind
from trader.domain.bars import Bar
from trader.domain.instruments import Instrument
from trader.kernels.book import Terms
from trader.live.keeper import Keeper, entries_end
from trader.live.paper_ledger import Simulated, simulated
from trader.live.restoring import Restored, restore
from trader.live.sections import Source, no_log
from trader.live.venue import ReplayVenue, Venue
from trader.ports import Alerts, Broker
from trader.records import PreviousRun
from trader.router import Router

WRITER_LIMITS = WriterLimits(queue_changes=10_000, patience_s=3.0)
WARM_UP_BARS = 14_000
"""Bars of a file that are taken in before the one at which an earlier run stood: ten sessions of minutes."""
AFRESH = Restored(progress=None, ts_close_ns=0, position_qty=0, open=(), remarks=())


class Assembled(Struct, frozen=True, kw_only=True):
    """A daemon's parts. `previous` is the run that it goes on from; `close` writes what is queued, and blocks."""

    run: Run
    venue: Venue
    keeper: Keeper | None
    restored: Restored
    previous: PreviousRun | None
    close: Callable[[], None]
    writer: StateWriter | None = None


class _Troubles:
    """Who is told when the state cannot be kept any more, from whichever thread."""

    def __init__(self, alerts: Alerts) -> None:
        self._alerts = alerts
        self.told: list[Callable[[str], None]] = []

    def __call__(self, why: str) -> None:
        effect = "no entries; stops and targets stay as they are; see to the disk, then start again"
        self._alerts.alert(AlertKind.STATE_TROUBLE, why=why, effect=effect)
        for each in self.told:
            each(why)


def put_together(plan: RunPlan, state: StateDb | None, alerts: Alerts, outside: Outside | None = None) -> Assembled:
    """Everything, restored to where an earlier run stood. To be called in the loop that will run it.

    `outside` is this machine where it is None.
    """
    if state is None:
        run = _assemble(plan)
        replay = ReplayVenue(ReplayFeed(_columns(plan), speed=plan.speed))
        return Assembled(run=run, venue=replay, keeper=None, restored=AFRESH, previous=None, close=_nothing)
    troubles = _Troubles(alerts)
    kept = state.snapshot()
    outside = outside or this_machine()
    writer = StateWriter(state, WRITER_LIMITS, troubles)
    try:
        away = None if plan.source is not None else IbParts(plan, writer, alerts, outside)
        simulation = _Simulation() if away is None or not away.trades else None
        run = _assemble(plan, simulation or away)
        controls = run.engine.controls
        plan.stamp.is_caught_up = lambda: controls.is_catching_up
        source = _source(plan, run, None if simulation is None else simulation.made)
        restored = restore(kept, source, outside.wall_ns())
        run.tally.goes_on()
        if away is not None:
            away.restore(run, kept)
        troubles.told.append(entries_end(run.engine.controls, asyncio.get_running_loop()))
        keeper = Keeper(writer, source, kept)
        venue: Venue = _resumed(plan, restored) if away is None else away.venue(run, keeper)
    except BaseException:  # whatever it was, the writer's thread has to end
        writer.close()
        raise
    head = kept.log_head
    previous = None if head is None else PreviousRun(run_id=head.run_id, lines=head.lines, head=head.hash)
    return Assembled(
        run=run,
        venue=venue,
        keeper=keeper,
        restored=restored,
        previous=previous,
        close=lambda: _close(writer),
        writer=writer,
    )


class _Simulation:
    """Makes the simulated broker with the ledger that writes its orders and executions down."""

    def __init__(self) -> None:
        self.made: Simulated | None = None

    def __call__(self, market: Instrument, terms: Terms, router: Router) -> Broker:
        self.made = simulated(market, terms, router)
        return self.made.ledger


def _assemble(plan: RunPlan, maker: MakeBroker | None = None) -> Run:
    log = LogChoice(root=plan.log_folder, live=plan.stamp)
    if maker is None:
        return assemble(plan.settings, plan.facts, log=log)
    limits = order_limits_at_broker(plan.settings) if isinstance(maker, IbParts) else None
    return assemble(plan.settings, plan.facts, log=log, broker=maker, order_limits=limits)


def _source(plan: RunPlan, run: Run, simulated: Simulated | None) -> Source:
    logbook = run.logbook

    def head() -> LogHead | None:
        if logbook is None or not logbook.chain.lines:
            return None
        return LogHead(run_id=plan.stamp.run_id, lines=logbook.chain.lines, hash=logbook.chain.head)

    return Source(
        engine=run.engine,
        simulated=simulated,
        cache=run.advisor.cache if isinstance(run.advisor, Asker) else None,
        advisor=f"{plan.settings.market} {run.start.strategy} {plan.settings.advisor.backend}",
        head=head,
        who=f"run {plan.stamp.run_id}",
        gate=run.gate,
        has_written=no_log if logbook is None else logbook.has_written,
    )


def _resumed(plan: RunPlan, restored: Restored) -> ReplayVenue:
    before: list[Bar] = []
    rest: list[BarColumns] = []
    for columns in _columns(plan):
        split = int(np.searchsorted(columns.ts_close_ns, restored.ts_close_ns, side="right"))
        before += columns.rows(0, split).to_bars()
        del before[:-WARM_UP_BARS]
        if split < len(columns):
            rest.append(columns.rows(split, len(columns)))
    return ReplayVenue(ReplayFeed(rest, speed=plan.speed), before)


def _columns(plan: RunPlan) -> Iterator[BarColumns]:
    if plan.source is not None:
        yield from plan.source.columns()


def _close(writer: StateWriter) -> None:
    writer.close()


def _nothing() -> None:
    """Nothing is kept."""
