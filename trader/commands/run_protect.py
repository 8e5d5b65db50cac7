"""A start on a broken configuration or model: with something open it goes on as far as protecting that needs it."""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec.structs import replace

from trader.adapters.state.database import StateDb, kept_identity
from trader.adapters.state.records import AccountIdentity, BrokerName, GoodConfiguration, State
from trader.adapters.state.running import RunningFile
from trader.app import open_bundle
from trader.commands.common import settings_from
from trader.commands.run_gear import Assembled, put_together
from trader.commands.run_ib import Outside
from trader.commands.run_plan import IB, RunPlan, Wiring, kept, plan_run
from trader.domain.alerts import AlertKind
from trader.domain.sessions import Calendar
from trader.errors import (
    AccessError,
    BundleError,
    ConfigurationError,
    StateDamagedError,
    StateFailedError,
    TraderError,
)
from trader.live.starting import Start, StartKind, choose_start
from trader.options import BarOptions, FileOptions, ShortOptions
from trader.ports import Alerts
from trader.settings import Settings, full_hash
from trader.settings.whole import as_yaml, from_yaml, state_dir_named, without_model

MEMORY = Path("/dev/shm")  # noqa: S108 -- a folder of this user's own in it: the disk may be what is broken


def plan_or_protect(bars: BarOptions, files: FileOptions, short: ShortOptions, wiring: Wiring) -> RunPlan:
    """The run that was asked for; where configuration or model are broken and something is open, one that protects it.

    Raises what is wrong where nothing is open, or nothing is known to protect it by.
    """
    try:
        settings = settings_from(files, short)
    except ConfigurationError as error:
        if wiring.feed != IB or isinstance(error, AccessError):
            raise
        return _by_last_good(error, files, bars, wiring)
    try:
        return plan_run(settings, bars, wiring)
    except (ConfigurationError, BundleError) as error:
        if wiring.feed != IB or isinstance(error, AccessError):
            raise
        return _without_model(error, settings, bars, wiring)


@contextmanager
def kept_or_spare(plan: RunPlan) -> Iterator[tuple[RunPlan, StateDb | None]]:
    """The run with its state; where that cannot be opened and orders go to a broker, one that protects what the broker
    says is open, with a state that is forgotten at its end. The broken one is left as it is.

    Whatever is open is somebody else's to such a run: it is protected under any policy.
    """
    with ExitStack() as stack:
        try:
            state = stack.enter_context(kept(plan))
        except (StateDamagedError, StateFailedError) as error:
            if plan.wiring.broker != BrokerName.IB or plan.wiring.lockstep:
                raise
            settings = without_model(plan.settings)
            settings = settings.model_copy(update={"ib": settings.ib.model_copy(update={"foreign": "refuse"})})
            plan = replace(plan, settings=settings, protects=str(error), lost=error)
            memory = MEMORY if MEMORY.is_dir() else None
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="nq-trader-", dir=memory)))
            state = StateDb(folder, plan.identity)
            stack.callback(state.close)
        yield plan, state


def protecting(plan: RunPlan, kept: State, error: TraderError) -> RunPlan:
    """The same account without model and advisor; `error` itself where nothing is open."""
    start = choose_start(kept, error, is_readable=True)
    if start.kind is not StartKind.PROTECT_ONLY:
        raise error
    return replace(plan, settings=without_model(plan.settings), protects=start.why)


def assembled(
    plan: RunPlan, state: StateDb | None, alerts: Alerts, outside: Outside | None
) -> tuple[RunPlan, Assembled]:
    """The parts of the run, or without its model and advisor those of one that protects what is open."""
    kept = None if state is None else state.snapshot()
    try:
        return plan, put_together(plan, state, alerts, outside)
    except (ConfigurationError, BundleError) as error:
        if kept is None or plan.source is not None or plan.protects or isinstance(error, AccessError):
            raise
        plan = protecting(plan, kept, error)
    return plan, put_together(plan, StateDb(plan.folder, plan.identity), alerts, outside)


async def prepare(parts: Assembled, alerts: Alerts) -> None:
    """Make the advisor ready. ConfigurationError where there must be one, is none, and nothing is open to protect."""
    engine = parts.run.engine
    try:
        await engine.prepare()
    except ConfigurationError as error:
        if not parts.restored.open:
            raise
        engine.protect_only(str(error))
    if engine.unadvised is not None:
        effect = "the strategy decides alone until it is back"
        alerts.alert(AlertKind.ADVISOR_AWAY, why=engine.unadvised, effect=effect)


def withhold(plan: RunPlan, parts: Assembled, running: RunningFile, alerts: Alerts) -> None:
    """What stands against entries from the first bar on."""
    engine = parts.run.engine
    if plan.protects:
        engine.protect_only(plan.protects)
    if running.was_left and plan.source is None and not plan.settings.guard.unattended_restart:
        engine.controls.pause()
        why = "the run before did not end in order, and guard.unattended_restart is false"
        effect = "no entries until `trader resume`; stops and targets are managed"
        alerts.alert(AlertKind.UNATTENDED_RESTART, why=why, effect=effect)


def good_of(settings: Settings) -> GoodConfiguration:
    """The configuration as it is kept once trading has been enabled under it."""
    return GoodConfiguration(sha256=full_hash(settings), yaml=as_yaml(settings), ts_ns=time.time_ns())


def _without_model(error: TraderError, settings: Settings, bars: BarOptions, wiring: Wiring) -> RunPlan:
    try:
        plan = plan_run(without_model(settings), bars, _with_minutes(settings, wiring), protects=str(error))
    except TraderError:  # it is more than the model
        raise error from None
    start = choose_start(_kept(plan.folder, plan.identity), error, is_readable=True)
    return _protects(plan, start, error)


def _by_last_good(error: ConfigurationError, files: FileOptions, bars: BarOptions, wiring: Wiring) -> RunPlan:
    folder = state_dir_named(
        config_dir=files.config_dir,
        config_file=files.config,
        overrides=files.overrides or [],
        environ=os.environ,
    )
    if folder is None:
        raise error
    identity = kept_identity(folder)
    if identity is None:
        raise error
    start = choose_start(_kept(folder, identity), error)
    if start.configuration is None:
        raise ConfigurationError(start.why)
    settings = from_yaml(start.configuration.yaml)
    plan = plan_run(without_model(settings), bars, _with_minutes(settings, wiring), protects=str(error))
    if plan.identity != identity or plan.folder.absolute() != folder.absolute():
        raise error
    return _protects(plan, start, error)


def _protects(plan: RunPlan, start: Start, error: TraderError) -> RunPlan:
    if start.kind is not StartKind.PROTECT_ONLY:
        raise error
    return replace(plan, protects=start.why)


def _kept(folder: Path, identity: AccountIdentity) -> State:
    state = StateDb(folder, identity)
    try:
        return state.snapshot()
    finally:
        state.close()


def _with_minutes(settings: Settings, wiring: Wiring) -> Wiring:
    """The model's length of bars, where it can still be read: a stop that trails does so by them."""
    if wiring.minutes is not None or settings.strategy.name != "ppo":
        return wiring
    try:
        minutes = open_bundle(settings, Calendar.load(), None).manifest.bar_minutes
    except TraderError:
        return wiring
    return replace(wiring, minutes=minutes)
