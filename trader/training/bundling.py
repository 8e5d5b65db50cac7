"""From a learner in memory to a bundle on disk, with where it comes from."""

import platform
from pathlib import Path

import gymnasium
import msgspec
import numpy as np
import sb3_contrib
import stable_baselines3
import torch
from msgspec import Struct

from trader import __version__
from trader.domain.sessions import Calendar
from trader.observation import schema_hash
from trader.policy.manifest import Activation, Evaluation, Inputs, Label, Manifest, Normaliser, Span
from trader.policy.network import Network
from trader.policy.tensors import Weights
from trader.training.checkpoint import Checkpoint, Scalar
from trader.training.export import Facts, write_bundle
from trader.training.learner import Learner
from trader.training.phases import Phase
from trader.training.plan import Plan
from trader.training.statistics_file import Statistics
from trader.training.transfer import Scale, actor_of


class Origin(Struct, frozen=True, kw_only=True):
    """The bars that are learned from, as the manifest states them."""

    market: str
    bar_minutes: int
    has_volume: bool
    label: Label
    note: str
    span: Span


def taught_by(source: Manifest, origin: Origin) -> Origin:
    """What a policy has learned from that begins from `source` and goes on with `origin`.

    In-sample is judged by dates: the dates of both are in it, and the heavier of the two labels with its note.
    """
    before = source.provenance
    heavier = before if before.label is Label.IN_SAMPLE is not origin.label else origin
    span = before.training  # with the same bars again it has their dates, and perhaps those of a phase before
    if span.sha256 != origin.span.sha256:
        span = msgspec.structs.replace(
            origin.span,
            description=f"{origin.span.description}; before that {span.description}",
            first_session=min(span.first_session, origin.span.first_session),
            last_session=max(span.last_session, origin.span.last_session),
        )
    return msgspec.structs.replace(origin, span=span, label=heavier.label, note=heavier.note)


def weights_now(learner: Learner, scale: Scale) -> Weights:
    """The actor as it stands, with the frozen normaliser."""
    matrices, biases = actor_of(learner.model)
    return Weights(matrices=tuple(matrices), biases=tuple(biases), mean=scale.mean, variance=scale.variance)


def network_of(learner: Learner, scale: Scale) -> Network:
    """The very forward pass that a bundle of the present weights would run."""
    plan = learner.plan.normaliser
    normaliser = Normaliser(clip=plan.clip, epsilon=plan.epsilon)
    return Network(weights_now(learner, scale), activation=Activation.TANH, normaliser=normaliser)


def keep_bundle(
    out: Path, learner: Learner, scale: Scale, origin: Origin, phase: Phase, *, evaluation: Evaluation | None
) -> Manifest:
    """Write the present policy to `out`; BundleError if it cannot be one."""
    plan = learner.plan
    inputs = next(part for part in Inputs if part.width == len(scale.mean))
    checkpoint = Checkpoint(
        weights=weights_now(learner, scale),
        inputs=inputs,
        hidden=tuple(plan.network.hidden),
        activation=Activation.TANH,
        seed=learner.model.seed,
        steps=learner.model.num_timesteps,
        hyper_parameters=hyper_parameters(plan, learner),
        versions=versions(),
    )
    normaliser = Normaliser(clip=plan.normaliser.clip, epsilon=plan.normaliser.epsilon)
    frozen = Statistics(mean=scale.mean, variance=scale.variance, normaliser=normaliser)
    facts = Facts(
        name=f"{origin.market.lower()}-{phase.label}-seed-{learner.model.seed}",
        schema_hash=schema_hash(),
        calendar_sha256=Calendar.load().sha256,
        bar_minutes=origin.bar_minutes,
        needs_volume=origin.has_volume,
        market=origin.market,
        phase=phase.label,
        label=origin.label,
        note=origin.note,
        training=origin.span,
        code_version=__version__,
        evaluation=evaluation,
    )
    return write_bundle(checkpoint, frozen, out, facts, "trader train")


def hyper_parameters(plan: Plan, learner: Learner) -> dict[str, Scalar]:
    """Everything of the plan that decides the weights, by its key."""
    sections = {"ppo": plan.ppo, "normaliser": plan.normaliser, "curriculum": plan.curriculum, "rewards": plan.rewards}
    found: dict[str, Scalar] = {
        f"{section}.{key}": value for section, part in sections.items() for key, value in part.model_dump().items()
    }
    return found | {"phase_steps": learner.total_steps, "run.torch_threads": plan.run.torch_threads}


def versions() -> dict[str, str]:
    """Of what the weights depend on."""
    return {
        "Python": platform.python_version(),
        "PyTorch": str(torch.__version__),
        "Stable-Baselines3": stable_baselines3.__version__,
        "sb3-contrib": sb3_contrib.__version__,
        "Numpy": np.__version__,
        "Gymnasium": gymnasium.__version__,
    }
