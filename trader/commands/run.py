"""`trader run`: the engine as a daemon. Starts, runs, drains, exits; its log lines are JSON on standard output."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import FrameType

import msgspec
import structlog
from msgspec import Struct

from trader.adapters.control.kill_switch import KillSwitch
from trader.adapters.control.server import serving
from trader.adapters.files.bars import BarSource
from trader.adapters.live_stamp import LiveStamp
from trader.adapters.log_alerts import LogAlerts
from trader.adapters.replay import ReplayFeed
from trader.adapters.state.lock import StateLock, runtime_folder
from trader.adapters.state.records import AccountIdentity, BrokerName
from trader.advisor.asker import Asker
from trader.analysis.figures import Report, facts_of
from trader.analysis.table import render
from trader.app import LogChoice, Run, assemble
from trader.commands.advisor_figures import advisor_figures, advisor_lines
from trader.commands.common import facts_for_log, open_source, settings_from
from trader.desk import Desk
from trader.domain.alerts import AlertKind
from trader.domain.bars import Bar
from trader.domain.instruments import instrument
from trader.domain.sessions import Calendar
from trader.errors import UsageError
from trader.options import BarOptions, FileOptions, ShortOptions
from trader.ports import Feed
from trader.settings import Settings, identity_of
from trader.status import Place

log = structlog.get_logger("trader.run")


class Wiring(Struct, frozen=True, kw_only=True):
    """Where bars come from and where orders go."""

    feed: str
    broker: str
    speed: str


BACKLOG_LINES = 256
"""Lines of the log that a replay lets pile up before it waits for the writer; a live feed cannot wait."""
WRITER_PAUSE_S = 0.001


class StoppableFeed:
    """A replay that ends when it is told to, also in the middle of waiting for a bar; marks each bar's arrival."""

    def __init__(self, feed: Feed, stamp: LiveStamp, backlog: Callable[[], int]) -> None:
        self._feed = feed
        self._backlog = backlog
        self._stamp = stamp
        self._is_stopping = False
        self._wait: asyncio.Timeout | None = None

    def stop(self) -> None:
        """No bar after the one at work."""
        self._is_stopping = True
        if self._wait is not None:
            self._wait.reschedule(0)

    async def chunks(self) -> AsyncIterator[Iterable[Bar]]:
        """The feed's bars one by one, as they come."""
        source = aiter(self._feed.chunks())
        while not self._is_stopping:
            try:
                async with asyncio.timeout(None) as self._wait:
                    chunk = await anext(source)
            except StopAsyncIteration:
                return
            except TimeoutError:
                if not self._is_stopping:
                    raise
                return
            finally:
                self._wait = None
            for bar in chunk:
                if self._is_stopping:
                    return
                while self._backlog() > BACKLOG_LINES:  # noqa: ASYNC110 -- the writer is a thread, it sets no event
                    await asyncio.sleep(WRITER_PAUSE_S)
                self._stamp.received()
                yield (bar,)


def run(bars: BarOptions, files: FileOptions, short: ShortOptions, wiring: Wiring) -> None:
    """Run until the feed ends or a signal asks for the end; exit 0 either way."""
    _configure_logging()
    signal.signal(signal.SIGTERM, _leave)  # until the loop takes over: nothing is open yet
    speed = _checked(wiring)
    settings = settings_from(files, short)
    source = open_source(bars, instrument(settings.market), Calendar.load())
    stamp = LiveStamp("paper")
    folder = Path(settings.state.dir)
    with _alone(folder, identity_of(settings, BrokerName(wiring.broker), wiring.feed), stamp):
        choice = LogChoice(root=Path(settings.journal.dir), live=stamp)
        made = assemble(settings, facts_for_log(source, bars), log=choice)
        place = _place(made, stamp, settings)
        try:
            asyncio.run(_serve(made, ReplayFeed(source.columns(), speed=speed), stamp, folder, place))
        except BaseException:  # whatever ended it - the journal's thread has to end too
            made.engine.discard()
            raise
    report = made.tally.report(
        facts_of(made.start), accounts_used=made.engine.accounts_used, skipped_bars=source.skipped.total
    )
    _tell(report, made, source)


@contextmanager
def _alone(folder: Path, identity: AccountIdentity, stamp: LiveStamp) -> Iterator[None]:
    if sys.platform == "win32":  # it has neither such locks nor such sockets
        yield
        return
    with StateLock(folder, identity, runtime_folder(os.environ), f"run {stamp.run_id}"):
        yield


@asynccontextmanager
async def _controlled(folder: Path, desk: Desk) -> AsyncIterator[None]:
    """Take commands until the block ends."""
    desk.begin()
    if sys.platform == "win32":
        log.warning("control_off", why="no unix sockets here", effect="no trader status, pause, flatten, kill, reset")
        yield
        return
    async with serving(folder, desk.answer):
        yield


def _place(made: Run, stamp: LiveStamp, settings: Settings) -> Place:
    return Place(
        pid=os.getpid(),
        run_id=stamp.run_id,
        mode=stamp.mode,
        account="paper account",
        strategy=made.start.strategy,
        backend=settings.advisor.backend,
        log=str(made.log_path),
        advice=made.advisor.counts,
    )


async def _serve(made: Run, feed: Feed, stamp: LiveStamp, folder: Path, place: Place) -> None:
    loop = asyncio.get_running_loop()
    alerts = LogAlerts()
    desk = Desk(made.engine, place, KillSwitch(folder), alerts)
    stoppable = StoppableFeed(feed, stamp, lambda: made.engine.log_backlog)

    def drain(received: signal.Signals) -> None:
        if made.engine.controls.is_stopping:
            return
        log.info("draining", signal=received.name, force="another SIGINT")
        made.engine.controls.is_stopping = True
        stoppable.stop()
        loop.remove_signal_handler(signal.SIGINT)

    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, drain, each)
    if isinstance(made.advisor, Asker):
        made.advisor.on_breaker = _note_breaker
    async with _controlled(folder, desk):
        await made.engine.prepare()
        away = made.engine.unadvised
        if away is not None:
            alerts.alert(AlertKind.ADVISOR_AWAY, why=away, effect="the strategy decides alone until it is back")
        made.engine.controls.reconciled()
        log.info("started", run_id=stamp.run_id, mode=stamp.mode, strategy=made.start.strategy, log=str(made.log_path))
        try:
            await made.engine.run(desk.between(stoppable))
        finally:
            desk.end()
            is_clean = await made.advisor.close()
            made.advice.close()
            for each in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(each)
    log.info("stopped", bars=made.engine.bars, advisor_ended=is_clean)


def _note_breaker(why: str | None) -> None:
    if why is None:
        log.info("advisor_back", effect="its advice counts again")
    else:
        log.error("advisor_failing", why=why, effect="the strategy decides alone; it is tried again every so often")


def _leave(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise SystemExit(0)


def _checked(wiring: Wiring) -> float | None:
    if wiring.feed != "replay":
        msg = f"--feed {wiring.feed!r} is not known; this version has `replay` (bars of a file in their own time)"
        raise UsageError(msg)
    if wiring.broker != "paper":
        msg = f"--broker {wiring.broker!r} is not known; this version has `paper` (simulated fills)"
        raise UsageError(msg)
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


def _configure_logging() -> None:
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
    )


def _tell(report: Report, made: Run, source: BarSource) -> None:
    if not sys.stdout.isatty():
        for note in source.skipped.notes:
            log.info("bars", note=note)
        result, trades = report.result, report.trades
        log.info(
            "result",
            net_pnl_usd=result.net_pnl_usd,
            open_pnl_usd=result.open_pnl_usd,
            trades=trades.trades,
            bars=report.run.bars,
            skipped=source.skipped.total,
            log=str(made.log_path),
        )
        figures = advisor_figures(made)
        if figures.asked:
            log.info("advisor", **msgspec.to_builtins(figures))
        return
    sys.stdout.write(render(report))
    sys.stdout.writelines(f"{line}\n" for line in advisor_lines(advisor_figures(made)))
    for note in source.skipped.notes:
        sys.stdout.write(f"bars: {note}\n")
