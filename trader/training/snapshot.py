"""The whole state of a training between two updates, in one file that cannot be half written or half believed.

Format: a line with a magic word, a line with the SHA-256 of the rest, then safetensors with JSON in its metadata. No
pickle: nothing of a file is run. A snapshot is written beside its place and renamed; the one before is kept.
"""

import hashlib
import json
import random
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import safetensors.numpy
import torch
from msgspec import Struct
from numpy.typing import NDArray
from safetensors import SafetensorError

from trader.errors import InputError
from trader.training.learner import Learner

MAGIC = b"trader-snapshot-1\n"
SUFFIX = ".snapshot"
KEPT = 2
"""The newest and the one before."""

Arrays = dict[str, NDArray[Any]]
_HEAD_BYTES = len(MAGIC) + 65


class Snapshot(Struct, frozen=True, kw_only=True, eq=False):
    """Arrays by name and counters. `story` is what the caller knows beside the learner, as JSON."""

    arrays: Arrays
    counters: dict[str, Any]
    story: dict[str, Any]


def take(learner: Learner, story: dict[str, Any]) -> Snapshot:
    """Everything that decides how `learner` goes on: policy, optimiser, environment, generators, counters."""
    model = learner.model
    generator = np.random.get_state(legacy=False)  # noqa: NPY002 - sb3 shuffles by it
    arrays: Arrays = {f"policy.{name}": tensor.numpy().copy() for name, tensor in model.policy.state_dict().items()}
    for number, entry in model.policy.optimizer.state_dict()["state"].items():
        arrays |= {f"adam.{number}.{name}": tensor.numpy().copy() for name, tensor in entry.items()}
    arrays |= {f"env.{name}": values for name, values in model.env.state().items()}
    arrays["last_obs"] = model._last_obs
    arrays["last_episode_starts"] = np.asarray(model._last_episode_starts, dtype=np.bool_)
    arrays["torch_generator"] = torch.get_rng_state().numpy()
    arrays["numpy_generator"] = generator["state"]["key"]
    recent = list(model.ep_info_buffer)
    arrays["recent_r"] = np.array([float(episode["r"]) for episode in recent])
    arrays["recent_l"] = np.array([int(episode["l"]) for episode in recent], dtype=np.int64)
    version, words, gauss = random.getstate()
    counters = {
        "steps": model.num_timesteps,
        "updates": learner.number,
        "sb3_updates": model._n_updates,
        "left": model._current_progress_remaining,
        "numpy": [generator["state"]["pos"], generator["has_gauss"], generator["gauss"]],
        "python": [version, list(words), gauss],
    }
    return Snapshot(arrays=arrays, counters=counters, story=story)


def restore(learner: Learner, snapshot: Snapshot) -> None:
    """Put `learner`, made by the same plan on the same bars, where the snapshot was taken."""
    model, arrays, counters = learner.model, snapshot.arrays, snapshot.counters
    model.policy.load_state_dict({name: torch.from_numpy(array) for name, array in _part(arrays, "policy.").items()})
    optimiser = model.policy.optimizer.state_dict()
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, array in _part(arrays, "adam.").items():
        number, _, key = name.partition(".")
        state.setdefault(int(number), {})[key] = torch.from_numpy(array)
    model.policy.optimizer.load_state_dict({**optimiser, "state": state})
    model.env.restore(_part(arrays, "env."))
    model._last_obs = arrays["last_obs"]
    model._last_episode_starts = arrays["last_episode_starts"]
    episodes = zip(arrays["recent_r"].tolist(), arrays["recent_l"].tolist(), strict=True)
    model.ep_info_buffer.extend({"r": r, "l": length, "t": 0.0} for r, length in episodes)
    model.num_timesteps = model._num_timesteps_at_start = counters["steps"]
    model._n_updates, model._current_progress_remaining = counters["sb3_updates"], counters["left"]
    learner.number = counters["updates"]
    position, has_gauss, cached = counters["numpy"]
    generator = ("MT19937", arrays["numpy_generator"], position, has_gauss, cached)
    np.random.set_state(generator)  # noqa: NPY002 - sb3 shuffles by it
    version, words, gauss = counters["python"]
    random.setstate((version, tuple(words), gauss))
    torch.set_rng_state(torch.from_numpy(arrays["torch_generator"]))


def _part(arrays: Arrays, prefix: str) -> Arrays:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def write(folder: Path, snapshot: Snapshot) -> Path:
    """Write to `folder`, and remove what is older than the one before; InputError where that cannot be done."""
    about = json.dumps({"counters": snapshot.counters, "story": snapshot.story}, sort_keys=True)
    arrays = {name: np.asarray(array, order="C") for name, array in sorted(snapshot.arrays.items())}
    payload = safetensors.numpy.save(arrays, metadata={"about": about})
    path = folder / f"{snapshot.counters['steps']:012d}{SUFFIX}"
    partial = path.with_suffix(".partial")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256(payload).hexdigest().encode()
        partial.write_bytes(MAGIC + digest + b"\n" + payload)
        partial.replace(path)
        for old in snapshots_in(folder)[:-KEPT]:
            old.unlink()
    except OSError as error:
        msg = f"{path}: cannot be written ({error.strerror}); make room, then go on with `trader train --resume`"
        raise InputError(msg) from error
    return path


def snapshots_in(folder: Path) -> list[Path]:
    """The snapshots of `folder`, oldest first."""
    return sorted(folder.glob(f"*{SUFFIX}"))


def read(path: Path) -> Snapshot:
    """Read a snapshot; InputError, naming the one before where there is one, if it was cut off or changed."""
    try:
        content = path.read_bytes()
    except OSError as error:
        msg = f"{path}: cannot be read ({error.strerror})"
        raise InputError(msg) from error
    payload = content[_HEAD_BYTES:]
    head = MAGIC + hashlib.sha256(payload).hexdigest().encode() + b"\n"
    if content[:_HEAD_BYTES] != head:
        raise _damaged(path)
    try:
        arrays, about = _decoded(payload)
    except (SafetensorError, ValueError, KeyError) as error:
        raise _damaged(path) from error
    return Snapshot(arrays=arrays, counters=about["counters"], story=about["story"])


def _damaged(path: Path) -> InputError:
    others = [other for other in snapshots_in(path.parent) if other < path]
    remedy = f"remove it to go on from {others[-1].name}" if others else "train this phase again"
    return InputError(f"{path}: is cut off, changed or no snapshot; {remedy}")


def _decoded(payload: bytes) -> tuple[Arrays, dict[str, Any]]:
    arrays = safetensors.numpy.load(payload)
    size = int.from_bytes(payload[:8], "little")
    about = msgspec.json.decode(json.loads(payload[8 : 8 + size])["__metadata__"]["about"])
    return {name: array.copy() for name, array in arrays.items()}, about
