"""The numbers of a model: layers, frozen normaliser, golden vectors; and the safetensors file that holds them.

Every tensor is float32, masks and actions of the golden vectors too (small whole numbers). Reading never executes
anything: the format is a JSON header and raw numbers, and what only looks like it is refused.
"""

import itertools
import struct
from typing import TypedDict

import numpy as np
import safetensors
from msgspec import Struct
from numpy.typing import NDArray
from safetensors.numpy import save

from trader.policy.manifest import Manifest

Floats = NDArray[np.float32]
Tensors = dict[str, Floats]

GOLDEN_MIN = 1


class Weights(Struct, frozen=True, kw_only=True, eq=False):
    """An actor: `matrices[i]` is [output, input] and `biases[i]` [output] of layer i, input side first.

    `mean` and `variance` are [inputs], None where the policy has no normaliser.
    """

    matrices: tuple[Floats, ...]
    biases: tuple[Floats, ...]
    mean: Floats | None = None
    variance: Floats | None = None


class _Entry(TypedDict):
    """One tensor as the safetensors library hands it over."""

    dtype: str
    shape: list[int]
    data: bytes


class Golden(Struct, frozen=True, kw_only=True, eq=False):
    """What the network must answer: observations [k, inputs] (before the normaliser), masks [k] of six bits,
    logits [k, actions] without mask, actions [k] under the mask."""

    observations: Floats
    masks: NDArray[np.int64]
    logits: Floats
    actions: NDArray[np.int64]


class TensorError(Exception):
    """A tensor file is not what it must be; `bundle` turns this into a BundleError that names the file."""


def to_tensors(weights: Weights, golden: Golden) -> Tensors:
    """The tensors by the names that they have in the file."""
    tensors: Tensors = {}
    for i, (matrix, bias) in enumerate(zip(weights.matrices, weights.biases, strict=True)):
        tensors[f"layers.{i}.weight"] = matrix
        tensors[f"layers.{i}.bias"] = bias
    if weights.mean is not None and weights.variance is not None:
        tensors["normaliser.mean"] = weights.mean
        tensors["normaliser.variance"] = weights.variance
    tensors["golden.observations"] = golden.observations
    tensors["golden.masks"] = golden.masks.astype(np.float32)
    tensors["golden.logits"] = golden.logits
    tensors["golden.actions"] = golden.actions.astype(np.float32)
    return {name: np.ascontiguousarray(tensor, dtype=np.float32) for name, tensor in tensors.items()}


def encode(tensors: Tensors) -> bytes:
    """The file's bytes; the same tensors give the same bytes."""
    return save(dict(sorted(tensors.items())))


def decode(content: bytes) -> Tensors:
    """Parse a file's bytes; TensorError with the reason where they are not finite float32 tensors."""
    _refuse_disguise(content)
    _refuse_truncation(content)
    try:
        entries: list[tuple[str, _Entry]] = safetensors.deserialize(content)  # type: ignore[no-untyped-call]  # a C function
    except safetensors.SafetensorError as error:
        msg = f"not a safetensors file ({error})"
        raise TensorError(msg) from None
    return {name: _finite_float32(name, entry) for name, entry in entries}


def _refuse_disguise(content: bytes) -> None:
    for start, what in ((b"\x80", "a pickle"), (b"PK", "a zip archive"), (b"\x1f\x8b", "a gzip file")):
        # A safetensors file starts with the header's length, whose JSON follows at byte 8.
        if content.startswith(start) and content[8:9] != b"{":
            msg = f"{what} in disguise, not a safetensors file; it was not opened"
            raise TensorError(msg)


def _refuse_truncation(content: bytes) -> None:
    if len(content) < 8:
        msg = f"truncated: {len(content)} bytes are too few for a safetensors file"
        raise TensorError(msg)
    (header_bytes,) = struct.unpack("<Q", content[:8])
    if 8 + header_bytes > len(content):
        msg = f"truncated or no safetensors file: its header says {header_bytes} bytes, {len(content) - 8} follow"
        raise TensorError(msg)


def _finite_float32(name: str, entry: _Entry) -> Floats:
    if entry["dtype"] != "F32":
        msg = f"tensor {name} is {entry['dtype']}, float32 (F32) expected"
        raise TensorError(msg)
    values: Floats = np.frombuffer(entry["data"], dtype="<f4").reshape(entry["shape"])
    if not np.isfinite(values).all():
        msg = f"tensor {name} has {np.count_nonzero(~np.isfinite(values))} values that are NaN or infinite"
        raise TensorError(msg)
    return values


def expected_shapes(manifest: Manifest) -> dict[str, tuple[int, ...]]:
    """Name and shape of each tensor that `manifest` announces; -1 where any length will do."""
    widths = (manifest.inputs.width, *manifest.hidden, manifest.actions)
    shapes: dict[str, tuple[int, ...]] = {}
    for i, (before, after) in enumerate(itertools.pairwise(widths)):
        shapes[f"layers.{i}.weight"] = (after, before)
        shapes[f"layers.{i}.bias"] = (after,)
    if manifest.normaliser is not None:
        shapes["normaliser.mean"] = (manifest.inputs.width,)
        shapes["normaliser.variance"] = (manifest.inputs.width,)
    shapes["golden.observations"] = (-1, manifest.inputs.width)
    shapes["golden.masks"] = (-1,)
    shapes["golden.logits"] = (-1, manifest.actions)
    shapes["golden.actions"] = (-1,)
    return shapes


def from_tensors(manifest: Manifest, tensors: Tensors) -> tuple[Weights, Golden]:
    """Layers and golden vectors; TensorError where names, shapes or values are not what `manifest` announces."""
    expected = expected_shapes(manifest)
    if tensors.keys() != expected.keys():
        missing, extra = sorted(expected.keys() - tensors.keys()), sorted(tensors.keys() - expected.keys())
        msg = f"tensors do not match the manifest: missing {missing or 'none'}, unexpected {extra or 'none'}"
        raise TensorError(msg)
    for name, shape in expected.items():
        _check_shape(name, shape, tensors[name].shape)
    layers = range(len(manifest.hidden) + 1)
    weights = Weights(
        matrices=tuple(tensors[f"layers.{i}.weight"] for i in layers),
        biases=tuple(tensors[f"layers.{i}.bias"] for i in layers),
        mean=tensors.get("normaliser.mean"),
        variance=tensors.get("normaliser.variance"),
    )
    if weights.variance is not None and manifest.normaliser is not None:
        _check_variance(weights.variance, manifest.normaliser.epsilon)
    return weights, _golden(tensors)


def _check_shape(name: str, expected: tuple[int, ...], found: tuple[int, ...]) -> None:
    if len(found) != len(expected) or any(want not in {-1, have} for want, have in zip(expected, found, strict=True)):
        text = " x ".join("k" if want < 0 else str(want) for want in expected)
        msg = f"tensor {name} is {' x '.join(map(str, found))}, the manifest announces {text}"
        raise TensorError(msg)


def _check_variance(variance: Floats, epsilon: float) -> None:
    if (variance < 0).any() or not (variance + np.float32(epsilon) > 0).all():
        msg = "tensor normaliser.variance has values that are not above zero"
        raise TensorError(msg)


def _golden(tensors: Tensors) -> Golden:
    golden = Golden(
        observations=tensors["golden.observations"],
        masks=tensors["golden.masks"].astype(np.int64),
        logits=tensors["golden.logits"],
        actions=tensors["golden.actions"].astype(np.int64),
    )
    counts = {len(golden.observations), len(golden.masks), len(golden.logits), len(golden.actions)}
    if len(counts) != 1 or min(counts) < GOLDEN_MIN:
        msg = f"golden vectors have lengths {sorted(counts)}; one length of at least {GOLDEN_MIN} expected"
        raise TensorError(msg)
    return golden


def reference_logits(weights: Weights, observations: Floats, manifest: Manifest) -> NDArray[np.float64]:
    """Logits [k, actions] of observations [k, inputs] in float64: the plain computation, slow and obviously right."""
    hidden = observations.astype(np.float64)
    if weights.mean is not None and weights.variance is not None and manifest.normaliser is not None:
        deviation = np.sqrt(weights.variance.astype(np.float64) + manifest.normaliser.epsilon)
        hidden = np.clip((hidden - weights.mean) / deviation, -manifest.normaliser.clip, manifest.normaliser.clip)
    for matrix, bias in zip(weights.matrices[:-1], weights.biases[:-1], strict=True):
        hidden = hidden @ matrix.T.astype(np.float64) + bias
        hidden = np.tanh(hidden) if manifest.activation == "tanh" else np.maximum(hidden, 0.0)
    logits: NDArray[np.float64] = hidden @ weights.matrices[-1].T.astype(np.float64) + weights.biases[-1]
    return logits
