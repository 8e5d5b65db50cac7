"""What both checks for leaks read, and how they show what they found."""

import sys

import msgspec
import typer
from msgspec import Struct

from trader.adapters.files.facts import FileFacts
from trader.app import BarsFacts
from trader.commands.common import facts_for_log, open_source, settings_from
from trader.domain.instruments import instrument
from trader.domain.sessions import Calendar
from trader.leaks.findings import Report, text_of
from trader.leaks.packed import Packed, pack
from trader.options import BarOptions, FileOptions, LeakOptions, ShortOptions
from trader.settings import Settings


class Checked(Struct, frozen=True, kw_only=True):
    """A configuration, and the bars to check it on: what the log says of them, and what their file is."""

    settings: Settings
    facts: BarsFacts
    file: FileFacts
    bars: Packed


def read(bars: BarOptions, files: FileOptions, short: ShortOptions, wanted: LeakOptions) -> Checked:
    """Read both; InputError where there is no bar."""
    settings = settings_from(files, short)
    source = open_source(bars, instrument(settings.market), Calendar.load())
    facts = facts_for_log(source, bars)
    return Checked(settings=settings, facts=facts, file=source.facts, bars=pack(source.columns(), wanted.limit))


def show(report: Report, *, as_json: bool) -> None:
    """The report on standard output, and exit 1 where there is a finding."""
    if as_json:
        sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    else:
        sys.stdout.write(text_of(report))
    if report.findings:
        raise typer.Exit(1)
