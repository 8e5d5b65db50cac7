"""Reads the actor out of a MaskablePPO zip without running anything that is in it.

The zip is opened here, not by stable-baselines3, whose loader unpickles. `policy.pth` is read by torch with
`weights_only=True`; the JSON beside it is read as JSON, and its base64 pickles are never decoded.
"""

import json
import re
import zipfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from msgspec import Struct

from trader.domain.actions import ACTION_COUNT
from trader.errors import BundleError
from trader.policy.manifest import ENTRY_ACTIONS, Activation, Inputs
from trader.policy.tensors import Floats, Weights

ENTRY_BYTES_MAX = 1 << 28
HYPER_PARAMETERS = (
    "learning_rate",
    "n_envs",
    "n_steps",
    "batch_size",
    "n_epochs",
    "gamma",
    "gae_lambda",
    "clip_range",
    "ent_coef",
    "vf_coef",
    "max_grad_norm",
    "normalize_advantage",
    "target_kl",
)
VERSIONS = ("Python", "Stable-Baselines3", "PyTorch", "Numpy", "Gymnasium")

_LAYER = re.compile(r"mlp_extractor\.policy_net\.(\d+)\.weight")
_CRITIC = ("mlp_extractor.value_net.", "value_net.")

Scalar = str | int | float | bool | None


class Checkpoint(Struct, frozen=True, kw_only=True, eq=False):
    """The actor and the facts of its training."""

    weights: Weights
    inputs: Inputs
    hidden: tuple[int, ...]
    activation: Activation
    seed: int | None
    steps: int
    hyper_parameters: dict[str, Scalar]
    versions: dict[str, str]


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a zip that MaskablePPO.save wrote; BundleError names file, fault and remedy."""
    try:
        with zipfile.ZipFile(path) as archive:
            facts = _json(_entry(path, archive, "data"), path)
            state = _tensors(_entry(path, archive, "policy.pth"), path)
            versions = _versions(archive, path)
    except (OSError, zipfile.BadZipFile) as error:
        raise _refused(path, f"cannot be opened as a zip ({error})") from error
    matrices, biases = _actor(state, path)
    seed, steps = facts.get("seed"), facts.get("num_timesteps")
    return Checkpoint(
        weights=Weights(matrices=matrices, biases=biases),
        inputs=_inputs(matrices[0].shape[1], path),
        hidden=tuple(matrix.shape[0] for matrix in matrices[:-1]),
        activation=_activation(facts.get("policy_kwargs"), path),
        seed=seed if isinstance(seed, int) else None,
        steps=steps if isinstance(steps, int) else 0,
        hyper_parameters={name: _plain(facts[name]) for name in HYPER_PARAMETERS if name in facts},
        versions=versions,
    )


def _refused(path: Path, fault: str) -> BundleError:
    return BundleError(f"{path}: {fault}; a zip written by MaskablePPO.save with an MlpPolicy is expected")


def _entry(path: Path, archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        size = archive.getinfo(name).file_size
    except KeyError:
        raise _refused(path, f"has no entry {name!r}") from None
    if size > ENTRY_BYTES_MAX:
        raise _refused(path, f"entry {name!r} has {size} bytes, the limit is {ENTRY_BYTES_MAX}")
    return archive.read(name)


def _json(content: bytes, path: Path) -> dict[str, object]:
    try:
        facts = json.loads(content)
    except ValueError as error:
        raise _refused(path, f"entry 'data' is no JSON ({error})") from None
    if not isinstance(facts, dict):
        raise _refused(path, "entry 'data' is no JSON object")
    return facts


def _tensors(content: bytes, path: Path) -> dict[str, Floats]:
    try:
        state = torch.load(BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001 - torch raises whatever its parser met; each means the same here
        raise _refused(path, f"entry 'policy.pth' holds more than weights or is damaged ({error})") from None
    if not isinstance(state, Mapping) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise _refused(path, "entry 'policy.pth' is no table of tensors")
    return {str(name): _float32(tensor, str(name), path) for name, tensor in state.items()}


def _float32(tensor: torch.Tensor, name: str, path: Path) -> Floats:
    if tensor.dtype != torch.float32:
        raise _refused(path, f"tensor {name} is {tensor.dtype}, float32 expected")
    values: Floats = tensor.detach().numpy().copy()
    if not np.isfinite(values).all():
        raise _refused(path, f"tensor {name} has values that are NaN or infinite")
    return values


def _actor(state: Mapping[str, Floats], path: Path) -> tuple[tuple[Floats, ...], tuple[Floats, ...]]:
    """The policy's layers in their order; anything but layers and a critic is refused, not left out."""
    numbers = sorted(int(match[1]) for name in state if (match := _LAYER.fullmatch(name)))
    names = [f"mlp_extractor.policy_net.{number}" for number in numbers] + ["action_net"]
    wanted = {f"{name}.{part}" for name in names for part in ("weight", "bias")}
    missing = sorted(wanted - state.keys())
    foreign = sorted(name for name in state.keys() - wanted if not name.startswith(_CRITIC))
    if missing or foreign or not numbers:
        raise _refused(
            path, f"its policy is no plain MLP (missing {missing or 'none'}, unexpected {foreign or 'none'})"
        )
    matrices = tuple(state[f"{name}.weight"] for name in names)
    if matrices[-1].shape[0] not in {ENTRY_ACTIONS, ACTION_COUNT}:
        fault = f"its policy has {matrices[-1].shape[0]} actions, {ENTRY_ACTIONS} or {ACTION_COUNT} expected"
        raise _refused(path, fault)
    return matrices, tuple(state[f"{name}.bias"] for name in names)


def _inputs(width: int, path: Path) -> Inputs:
    for inputs in Inputs:
        if inputs.width == width:
            return inputs
    raise _refused(path, f"its policy has {width} inputs, {' or '.join(str(i.width) for i in Inputs)} expected")


def _activation(policy_kwargs: object, path: Path) -> Activation:
    """From the text that stands beside the pickle; stable-baselines3's own default is tanh."""
    text = policy_kwargs.get("activation_fn") if isinstance(policy_kwargs, dict) else None
    if text is None:
        return Activation.TANH
    for name, activation in (("Tanh", Activation.TANH), ("ReLU", Activation.RELU)):
        if text == f"<class 'torch.nn.modules.activation.{name}'>":
            return activation
    raise _refused(path, f"its activation is {text}, Tanh or ReLU expected")


def _plain(value: object) -> Scalar:
    """A number or text as it is; of an object that was pickled, the text that stands beside the pickle."""
    if isinstance(value, dict):
        return str(value.get("value_schedule", value.get(":type:", "not a plain value")))
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return str(value)


def _versions(archive: zipfile.ZipFile, path: Path) -> dict[str, str]:
    if "system_info.txt" not in archive.namelist():
        return {}
    text = _entry(path, archive, "system_info.txt").decode(errors="replace")
    found = dict(re.findall(r"^- ([^:\n]+): (.+)$", text, flags=re.MULTILINE))
    return {name: found[name] for name in VERSIONS if name in found}
