"""`trader backtest`: the engine with the clock of its bars."""

import asyncio
import sys
from pathlib import Path

import msgspec

from trader.adapters.files.bars import BarSource
from trader.adapters.replay import ReplayFeed
from trader.analysis.figures import Report, facts_of
from trader.analysis.table import render
from trader.app import LogChoice, Run, assemble
from trader.commands.advisor_figures import advisor_figures, advisor_lines
from trader.commands.common import facts_for_log, open_source, settings_from
from trader.commands.progress import Progress, WatchedFeed
from trader.domain.instruments import instrument
from trader.domain.sessions import Calendar
from trader.options import BarOptions, FileOptions, ShortOptions

SKIPPED_SHOWN = 10


def run(bars: BarOptions, files: FileOptions, short: ShortOptions, *, keeps_log: bool, as_json: bool) -> None:
    """Replay a file and print its report; errors end it without a half-written log."""
    settings = settings_from(files, short)
    source = open_source(bars, instrument(settings.market), Calendar.load())
    made = assemble(
        settings, facts_for_log(source, bars), log=LogChoice(root=Path(settings.journal.dir)) if keeps_log else None
    )
    try:
        bars_per_s = asyncio.run(_replay(made, source))
    except BaseException:  # Ctrl-C too - a replay that did not end leaves no log
        made.engine.discard()
        raise
    report = made.tally.report(
        facts_of(made.start),
        accounts_used=made.engine.accounts_used,
        skipped_bars=source.skipped.total,
        bars_per_s=bars_per_s,
    )
    show(report, made, source, as_json=as_json)


async def _replay(made: Run, source: BarSource) -> float | None:
    made.engine.controls.reconciled()
    try:
        with Progress("replay", source.bars_at_most) as progress:
            feed = WatchedFeed(ReplayFeed(source.columns()), progress)
            await made.engine.run(feed)
            return feed.bars_per_s
    finally:
        await made.advisor.close()


def show(report: Report, made: Run, source: BarSource, *, as_json: bool) -> None:
    """The report on standard output: a table for people, or one JSON object."""
    log = None if made.log_path is None else str(made.log_path)
    if as_json:
        document = {
            **msgspec.to_builtins(report),
            "advisor": msgspec.to_builtins(advisor_figures(made)),
            "log": log,
            "skipped": source.skipped.texts(),
        }
        sys.stdout.write(msgspec.json.encode(document).decode() + "\n")
        return
    sys.stdout.write(render(report))
    sys.stdout.writelines(f"{line}\n" for line in advisor_lines(advisor_figures(made)))
    if made.engine.unadvised is not None:
        sys.stdout.write(f"advisor: away from the start: {made.engine.unadvised}\n")
    for note in source.skipped.notes:
        sys.stdout.write(f"bars: {note}\n")
    for fault in source.skipped.listed[:SKIPPED_SHOWN]:
        sys.stdout.write(f"skipped: {fault.text()}\n")
    if source.skipped.faults > SKIPPED_SHOWN:
        sys.stdout.write(f"skipped: {source.skipped.faults - SKIPPED_SHOWN:,} more; --json lists the first of them\n")
    if log is not None:
        sys.stdout.write(f"\nDecision log: {log}\nRead it with: trader logs {log}\n")
