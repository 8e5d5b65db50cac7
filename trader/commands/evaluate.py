"""`trader evaluate`: what a model or a strategy is worth on these bars, beside luck, baselines and placebos."""

import asyncio
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np
from msgspec.structs import fields

from trader.adapters.columns import BarColumns, concatenate
from trader.adapters.strategy_loader import SHIPPED
from trader.analysis.evaluation import CHART_NAME, EVALUATION_NAME, Chart, Evaluation, encode
from trader.analysis.splits import Sample
from trader.app import BarsFacts, open_bundle
from trader.clock_text import utc_text
from trader.commands.common import facts_for_log, open_source, settings_from
from trader.commands.progress import Progress
from trader.domain.instruments import instrument
from trader.domain.sessions import Calendar
from trader.domain.units import SECOND_NS
from trader.errors import InputError, UsageError
from trader.evaluation.asked import Asked
from trader.evaluation.chart import chart_of
from trader.evaluation.claims import require_unseen, split_of
from trader.evaluation.runs import Market
from trader.evaluation.summary import render, summary_json
from trader.evaluation.walk_forward import Walked, WalkPlan, parse_plan
from trader.evaluation.whole import evaluate
from trader.options import BarOptions, EvaluateOptions, FileOptions, ShortOptions
from trader.policy.bundle import Bundle
from trader.settings import Settings

PPO = "ppo"
FLAGS = {"date_from": "--from", "date_to": "--to", "overrides": "--set"}


def run(wanted: EvaluateOptions, bars: BarOptions, files: FileOptions, *, as_json: bool) -> None:
    """Evaluate and write the record; an error leaves nothing behind and overwrites nothing."""
    is_trained = "steps=" in (wanted.walk_forward or "")
    _check(wanted, is_trained=is_trained)
    own, of_plan = _split_overrides(files) if is_trained else (files, [])
    settings, *rivals = (settings_for(wanted, model, own) for model in wanted.model)
    market = instrument(settings.market)
    calendar = Calendar.load()
    source = open_source(bars, market, calendar)
    walk = None if wanted.walk_forward is None else parse_plan(wanted.walk_forward, source.facts.bar_minutes)
    columns = first_sessions(concatenate(list(source.columns())), calendar, wanted.episodes)
    facts = facts_for_log(source, bars)
    evaluated = sample_of(columns, facts, settings, calendar)
    splits = [split_of(bundle_of(one, calendar, facts), evaluated, calendar) for one in (settings, *rivals)]
    for split in splits:
        require_unseen(split, allows=wanted.in_sample)
    asked = Asked(
        market=Market(columns=columns, facts=facts),
        settings=settings,
        split=splits[0],
        seeds=wanted.seeds,
        skipped_bars=source.skipped.total,
        command=command_line(wanted, bars, files),
        made_utc=utc_text(time.time_ns() // SECOND_NS * SECOND_NS),
        rivals=tuple(rivals),
        folds=None if walk is None or is_trained else walk.dates,
    )
    if walk is not None and walk.steps is not None:
        asked = msgspec.structs.replace(asked, trained=_train(asked, walk, of_plan))
    record = asyncio.run(evaluate(asked, shown))
    folder = wanted.out or Path(settings.journal.dir) / "evaluations" / record.facts.evaluation_id
    write(folder, record, chart_of(columns, calendar))
    sys.stdout.write(summary_json(record, folder) if as_json else render(record, folder))


def _check(wanted: EvaluateOptions, *, is_trained: bool) -> None:
    """UsageError where number of models and walk-forward contradict each other."""
    if len(wanted.model) > 1 and wanted.walk_forward is None:
        msg = (
            "several models need --walk-forward, such as train=120,test=40: the best of them on the same dates proves "
            "nothing; or give one --model"
        )
        raise UsageError(msg)
    if len(wanted.model) > 1 and is_trained:
        msg = "--walk-forward with steps trains its own models: give one --model, which the rest of the page is about"
        raise UsageError(msg)


def _split_overrides(files: FileOptions) -> tuple[FileOptions, list[str]]:
    """The trader's own --set, and those of train.yaml."""
    from trader.training.plan import is_plan_key  # noqa: PLC0415 -- for training only

    given = files.overrides or []
    of_plan = [text for text in given if is_plan_key(text.strip())]
    return msgspec.structs.replace(files, overrides=[text for text in given if text not in of_plan]), of_plan


def _train(asked: Asked, walk: WalkPlan, of_plan: list[str]) -> Walked:
    """Train in each fold and test on its next window; UsageError where the extra `rl` is missing."""
    try:
        from trader.commands import evaluate_folds  # noqa: PLC0415 -- torch, only where something is trained
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "trader":
            raise
        msg = f"--walk-forward with steps needs {error.name}, which is not installed: pip install 'nq-trader[rl]'"
        raise UsageError(msg) from error
    return evaluate_folds.train_and_test(asked, walk, of_plan, shown)


def settings_for(wanted: EvaluateOptions, model: str, files: FileOptions) -> Settings:
    """The configuration in force, with accounts that are renewed; `model` is a bundle, or a strategy's name or file."""
    is_strategy = (model in SHIPPED and model != PPO) or model.endswith(".py")
    short = ShortOptions(
        market=wanted.market,
        strategy=model if is_strategy else PPO,
        bundle=None if is_strategy or model == PPO else model,
        advisor=wanted.advisor,
        allow_mismatch=wanted.allow_mismatch,
    )
    settings = settings_from(files, short)
    # One account would end a long evaluation with its first weeks.
    account = settings.account.model_copy(update={"on_exhausted": "renew"})
    return settings.model_copy(update={"account": account})


def bundle_of(settings: Settings, calendar: Calendar, facts: BarsFacts) -> Bundle | None:
    """The model under test, None for a strategy without one; BundleError where it does not fit the bars."""
    return open_bundle(settings, calendar, facts) if settings.strategy.name == PPO else None


def first_sessions(columns: BarColumns, calendar: Calendar, count: int | None) -> BarColumns:
    """The bars of the first `count` sessions; all of them where None."""
    if count is None:
        return columns
    index = calendar.session_index(columns.ts_open_ns)
    place = np.cumsum(np.diff(index, prepend=index[:1]) != 0)
    return columns.rows(0, int(np.searchsorted(place, count)))


def sample_of(columns: BarColumns, facts: BarsFacts, settings: Settings, calendar: Calendar) -> Sample:
    """The dates of the bars, to be compared with those of training."""
    first, last = calendar.session_index(columns.ts_open_ns[[0, -1]]).tolist()
    return Sample(
        market=settings.market,
        first_session=calendar.session(first).date,
        last_session=calendar.session(last).date,
        sha256=facts.sha256,
        is_synthetic=facts.synthetic,
    )


@contextmanager
def shown(label: str, bars: int) -> Iterator[Callable[[int], None]]:
    """A progress display of one step."""
    with Progress(label, bars) as progress:
        yield progress.advance


def write(folder: Path, record: Evaluation, chart: Chart) -> None:
    """Both files, each whole or not at all; InputError where the folder cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in ((CHART_NAME, encode(chart)), (EVALUATION_NAME, encode(record))):
            partial = folder / f".{name}.partial"
            partial.write_bytes(content)
            partial.rename(folder / name)
    except OSError as error:
        msg = f"{folder} cannot be written ({error.strerror}); choose another folder with --out"
        raise InputError(msg) from error


def command_line(wanted: EvaluateOptions, bars: BarOptions, files: FileOptions) -> str:
    """How to do it again: the options that differ from their defaults, files by their names alone."""
    words = ["trader", "evaluate"]
    for options in (wanted, bars, files):
        defaults = {field.name: field.default for field in fields(options)}
        for name, value in msgspec.structs.asdict(options).items():
            if value != defaults[name] and name != "out":
                words += _words(FLAGS.get(name, f"--{name.replace('_', '-')}"), value)
    return shlex.join(words)


def _words(flag: str, value: object) -> list[str]:
    match value:
        case True:
            return [flag]
        case list():
            return [word for one in value for word in (flag, _shown(one))]
        case _:
            return [flag, _shown(value)]


def _shown(value: object) -> str:
    text = str(value)
    return Path(text).name if "/" in text and "=" not in text else text
