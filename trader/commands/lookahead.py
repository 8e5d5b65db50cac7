"""`trader check lookahead`: are decisions the same whatever comes after them?"""

import sys

import msgspec
import typer

from trader.commands.common import facts_for_log, open_source, settings_from
from trader.commands.progress import Progress
from trader.commands.warm import warm_kernels
from trader.domain.instruments import instrument
from trader.domain.sessions import Calendar
from trader.leaks.findings import Report, text_of
from trader.leaks.lookahead import Question, check_lookahead, require_bars
from trader.leaks.packed import pack
from trader.options import BarOptions, FileOptions, LeakOptions, ShortOptions

CUTS = 40


def run(bars: BarOptions, files: FileOptions, short: ShortOptions, wanted: LeakOptions, *, as_json: bool) -> None:
    """Run the check and print what it found; exit 1 where that is a leak."""
    settings = settings_from(files, short)
    source = open_source(bars, instrument(settings.market), Calendar.load())
    question = Question(
        settings=settings,
        facts=facts_for_log(source, bars),
        file=source.facts,
        cuts=wanted.runs or CUTS,
        seed=wanted.seed,
        trusted=tuple(wanted.trust or ()),
    )
    packed = pack(source.columns(), wanted.limit)
    require_bars(question.facts, packed)
    warm_kernels(settings)  # every run begins as a copy of this process
    show(check_lookahead(question, packed, Progress), as_json=as_json)


def show(report: Report, *, as_json: bool) -> None:
    """The report on standard output, and exit 1 where there is a finding."""
    if as_json:
        sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    else:
        sys.stdout.write(text_of(report))
    if report.findings:
        raise typer.Exit(1)
