"""`trader run`: the engine as a daemon. Starts, runs, drains, exits; its log lines go to standard output."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from types import FrameType

import msgspec
import structlog
from msgspec.structs import replace

from trader.adapters.control.kill_switch import KillSwitch
from trader.adapters.control.server import serving
from trader.adapters.log_alerts import LogAlerts
from trader.adapters.state.database import StateDb
from trader.adapters.state.lock import StateLock
from trader.advisor.asker import Asker
from trader.analysis.figures import Report, facts_of
from trader.analysis.table import render
from trader.app import Run
from trader.commands.advisor_figures import advisor_figures, advisor_lines
from trader.commands.common import settings_from
from trader.commands.run_gear import Assembled, put_together
from trader.commands.run_lines import PositionLines, configure_lines
from trader.commands.run_plan import RunPlan, Wiring, alone, kept, plan_run
from trader.desk import Desk
from trader.domain.alerts import AlertKind
from trader.domain.bars import Bar
from trader.live.daemon import Daemon, Gear
from trader.live.warm_up import write_warm_up
from trader.options import BarOptions, FileOptions, ShortOptions
from trader.record_parts import account_record
from trader.records import StartRecord
from trader.status import Place

log = structlog.get_logger("trader.run")
TICK_S = 1.0


def run(bars: BarOptions, files: FileOptions, short: ShortOptions, wiring: Wiring) -> None:
    """Run until the feed ends or a signal asks for the end; exit 0 either way."""
    configure_lines()
    signal.signal(signal.SIGTERM, _leave)  # until the loop takes over: nothing is open yet
    plan = plan_run(settings_from(files, short), bars, wiring)
    with alone(plan) as lock, kept(plan) as state:
        made = asyncio.run(_serve(plan, state, lock))
    if made is None:
        return
    skipped = 0 if plan.source is None else plan.source.skipped.total
    facts = facts_of(made.start)
    _tell(made.tally.report(facts, accounts_used=made.engine.accounts_used, skipped_bars=skipped), made, plan)


async def _serve(plan: RunPlan, state: StateDb | None, lock: StateLock | None) -> Run | None:
    """What ran; None where the end was asked for before the first bar."""
    alerts = LogAlerts()
    assembled = put_together(plan, state, alerts)
    made = assembled.run
    try:
        desk = Desk(made.engine, _place(made, plan), KillSwitch(plan.folder), alerts)
        if isinstance(made.advisor, Asker):
            made.advisor.on_breaker = _note_breaker
        async with _controlled(plan, desk):
            await made.engine.prepare()
            if made.engine.unadvised is not None:
                effect = "the strategy decides alone until it is back"
                alerts.alert(AlertKind.ADVISOR_AWAY, why=made.engine.unadvised, effect=effect)
            has_run = False
            try:
                has_run = await Daemon(_gear(plan, assembled, desk, lock)).serve()
            finally:
                desk.end()
                is_clean = await made.advisor.close()
                made.advice.close()
    except BaseException:  # whatever ended it - the journal's thread has to end too
        made.engine.discard()
        raise
    finally:
        assembled.close()
    if not has_run:
        made.engine.discard()
    log.info("stopped", bars=made.engine.bars, advisor_ended=is_clean)
    return made if has_run else None


def _gear(plan: RunPlan, assembled: Assembled, desk: Desk, lock: StateLock | None) -> Gear:
    made, restored = assembled.run, assembled.restored
    for remark in restored.remarks:
        log.warning("restored", remark=remark)

    def on_up(bars: Sequence[Bar]) -> None:
        warm_up = None if made.log_path is None else write_warm_up(made.log_path, bars)
        head = assembled.previous

        def said(start: StartRecord) -> StartRecord:
            account = account_record(made.engine.parts.book.view(), plan.market)
            return replace(start, account=account, previous_run=head, warm_up=warm_up)

        if made.logbook is not None:
            made.logbook.restate(said)
        log.info(
            "started",
            run_id=plan.stamp.run_id,
            mode=plan.stamp.mode,
            strategy=made.start.strategy,
            log=str(made.log_path),
            warm_up_bars=len(bars),
        )

    lines = PositionLines(made.engine)

    def watch() -> None:
        lines.look()
        if lock is not None and not lock.is_held:
            made.engine.protect_only(
                "the lock of the account or its state folder is gone: another process may trade it"
            )

    return Gear(
        engine=made.engine,
        venue=assembled.venue,
        desk=desk,
        stamp=plan.stamp,
        keeper=assembled.keeper,
        restored=restored,
        on_up=on_up,
        watch=watch,
        tick_s=TICK_S,
    )


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


def _place(made: Run, plan: RunPlan) -> Place:
    return Place(
        pid=os.getpid(),
        run_id=plan.stamp.run_id,
        mode=plan.stamp.mode,
        account=plan.account_label,
        strategy=made.start.strategy,
        backend=plan.settings.advisor.backend,
        log=str(made.log_path),
        advice=made.advisor.counts,
    )


def _note_breaker(why: str | None) -> None:
    if why is None:
        log.info("advisor_back", effect="its advice counts again")
    else:
        log.error("advisor_failing", why=why, effect="the strategy decides alone; it is tried again every so often")


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
