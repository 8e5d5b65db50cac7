"""`trader check lookahead`: are decisions the same whatever comes after them?"""

from trader.commands.leak_check import read, show
from trader.commands.progress import Progress
from trader.commands.warm import warm_kernels
from trader.leaks.lookahead import Question, check_lookahead, require_bars
from trader.options import BarOptions, FileOptions, LeakOptions, ShortOptions

CUTS = 40


def run(bars: BarOptions, files: FileOptions, short: ShortOptions, wanted: LeakOptions, *, as_json: bool) -> None:
    """Run the check and print what it found; exit 1 where that is a leak."""
    checked = read(bars, files, short, wanted)
    require_bars(checked.facts, checked.bars)
    question = Question(
        settings=checked.settings,
        facts=checked.facts,
        file=checked.file,
        cuts=wanted.runs or CUTS,
        seed=wanted.seed,
        trusted=tuple(wanted.trust or ()),
    )
    warm_kernels(checked.settings)  # every run begins as a copy of this process
    show(check_lookahead(question, checked.bars, Progress), as_json=as_json)
