"""How far a long command is: a bar on a terminal, JSON lines off it; both on standard error."""

import json
import sys
import time
from collections.abc import AsyncIterator, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

from trader.domain.bars import Bar
from trader.ports import Feed

LINES_PER_RUN = 10
"""JSON lines off a terminal, at most: enough to see that it moves."""
QUIET_BELOW_BARS = 200_000


class Progress:
    """Counts bars towards `total`; a context manager that leaves the terminal as it was."""

    def __init__(self, label: str, total: int) -> None:
        self._label = label
        self._total = max(total, 1)
        self._done = 0
        self._next_line = self._total // LINES_PER_RUN if total >= QUIET_BELOW_BARS else sys.maxsize
        self._bar: Bars | None = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from rich.console import Console  # noqa: PLC0415 -- 0.1 s, for terminals only
            from rich.progress import (  # noqa: PLC0415
                BarColumn,
                MofNCompleteColumn,
                TextColumn,
                TimeRemainingColumn,
            )
            from rich.progress import Progress as Bars  # noqa: PLC0415

            self._bar = Bars(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("bars"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task(self._label, total=self._total)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self, bars: int) -> None:
        """That many bars more are done."""
        self._done += bars
        if self._bar is not None:
            self._bar.update(self._task, completed=min(self._done, self._total))
        elif self._done >= self._next_line:
            self._next_line += self._total // LINES_PER_RUN
            sys.stderr.write(json.dumps({"progress": self._label, "bars": self._done, "of": self._total}) + "\n")


class WatchedFeed:
    """A feed that tells a progress of every chunk that has been worked off, and times them.

    `bars_per_s` is by process CPU time and leaves the first chunk out: a kernel's first call loads or compiles it.
    """

    def __init__(self, feed: Feed, progress: Progress) -> None:
        self._feed = feed
        self._progress = progress
        self._timed_bars = 0
        self._began_s: float | None = None
        self._ended_s = 0.0

    @property
    def bars_per_s(self) -> float | None:
        """None where there was no second chunk to time."""
        if self._began_s is None or self._ended_s <= self._began_s:
            return None
        return self._timed_bars / (self._ended_s - self._began_s)

    async def chunks(self) -> AsyncIterator[Iterable[Bar]]:
        """The feed's chunks, unchanged."""
        async for chunk in self._feed.chunks():
            bars = list(chunk)
            yield bars
            self._progress.advance(len(bars))
            self._ended_s = time.process_time()
            if self._began_s is None:
                self._began_s = self._ended_s
            else:
                self._timed_bars += len(bars)
