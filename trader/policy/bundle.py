"""A model bundle: a folder with `manifest.json` and `weights.safetensors`, checked whole before anything is used.

No code of a bundle ever runs: JSON and raw numbers are all that is read. The golden vectors prove at load that this
machine computes what the trainer's framework computed.
"""

import hashlib
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Struct

from trader.errors import BundleError
from trader.policy.manifest import Manifest, faults_of
from trader.policy.network import Network
from trader.policy.tensors import (
    Golden,
    TensorError,
    Weights,
    decode,
    encode,
    from_tensors,
    to_tensors,
)

MANIFEST_NAME = "manifest.json"
WEIGHTS_NAME = "weights.safetensors"
MANIFEST_BYTES_MAX = 1 << 18
WEIGHTS_BYTES_MAX = 1 << 26
GOLDEN_TOLERANCE = 1e-5  # absolute, and relative to logits beyond 1

EMBEDDED = Path(__file__).parent.parent / "models" / "embedded"


class Bundle(Struct, frozen=True, kw_only=True, eq=False):
    """A model that passed every check. `id` is the SHA-256 over manifest and weights, in hexadecimal.

    `mismatches` are sentences for every report: what differs from the bars at hand, and was allowed to.
    """

    id: str
    path: Path
    manifest: Manifest
    network: Network
    golden: Golden
    mismatches: tuple[str, ...] = ()


def load_bundle(
    path: Path,
    *,
    schema_hash: str,
    calendar_sha256: str,
    bar_minutes: int | None,
    has_volume: bool | None,
    allow_mismatch: bool = False,
) -> Bundle:
    """Read and check the bundle at `path`; BundleError names file, fault and remedy.

    `bar_minutes` and `has_volume` describe the bars that it shall trade; None skips that comparison. A difference is
    refused, or with `allow_mismatch` listed in the result.
    """
    manifest_bytes = _read(path / MANIFEST_NAME, MANIFEST_BYTES_MAX)
    weights_bytes = _read(path / WEIGHTS_NAME, WEIGHTS_BYTES_MAX)
    manifest = parse_manifest(manifest_bytes, path / MANIFEST_NAME)
    _check_contract(manifest, path / MANIFEST_NAME, schema_hash, calendar_sha256)
    network, golden = _open_weights(manifest, weights_bytes, path / WEIGHTS_NAME)
    mismatches = _mismatches(manifest, bar_minutes, has_volume)
    if mismatches and not allow_mismatch:
        remedy = "take a bundle trained on such bars, or pass --allow-mismatch: every page will then say so"
        raise _refused(path / MANIFEST_NAME, "; ".join(mismatches), remedy)
    identity = hashlib.sha256(manifest_bytes + weights_bytes).hexdigest()
    return Bundle(id=identity, path=path, manifest=manifest, network=network, golden=golden, mismatches=mismatches)


def weights_of(bundle: Bundle) -> Weights:
    """The tensors of a bundle that was loaded, for a training that begins from it; BundleError if the file changed."""
    file = bundle.path / WEIGHTS_NAME
    content = _read(file, WEIGHTS_BYTES_MAX)
    _open_weights(bundle.manifest, content, file)
    return from_tensors(bundle.manifest, decode(content))[0]


def save_bundle(path: Path, manifest: Manifest, weights: Weights, golden: Golden) -> Manifest:
    """Write a bundle and return its manifest, completed with the weights' SHA-256; BundleError if it would not load.

    Both files are written beside `path` first, then the folder takes the old one's place: whoever looks finds the old
    bundle, the new one, or for an instant none, and never a mixture.
    """
    content = encode(to_tensors(weights, golden))
    complete = msgspec.structs.replace(manifest, weights_sha256=hashlib.sha256(content).hexdigest())
    text = msgspec.json.format(msgspec.json.encode(complete), indent=2) + b"\n"
    _open_weights(parse_manifest(text, path / MANIFEST_NAME), content, path / WEIGHTS_NAME)
    partial, old = path.with_name(f".{path.name}.partial"), path.with_name(f".{path.name}.old")
    try:
        for leftover in (partial, old):
            _remove(leftover)
        partial.mkdir(parents=True)
        (partial / MANIFEST_NAME).write_bytes(text)
        (partial / WEIGHTS_NAME).write_bytes(content)
        if path.exists():
            path.rename(old)
        partial.rename(path)
        _remove(old)
    except OSError as error:
        raise _refused(path, f"cannot be written ({error.strerror})", "choose a folder that can be written") from error
    return complete


def _remove(folder: Path) -> None:
    """Delete a bundle's folder; OSError if it holds anything else."""
    if folder.exists():
        (folder / MANIFEST_NAME).unlink(missing_ok=True)
        (folder / WEIGHTS_NAME).unlink(missing_ok=True)
        folder.rmdir()


def _refused(file: Path, fault: str, remedy: str) -> BundleError:
    return BundleError(f"{file}: {fault}; {remedy}")


def _read(file: Path, limit_bytes: int) -> bytes:
    remedy = "a bundle is a folder with manifest.json and weights.safetensors; export it again with `trader export`"
    try:
        size = file.stat().st_size
        if size > limit_bytes:
            raise _refused(file, f"has {size} bytes, the limit is {limit_bytes}", remedy)
        return file.read_bytes()
    except OSError as error:
        raise _refused(file, f"cannot be read ({error.strerror})", remedy) from error


def parse_manifest(content: bytes, file: Path) -> Manifest:
    """The manifest in `content`; BundleError, naming `file`, for unknown or missing fields and unusable values."""
    remedy = "export the bundle again with this version of trader"
    try:
        manifest = msgspec.json.decode(content, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _refused(file, f"is no manifest: {error}", remedy) from None
    faults = faults_of(manifest)
    if faults:
        raise _refused(file, "; ".join(faults), remedy)
    return manifest


def _check_contract(manifest: Manifest, file: Path, schema_hash: str, calendar_sha256: str) -> None:
    retrain = "train and export a model with this version of trader, or use the version that made the bundle"
    if manifest.schema_hash != schema_hash:
        fault = f"schema_hash is {manifest.schema_hash[:16]}, this version's observation has {schema_hash[:16]}"
        raise _refused(file, fault, retrain)
    if manifest.calendar_sha256 != calendar_sha256:
        fault = (
            f"calendar_sha256 is {manifest.calendar_sha256[:16]}, this version's calendar has {calendar_sha256[:16]}"
        )
        raise _refused(file, fault, retrain)


def _open_weights(manifest: Manifest, content: bytes, file: Path) -> tuple[Network, Golden]:
    remedy = "the file is damaged or foreign: copy it again, or export it again"
    try:
        tensors = decode(content)
        digest = hashlib.sha256(content).hexdigest()
        if digest != manifest.weights_sha256:
            raise _refused(file, f"has SHA-256 {digest[:16]}, the manifest says {manifest.weights_sha256[:16]}", remedy)
        weights, golden = from_tensors(manifest, tensors)
    except TensorError as error:
        raise _refused(file, str(error), remedy) from None
    network = Network(weights, activation=manifest.activation, normaliser=manifest.normaliser)
    fault = golden_fault(network, golden)
    if fault:
        raise _refused(file, fault, "this machine does not compute what the trainer did: do not trade, report it")
    return network, golden


def golden_fault(network: Network, golden: Golden) -> str:
    """What the network answers differently from the golden vectors; empty when nothing."""
    observations = golden.observations.view()
    observations.flags.writeable = False  # as the line shows them: numba compiles read-only arrays apart
    for k in range(len(golden.masks)):
        found = network.logits(observations[k])[: golden.logits.shape[1]]
        tolerance = GOLDEN_TOLERANCE * np.maximum(1.0, np.abs(golden.logits[k]))
        if not (np.abs(found - golden.logits[k]) <= tolerance).all():
            off = float(np.abs(found - golden.logits[k]).max())
            return f"golden vector {k}: logits differ by {off:.3g}, at most {GOLDEN_TOLERANCE} allowed"
        action, _ = network.choose(observations[k], int(golden.masks[k]))
        if action != golden.actions[k]:
            return f"golden vector {k}: action {action} under mask {golden.masks[k]}, {golden.actions[k]} expected"
    return ""


def _mismatches(manifest: Manifest, bar_minutes: int | None, has_volume: bool | None) -> tuple[str, ...]:  # noqa: FBT001 - a fact
    found = []
    if bar_minutes is not None and manifest.bar_minutes != bar_minutes:
        found.append(
            f"the model was trained on {manifest.bar_minutes}-minute bars, these are {bar_minutes}-minute bars"
        )
    if has_volume is False and manifest.needs_volume:
        found.append("the model needs volume, these bars have none")
    return tuple(found)
