"""From the policy of one phase to the next, which begins as the same function.

Old inputs keep their weights and their normaliser; new inputs have zero weights in the first layer, mean 0 and variance
1. Old actions keep their rows; a new action has zero weights and a bias that makes it a rare choice. Conditional on
the common actions the probabilities do not change. The critic is copied the same way. Nothing is frozen: the optimiser
is fresh and every weight learns, the actor after the critic has had `critic_updates` of its own.
"""

from pathlib import Path

import numpy as np
import torch
from msgspec import Struct
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from trader.errors import BundleError
from trader.policy.bundle import Bundle
from trader.policy.tensors import Floats, Weights
from trader.training.ppo import BatchedPPO

ACTOR = "mlp_extractor.policy_net"
CRITIC = "mlp_extractor.value_net"

State = dict[str, torch.Tensor]


class Scale(Struct, frozen=True, kw_only=True, eq=False):
    """The frozen normaliser: mean and variance [inputs], float32."""

    mean: Floats
    variance: Floats


def layers_of(state: State, body: str, head: str) -> tuple[list[Floats], list[Floats]]:
    """Matrices [output, input] and biases of one of the two networks, input side first."""
    numbers = sorted({int(name.split(".")[2]) for name in state if name.startswith(f"{body}.")})
    names = [f"{body}.{number}" for number in numbers] + [head]
    matrices = [state[f"{name}.weight"].detach().numpy().copy() for name in names]
    return matrices, [state[f"{name}.bias"].detach().numpy().copy() for name in names]


def actor_of(model: BatchedPPO) -> tuple[list[Floats], list[Floats]]:
    """The actor's layers as arrays of their own."""
    return layers_of(model.policy.state_dict(), ACTOR, "action_net")


def critic_of(model: BatchedPPO) -> dict[str, Floats]:
    """The critic's tensors by name, for the file beside a bundle."""
    state = model.policy.state_dict()
    return {name: tensor.numpy().copy() for name, tensor in state.items() if is_critic(name)}


def is_critic(name: str) -> bool:
    """Whether a parameter of the policy, by its name, belongs to the critic."""
    return name.startswith((f"{CRITIC}.", "value_net."))


def save_critic(path: Path, tensors: dict[str, Floats]) -> None:
    """Write the critic; whoever looks finds the old file or the new one."""
    partial = path.with_name(f".{path.name}.partial")
    save_file(dict(sorted(tensors.items())), partial)
    partial.replace(path)


def read_critic(path: Path) -> dict[str, Floats] | None:
    """The critic beside a bundle; None where there is none. BundleError if the file is damaged."""
    if not path.exists():
        return None
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        msg = f"{path}: no critic ({error}); remove it, and the phase begins with a fresh one"
        raise BundleError(msg) from error


def widened(scale: Scale, inputs: int) -> Scale:
    """The normaliser for `inputs` values: what is new has mean 0 and variance 1."""
    more = inputs - len(scale.mean)
    return Scale(
        mean=np.concatenate([scale.mean, np.zeros(more, np.float32)]),
        variance=np.concatenate([scale.variance, np.ones(more, np.float32)]),
    )


def scale_of(bundle: Bundle, weights: Weights) -> Scale:
    """The bundle's normaliser; BundleError where it has none."""
    if weights.mean is None or weights.variance is None:
        msg = f"{bundle.path}: has no normaliser; a phase begins from a bundle that `trader train` made"
        raise BundleError(msg)
    return Scale(mean=weights.mean, variance=weights.variance)


def transfer(model: BatchedPPO, weights: Weights, *, source: Path) -> None:
    """Give `model` the policy of `weights`, which are from `source`; BundleError where widths differ.

    The model may have more inputs and more actions. Biases of new actions are left for `set_new_actions`.
    """
    state = model.policy.state_dict()
    own, _ = layers_of(state, ACTOR, "action_net")
    hidden = [matrix.shape[0] for matrix in own[:-1]]
    theirs = [matrix.shape[0] for matrix in weights.matrices[:-1]]
    if hidden != theirs:
        msg = (
            f"{source}: has hidden layers {theirs}, network.hidden is {hidden}; "
            "phases need equal widths: set network.hidden, or train the phase before again"
        )
        raise BundleError(msg)
    if weights.matrices[0].shape[1] > own[0].shape[1] or weights.matrices[-1].shape[0] > own[-1].shape[0]:
        msg = f"{source}: has more inputs or actions than the phase that shall begin from it; train an earlier phase"
        raise BundleError(msg)
    for name, tensor in _actor_tensors(weights, state).items():
        state[name] = tensor
    model.policy.load_state_dict(state)


def transfer_critic(model: BatchedPPO, critic: dict[str, Floats], *, source: Path) -> None:
    """Give `model` the critic of the file `source`, which may read fewer inputs; BundleError where widths differ."""
    state = model.policy.state_dict()
    own = {name: tuple(tensor.shape) for name, tensor in state.items() if is_critic(name)}
    theirs = {name: values.shape for name, values in critic.items()}
    first = f"{CRITIC}.0.weight"
    units, inputs = own[first]
    narrower = theirs.get(first) in [(units, fewer) for fewer in range(1, inputs)]
    fitting = own | {first: theirs[first]} if narrower else own
    wrong = sorted(name for name in own.keys() | theirs.keys() if fitting.get(name) != theirs.get(name))
    if wrong:
        name = wrong[0]
        msg = (
            f"{source}: is the critic of another network.hidden ({name} is {theirs.get(name)}, here {own.get(name)}); "
            "remove it, and the phase begins with a fresh one, or train the phase before again"
        )
        raise BundleError(msg)
    for name, values in critic.items():
        state[name] = torch.from_numpy(_grown(values, own[name]))
    model.policy.load_state_dict(state)


def _actor_tensors(weights: Weights, state: State) -> State:
    numbers = sorted({int(name.split(".")[2]) for name in state if name.startswith(f"{ACTOR}.")})
    names = [f"{ACTOR}.{number}" for number in numbers] + ["action_net"]
    tensors: State = {}
    for name, matrix, bias in zip(names, weights.matrices, weights.biases, strict=True):
        for part, values in (("weight", matrix), ("bias", bias)):
            key = f"{name}.{part}"
            tensors[key] = torch.from_numpy(_grown(values, tuple(state[key].shape)))
    return tensors


def _grown(values: Floats, shape: tuple[int, ...]) -> Floats:
    """`values` in the first rows and columns of `shape`, zeros elsewhere."""
    grown = np.zeros(shape, dtype=np.float32)
    grown[tuple(slice(0, size) for size in values.shape)] = values
    return grown


def new_action_biases(
    logits: NDArray[np.float64], masks: NDArray[np.bool_], old_actions: int, probability: float
) -> NDArray[np.float64]:
    """Biases of the actions from `old_actions` on, of which each has `probability` in the median where it is valid.

    `logits` [k, actions] of the old actions (the new columns are not read) and `masks` [k, actions]. The probability of
    an action falls as the others' weight S = sum of exp(logit) grows, so its median is at the median of S:
    exp(bias) = S_median p / (1 - p). New actions that are valid together stand in each other's S: solved by repetition.
    """
    actions = masks.shape[1]
    weights = np.where(masks, np.exp(logits), 0.0)
    weights[:, old_actions:] = 0.0
    biases = np.full(actions - old_actions, -np.inf)
    for _ in range(100):
        before = biases.copy()
        for action in range(old_actions, actions):
            valid = masks[:, action]
            if valid.any():
                others = weights[valid].sum(axis=1) - weights[valid, action]
                biases[action - old_actions] = np.log(np.median(others) * probability / (1 - probability))
                weights[:, action] = np.where(valid, np.exp(biases[action - old_actions]), 0.0)
        if np.allclose(before, biases, rtol=0, atol=1e-12):
            break
    return biases


def set_new_actions(model: BatchedPPO, biases: NDArray[np.float64]) -> None:
    """Write the biases of the last actions; one that was never valid gets that of the rarest other."""
    finite = biases[np.isfinite(biases)]
    floor = finite.min() if len(finite) else -4.0
    values = np.where(np.isfinite(biases), biases, floor)
    with torch.no_grad():
        model.policy.action_net.bias[-len(biases) :] = torch.from_numpy(values.astype(np.float32))
