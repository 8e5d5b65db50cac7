"""How far a training is: a bar with speed and time left on a terminal, JSON lines off it; both on standard error."""

import json
import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

from trader.training.learner import Update


class TrainingProgress:
    """Shown every update of a phase; a context manager that leaves the terminal as it was."""

    def __init__(self, label: str, total_steps: int) -> None:
        self._label, self._total = label, total_steps
        self._began_s = time.perf_counter()
        self._began_steps: int | None = None
        self._bar: Bars | None = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            self._bar = _bars()
            self._bar.start()
            self._task = self._bar.add_task(self._label, total=self._total, speed="", episode="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, update: Update) -> None:
        """An update more is done."""
        speed = self._steps_per_s(update)
        episode_r = None if update.episode_r is None else round(update.episode_r, 3)
        if self._bar is not None:
            self._bar.update(
                self._task,
                completed=min(update.steps, self._total),
                speed=f"{speed or 0:,.0f} steps/s",
                episode="" if episode_r is None else f"{episode_r:+.2f} R an episode",
            )
            return
        left_s = round((self._total - update.steps) / speed) if speed else None
        line = {
            "training": self._label,
            "steps": update.steps,
            "of": self._total,
            "steps_per_s": round(speed) if speed else None,
            "left_s": left_s,
            "episode_r": episode_r,
            "hold_share": round(update.action_shares[0], 4),
        }
        sys.stderr.write(json.dumps(line) + "\n")

    def _steps_per_s(self, update: Update) -> float | None:
        """Of this process, its first update left out: it loads and compiles."""
        now_s = time.perf_counter()
        if self._began_steps is None:
            self._began_steps, self._began_s = update.steps, now_s
            return None
        return (update.steps - self._began_steps) / max(now_s - self._began_s, 1e-9)


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
