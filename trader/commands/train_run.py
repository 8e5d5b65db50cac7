"""A run of `trader train` on disk: everything that it is made of, so that its folder's name is enough to go on."""

from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, structs

from trader.commands.common import settings_from
from trader.errors import ConfigurationError, InputError, UsageError
from trader.options import BarOptions, FileOptions, TrainOptions
from trader.settings import Settings, decision_hash
from trader.training.phases import Phase, write_json
from trader.training.plan import Plan, is_plan_key, load_plan, plan_of

RUN_FILE = "run.json"


class Run(Struct, frozen=True, kw_only=True):
    """`run.json`. `plan` is train.yaml as it was in force."""

    plan: dict[str, Any]
    options: TrainOptions
    bars: BarOptions
    files: FileOptions
    settings_hash: str

    def settings(self) -> Settings:
        """The trader's configuration; ConfigurationError where it is another than the run was begun under."""
        settings = settings_from(self.files)
        if decision_hash(settings) != self.settings_hash:
            msg = (
                "the trader's configuration differs from that of this run: a file or a TRADER_ variable of the "
                "environment has changed since; put it back, or train another run"
            )
            raise ConfigurationError(msg)
        return settings

    def checked_plan(self) -> Plan:
        """The plan; ConfigurationError where this version takes other keys."""
        return plan_of(self.plan, dict.fromkeys(self.plan, RUN_FILE))

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The phases to train, in their order."""
        return tuple(Phase) if self.options.phase == "all" else (Phase(int(self.options.phase)),)


def new_run(options: TrainOptions, bars: BarOptions, files: FileOptions) -> tuple[Path, Run]:
    """A run as the options say, and its folder, which is not made yet.

    UsageError where they contradict each other, ConfigurationError where a key or value is wrong.
    """
    if not bars.bars:
        msg = "name the bars to learn from: --bars FILE, --bars sample, or a run to go on with: --resume RUN"
        raise UsageError(msg)
    _check_options(options, bars)
    given = files.overrides or []
    own = [text for text in given if is_plan_key(text.strip())]
    seeds = [f"run.seeds={options.seed}"] if options.seed else []
    plan = load_plan(options.config, [*own, *seeds])
    others = structs.replace(files, overrides=[text for text in given if text not in own])
    folder = _new_folder(Path(plan.run.dir), options.name)
    plan_tree = plan.model_dump(mode="json")
    of_settings = decision_hash(settings_from(others))
    return folder, Run(plan=plan_tree, options=options, bars=bars, files=others, settings_hash=of_settings)


def write_run(folder: Path, run: Run) -> None:
    """Keep `run` in its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / RUN_FILE, msgspec.to_builtins(run, enc_hook=str))


def check_resumed(options: TrainOptions, bars: BarOptions, files: FileOptions) -> None:
    """UsageError where more is said than which run, and which of its seeds: a run keeps its own options."""
    asked = structs.replace(options, resume=None, seed=None)
    if asked != TrainOptions() or bars != type(bars)(bars="") or files != FileOptions():
        msg = "--resume takes --seed and --json only: a run keeps the options that it was begun with"
        raise UsageError(msg)


def read_run(folder: Path) -> Run:
    """The run that `folder` holds; InputError if it holds none."""
    path = folder / RUN_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Run, dec_hook=_path)
    except (OSError, msgspec.DecodeError) as error:
        msg = f"{path}: is no run of `trader train` ({error}); name its folder, such as runs/run-001"
        raise InputError(msg) from error


def forget_if_empty(folder: Path) -> None:
    """Remove a run that ended before its first phase began: its name is free again."""
    if [path.name for path in folder.iterdir()] == [RUN_FILE]:
        (folder / RUN_FILE).unlink()
        folder.rmdir()


def _path(wanted: type, value: object) -> object:
    return wanted(value)


def _new_folder(runs: Path, name: str | None) -> Path:
    if name is None:
        number = 1 + max((int(path.name[4:]) for path in runs.glob("run-*") if path.name[4:].isdigit()), default=0)
        name = f"run-{number:03d}"
    if Path(name).name != name or name.startswith("."):
        msg = f"--name {name}: expected a plain name; the folder of all runs is run.dir"
        raise UsageError(msg)
    if (runs / name / RUN_FILE).exists():
        msg = f"{runs / name}: is there already; go on with --resume {runs / name}, or give another --name"
        raise UsageError(msg)
    return runs / name


def _check_options(options: TrainOptions, bars: BarOptions) -> None:
    if options.from_bundle is not None and options.phase in {"1", "all"}:
        msg = "phase 1 begins from nothing: --from-bundle is for --phase 2 and --phase 3"
        raise UsageError(msg)
    first, last = options.validate_from, options.validate_to
    if (first is None) != (last is None):
        msg = "--validate-from and --validate-to belong together"
        raise UsageError(msg)
    if first is not None and (bars.date_to is None or first <= bars.date_to):
        msg = (
            f"validation begins on {first}, training ends on {bars.date_to or 'the last bar'}: choose dates for both, "
            "validation after training, with --to and --validate-from"
        )
        raise UsageError(msg)
