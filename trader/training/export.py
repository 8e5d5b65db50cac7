"""From a MaskablePPO zip to a model bundle that runs without torch."""

from pathlib import Path

import msgspec
import numpy as np
import torch
from msgspec import Struct
from numpy.typing import NDArray

from trader.domain.actions import HOLD_ONLY
from trader.errors import BundleError
from trader.observation import FEATURES, SCHEMA
from trader.policy.bundle import save_bundle
from trader.policy.manifest import FORMAT, Activation, Evaluation, Label, Manifest, Normaliser, Provenance, Span
from trader.policy.tensors import Floats, Golden, Weights
from trader.training.checkpoint import Checkpoint, read_checkpoint
from trader.training.statistics_file import Statistics, read_statistics

GOLDEN_VECTORS = 16
GOLDEN_MARGIN = 1e-3
"""Golden vectors are no near ties: the two best valid logits lie at least this far apart."""
_CANDIDATES = 256


class Facts(Struct, frozen=True, kw_only=True):
    """What a checkpoint does not know about itself and a bundle must say. `seed` is None to take the checkpoint's."""

    name: str
    schema_hash: str
    calendar_sha256: str
    bar_minutes: int
    needs_volume: bool
    market: str
    phase: str
    label: Label
    note: str
    training: Span
    code_version: str
    evaluation: Evaluation | None = None
    seed: int | None = None
    hyper_parameters: dict[str, str | int | float | bool | None] = {}
    versions: dict[str, str] = {}


def export_bundle(
    checkpoint: Path,
    out: Path,
    facts: Facts,
    *,
    statistics: Path | None = None,
    trust_pickle: bool = False,
) -> Manifest:
    """Convert `checkpoint` (a zip) with `statistics` (npz, JSON, or a trusted pickle) to a bundle at `out`.

    BundleError names file, fault and remedy; nothing is written then.
    """
    read = read_checkpoint(checkpoint)
    frozen = read_statistics(statistics, trust_pickle=trust_pickle) if statistics else None
    if statistics and frozen and frozen.mean.shape != (read.inputs.width,):
        msg = f"{statistics}: has statistics of {frozen.mean.size} values, the policy reads {read.inputs.width}"
        raise BundleError(msg)
    return write_bundle(read, frozen, out, facts, checkpoint.name)


def write_bundle(read: Checkpoint, frozen: Statistics | None, out: Path, facts: Facts, created_from: str) -> Manifest:
    """Write a checkpoint that is already in memory; golden vectors come from torch's own layers."""
    weights = read.weights
    if frozen is not None:
        weights = msgspec.structs.replace(weights, mean=frozen.mean, variance=frozen.variance)
    normaliser = frozen.normaliser if frozen is not None else None
    manifest = Manifest(
        format=FORMAT,
        name=facts.name,
        created_from=created_from,
        schema=SCHEMA,
        schema_hash=facts.schema_hash,
        calendar_sha256=facts.calendar_sha256,
        inputs=read.inputs,
        hidden=read.hidden,
        activation=read.activation,
        normaliser=normaliser,
        bar_minutes=facts.bar_minutes,
        needs_volume=facts.needs_volume,
        market=facts.market,
        phase=facts.phase,
        actions=len(read.weights.biases[-1]),
        provenance=_provenance(read, facts),
    )
    return save_bundle(out, manifest, weights, golden_vectors(weights, read.activation, normaliser))


def _provenance(read: Checkpoint, facts: Facts) -> Provenance:
    seed = facts.seed if facts.seed is not None else read.seed
    if seed is None:
        msg = "the checkpoint does not say its seed; state it with --seed"
        raise BundleError(msg)
    return Provenance(
        label=facts.label,
        note=facts.note,
        training=facts.training,
        code_version=facts.code_version,
        seed=seed,
        steps=read.steps,
        hyper_parameters=read.hyper_parameters | facts.hyper_parameters,
        versions=read.versions | facts.versions,
        evaluation=facts.evaluation,
    )


def golden_vectors(weights: Weights, activation: Activation, normaliser: Normaliser | None) -> Golden:
    """Observations spread over each feature's own range, random masks, and what torch answers to them."""
    rng = np.random.default_rng(0)
    inputs = weights.matrices[0].shape[1]
    low = np.array([feature.low for feature in FEATURES[:inputs]])
    high = np.array([feature.high for feature in FEATURES[:inputs]])
    observations = (low + (high - low) * rng.beta(2, 2, (_CANDIDATES, inputs))).astype(np.float32)
    actions = len(weights.biases[-1])
    masks = rng.integers(0, 1 << actions, _CANDIDATES) | HOLD_ONLY
    logits = torch_logits(weights, activation, normaliser, observations)
    allowed = (masks[:, None] >> np.arange(actions) & 1).astype(bool)
    valid = np.where(allowed, logits, -np.inf)
    best = np.sort(valid, axis=1)[:, -2:]
    clear = np.flatnonzero(best[:, 1] - best[:, 0] >= GOLDEN_MARGIN)[:GOLDEN_VECTORS]
    if not len(clear):
        msg = "the policy cannot tell any two actions apart: there is nothing to prove it by"
        raise BundleError(msg)
    return Golden(
        observations=observations[clear],
        masks=masks[clear].astype(np.int64),
        logits=logits[clear],
        actions=valid[clear].argmax(axis=1),
    )


def torch_logits(
    weights: Weights, activation: Activation, normaliser: Normaliser | None, observations: Floats
) -> NDArray[np.float32]:
    """Logits [k, actions] by torch's linear layers, normalised as stable-baselines3's VecNormalize does it."""
    normalised = observations.astype(np.float64)
    if normaliser is not None and weights.mean is not None and weights.variance is not None:
        deviation = np.sqrt(weights.variance.astype(np.float64) + normaliser.epsilon)
        normalised = np.clip((normalised - weights.mean) / deviation, -normaliser.clip, normaliser.clip)
    hidden = torch.from_numpy(normalised.astype(np.float32))
    squash = torch.tanh if activation is Activation.TANH else torch.relu
    layers = list(zip(weights.matrices, weights.biases, strict=True))
    with torch.no_grad():
        for i, (matrix, bias) in enumerate(layers):
            hidden = torch.nn.functional.linear(hidden, torch.tensor(matrix), torch.tensor(bias))
            if i < len(layers) - 1:
                hidden = squash(hidden)
    logits: NDArray[np.float32] = hidden.numpy()
    return logits
