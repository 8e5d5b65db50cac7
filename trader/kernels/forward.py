"""A small multilayer perceptron on one observation: normalise, layers, softmax under a mask. Imports numba and NumPy.

Every product is rounded before it is added (no fused multiply-add), sums run in one fixed order, and tanh and exp are
polynomials: a choice is the same to the last bit on every x86-64 machine, whichever BLAS, libm or thread count it has.
The weights of a layer stand one row an input, padded with zeros to whole cache lines, so that the inner loops are
vectors of full width on aligned memory; a pass is bound by how fast the cache delivers the weights.
"""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

LANES = 16  # float32 in a cache line: every width is padded to a multiple of this
TANH, RELU = 0, 1
ACTIONS = 6

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Widths = NDArray[np.int64]

_F32 = np.float32
# Minimax quotient for tanh on [-7.9, 7.9], where 1 - tanh is 2.7e-7: absolute error below 4e-7 in float32.
_TANH_END = _F32(7.9)
_P1, _P2, _P3, _P4 = _F32(0.13450664), _F32(0.0035790429), _F32(2.2024076e-05), _F32(1.542912e-08)
_Q1, _Q2, _Q3, _Q4 = _F32(0.46783993), _F32(0.026192432), _F32(0.00034237336), _F32(8.59925e-07)
_ONE = _F32(1.0)
_ZERO = _F32(0.0)

_LOG2_E = 1.4426950408889634
_LN2_HIGH = 0.693147180369123816490  # ln 2 in two parts: their sum is exact to 1e-26
_LN2_LOW = 1.90821492927058770002e-10
_EXP_FLOOR = -700.0
_SMALLEST_TERM = 1.0 / math.factorial(13)
_INVERSE_FACTORIALS = tuple(1.0 / math.factorial(n) for n in range(12, -1, -1))


@njit(cache=True)
def exp_negative(x: float) -> float:
    """exp(x) for x <= 0, relative error below 1e-15; 0 below -700."""
    if x < _EXP_FLOOR:
        return 0.0
    k = math.floor(x * _LOG2_E + 0.5)
    r = (x - k * _LN2_HIGH) - k * _LN2_LOW
    total = _SMALLEST_TERM
    for inverse in _INVERSE_FACTORIALS:
        total = total * r + inverse
    return math.ldexp(total, int(k))


@njit(cache=True)
def masked_softmax(logits: Floats, mask: int, probs: Doubles) -> int:
    """Write the probabilities over the actions in `mask` into `probs` (float64[6]), 0 elsewhere; return the choice.

    The choice is the largest logit among the valid, the lowest index on a tie; -1 where nothing is valid or a valid
    logit is not finite.
    """
    best = -1
    for i in range(ACTIONS):
        if mask >> i & 1:
            if not math.isfinite(logits[i]):
                return -1
            if best < 0 or logits[i] > logits[best]:
                best = i
    if best < 0:
        return -1
    top = float(logits[best])
    total = 0.0
    for i in range(ACTIONS):
        probs[i] = exp_negative(float(logits[i]) - top) if mask >> i & 1 else 0.0
        total += probs[i]
    for i in range(ACTIONS):
        probs[i] /= total
    return best


@njit(cache=True)
def _clipped(x: np.float32, bound: np.float32) -> np.float32:
    """x inside [-bound, bound]. In this order of arguments NaN stays NaN, and is seen at the end."""
    return max(min(x, bound), -bound)


@njit(cache=True, error_model="numpy")  # a check for division by zero would keep the loop scalar
def _tanh_in_place(values: Floats) -> None:
    for j in range(values.shape[0]):
        x = _clipped(values[j], _TANH_END)
        u = x * x
        over = (((_P4 * u + _P3) * u + _P2) * u + _P1) * u + _ONE
        under = (((_Q4 * u + _Q3) * u + _Q2) * u + _Q1) * u + _ONE
        values[j] = x * over / under


@njit(cache=True)
def _relu_in_place(values: Floats) -> None:
    for j in range(values.shape[0]):
        values[j] = max(values[j], _ZERO)


@njit(cache=True)
def _layer(weights: Floats, bias: Floats, inputs: Floats, outputs: Floats) -> None:
    """outputs = bias + inputs @ weights; all widths are multiples of LANES. Eight rows at a time spare stores."""
    width = outputs.shape[0]
    for j in range(width):
        outputs[j] = bias[j]
    for i in range(0, inputs.shape[0], 8):
        x0, x1, x2, x3 = inputs[i], inputs[i + 1], inputs[i + 2], inputs[i + 3]
        x4, x5, x6, x7 = inputs[i + 4], inputs[i + 5], inputs[i + 6], inputs[i + 7]
        w0, w1, w2, w3 = weights[i], weights[i + 1], weights[i + 2], weights[i + 3]
        w4, w5, w6, w7 = weights[i + 4], weights[i + 5], weights[i + 6], weights[i + 7]
        for j in range(width):
            outputs[j] += ((x0 * w0[j] + x1 * w1[j]) + (x2 * w2[j] + x3 * w3[j])) + (
                (x4 * w4[j] + x5 * w5[j]) + (x6 * w6[j] + x7 * w7[j])
            )


@njit(cache=True)
def forward(obs: Floats, pack: Floats, widths: Widths, scratch: Floats, clip: np.float32, activation: int) -> Floats:
    """Logits of one observation, as a view into `scratch`.

    obs: float32[>= inputs], only the first `inputs` are read. widths: int64, `inputs` first, then the padded width of
    every layer's input and output. pack: float32, aligned to 64 bytes: mean, 1 / deviation, then for each layer its
    weights [input, output] and bias, all padded with zeros. scratch: float32[2 * largest padded width].
    """
    inputs = widths[0]
    padded = widths[1]
    half = scratch.shape[0] // 2
    x = scratch[:padded]
    mean = pack[:padded]
    scale = pack[padded : 2 * padded]
    for i in range(inputs):
        x[i] = _clipped((obs[i] - mean[i]) * scale[i], clip)
    for i in range(inputs, padded):
        x[i] = _ZERO
    at = 2 * padded
    last = widths.shape[0] - 2
    for layer in range(1, last + 1):
        rows = widths[layer]
        columns = widths[layer + 1]
        weights = pack[at : at + rows * columns].reshape(rows, columns)
        at += rows * columns
        bias = pack[at : at + columns]
        at += columns
        start = half * (layer % 2)
        y = scratch[start : start + columns]
        _layer(weights, bias, x, y)
        if layer < last:
            if activation == TANH:
                _tanh_in_place(y)
            else:
                _relu_in_place(y)
        x = y
    return x


@njit(cache=True)
def choose(
    obs: Floats,
    pack: Floats,
    widths: Widths,
    scratch: Floats,
    clip: np.float32,
    activation: int,
    mask: int,
    probs: Doubles,
) -> int:
    """Forward pass and choice under `mask`; arguments and result as of `forward` and `masked_softmax`."""
    chosen: int = masked_softmax(forward(obs, pack, widths, scratch, clip, activation), mask, probs)
    return chosen
