"""Bundles of random weights, for benchmarks and tests: they have learned nothing and say so."""

from pathlib import Path

import numpy as np

from trader.observation import SCHEMA
from trader.policy.bundle import save_bundle
from trader.policy.manifest import FORMAT, Activation, Inputs, Label, Manifest, Provenance, Span
from trader.policy.tensors import Floats, Golden, Weights, expected_shapes, reference_logits

_GOLDEN_VECTORS = 4
_EVERY_ACTION = 63


def random_bundle(
    path: Path, *, hidden: tuple[int, ...], schema_hash: str, calendar_sha256: str, seed: int = 0
) -> Path:
    """Write a bundle of 261 inputs and random weights to `path`; the same seed gives the same bytes."""
    manifest = untrained_manifest(hidden=hidden, schema_hash=schema_hash, calendar_sha256=calendar_sha256)
    weights = random_weights(manifest, seed)
    save_bundle(path, manifest, weights, golden_of(weights, manifest, seed))
    return path


def untrained_manifest(*, hidden: tuple[int, ...], schema_hash: str, calendar_sha256: str) -> Manifest:
    """A manifest for one-minute bars, all 261 inputs, tanh, no normaliser."""
    nothing = Span(description="none", sha256="", first_session="", last_session="")
    provenance = Provenance(
        label=Label.RANDOM,
        note="Random weights, for measuring speed and for tests.",
        training=nothing,
        code_version="",
        seed=0,
        steps=0,
        hyper_parameters={},
        versions={},
    )
    return Manifest(
        format=FORMAT,
        name="random",
        created_from="random numbers",
        schema=SCHEMA,
        schema_hash=schema_hash,
        calendar_sha256=calendar_sha256,
        inputs=Inputs.FULL,
        hidden=hidden,
        activation=Activation.TANH,
        normaliser=None,
        bar_minutes=1,
        needs_volume=False,
        market="NQ",
        phase="none",
        provenance=provenance,
    )


def random_weights(manifest: Manifest, seed: int) -> Weights:
    """Weights of the announced shapes, scaled so that no layer saturates; statistics if a normaliser is announced."""
    rng = np.random.default_rng(seed)
    tensors = {name: rng.standard_normal(shape) for name, shape in expected_shapes(manifest).items() if -1 not in shape}
    layers = range(len(manifest.hidden) + 1)
    mean = variance = None
    if manifest.normaliser is not None:
        mean = tensors["normaliser.mean"].astype(np.float32)
        variance = np.exp(tensors["normaliser.variance"]).astype(np.float32)
    return Weights(
        matrices=tuple(_scaled(tensors[f"layers.{i}.weight"]) for i in layers),
        biases=tuple((tensors[f"layers.{i}.bias"] / 10).astype(np.float32) for i in layers),
        mean=mean,
        variance=variance,
    )


def _scaled(matrix: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Floats:
    scaled: Floats = (matrix / np.sqrt(matrix.shape[1])).astype(np.float32)
    return scaled


def golden_of(weights: Weights, manifest: Manifest, seed: int) -> Golden:
    """Golden vectors computed in float64, every action valid."""
    rng = np.random.default_rng(seed + 1)
    observations = rng.standard_normal((_GOLDEN_VECTORS, manifest.inputs.width)).astype(np.float32)
    logits = reference_logits(weights, observations, manifest)
    return Golden(
        observations=observations,
        masks=np.full(_GOLDEN_VECTORS, _EVERY_ACTION, dtype=np.int64),
        logits=logits.astype(np.float32),
        actions=logits.argmax(axis=1),
    )
