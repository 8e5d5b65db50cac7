"""`trader train`: three phases of PPO on bars, from a configuration to bundles. Needs the extra `rl`."""

import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import msgspec

from trader.errors import TraderError, TrainingInterruptedError, UsageError
from trader.options import BarOptions, FileOptions, TrainOptions

try:
    import torch.utils.tensorboard  # noqa: F401 - what is missing is said before anything is read

    from trader.commands.train_lessons import train_seeds
    from trader.commands.train_run import check_resumed, forget_if_empty, new_run, read_run, write_run
    from trader.commands.train_side_by_side import train_side_by_side
    from trader.training.choice import choose, finished, kept
    from trader.training.phases import BUNDLE, Phase, folder_of, is_finished
except ModuleNotFoundError as error:
    if error.name not in {"torch", "stable_baselines3", "sb3_contrib", "gymnasium", "tensorboard"}:
        raise
    MISSING = f"`trader train` needs {error.name}, which is not installed: pip install 'nq-trader[rl]'"
else:
    MISSING = ""


def run(options: TrainOptions, bars: BarOptions, files: FileOptions, *, as_json: bool) -> None:
    """Train what is asked for; errors name what is wrong, and nothing that was finished is overwritten."""
    if MISSING:
        raise UsageError(MISSING)
    if options.resume is None:
        folder, made = new_run(options, bars, files)
        write_run(folder, made)
    else:
        check_resumed(options, bars, files)
        folder = Path(options.resume)
        made = read_run(folder)
    plan = made.checked_plan()
    wanted = list(options.seed or plan.run.seeds)
    seeds = [seed for seed in wanted if not is_finished(folder_of(folder, made.phases[-1], seed))]
    processes = min(plan.run.processes, len(seeds))
    try:
        with _Interruption() as interruption:
            if processes > 1:
                train_side_by_side(folder, seeds, processes, interruption.tell)
            else:
                list(train_seeds(folder, made, seeds, lambda: interruption.is_asked))
    except TraderError:
        forget_if_empty(folder)
        raise
    except KeyboardInterrupt:
        msg = f"stopped at once; what was saved last is kept: go on with `trader train --resume {folder}`"
        raise TrainingInterruptedError(msg) from None
    _summarise(folder, as_json=as_json)


class _Interruption:
    """The first SIGINT or SIGTERM asks for a stop after the present update; the second ends at once."""

    def __init__(self) -> None:
        self.is_asked = False
        self._told: list[Callable[[int], None]] = []

    def tell(self, stop: Callable[[int], None]) -> None:
        """`stop` is called with every signal, instead of an end at once."""
        self._told.append(stop)

    def __enter__(self) -> "_Interruption":
        self._before = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if not self.is_asked:
            sys.stderr.write("stopping after this update; once more to stop at once, at the last snapshot\n")
        for stop in self._told:
            stop(number)
        if self.is_asked and not self._told:
            raise KeyboardInterrupt
        self.is_asked = True


def _summarise(folder: Path, *, as_json: bool) -> None:
    records = finished(folder)
    last = max(record.phase for record in records)
    seeds = [record for record in records if record.phase == last]
    is_known = len(seeds) == 1 or all(kept(record) for record in seeds)
    chosen = choose(folder) if is_known else None
    if as_json:
        document = {"run": str(folder), "chosen": chosen, "records": records}
        sys.stdout.write(msgspec.json.encode(document, enc_hook=str).decode() + "\n")
        return
    for record in records:
        bundle = folder_of(folder, Phase(record.phase), record.seed) / BUNDLE
        judged = kept(record)
        figure = "not validated" if judged is None else f"{judged.daily_net_r:+.3f} R a validation day"
        sys.stdout.write(f"{bundle}: {record.kept_steps:,} of {record.steps:,} steps, {figure}\n")
    if chosen is not None:
        name = "only" if len(chosen.seeds) == 1 else "median"
        sys.stdout.write(f"{name} seed {chosen.seed}: trader export {folder} MODEL, or --model {chosen.bundle}\n")
