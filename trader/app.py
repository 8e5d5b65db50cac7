"""Puts a run together: the one place that names concrete classes."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from strategies import ppo
from strategies.ppo import Ppo
from trader import __version__, assembly
from trader.adapters.journal import LiveJournal, ReplayJournal
from trader.adapters.live_stamp import LiveStamp
from trader.adapters.paper_broker import NO_FAULTS, Faults, PaperBroker
from trader.adapters.strategy_loader import load_strategy, source_sha256
from trader.advisor.gate import Gate
from trader.advisors import Advising, AdvisorChoice, advising, given
from trader.analysis.report import Tally
from trader.book import Book
from trader.chain import extra
from trader.domain.instruments import Instrument, instrument
from trader.domain.sessions import Calendar
from trader.engine import Engine
from trader.errors import ConfigurationError
from trader.exchange_log import ExchangeLog
from trader.kernels.book import Terms
from trader.logbook import Logbook, SilentLogbook
from trader.observation import schema_hash
from trader.parts import Parts
from trader.pipeline import Pipeline
from trader.policy.bundle import EMBEDDED, Bundle, load_bundle
from trader.policy.manifest import Inputs
from trader.ports import Advisor, Broker, RunLog, Strategy
from trader.record_parts import account_record
from trader.recorder import Recorder
from trader.records import LOG_VERSION, AccountRecord, AdvisorRecord, IdsRecord, StartRecord
from trader.risk.counters import Counters
from trader.risk.gate import OrderGate
from trader.risk.limits import OrderLimits
from trader.router import Router
from trader.settings import Settings, decision_hash

NO_BUNDLE = "none"


class BarsFacts(Struct, frozen=True, kw_only=True):
    """What a run's manifest says of its bars. `source` is a name without a folder: logs move between machines."""

    source: str
    sha256: str
    synthetic: bool
    bar_minutes: int
    has_volume: bool
    options: Mapping[str, str | int | float | bool | None] = {}


class LogChoice(Struct, frozen=True, kw_only=True):
    """Where the decision log goes. `live` is None in a replay, whose id is the hash of its inputs."""

    root: Path
    live: LiveStamp | None = None


MakeBroker = Callable[[Instrument, Terms, Router], Broker]
"""Makes the broker of a run; the router is who it tells of fills."""


def paper_broker(faults: Faults = NO_FAULTS) -> MakeBroker:
    """The simulated one, with trouble to inject."""
    return lambda market, terms, router: PaperBroker(market, terms, router, faults)


class Run(Struct, frozen=True, kw_only=True):
    """An engine ready to be fed, and what its report needs. `logbook` is None where no log is written."""

    engine: Engine
    tally: Tally
    advisor: Advisor
    advice: Advising
    gate: Gate
    start: StartRecord
    bundle: Bundle | None
    log_path: Path | None
    logbook: Logbook | None


SIMULATED = paper_broker()


def assemble(  # noqa: PLR0913 -- each replaces a part of its own
    settings: Settings,
    bars: BarsFacts,
    *,
    log: LogChoice | RunLog | None,
    strategy: Strategy | None = None,
    advisor: Advisor | Advising | None = None,
    broker: MakeBroker = SIMULATED,
    order_limits: OrderLimits | None = None,
) -> Run:
    """Build every part of a run; nothing is traded before `engine.controls.reconciled()`.

    `log` is where the decision log goes, or who watches the run in its place; `broker` makes who fills the orders,
    which the last gate holds to `order_limits` (None: those before a simulated broker, which asks for no margin).
    `strategy` and `advisor` replace those of the settings, for tests, benchmarks and ablations. ConfigurationError or
    BundleError where the parts do not fit.
    """
    market = instrument(settings.market)
    calendar = Calendar.load()
    bundle, strategy_sha256 = None, None
    name = settings.strategy.name
    if strategy is None:
        strategy, strategy_sha256 = _strategy(settings, bars, calendar)
        bundle = strategy.bundle if isinstance(strategy, Ppo) else None
    book = Book(assembly.terms_of_trade(settings, market).as_row(market))
    gate = Gate(assembly.gate_rules(settings), book.view())
    exchanges = ExchangeLog()
    is_live = _live(log) is not None
    state_dir = Path(settings.state.dir) if is_live else None
    choice = AdvisorChoice(is_patient=not is_live, exchanges=exchanges, state_dir=state_dir)
    advice = _advice(settings, market, advisor, choice)
    ids = IdsRecord(
        config=decision_hash(settings),
        bundle=NO_BUNDLE if bundle is None else bundle.id,
        advisor=advice.identity,
        schema=schema_hash(),
    )
    router = Router(book, OrderGate(order_limits or assembly.order_limits(settings)), market.tick_value_cents)
    made = broker(market, book.terms, router)
    router.connect(made)
    full = bundle is not None and bundle.manifest.inputs is Inputs.FULL
    account = account_record(book.view(), market)
    start = _manifest(settings, bars, bundle, ids, account, strategy_sha256, advice.record)
    logbook, path = _logbook(settings, market, start, ids, log, exchanges)
    tally = Tally(market)
    limits = assembly.risk_limits(settings)
    pipeline = Pipeline(market, book, strategy, name, gate, full=full)
    engine = Engine(
        Parts(
            calendar=calendar,
            window=assembly.window(settings),
            instrument=market,
            book=book,
            pipeline=pipeline,
            advisor=advice.advisor,
            fusion=assembly.fusion_rules(settings),
            learner=advice.learner,
            counters=Counters(limits),
            reviewer=assembly.reviewer(settings, market),
            router=router,
            broker=made,
            logbook=logbook,
            tally=tally,
            renews_account=_renews(settings, log),
        )
    )
    engine.passage.on_session = advice.keep
    if is_live:
        pipeline.on_strategy_error = lambda error: engine.protect_only(str(error))
    return Run(
        engine=engine,
        tally=tally,
        advisor=advice.advisor,
        advice=advice,
        gate=gate,
        start=start,
        bundle=bundle,
        log_path=path,
        logbook=logbook if isinstance(logbook, Logbook) else None,
    )


def open_bundle(settings: Settings, calendar: Calendar, bars: BarsFacts | None) -> Bundle:
    """The model that the settings name, checked whole; BundleError where it does not fit schema, calendar or bars."""
    name = settings.policy.bundle
    return load_bundle(
        EMBEDDED if name == "embedded" else Path(name),
        schema_hash=schema_hash(),
        calendar_sha256=calendar.sha256,
        bar_minutes=None if bars is None else bars.bar_minutes,
        has_volume=None if bars is None else bars.has_volume,
        allow_mismatch=settings.policy.allow_mismatch,
    )


def _strategy(settings: Settings, bars: BarsFacts, calendar: Calendar) -> tuple[Strategy, str]:
    if settings.strategy.name == "ppo":
        bundle = open_bundle(settings, calendar, bars)
        if settings.strategy.options:
            msg = f"strategy.options: ppo takes none, its model is policy.bundle; got {settings.strategy.options}"
            raise ConfigurationError(msg)
        return Ppo(bundle), source_sha256(ppo)
    return load_strategy(settings.strategy.name, settings.strategy.options)


def _advice(
    settings: Settings, market: Instrument, advisor: Advisor | Advising | None, choice: AdvisorChoice
) -> Advising:
    match advisor:
        case None:
            return advising(settings, market, choice)
        case Advising():
            return advisor
        case _:
            return given(settings, market, advisor, settings.advisor.backend)


def _live(log: LogChoice | RunLog | None) -> LiveStamp | None:
    return log.live if isinstance(log, LogChoice) else None


def _renews(settings: Settings, log: LogChoice | RunLog | None) -> bool:
    chosen = settings.account.on_exhausted
    if chosen == "auto":
        return _live(log) is None
    return chosen == "renew"


def _manifest(  # noqa: PLR0913, PLR0917 -- each is a fact of its own
    settings: Settings,
    bars: BarsFacts,
    bundle: Bundle | None,
    ids: IdsRecord,
    account: AccountRecord,
    strategy_sha256: str | None,
    advisor: AdvisorRecord | None,
) -> StartRecord:
    config = settings.model_dump(mode="json", exclude={"journal", "state"})
    return StartRecord(
        v=LOG_VERSION,
        code_version=__version__,
        market=settings.market,
        bars={
            "source": bars.source,
            "sha256": bars.sha256,
            "synthetic": bars.synthetic,
            "bar_minutes": bars.bar_minutes,
            "has_volume": bars.has_volume,
            **bars.options,
        },
        strategy=settings.strategy.name,
        strategy_sha256=strategy_sha256,
        ids=ids,
        config=config,
        calendar=Calendar.load().sha256,
        bundle=None if bundle is None else msgspec.to_builtins(bundle.manifest),
        mismatches=() if bundle is None else bundle.mismatches,
        account=account,
        advisor=advisor,
        previous_run=None,
    )


def _logbook(
    settings: Settings,
    market: Instrument,
    start: StartRecord,
    ids: IdsRecord,
    log: LogChoice | RunLog | None,
    exchanges: ExchangeLog,
) -> tuple[RunLog, Path | None]:
    if log is None:
        return SilentLogbook(), None
    if not isinstance(log, LogChoice):
        return log, None
    if log.live is None:
        run_id = f"replay-{hashlib.sha256(msgspec.json.encode(start)).hexdigest()[:12]}"
        x = extra({"mode": "replay", "run_id": run_id})
        replayed = ReplayJournal(log.root, run_id)
        exchanges.connect(replayed)
        return Logbook(_recorder(settings, market, ids, lambda: x), replayed, start, exchanges), replayed.path
    journal = LiveJournal(log.root, log.live.run_id, settings.journal.queue_records)
    exchanges.connect(journal)
    return Logbook(_recorder(settings, market, ids, log.live), journal, start, exchanges), journal.path


def _recorder(settings: Settings, market: Instrument, ids: IdsRecord, stamp: Callable[[], bytes]) -> Recorder:
    return Recorder(
        stamp=stamp,
        ids=ids,
        instrument=market,
        daily_limit_cents=settings.account.daily_limit_cents,
        is_veto_enabled=settings.risk.enable_risk_veto,
    )
