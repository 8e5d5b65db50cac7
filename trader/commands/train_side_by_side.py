"""Seeds of a run in processes of their own: two seeds on two cores, each as if it were alone."""

import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from trader.commands.train_progress import Display, Line
from trader.errors import SeedsFailedError


class SideBySide:
    """At most `processes` trainings at a time; a signal is passed on to each, once."""

    def __init__(self, folder: Path, processes: int, show: Callable[[Line], None]) -> None:
        self._folder, self._processes, self._show = folder, processes, show
        self._running: list[subprocess.Popen[str]] = []
        self._is_stopping = False

    def train(self, seeds: list[int]) -> None:
        """Train all of `seeds`; SeedsFailedError tells what each that failed said last."""
        with ThreadPoolExecutor(self._processes) as pool:
            ended = list(pool.map(self._train, seeds))
        failed = [(seed, code, said) for seed, (code, said) in zip(seeds, ended, strict=True) if code]
        if failed:
            raise SeedsFailedError("\n".join(f"seed {seed}: {said}" for seed, _, said in failed), failed[0][1])

    def stop(self, number: int) -> None:
        """Pass a signal on; seeds that have not begun do not begin."""
        self._is_stopping = True
        for process in self._running:
            process.send_signal(number)

    def _train(self, seed: int) -> tuple[int, str]:
        if self._is_stopping:
            return 0, ""
        command = [sys.executable, "-m", "trader", "train", "--resume", str(self._folder), "--seed", str(seed)]
        said = ""
        with subprocess.Popen(  # noqa: S603 -- this program's own
            command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, start_new_session=True
        ) as process:
            self._running.append(process)
            if self._is_stopping:
                process.send_signal(signal.SIGINT)
            for text in process.stderr or ():
                if text.startswith("{"):
                    self._show(msgspec.json.decode(text, type=Line))
                elif text.strip():
                    said = text.strip()
        return process.returncode, said.removeprefix("error: ")


def train_side_by_side(folder: Path, seeds: list[int], processes: int, on_signal: Callable[..., None]) -> None:
    """Train `seeds`; `on_signal` is given what stops them."""
    with Display() as display:
        side_by_side = SideBySide(folder, processes, display.show)
        on_signal(side_by_side.stop)
        side_by_side.train(seeds)
