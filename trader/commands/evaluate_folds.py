"""Walk-forward with training: in each fold every seed learns on the window before, all phases, and trades the next one.

Needs the extra `rl`. Nothing is kept but the figures: the folds' bundles lie in a folder that goes when this is done.
"""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from msgspec import Struct

from trader.adapters.columns import BarColumns
from trader.analysis.evaluation import RunName
from trader.analysis.splits import Fold as Dates
from trader.analysis.splits import walk_forward
from trader.app import open_bundle
from trader.domain.instruments import instrument
from trader.domain.sessions import Calendar
from trader.evaluation.asked import Asked
from trader.evaluation.figures import measure
from trader.evaluation.runs import Market, trade
from trader.evaluation.walk_forward import Tested, Walked, WalkPlan, walked
from trader.evaluation.whole import Shown
from trader.policy.manifest import Label, Span
from trader.settings import Settings
from trader.training.beginning import Lesson
from trader.training.bundling import Origin
from trader.training.curriculum import Course, train_phase
from trader.training.ground import Ground, prepare_ground
from trader.training.judge import validate
from trader.training.learner import Update
from trader.training.phases import BUNDLE, Phase, folder_of
from trader.training.plan import Plan, load_plan

NOTE = "Trained in a fold of a walk-forward."


class Folds(Struct, frozen=True, kw_only=True, eq=False):
    """What all folds share: what is evaluated, how training is done, and how many steps a phase lasts."""

    asked: Asked
    plan: Plan
    steps: int
    sessions: tuple[str, ...]
    shown: Shown


def train_and_test(asked: Asked, walk: WalkPlan, overrides: Sequence[str], shown: Shown) -> Walked:
    """Every fold and seed of train.yaml under `overrides`.

    UsageError where the folds do not fit, ConfigurationError where a key is wrong, InputError where a window is too
    short.
    """
    sessions = session_dates(asked.market.columns, Calendar.load())
    folds = Folds(asked=asked, plan=load_plan(None, overrides), steps=walk.steps or 0, sessions=sessions, shown=shown)
    dates = walk_forward(sessions, walk.dates)
    with TemporaryDirectory(prefix="walk-forward-") as folder:
        tested = tuple(
            tuple(_seed(folds, one, seed, Path(folder) / f"fold-{number}") for seed in folds.plan.run.seeds)
            for number, one in enumerate(dates, 1)
        )
    return walked(dates, tested, walk.dates, mode="train")


def session_dates(columns: BarColumns, calendar: Calendar) -> tuple[str, ...]:
    """The dates of the sessions that have bars."""
    return tuple(calendar.session(int(index)).date for index in np.unique(calendar.session_index(columns.ts_open_ns)))


def _seed(folds: Folds, dates: Dates, seed: int, folder: Path) -> Tested:
    asked, calendar = folds.asked, Calendar.load()
    market = instrument(asked.settings.market)
    learned = between(asked.market.columns, calendar, dates.train[0], dates.train[-1])
    ground = prepare_ground(asked.settings, learned, calendar, market)
    path = _train(folds, ground, seed, folder, f"fold to {dates.train[-1]}, seed {seed}")
    chosen = with_model(asked.settings, path)
    bundle = open_bundle(chosen, calendar, asked.market.facts)
    # The gap before the test warms the features up; it belongs to neither window.
    after = folds.sessions[folds.sessions.index(dates.train[-1]) + 1]
    unseen = Market(columns=between(asked.market.columns, calendar, after, dates.test[-1]), facts=asked.market.facts)
    with folds.shown(f"test to {dates.test[-1]}, seed {seed}", len(unseen.columns)) as advance:
        made = asyncio.run(trade(unseen, chosen, RunName.FUSED, advance))
    measured = measure(made, market, seed=0)
    tests = slice([row.session for row in measured.rows].index(dates.test[0]), None)
    return Tested(
        name=f"seed {seed}",
        subject=bundle.id,
        seed=seed,
        train_mean_r=validate(bundle.network, ground, actions=Phase.CONTEXT.actions, steps=folds.steps).daily_net_r,
        test_r=measured.daily_r[tests],
        test_usd=measured.daily_usd[tests],
    )


def _train(folds: Folds, ground: Ground, seed: int, folder: Path, label: str) -> Path:
    """All phases of one seed; the last one's bundle."""
    facts = folds.asked.market.facts
    first, last = ground.tape.dates
    origin = Origin(
        market=folds.asked.settings.market,
        bar_minutes=facts.bar_minutes,
        has_volume=facts.has_volume,
        label=Label.SYNTHETIC if facts.synthetic else Label.IN_SAMPLE,
        note=NOTE,
        span=Span(description=facts.source, sha256=ground.tape.sha256, first_session=first, last_session=last),
    )
    course = Course(run=folder, held_out=None, held_out_span=None, is_stopped=lambda: False, through_engine=None)
    source: Path | None = None
    for phase in Phase:
        lesson = Lesson(
            plan=folds.plan,
            ground=ground,
            origin=origin,
            phase=phase,
            seed=seed,
            total_steps=folds.steps,
            source=source,
        )
        with folds.shown(f"{label}, {phase.label}", folds.steps) as advance:
            train_phase(lesson, course, _Steps(advance).report)
        source = folder_of(folder, phase, seed) / BUNDLE
    return folder_of(folder, Phase.CONTEXT, seed) / BUNDLE


def with_model(settings: Settings, bundle: Path) -> Settings:
    """The same settings with the policy of `bundle` as the strategy."""
    policy = settings.policy.model_copy(update={"bundle": str(bundle)})
    strategy = settings.strategy.model_copy(update={"name": "ppo", "options": {}})
    return settings.model_copy(update={"policy": policy, "strategy": strategy})


class _Steps:
    """Tells a progress of every update's steps."""

    def __init__(self, advance: Callable[[int], None]) -> None:
        self._advance = advance
        self._done = 0

    def report(self, update: Update) -> None:
        """An update more is done."""
        self._advance(update.steps - self._done)
        self._done = update.steps


def between(columns: BarColumns, calendar: Calendar, first: str, last: str) -> BarColumns:
    """The bars of the sessions from `first` to `last`, dates of sessions."""
    index = calendar.session_index(columns.ts_open_ns)
    start = int(np.searchsorted(index, calendar.index_from(first)))
    return columns.rows(start, int(np.searchsorted(index, calendar.index_from(last), side="right")))
