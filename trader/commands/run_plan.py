"""What `trader run` was asked for, checked: where bars come from, where orders go, whose account it is."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from trader.adapters.files.bars import BarSource
from trader.adapters.live_stamp import LiveStamp
from trader.adapters.state.database import StateDb, masked
from trader.adapters.state.lock import StateLock, locks_folder
from trader.adapters.state.records import AccountIdentity, BrokerName, Mode
from trader.app import BarsFacts, open_bundle
from trader.commands.common import facts_for_log, open_source
from trader.domain.instruments import Instrument, instrument
from trader.domain.sessions import Calendar
from trader.errors import TraderError, UsageError
from trader.options import BarOptions
from trader.settings import Settings, identity_of, verify_armed

REPLAY, IB = "replay", "ib"
DEFAULT_BAR_MINUTES = 1


class Wiring(Struct, frozen=True, kw_only=True):
    """Where bars come from and where orders go, as the command line says it.

    `speed` is for a replay; `resumes` keeps a replay's account. `lockstep`: in step with a gateway that waits for us.
    `minutes` is the length of live bars; None: the model's own.
    """

    feed: str
    broker: str
    speed: str
    resumes: bool = False
    lockstep: bool = False
    minutes: int | None = None


class RunPlan(Struct, frozen=True, kw_only=True):
    """A run that can be put together. `source` is None where bars come from a broker, `speed` where nothing waits.

    `protects`: why it only protects what is open, "" where it trades. `lost` is what is wrong with its state, which is
    then not touched: the broker alone says what is open.
    """

    settings: Settings
    market: Instrument
    calendar: Calendar
    identity: AccountIdentity
    wiring: Wiring
    source: BarSource | None
    facts: BarsFacts
    speed: float | None
    stamp: LiveStamp
    protects: str = ""
    lost: TraderError | None = None

    @property
    def folder(self) -> Path:
        """Of what is kept."""
        return Path(self.settings.state.dir)

    @property
    def log_folder(self) -> Path:
        """Of the decision logs."""
        return Path(self.settings.journal.dir)

    @property
    def account_label(self) -> str:
        """The account as a person may be shown it."""
        return "paper account" if self.identity.broker is BrokerName.PAPER else masked(self.identity.account)

    @property
    def is_kept(self) -> bool:
        """Whether the account outlives the run."""
        return self.source is None or self.wiring.resumes


def plan_run(settings: Settings, bars: BarOptions, wiring: Wiring, *, protects: str = "") -> RunPlan:
    """Everything that can be wrong before anything is opened: Usage-, Access-, Configuration- and InputError.

    With `protects` nothing will be entered: real money needs no arming for that.
    """
    speed = _checked(wiring, bars)
    broker = BrokerName(wiring.broker)
    identity = identity_of(settings, broker, wiring.feed)
    if identity.mode is Mode.LIVE and not protects:
        verify_armed(settings, None if settings.live_token is None else Path(settings.live_token))
    market, calendar = instrument(settings.market), Calendar.load()
    source = open_source(bars, market, calendar) if wiring.feed == REPLAY else None
    facts = facts_for_log(source, bars) if source is not None else _live_facts(settings, calendar, wiring)
    return RunPlan(
        settings=settings,
        market=market,
        calendar=calendar,
        identity=identity,
        wiring=wiring,
        source=source,
        facts=facts,
        speed=speed,
        stamp=LiveStamp(identity.mode.value),
        protects=protects,
    )


@contextmanager
def alone(plan: RunPlan) -> Iterator[StateLock | None]:
    """Hold account and state folder for this process alone; AccessError names the process that has one of them."""
    if sys.platform == "win32":  # it has neither such locks nor such sockets
        yield None
        return
    with StateLock(plan.folder, plan.identity, locks_folder(os.environ), f"run {plan.stamp.run_id}") as lock:
        yield lock


@contextmanager
def kept(plan: RunPlan) -> Iterator[StateDb | None]:
    """The account's state where it is kept; closed at the end unless somebody has taken it over."""
    if not plan.is_kept:
        yield None
        return
    state = StateDb(plan.folder, plan.identity)
    try:
        state.snapshot()  # what cannot be read is found now
        yield state
    finally:
        state.close()


def _live_facts(settings: Settings, calendar: Calendar, wiring: Wiring) -> BarsFacts:
    minutes = wiring.minutes
    if minutes is None and settings.strategy.name == "ppo":
        minutes = open_bundle(settings, calendar, None).manifest.bar_minutes
    return BarsFacts(
        source=f"{settings.market} from Interactive Brokers",
        sha256="",
        synthetic=False,
        bar_minutes=minutes or DEFAULT_BAR_MINUTES,
        has_volume=True,
    )


def _checked(wiring: Wiring, bars: BarOptions) -> float | None:
    if wiring.feed not in {REPLAY, IB}:
        msg = f"--feed {wiring.feed!r} is not known: `replay` (bars of a file in their own time), `ib` (live bars)"
        raise UsageError(msg)
    if wiring.broker not in {BrokerName.PAPER, BrokerName.IB}:
        msg = f"--broker {wiring.broker!r} is not known: `paper` (simulated fills), `ib` (Interactive Brokers)"
        raise UsageError(msg)
    if wiring.feed == REPLAY:
        if wiring.broker == BrokerName.IB:
            msg = "--broker ib wants --feed ib: orders of yesterday's bars are none of today's"
            raise UsageError(msg)
        if not bars.bars:
            msg = "--bars names the file to replay (or `sample`); --feed ib takes live bars"
            raise UsageError(msg)
        if wiring.lockstep or wiring.minutes is not None:
            msg = "--lockstep and --minutes are for --feed ib"
            raise UsageError(msg)
    elif bars.bars or wiring.resumes:
        msg = "--bars and --resume are for --feed replay: live bars come from the broker, their account is always kept"
        raise UsageError(msg)
    return _speed(wiring)


def _speed(wiring: Wiring) -> float | None:
    if wiring.speed == "max":
        return None
    try:
        speed = float(wiring.speed)
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        msg = f"--speed is `max` or seconds of bar time a second, such as 60; not {wiring.speed!r}"
        raise UsageError(msg)
    return speed
