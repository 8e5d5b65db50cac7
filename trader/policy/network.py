"""The policy as a function: observation and mask in, action and its probability out."""

import math

import numpy as np
from numpy.typing import NDArray

from trader.errors import InvariantError
from trader.kernels import forward as kernels
from trader.policy.manifest import Activation, Normaliser
from trader.policy.tensors import Floats, Weights

_ALIGNMENT_BYTES = 64
_MASK_END = 1 << kernels.ACTIONS
_NEVER = np.float32(-1e9)
"""The logit of an action that the policy does not have: its probability is exactly 0 beside any other."""


class Network:
    """An actor laid out for speed; reuses its buffers, so one thread at a time.

    `inputs` is how many values it reads from the front of an observation.
    """

    def __init__(self, weights: Weights, *, activation: Activation, normaliser: Normaliser | None) -> None:
        """Weights as [output, input] matrices; they are copied, transposed and padded.

        A policy of fewer than six logits never chooses the actions that it lacks.
        """
        self.inputs: int = weights.matrices[0].shape[1]
        widths = [self.inputs] + [matrix.shape[0] for matrix in weights.matrices]
        padded = [_padded(width) for width in widths]
        self._widths = np.array([self.inputs, *padded], dtype=np.int64)
        self._pack = _aligned(np.concatenate(_blocks(weights, normaliser, padded)))
        self._scratch = _aligned(np.zeros(2 * max(padded), dtype=np.float32))
        self._clip = np.float32(normaliser.clip if normaliser else math.inf)
        self._activation = kernels.TANH if activation is Activation.TANH else kernels.RELU
        self._probs = np.zeros(kernels.ACTIONS, dtype=np.float64)

    def choose(self, obs: Floats, mask: int) -> tuple[int, tuple[float, ...]]:
        """The most probable valid action, the lowest index on a tie, and the six probabilities under `mask`.

        `obs` is float32, at least `inputs` long. InvariantError where the mask forbids everything or a logit is not
        finite: both mean that something before this call is broken.
        """
        if obs.shape[0] < self.inputs or not 0 < mask < _MASK_END:
            raise self._misuse(obs, mask)
        action: int = kernels.choose(
            obs, self._pack, self._widths, self._scratch, self._clip, self._activation, mask, self._probs
        )
        if action < 0:
            msg = f"the policy's logits are not finite (observation finite: {np.isfinite(obs).all()})"
            raise InvariantError(msg)
        return action, tuple(self._probs.tolist())

    def logits(self, obs: Floats) -> Floats:
        """The six logits, float32, before any mask."""
        if obs.shape[0] < self.inputs:
            raise self._misuse(obs, kernels.ACTIONS)
        view = kernels.forward(obs, self._pack, self._widths, self._scratch, self._clip, self._activation)
        logits: Floats = view[: kernels.ACTIONS].copy()
        return logits

    def _misuse(self, obs: Floats, mask: int) -> InvariantError:
        return InvariantError(
            f"the policy reads {self.inputs} values and a mask of six bits; it was given {obs.shape[0]} and {mask}"
        )


def masked_softmax(logits: Floats, mask: int) -> tuple[int, tuple[float, ...]]:
    """Choice and probabilities of six logits under `mask`; the rule that `Network.choose` follows."""
    probs = np.zeros(kernels.ACTIONS, dtype=np.float64)
    action: int = kernels.masked_softmax(logits, mask, probs)
    if action < 0:
        msg = f"no valid action: mask {mask}, logits {logits.tolist()}"
        raise InvariantError(msg)
    return action, tuple(probs.tolist())


def _padded(width: int) -> int:
    return -(-width // kernels.LANES) * kernels.LANES


def _aligned(values: Floats) -> Floats:
    """The same values at an address that is a multiple of a cache line: unaligned rows cost a quarter more."""
    room = np.zeros(values.nbytes + _ALIGNMENT_BYTES, dtype=np.uint8)
    start = -room.ctypes.data % _ALIGNMENT_BYTES
    aligned: Floats = room[start : start + values.nbytes].view(np.float32)
    aligned[:] = values
    return aligned


def _blocks(weights: Weights, normaliser: Normaliser | None, padded: list[int]) -> list[Floats]:
    """Mean, scale, then weights [input, output] and bias of each layer, flat: the order that the kernel reads."""
    mean, scale = _normaliser_rows(weights, normaliser)
    blocks = [_grown(mean, padded[0]), _grown(scale, padded[0])]
    for i, (matrix, bias) in enumerate(zip(weights.matrices, weights.biases, strict=True)):
        grid = np.zeros((padded[i], padded[i + 1]), dtype=np.float32)
        grid[: matrix.shape[1], : matrix.shape[0]] = matrix.T
        blocks += [grid.ravel(), _grown(bias, padded[i + 1])]
    blocks[-1][weights.biases[-1].size : kernels.ACTIONS] = _NEVER
    return blocks


def _normaliser_rows(weights: Weights, normaliser: Normaliser | None) -> tuple[Floats, Floats]:
    inputs = weights.matrices[0].shape[1]
    if normaliser is None or weights.mean is None or weights.variance is None:
        return np.zeros(inputs, dtype=np.float32), np.ones(inputs, dtype=np.float32)
    scale: NDArray[np.float64] = 1.0 / np.sqrt(weights.variance.astype(np.float64) + normaliser.epsilon)
    return weights.mean, scale.astype(np.float32)


def _grown(row: Floats, width: int) -> Floats:
    grown = np.zeros(width, dtype=np.float32)
    grown[: row.size] = row
    return grown
