"""From a run to its lessons: bars read once, then phase after phase of each seed."""

from collections.abc import Callable, Iterator
from pathlib import Path

from msgspec import Struct

from trader.app import BarsFacts
from trader.commands.train_bars import LearnBars, between, learn_bars
from trader.commands.train_engine import fusion_figures
from trader.commands.train_progress import Display, Speedometer
from trader.commands.train_run import Run
from trader.domain.instruments import instrument
from trader.domain.sessions import Calendar
from trader.errors import InputError
from trader.policy.manifest import Label, Span
from trader.settings import Settings
from trader.training.beginning import Lesson
from trader.training.bundling import Origin
from trader.training.curriculum import Course, train_phase
from trader.training.ground import Ground, prepare_ground
from trader.training.phases import BUNDLE, Phase, Record, folder_of, newest_bundle
from trader.training.plan import Plan

NOTES = {
    Label.SYNTHETIC: "Trained on a synthetic market: random numbers with mild momentum; results claim no profit.",
    Label.IN_SAMPLE: "Trained on the bars that `training` names; results on their dates are in-sample and claim no "
    "profit.",
}

Stop = Callable[[], bool]


class HeldOut(Struct, frozen=True, kw_only=True, eq=False):
    """The validation dates."""

    bars: LearnBars
    ground: Ground
    span: Span


def train_seeds(folder: Path, run: Run, seeds: list[int], is_stopped: Stop) -> Iterator[Record]:
    """Train every phase of each of `seeds` in this process; what is finished is passed by."""
    if not seeds:
        return
    plan, settings = run.checked_plan(), run.settings()
    market, calendar = instrument(settings.market), Calendar.load()
    bars = learn_bars(run.bars, market, calendar)
    ground = prepare_ground(settings, bars.columns, calendar, market)
    origin = _origin(bars, ground, settings.market)
    held_out = _held_out(run, settings)
    course = Course(
        run=folder,
        held_out=None if held_out is None else held_out.ground,
        held_out_span=None if held_out is None else held_out.span,
        is_stopped=is_stopped,
        through_engine=_through_engine(plan, settings, held_out),
    )
    with Display() as display:
        for seed in seeds:
            for phase in run.phases:
                lesson = Lesson(
                    plan=plan,
                    ground=ground,
                    origin=origin,
                    phase=phase,
                    seed=seed,
                    total_steps=plan.steps(phase, quick=run.options.quick),
                    source=_source(folder, plan, run, phase, seed),
                )
                speed = Speedometer(f"{phase.label} seed {seed}", lesson.total_steps, display.show)
                yield train_phase(lesson, course, speed.report)


def _held_out(run: Run, settings: Settings) -> HeldOut | None:
    first, last = run.options.validate_from, run.options.validate_to
    if first is None or last is None:
        return None
    market, calendar = instrument(settings.market), Calendar.load()
    bars = learn_bars(between(run.bars, first, last), market, calendar, validates=True)
    ground = prepare_ground(settings, bars.columns, calendar, market)
    return HeldOut(bars=bars, ground=ground, span=_span(bars, ground))


def _through_engine(
    plan: Plan, settings: Settings, held_out: HeldOut | None
) -> Callable[[Path], dict[str, float]] | None:
    """What trades the first validation sessions with a bundle, None where that is not wanted."""
    if held_out is None or not plan.evaluation.engine_sessions:
        return None
    session_of = held_out.ground.tape.session_of
    last = int((session_of < plan.evaluation.engine_sessions).sum())
    columns = held_out.bars.columns.rows(0, last)
    facts = BarsFacts(
        source=held_out.bars.name,
        sha256=held_out.span.sha256,
        synthetic=held_out.bars.is_synthetic,
        bar_minutes=held_out.bars.bar_minutes,
        has_volume=held_out.bars.has_volume,
    )
    return lambda bundle: fusion_figures(settings, bundle, columns, facts)


def _origin(bars: LearnBars, ground: Ground, market: str) -> Origin:
    label = Label.SYNTHETIC if bars.is_synthetic else Label.IN_SAMPLE
    return Origin(
        market=market,
        bar_minutes=bars.bar_minutes,
        has_volume=bars.has_volume,
        label=label,
        note=NOTES[label],
        span=_span(bars, ground),
    )


def _span(bars: LearnBars, ground: Ground) -> Span:
    first, last = ground.tape.dates
    return Span(
        description=f"{bars.name}, {bars.bar_minutes}-minute bars",
        sha256=ground.tape.sha256,
        first_session=first,
        last_session=last,
        seed=bars.seed,
    )


def _source(folder: Path, plan: Plan, run: Run, phase: Phase, seed: int) -> Path | None:
    """The bundle from which `phase` begins: the one named, this run's own, or the newest of the phase before."""
    if phase.before is None:
        return None
    if run.options.from_bundle is not None:
        return run.options.from_bundle
    own = folder_of(folder, phase.before, seed) / BUNDLE
    found = own if own.exists() else newest_bundle(Path(plan.run.dir), phase.before)
    if found is None:
        msg = (
            f"{plan.run.dir}: holds no finished bundle of {phase.before.label}, from which {phase.label} begins; train "
            f"it with --phase {phase.before.value}, or name a bundle with --from-bundle"
        )
        raise InputError(msg)
    return found
