"""`trader train`: three phases of PPO on a bar file, from a configuration to bundles. Needs the extra `rl`."""

import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec
from msgspec import Struct, structs

from trader.commands.common import settings_from
from trader.commands.train_bars import LearnBars, between, learn_bars
from trader.domain.instruments import instrument
from trader.domain.sessions import Calendar
from trader.errors import InputError, UsageError
from trader.options import BarOptions, FileOptions, TrainOptions
from trader.policy.manifest import Label, Span
from trader.settings import Settings

try:
    import torch.utils.tensorboard  # noqa: F401 - said here, before anything is read

    from trader.commands.train_progress import TrainingProgress
    from trader.training.beginning import Lesson
    from trader.training.bundling import Origin
    from trader.training.curriculum import Course, Hooks, train_phase
    from trader.training.ground import Ground, prepare_ground
    from trader.training.phases import BUNDLE, Phase, Record, folder_of, newest_bundle
    from trader.training.plan import Plan, is_plan_key, load_plan, plan_of
except ModuleNotFoundError as error:
    if error.name not in {"torch", "stable_baselines3", "sb3_contrib", "gymnasium", "tensorboard"}:
        raise
    MISSING = f"`trader train` needs {error.name}, which is not installed: pip install 'nq-trader[rl]'"
else:
    MISSING = ""

RUN_FILE = "run.json"
NOTES = {
    Label.SYNTHETIC: "Trained on a synthetic market: random numbers with mild momentum; results claim no profit.",
    Label.IN_SAMPLE: "Trained on the bars that `training` names; results on their dates are in-sample and "
    "claim no profit.",
}


class Run(Struct, frozen=True, kw_only=True):
    """`run.json`: everything that a run is made of, so that it can be gone on with by its folder's name alone."""

    plan: dict[str, Any]
    options: TrainOptions
    bars: BarOptions
    files: FileOptions


def run(options: TrainOptions, bars: BarOptions, files: FileOptions, *, as_json: bool) -> None:
    """Train what is asked for; errors name what is wrong, and nothing that was finished is overwritten."""
    if MISSING:
        raise UsageError(MISSING)
    folder, made = _resumed(Path(options.resume)) if options.resume else _new(options, bars, files)
    with _interruptible() as is_stopped:
        records = list(_train(folder, made, is_stopped))
    _summarise(folder, records, as_json=as_json)


def _new(options: TrainOptions, bars: BarOptions, files: FileOptions) -> tuple[Path, Run]:
    if not bars.bars:
        msg = "name the bars to learn from: --bars FILE, --bars sample, or a run to go on with: --resume RUN"
        raise UsageError(msg)
    _check_dates(options, bars)
    given = files.overrides or []
    own = [text for text in given if is_plan_key(text.strip())]
    if options.seed:
        own.append(f"run.seeds={list(options.seed)}")
    plan = load_plan(options.config, own)
    files = structs.replace(files, overrides=[text for text in given if text not in own])
    folder = _new_folder(Path(plan.run.dir), options.name)
    return folder, Run(plan=plan.model_dump(mode="json"), options=options, bars=bars, files=files)


def _new_folder(runs: Path, name: str | None) -> Path:
    if name is None:
        number = 1 + max((int(path.name[4:]) for path in runs.glob("run-*") if path.name[4:].isdigit()), default=0)
        name = f"run-{number:03d}"
    if (runs / name / RUN_FILE).exists():
        msg = f"{runs / name}: is there already; go on with --resume {runs / name}, or give another --name"
        raise UsageError(msg)
    return runs / name


def _resumed(folder: Path) -> tuple[Path, Run]:
    path = folder / RUN_FILE
    try:
        return folder, msgspec.json.decode(path.read_bytes(), type=Run, dec_hook=_path)
    except (OSError, msgspec.DecodeError) as error:
        msg = f"{path}: is no run of `trader train` ({error}); name its folder, such as runs/run-001"
        raise InputError(msg) from error


def _path(wanted: type, value: object) -> object:
    return wanted(value)


def _check_dates(options: TrainOptions, bars: BarOptions) -> None:
    if (options.validate_from is None) != (options.validate_to is None):
        msg = "--validate-from and --validate-to belong together"
        raise UsageError(msg)
    if options.validate_from is None or options.validate_to is None:
        return
    if bars.date_to is None or options.validate_from <= bars.date_to:
        msg = (
            f"validation begins on {options.validate_from}, training ends on {bars.date_to or 'the last bar'}: choose "
            "dates for both, validation after training, with --to and --validate-from"
        )
        raise UsageError(msg)


def _train(folder: Path, made: Run, is_stopped: Callable[[], bool]) -> Iterator["Record"]:
    plan = plan_of(made.plan, {})
    settings = settings_from(made.files)
    market, calendar = instrument(settings.market), Calendar.load()
    bars = learn_bars(made.bars, market, calendar)
    ground = prepare_ground(settings, bars.columns, calendar, market)
    held_out, held_out_span = _held_out(made, settings)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RUN_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(made, enc_hook=str), indent=2) + b"\n")
    origin = _origin(bars, ground, settings.market)
    for seed in plan.run.seeds:
        for phase in list(Phase) if made.options.phase == "all" else [Phase(int(made.options.phase))]:
            total = plan.steps(phase, quick=made.options.quick)
            source = _source(folder, plan, made, phase, seed)
            lesson = Lesson(plan=plan, ground=ground, phase=phase, seed=seed, total_steps=total, source=source)
            with TrainingProgress(f"{phase.label} seed {seed}", total) as progress:
                hooks = Hooks(report=progress.show, is_stopped=is_stopped)
                course = Course(run=folder, origin=origin, held_out=held_out, held_out_span=held_out_span, hooks=hooks)
                yield train_phase(lesson, course)


def _held_out(made: Run, settings: Settings) -> tuple["Ground | None", Span | None]:
    first, last = made.options.validate_from, made.options.validate_to
    if first is None or last is None:
        return None, None
    market, calendar = instrument(settings.market), Calendar.load()
    bars = learn_bars(between(made.bars, first, last), market, calendar, validates=True)
    ground = prepare_ground(settings, bars.columns, calendar, market)
    return ground, _span(bars, ground)


def _origin(bars: LearnBars, ground: "Ground", market: str) -> "Origin":
    label = Label.SYNTHETIC if bars.is_synthetic else Label.IN_SAMPLE
    return Origin(
        market=market,
        bar_minutes=bars.bar_minutes,
        has_volume=bars.has_volume,
        label=label,
        note=NOTES[label],
        span=_span(bars, ground),
    )


def _span(bars: LearnBars, ground: "Ground") -> Span:
    first, last = ground.tape.dates
    return Span(
        description=f"{bars.name}, {bars.bar_minutes}-minute bars",
        sha256=ground.tape.sha256,
        first_session=first,
        last_session=last,
        seed=bars.seed,
    )


def _source(folder: Path, plan: "Plan", made: Run, phase: "Phase", seed: int) -> Path | None:
    """The bundle from which `phase` begins: the one named, this run's own, or the newest of the phase before."""
    if phase.before is None:
        if made.options.from_bundle is not None:
            msg = "phase 1 begins from nothing: --from-bundle is for phases 2 and 3"
            raise UsageError(msg)
        return None
    own = folder_of(folder, phase.before, seed) / BUNDLE
    if made.options.phase == "all" and own.exists():
        return own
    if made.options.from_bundle is not None:
        return made.options.from_bundle
    found = own if own.exists() else newest_bundle(Path(plan.run.dir), phase.before)
    if found is None:
        msg = (
            f"{plan.run.dir}: holds no finished bundle of {phase.before.label}, from which {phase.label} begins; train "
            f"it with --phase {phase.before.value}, or name a bundle with --from-bundle"
        )
        raise InputError(msg)
    return found


@contextmanager
def _interruptible() -> Iterator[Callable[[], bool]]:
    """The first SIGINT or SIGTERM asks for a stop after the present update; the second ends at once."""
    asked: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)
        sys.stderr.write("stopping after this update; once more to stop at once, at the last snapshot\n")

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _summarise(folder: Path, records: "list[Record]", *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps({"run": str(folder), "records": msgspec.to_builtins(records)}) + "\n")
        return
    for record in records:
        bundle = folder_of(folder, Phase(record.phase), record.seed) / BUNDLE
        best = max((entry.daily_net_r for entry in record.evaluations), default=None)
        judged = "not validated" if best is None else f"{best:+.3f} R a validation day"
        sys.stdout.write(f"{bundle}: {record.kept_steps:,} of {record.steps:,} steps, {judged}\n")
