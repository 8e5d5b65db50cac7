"""One run of the line in a process of its own, which is given the bars, perhaps altered, and dies with all that it saw.

A strategy is anybody's code: it may keep what one run showed it for the next one, or look through the memory of its
process. So each run has its own process, in which no bar exists but those that the run is about.
"""

import asyncio
import multiprocessing
import os
import pickle
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from msgspec import Struct

from trader.adapters.columns import BarColumns
from trader.adapters.replay import ReplayFeed
from trader.app import BarsFacts, assemble
from trader.domain.bars import Bar
from trader.domain.instruments import instrument
from trader.errors import InvariantError, StrategyError, TraderError
from trader.leaks.bar_file import BarFile, write_changed
from trader.leaks.changes import Change, changed
from trader.leaks.clock import move_clock
from trader.leaks.outside import Touch, Watch
from trader.leaks.trail import Trail, TrailLog
from trader.policy.bundle import EMBEDDED
from trader.ports import Feed
from trader.settings import Settings

OTHER_HASH_SEED = "4242"


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
    """What came of a job: a trail a repeat, what was reached for, and the error on which the last repeat ended."""

    trails: tuple[Trail, ...]
    touches: tuple[Touch, ...]
    error: str | None


def run_job(case: Case, job: Job) -> Outcome:
    """Run a job in a process of its own. TraderError where the run cannot begin, or the process dies."""
    ours, theirs = multiprocessing.Pipe(duplex=False)
    process = _process_type(elsewhere=job.elsewhere)(target=_main, args=(case, job, theirs), daemon=True)
    _start(process.start, elsewhere=job.elsewhere)
    theirs.close()
    try:
        answer = ours.recv()
    except EOFError:
        process.join()
        msg = f"the strategy ended its process (exit code {process.exitcode}); it must not leave the program"
        raise StrategyError(msg) from None
    finally:
        ours.close()
    process.join()
    if isinstance(answer, TraderError):
        raise answer
    if not isinstance(answer, Outcome):
        raise InvariantError(str(answer))
    return answer


def _process_type(*, elsewhere: bool) -> type[BaseProcess]:
    """A copy of this process, in which the kernels are loaded already, where the platform has that; else a new one."""
    if not elsewhere and "fork" in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("fork").Process
    return multiprocessing.get_context("spawn").Process


def _start(start: Callable[[], None], *, elsewhere: bool) -> None:
    if not elsewhere:
        start()
        return
    before = os.environ.get("PYTHONHASHSEED")
    os.environ["PYTHONHASHSEED"] = OTHER_HASH_SEED
    try:
        start()
    finally:
        if before is None:
            del os.environ["PYTHONHASHSEED"]
        else:
            os.environ["PYTHONHASHSEED"] = before


def _main(case: Case, job: Job, answers: Connection) -> None:
    """The child's whole life."""
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        sys.stdout = sys.stderr = nowhere  # a strategy that prints would print for every run
        try:
            answers.send(_work(case, job))
        except TraderError as error:
            answers.send(error)
        except SystemExit as error:
            answers.send(StrategyError(f"the strategy ended the program: {error!r}; it must return a Proposal"))
        except BaseException as error:  # noqa: BLE001 - it belongs to the parent, which raises it
            answers.send(f"a run ended on {error!r}")


def _work(case: Case, job: Job) -> Outcome:
    columns: BarColumns = pickle.loads(case.bars)  # noqa: S301 -- our own parent's
    if job.change is not None:
        columns = changed(columns, case.tick, job.change)
    if job.elsewhere:
        move_clock()
    with tempfile.TemporaryDirectory(prefix="trader-leaks-") as folder:
        watch = Watch(case.file, _copy(job, Path(folder)), ignored=_own_files(case.settings))
        watch.begin()
        trails: list[Trail] = []
        error: str | None = None
        for _ in range(job.repeats):
            trail, error = _run(case, job, columns)
            trails.append(trail)
        return Outcome(trails=tuple(trails), touches=watch.touches(), error=error)


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
