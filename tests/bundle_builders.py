"""Bundles for tests: whole ones of random weights, and broken ones written byte by byte."""

import hashlib
from pathlib import Path

import msgspec
import numpy as np

from trader.policy.bundle import MANIFEST_NAME, WEIGHTS_NAME, Bundle, load_bundle, save_bundle
from trader.policy.manifest import Manifest, Normaliser
from trader.policy.network import Network
from trader.policy.tensors import Golden, Tensors, Weights, encode, to_tensors
from trader.policy.untrained import golden_of, random_weights, untrained_manifest

SCHEMA_HASH = "5c" * 32
CALENDAR_SHA256 = "ca" * 32
NORMALISER = Normaliser(clip=5.0, epsilon=1e-8)


def a_manifest(**changes: object) -> Manifest:
    """One-minute bars, all inputs, layers of 16 and 8, unless changed."""
    manifest = untrained_manifest(hidden=(16, 8), schema_hash=SCHEMA_HASH, calendar_sha256=CALENDAR_SHA256)
    return msgspec.structs.replace(manifest, **changes)


def weights_and_golden(manifest: Manifest, seed: int = 0) -> tuple[Weights, Golden]:
    """Random weights of the announced shapes with golden vectors that fit them."""
    weights = random_weights(manifest, seed)
    return weights, golden_of(weights, manifest, seed)


def tensors_of(manifest: Manifest, seed: int = 0) -> Tensors:
    """The same as named tensors, to be changed before they are written."""
    return to_tensors(*weights_and_golden(manifest, seed))


def a_bundle(path: Path, *, seed: int = 0, **changes: object) -> Path:
    """A whole bundle of random weights at `path`; `changes` are fields of the manifest."""
    manifest = a_manifest(**changes)
    save_bundle(path, manifest, *weights_and_golden(manifest, seed))
    return path


def a_network(*, seed: int = 0, **changes: object) -> Network:
    """A network of random weights; `changes` are fields of the manifest."""
    manifest = a_manifest(**changes)
    return Network(random_weights(manifest, seed), activation=manifest.activation, normaliser=manifest.normaliser)


def write_files(path: Path, manifest: Manifest, content: bytes) -> Path:
    """A folder with these two files, unchecked; the manifest vouches for `content` by its SHA-256."""
    path.mkdir(parents=True, exist_ok=True)
    signed = msgspec.structs.replace(manifest, weights_sha256=hashlib.sha256(content).hexdigest())
    (path / MANIFEST_NAME).write_bytes(msgspec.json.encode(signed))
    (path / WEIGHTS_NAME).write_bytes(content)
    return path


def with_tensors(path: Path, manifest: Manifest, **replaced: np.ndarray) -> Path:
    """A bundle whose tensors are replaced by name (`__` stands for the dot), unchecked and consistently signed."""
    tensors = tensors_of(manifest) | {name.replace("__", "."): tensor for name, tensor in replaced.items()}
    return write_files(path, manifest, encode(tensors))


def load(path: Path, **changes: object) -> Bundle:
    """Load with the arguments that fit `a_manifest()`, unless changed."""
    arguments = {
        "schema_hash": SCHEMA_HASH,
        "calendar_sha256": CALENDAR_SHA256,
        "bar_minutes": 1,
        "has_volume": True,
    }
    return load_bundle(path, **(arguments | changes))
