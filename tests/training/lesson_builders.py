"""Lessons that last a second: eight accounts, networks of 16 and 8 units, a few sessions of synthetic bars."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import msgspec
import numpy as np
from training_builders import a_ground, some_bars

from trader.policy.manifest import Label, Span
from trader.training.beginning import Lesson, begin
from trader.training.bundling import Origin
from trader.training.curriculum import Course
from trader.training.ground import Ground
from trader.training.learner import Learner, Update
from trader.training.phases import Phase
from trader.training.plan import Plan, load_plan

TINY = (
    "ppo.envs=8",
    "ppo.rollout_steps=16",
    "ppo.batch_size=64",
    "ppo.epochs=2",
    "network.hidden=[16,8]",
    "normaliser.steps=8",
    "curriculum.new_action_observations=200",
    "curriculum.critic_updates=2",
    "run.snapshot_every_updates=2",
    "evaluation.every_steps=256",
)
ROLLOUT = 128
ORIGIN = Origin(
    market="NQ",
    bar_minutes=1,
    has_volume=True,
    label=Label.SYNTHETIC,
    note="A lesson of a second.",
    span=Span(description="synthetic", sha256="ab", first_session="2019-11-20", last_session="2019-11-27"),
)


def a_plan(*overrides: str) -> Plan:
    """The shipped plan, made tiny."""
    return load_plan(None, [*TINY, *overrides])


@cache
def the_ground() -> Ground:
    """Six sessions around Thanksgiving 2019."""
    return a_ground(some_bars())


def a_lesson(
    phase: Phase = Phase.ENTRIES, *overrides: str, updates: int = 8, source: Path | None = None, seed: int = 1
) -> Lesson:
    """What a phase of one seed learns."""
    return Lesson(
        plan=a_plan(*overrides),
        ground=the_ground(),
        origin=ORIGIN,
        phase=phase,
        seed=seed,
        total_steps=updates * ROLLOUT,
        source=source,
    )


def a_learner(phase: Phase = Phase.ENTRIES, *overrides: str, **changes: object) -> Learner:
    """A learner at its beginning."""
    return begin(a_lesson(phase, *overrides, **changes)).learner


def a_course(
    run: Path, *, held_out: Ground | None = None, is_stopped: Callable[[], bool] = lambda: False, engine: object = None
) -> Course:
    """A run's folder, perhaps with validation dates."""
    span = None if held_out is None else msgspec.structs.replace(ORIGIN.span, sha256=held_out.tape.sha256)
    return Course(
        run=run,
        held_out=held_out,
        held_out_span=span,
        is_stopped=is_stopped,
        through_engine=engine,
    )


def parameters_of(learner: Learner) -> dict[str, np.ndarray]:
    """Every weight, copied."""
    return {name: tensor.numpy().copy() for name, tensor in learner.model.policy.state_dict().items()}


def learn(learner: Learner, updates: int) -> list[Update]:
    """The next updates."""
    going = learner.updates()
    return [next(going) for _ in range(updates)]


def ignore(_update: Update) -> None:
    """Nobody looks."""
