"""One run of the line over bars that may be altered, in a process of its own: what was decided and reached for."""

import asyncio
import pickle
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path

from msgspec import Struct

from trader.adapters.columns import BarColumns
from trader.adapters.replay import ReplayFeed
from trader.app import BarsFacts, assemble
from trader.domain.bars import Bar
from trader.domain.instruments import instrument
from trader.errors import StrategyError, TraderError
from trader.leaks.bar_file import BarFile, write_changed
from trader.leaks.changes import Change, changed
from trader.leaks.clock import move_clock
from trader.leaks.outside import Touch, Watch
from trader.leaks.trail import Trail, TrailLog
from trader.policy.bundle import EMBEDDED
from trader.ports import Feed
from trader.settings import Settings


class Case(Struct, frozen=True, kw_only=True):
    """What every run of a check has in common: settings, what is known of the bars, the bars themselves (pickled, so
    that no run finds those of its parent), the bar file if there is one file."""

    settings: Settings
    facts: BarsFacts
    bars: bytes
    tick: float
    file: Path | None


class Job(Struct, frozen=True, kw_only=True):
    """One run: of the bars with `change`, or as they are; up to bar `until` at least; `repeats` times in one process.

    `shown` are bars whose records are wanted. `elsewhere`: a fresh interpreter, with another clock and hash seed.
    """

    until: int
    change: Change | None = None
    file: BarFile | None = None
    repeats: int = 1
    shown: tuple[int, ...] = ()
    elsewhere: bool = False


class Outcome(Struct, frozen=True, kw_only=True):
    """What came of a job: a trail a repeat, what was reached for, and the error on which the last repeat ended.

    `libraries` are the packages that were imported by then, whoever wanted them.
    """

    trails: tuple[Trail, ...]
    touches: tuple[Touch, ...]
    error: str | None
    libraries: frozenset[str]


def run_line(run: tuple[Case, Job]) -> Outcome:
    """Run the line as a job says, in a process of its own. TraderError where the run cannot begin."""
    case, job = run
    columns: BarColumns = pickle.loads(case.bars)  # noqa: S301 -- our own parent's
    if job.change is not None:
        columns = changed(columns, case.tick, job.change)
    if job.elsewhere:
        move_clock()
    with tempfile.TemporaryDirectory(prefix="trader-leaks-") as folder:
        watch = Watch(
            case.file,
            _copy(job, Path(folder)),
            is_altered=job.change is not None,
            ignored=_own_files(case.settings),
        )
        watch.begin()
        trails: list[Trail] = []
        error: str | None = None
        for _ in range(job.repeats):
            trail, error = _run(case, job, columns)
            trails.append(trail)
        libraries = frozenset(name for name in sys.modules if "." not in name)
        return Outcome(trails=tuple(trails), touches=watch.touches(), error=error, libraries=libraries)


def _copy(job: Job, folder: Path) -> Callable[[], Path] | None:
    file, change = job.file, job.change
    if file is None or change is None:
        return None
    return lambda: write_changed(file, change, folder)


def _own_files(settings: Settings) -> tuple[Path, ...]:
    named = (settings.policy.bundle, settings.advisor.recorded_from)
    return (EMBEDDED, *(Path(name) for name in named if name is not None))


def _run(case: Case, job: Job, columns: BarColumns) -> tuple[Trail, str | None]:
    """One run's trail, and its error where the strategy failed under way."""
    settings = case.settings
    log = TrailLog(instrument(settings.market), settings.account.daily_limit_cents, job.shown)
    try:
        made = assemble(settings, case.facts, log=log)
    except TraderError:
        raise
    except Exception as error:  # noqa: BLE001 - a strategy is anybody's code, and bars that it read may be altered
        return log.trail(), f"strategy {settings.strategy.name!r} failed to begin: {error!r}"
    made.engine.controls.reconciled()
    try:
        asyncio.run(made.engine.run(_Until(ReplayFeed([columns]), job.until)))
    except StrategyError as error:
        return log.trail(), str(error)
    return log.trail(), None


class _Until:
    """A feed that ends with the chunk in which bar `until` lies: its later bars are there to be looked at."""

    def __init__(self, feed: Feed, until: int) -> None:
        self._feed = feed
        self._until = until

    async def chunks(self) -> AsyncIterator[Iterable[Bar]]:
        """The feed's chunks."""
        seen = 0
        async for chunk in self._feed.chunks():
            bars = list(chunk)
            yield bars
            seen += len(bars)
            if seen > self._until:
                return
