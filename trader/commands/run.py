"""`trader run`: the engine as a daemon. Starts, runs, drains, exits; its log lines go to standard output."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from traceback import format_exception
from types import FrameType

import msgspec
import structlog
from msgspec.structs import replace

from trader.adapters.control.kill_switch import KillSwitch
from trader.adapters.control.server import serving
from trader.adapters.log_alerts import LogAlerts
from trader.adapters.state.database import StateDb
from trader.adapters.state.kill_file import KillFile
from trader.adapters.state.lock import StateLock
from trader.adapters.state.running import RunningFile
from trader.advisor.asker import Asker
from trader.analysis.figures import Report, facts_of
from trader.analysis.table import render
from trader.app import Run
from trader.commands.advisor_figures import advisor_figures, advisor_lines
from trader.commands.run_gear import Assembled
from trader.commands.run_ib import Outside
from trader.commands.run_lines import PositionLines, configure_lines
from trader.commands.run_plan import RunPlan, Wiring, alone
from trader.commands.run_protect import assembled, good_of, kept_or_spare, plan_or_protect, prepare, withhold
from trader.desk import Desk
from trader.domain.alerts import AlertKind
from trader.domain.bars import Bar
from trader.errors import InputError
from trader.live.daemon import Daemon, Gear
from trader.live.warm_up import write_warm_up
from trader.options import BarOptions, FileOptions, ShortOptions
from trader.ports import Alerts
from trader.record_parts import account_record
from trader.records import StartRecord, WarmUpRecord
from trader.status import Place
from trader.taken import Taken

log = structlog.get_logger("trader.run")
TICK_S = 1.0


def run(bars: BarOptions, files: FileOptions, short: ShortOptions, wiring: Wiring) -> None:
    """Run until the feed ends or a signal asks for the end; exit 0 either way."""
    configure_lines()
    signal.signal(signal.SIGTERM, _leave)  # until the loop takes over: nothing is open yet
    plan = plan_or_protect(bars, files, short, wiring)
    with alone(plan) as lock, kept_or_spare(plan) as (plan, state):
        made = asyncio.run(serve(plan, state, lock, LogAlerts()))
    if made is None:
        return
    skipped = 0 if plan.source is None else plan.source.skipped.total
    facts = facts_of(made.start)
    _tell(made.tally.report(facts, accounts_used=made.engine.accounts_used, skipped_bars=skipped), made, plan)


async def serve(
    plan: RunPlan,
    state: StateDb | None,
    lock: StateLock | None,
    alerts: Alerts,
    outside: Outside | None = None,
    begins: Callable[[Assembled, Daemon], None] | None = None,
) -> Run | None:
    """What ran; None where the end was asked for before the first bar.

    `outside` is this machine where it is None. `begins` is handed what is about to run.
    """
    plan, parts = assembled(plan, state, alerts, outside)
    made, running = parts.run, RunningFile(plan.folder)
    try:
        taken = Taken(KillFile(plan.folder), alerts, parts.venue.reconcile)
        desk = Desk(made.engine, _place(parts, plan, taken), KillSwitch(plan.folder), alerts, taken)
        if isinstance(made.advisor, Asker):
            made.advisor.on_breaker = partial(_note_breaker, alerts)
        withhold(plan, parts, running, alerts)
        taken.look(made.engine.controls)
        async with _controlled(plan, desk):
            await prepare(parts, alerts)
            has_run = False
            try:
                daemon = Daemon(_gear(plan, parts, desk, running, _watch(made, desk, taken, lock)))
                if begins is not None:
                    begins(parts, daemon)
                has_run = await daemon.serve()
            finally:
                desk.end()
                is_clean = await made.advisor.close()
                made.advice.close()
    except BaseException:  # whatever ended it - the journal's thread has to end too
        made.engine.discard()
        raise
    finally:
        parts.close()
    if plan.source is None:
        running.end()
    if not has_run:
        made.engine.discard()
    log.info("stopped", bars=made.engine.bars, advisor_ended=is_clean)
    return made if has_run else None


def _watch(made: Run, desk: Desk, taken: Taken, lock: StateLock | None) -> Callable[[], None]:
    """What is looked at about once a second."""
    lines = PositionLines(made.engine)

    def watch() -> None:
        lines.look()
        desk.look()
        taken.look(made.engine.controls)
        if lock is not None and not lock.is_held:
            made.engine.protect_only(
                "the lock of the account or its state folder is gone: another process may trade it"
            )

    return watch


def _gear(plan: RunPlan, parts: Assembled, desk: Desk, running: RunningFile, watch: Callable[[], None]) -> Gear:
    made, restored = parts.run, parts.restored
    for remark in restored.remarks:
        log.warning("restored", remark=remark)

    def on_warm(bars: Sequence[Bar]) -> None:
        warm_up = _kept_warm_up(parts, bars)
        head = parts.previous

        def said(start: StartRecord) -> StartRecord:
            account = account_record(made.engine.parts.book.view(), plan.market)
            return replace(start, account=account, previous_run=head, warm_up=warm_up)

        if made.logbook is not None:
            made.logbook.restate(said)
        log.info("warmed_up", bars=len(bars))

    def on_up() -> None:
        if plan.lost is not None and not made.engine.parts.book.position_qty:
            raise plan.lost
        if plan.source is None:
            running.begin()
        if parts.keeper is not None and not plan.protects:
            parts.keeper.good(good_of(plan.settings))
        log.info(
            "started",
            run_id=plan.stamp.run_id,
            mode=plan.stamp.mode,
            strategy=made.start.strategy,
            log=str(made.log_path),
        )

    if plan.source is None:
        made.engine.endurance.on_fault = _on_fault
    return Gear(
        engine=made.engine,
        venue=parts.venue,
        desk=desk,
        stamp=plan.stamp,
        keeper=parts.keeper,
        restored=restored,
        on_warm=on_warm,
        on_up=on_up,
        watch=watch,
        tick_s=TICK_S,
    )


def _kept_warm_up(parts: Assembled, bars: Sequence[Bar]) -> WarmUpRecord | None:
    """Their file. InputError where it cannot be written and nothing is open; what is open is protected without it."""
    made = parts.run
    if made.log_path is None:
        return None
    try:
        return write_warm_up(made.log_path, bars)
    except InputError as error:
        view = made.engine.parts.book.view()
        if not (parts.restored.open or view.position_qty or view.working):
            raise
        made.engine.protect_only(str(error))
        return None


@asynccontextmanager
async def _controlled(plan: RunPlan, desk: Desk) -> AsyncIterator[None]:
    """Take commands until the block ends."""
    desk.begin()
    if sys.platform == "win32":
        log.warning("control_off", why="no unix sockets here", effect="no trader status, pause, flatten, kill, reset")
        yield
        return
    async with serving(plan.folder, desk.answer):
        yield


def _on_fault(error: Exception) -> None:
    log.error("fault", error=repr(error), trace="".join(format_exception(error)))


def _place(parts: Assembled, plan: RunPlan, taken: Taken) -> Place:
    made = parts.run
    return Place(
        pid=os.getpid(),
        run_id=plan.stamp.run_id,
        mode=plan.stamp.mode,
        account=plan.account_label,
        strategy=made.start.strategy,
        backend=plan.settings.advisor.backend,
        log=str(made.log_path),
        advice=made.advisor.counts,
        link=parts.venue.link,
        taken=lambda: taken.why,
    )


def _note_breaker(alerts: Alerts, why: str | None) -> None:
    if why is None:
        log.info("advisor_back", effect="its advice counts again")
    else:
        effect = "the strategy decides alone; it is tried again every so often"
        alerts.alert(AlertKind.ADVISOR_FAILING, why=why, effect=effect)


def _leave(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise SystemExit(0)


def _tell(report: Report, made: Run, plan: RunPlan) -> None:
    notes = () if plan.source is None else plan.source.skipped.notes
    if not sys.stdout.isatty():
        for note in notes:
            log.info("bars", note=note)
        result, trades = report.result, report.trades
        log.info(
            "result",
            net_pnl_usd=result.net_pnl_usd,
            open_pnl_usd=result.open_pnl_usd,
            trades=trades.trades,
            bars=report.run.bars,
            skipped=0 if plan.source is None else plan.source.skipped.total,
            log=str(made.log_path),
        )
        figures = advisor_figures(made)
        if figures.asked:
            log.info("advisor", **msgspec.to_builtins(figures))
        return
    sys.stdout.write(render(report))
    sys.stdout.writelines(f"{line}\n" for line in advisor_lines(advisor_figures(made)))
    for note in notes:
        sys.stdout.write(f"bars: {note}\n")
