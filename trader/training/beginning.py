"""How a phase begins: fresh, from the phase before, or from where it was cut off."""

from pathlib import Path

import msgspec
import numpy as np
import torch
from msgspec import Struct
from numpy.typing import NDArray

from trader.domain.sessions import Calendar
from trader.errors import BundleError
from trader.observation import schema_hash
from trader.policy.bundle import Bundle, load_bundle, weights_of
from trader.policy.manifest import Inputs
from trader.policy.tensors import Floats
from trader.training.bundling import Origin, taught_by
from trader.training.env import Shaping, TradingEnv
from trader.training.ground import Ground, scaling_of
from trader.training.learner import Learner, make_model
from trader.training.normalise import measure, random_choices
from trader.training.phases import CRITIC, Phase
from trader.training.plan import Plan
from trader.training.ppo import BatchedPPO
from trader.training.snapshot import Snapshot, restore
from trader.training.transfer import (
    Scale,
    new_action_biases,
    read_critic,
    scale_of,
    set_new_actions,
    transfer,
    transfer_critic,
    widened,
)

_PROBE_STEPS_MAX = 20_000


class Beginning(Struct, frozen=True, eq=False):
    """A learner that can go on, the normaliser that it sees the market through, and what all it has learned from."""

    learner: Learner
    scale: Scale
    had_critic: bool
    taught: Origin


class Lesson(Struct, frozen=True, kw_only=True, eq=False):
    """What a phase of one seed learns, and on what. `source` is the bundle of the phase before."""

    plan: Plan
    ground: Ground
    origin: Origin
    phase: Phase
    seed: int
    total_steps: int
    source: Path | None

    @property
    def inputs(self) -> Inputs:
        """Which part of the observation it reads."""
        return self.phase.inputs(use_llm_features=self.plan.curriculum.use_llm_features)

    def env(self, scale: Scale | None, *, actions: int, seed: int) -> TradingEnv:
        """Accounts of their own; raw observations without a `scale`."""
        plan = self.plan.normaliser
        return TradingEnv(
            self.ground,
            actions=actions,
            inputs=self.inputs.width,
            count=self.plan.ppo.envs,
            seed=seed,
            scaling=None if scale is None else scaling_of(scale.mean, scale.variance, plan.clip, plan.epsilon),
            shaping=Shaping(breach=self.plan.rewards.breach),
        )


def go_on(lesson: Lesson, snapshot: Snapshot) -> Beginning:
    """The learner as it was when `snapshot` was taken."""
    scale = Scale(mean=snapshot.arrays["scale.mean"], variance=snapshot.arrays["scale.variance"])
    story = snapshot.story
    learner = _learner(lesson, _model(lesson, scale))
    restore(learner, snapshot)
    return Beginning(learner, scale, bool(story["had_critic"]), msgspec.convert(story["taught"], Origin))


def begin(lesson: Lesson) -> Beginning:
    """A fresh learner for phase 1; for a later one that of `source`, which is the same function."""
    if lesson.source is None:
        scale = _first_scale(lesson)
        return Beginning(_learner(lesson, _model(lesson, scale)), scale, had_critic=False, taught=lesson.origin)
    bundle = open_source(lesson.source, lesson.phase)
    _check_fit(bundle, lesson)
    weights = weights_of(bundle)
    scale = widened(scale_of(bundle, weights), lesson.inputs.width)
    critic_file = lesson.source.parent / CRITIC
    critic = read_critic(critic_file)
    model = _model(lesson, scale)
    transfer(model, weights, source=lesson.source)
    if critic is not None:
        transfer_critic(model, critic, source=critic_file)
    if bundle.manifest.actions < lesson.phase.actions:
        set_new_actions(model, _biases(lesson, model, scale, bundle.manifest.actions))
    taught = taught_by(bundle.manifest, lesson.origin)
    return Beginning(_learner(lesson, model), scale, had_critic=critic is not None, taught=taught)


def open_source(path: Path, phase: Phase) -> Bundle:
    """The bundle from which `phase` begins; BundleError if it is none or of another phase."""
    bundle = load_bundle(
        path, schema_hash=schema_hash(), calendar_sha256=Calendar.load().sha256, bar_minutes=None, has_volume=None
    )
    if phase.before is None or bundle.manifest.phase != phase.before.label:
        needed = phase.before.label if phase.before else "nothing"
        msg = (
            f"{path}: is of {bundle.manifest.phase}; {phase.label} begins from {needed}: name such a bundle with "
            "--from-bundle, or train that phase first"
        )
        raise BundleError(msg)
    return bundle


def _check_fit(bundle: Bundle, lesson: Lesson) -> None:
    """BundleError where the phase would not begin as the same function, or on another kind of bars."""
    manifest, origin, plan = bundle.manifest, lesson.origin, lesson.plan.normaliser
    normaliser = manifest.normaliser
    facts = [
        ("market", manifest.market, origin.market),
        ("bar_minutes", manifest.bar_minutes, origin.bar_minutes),
        ("needs_volume", manifest.needs_volume, origin.has_volume),
        ("normaliser.clip", normaliser.clip if normaliser else plan.clip, plan.clip),
        ("normaliser.epsilon", normaliser.epsilon if normaliser else plan.epsilon, plan.epsilon),
    ]
    wrong = [f"{name} is {theirs}, here {ours}" for name, theirs, ours in facts if theirs != ours]
    if wrong:
        msg = f"{bundle.path}: {'; '.join(wrong)}; begin from a bundle of such bars, or set the same normaliser"
        raise BundleError(msg)


def _model(lesson: Lesson, scale: Scale) -> BatchedPPO:
    env = lesson.env(scale, actions=lesson.phase.actions, seed=lesson.seed)
    return make_model(lesson.plan, env, seed=lesson.seed)


def _learner(lesson: Lesson, model: BatchedPPO) -> Learner:
    updates = lesson.total_steps // lesson.plan.ppo.rollout
    critic_updates = 0 if lesson.source is None else min(lesson.plan.curriculum.critic_updates, updates // 4)
    return Learner(model, lesson.plan, total_steps=lesson.total_steps, critic_updates=critic_updates)


def _first_scale(lesson: Lesson) -> Scale:
    plan = lesson.plan.normaliser
    env = lesson.env(None, actions=Phase.MANAGEMENT.actions, seed=lesson.seed)
    mean, variance = measure(env, steps=plan.steps, seed=lesson.seed, variance_floor=plan.variance_floor)
    return Scale(mean=mean, variance=variance)


def _biases(lesson: Lesson, model: BatchedPPO, scale: Scale, old_actions: int) -> NDArray[np.float64]:
    plan = lesson.plan.curriculum
    env = lesson.env(scale, actions=lesson.phase.actions, seed=lesson.seed)
    logits, masks = probe(env, model, old_actions, plan.new_action_observations, lesson.seed)
    return new_action_biases(logits, masks, old_actions, plan.new_action_probability)


def probe(
    env: TradingEnv, model: BatchedPPO, old_actions: int, wanted: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Logits and masks [k, actions] of observations under random choices in which a new action is valid.

    At least `wanted` of them, and a hundredth of that for each new action, unless that takes too long.
    """
    rng = np.random.default_rng(seed)
    obs, masks = env.reset(), env.action_masks()
    logits, kept = [], []
    counts, seen = np.zeros(masks.shape[1] - old_actions, dtype=np.int64), 0
    for _ in range(_PROBE_STEPS_MAX):
        rows = masks[:, old_actions:].any(axis=1)
        logits.append(_logits(model, obs[rows]))
        kept.append(masks[rows])
        counts += masks[rows, old_actions:].sum(axis=0)
        seen += int(rows.sum())
        if seen >= wanted and (counts >= wanted / 100).all():
            break
        obs, *_ = env.step(random_choices(masks, rng))
        masks = env.action_masks()
    return np.concatenate(logits), np.concatenate(kept)


def _logits(model: BatchedPPO, obs: Floats) -> NDArray[np.float64]:
    with torch.no_grad():
        latent = model.policy.mlp_extractor.forward_actor(torch.from_numpy(obs))
        logits: NDArray[np.float64] = model.policy.action_net(latent).numpy().astype(np.float64)
    return logits
