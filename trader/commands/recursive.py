"""`trader check recursive`: do values depend on where the history begins?"""

from trader.commands.common import facts_for_log, open_source, settings_from
from trader.commands.lookahead import show
from trader.commands.progress import Progress
from trader.commands.warm import warm_kernels
from trader.domain.instruments import instrument
from trader.domain.sessions import Calendar
from trader.leaks.packed import pack
from trader.leaks.recursive import Asked, check_recursive, require_bars
from trader.options import BarOptions, FileOptions, LeakOptions, ShortOptions

BEGINNINGS = 6


def run(bars: BarOptions, files: FileOptions, short: ShortOptions, wanted: LeakOptions, *, as_json: bool) -> None:
    """Run the check and print what it found; exit 1 where a value never settles."""
    settings = settings_from(files, short)
    source = open_source(bars, instrument(settings.market), Calendar.load())
    asked = Asked(
        settings=settings,
        facts=facts_for_log(source, bars),
        runs=wanted.runs or BEGINNINGS,
        seed=wanted.seed,
    )
    packed = pack(source.columns(), wanted.limit)
    require_bars(asked.facts, packed)
    warm_kernels(settings)  # every run begins as a copy of this process
    show(check_recursive(asked, packed, Progress), as_json=as_json)
