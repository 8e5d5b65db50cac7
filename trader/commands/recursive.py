"""`trader check recursive`: do values depend on where the history begins?"""

from trader.commands.leak_check import read, show
from trader.commands.progress import Progress
from trader.commands.warm import warm_kernels
from trader.leaks.recursive import Asked, check_recursive, require_bars
from trader.options import BarOptions, FileOptions, LeakOptions, ShortOptions

BEGINNINGS = 6


def run(bars: BarOptions, files: FileOptions, short: ShortOptions, wanted: LeakOptions, *, as_json: bool) -> None:
    """Run the check and print what it found; exit 1 where a value never settles."""
    checked = read(bars, files, short, wanted)
    require_bars(checked.facts, checked.bars)
    asked = Asked(settings=checked.settings, facts=checked.facts, runs=wanted.runs or BEGINNINGS, seed=wanted.seed)
    warm_kernels(checked.settings)  # every run begins as a copy of this process
    show(check_recursive(asked, checked.bars, Progress), as_json=as_json)
