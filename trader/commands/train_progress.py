"""How far a training is: bars with speed and time left on a terminal, JSON lines off it; both on standard error."""

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

import msgspec
from msgspec import Struct

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

from trader.training.learner import Update


class Line(Struct, frozen=True, kw_only=True):
    """One update as it is shown. `steps_per_s` and `left_s` are None until a second update has been timed."""

    training: str
    steps: int
    of: int
    steps_per_s: int | None
    left_s: int | None
    episode_r: float | None
    hold_share: float


class Speedometer:
    """Times the updates of a phase, the first left out: it loads and compiles; shows each."""

    def __init__(self, label: str, total_steps: int, show: Callable[[Line], None]) -> None:
        self._label, self._total, self._show = label, total_steps, show
        self._began_s = 0.0
        self._began_steps: int | None = None

    def report(self, update: Update) -> None:
        """An update more is done."""
        now_s = time.perf_counter()
        speed: float | None = None
        if self._began_steps is None:
            self._began_steps, self._began_s = update.steps, now_s
        else:
            speed = (update.steps - self._began_steps) / max(now_s - self._began_s, 1e-9)
        line = Line(
            training=self._label,
            steps=update.steps,
            of=self._total,
            steps_per_s=round(speed) if speed else None,
            left_s=max(round((self._total - update.steps) / speed), 0) if speed else None,
            episode_r=None if update.episode_r is None else round(update.episode_r, 3),
            hold_share=round(update.action_shares[0], 4),
        )
        self._show(line)


class Display:
    """A bar for each training on a terminal, or a JSON line an update; leaves the terminal as it was."""

    def __init__(self) -> None:
        self._bars: Bars | None = None
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            self._bars = _bars()
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def show(self, line: Line) -> None:
        """An update more is done."""
        if self._bars is None:
            sys.stderr.write(msgspec.json.encode(line).decode() + "\n")
            sys.stderr.flush()
            return
        if line.training not in self._tasks:
            task = self._bars.add_task(line.training, total=line.of, speed="", episode="")
            self._tasks[line.training] = task
        self._bars.update(
            self._tasks[line.training],
            completed=min(line.steps, line.of),
            speed=f"{line.steps_per_s or 0:,} steps/s",
            episode="" if line.episode_r is None else f"{line.episode_r:+.2f} R an episode",
        )


def _bars() -> "Bars":
    from rich.console import Console  # noqa: PLC0415 -- 0.1 s, for terminals only
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415
    from rich.progress import Progress as Bars  # noqa: PLC0415

    return Bars(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("steps"),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[episode]}"),
        console=Console(stderr=True),
        transient=True,
    )
