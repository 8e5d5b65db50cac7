"""The forward pass against float64 NumPy, the softmax against exact fractions, and both against foreign machines."""

import math

import numpy as np
import pytest
from bundle_builders import NORMALISER, a_manifest, a_network
from hypothesis import given
from hypothesis import strategies as st

from trader.errors import InvariantError
from trader.kernels.forward import _tanh_in_place, exp_negative
from trader.policy.manifest import Activation, Inputs
from trader.policy.network import Network, masked_softmax
from trader.policy.untrained import random_weights

SHAPES = [(16, 8), (512, 256, 128), (256, 128), (5,), (100, 33, 17)]
FLOAT32 = st.floats(-50, 50, width=32)


def observations(count: int, width: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 2, (count, width)).astype(np.float32)


@pytest.mark.parametrize("hidden", SHAPES)
@pytest.mark.parametrize("activation", list(Activation))
@pytest.mark.parametrize("inputs", list(Inputs))
def test_logits_of_every_architecture_equal_a_float64_computation(hidden, activation, inputs):
    """Odd widths, both activations and both inputs give what matrix products in float64 give, to 1e-5."""
    manifest = a_manifest(hidden=hidden, activation=activation, inputs=inputs, normaliser=NORMALISER)
    weights = random_weights(manifest, seed=3)
    network = Network(weights, activation=activation, normaliser=NORMALISER)
    squash = {"tanh": np.tanh, "relu": lambda x: np.where(x > 0, x, 0)}[activation]
    for obs in observations(20, 261):
        hidden_values = (obs[: inputs.width].astype(float) - weights.mean) / np.sqrt(weights.variance + 1e-8)
        hidden_values = np.minimum(np.maximum(hidden_values, -5.0), 5.0)
        for matrix, bias in zip(weights.matrices[:-1], weights.biases[:-1], strict=True):
            hidden_values = squash(np.einsum("oi,i->o", matrix.astype(float), hidden_values) + bias)
        expected = np.einsum("oi,i->o", weights.matrices[-1].astype(float), hidden_values) + weights.biases[-1]
        np.testing.assert_allclose(network.logits(obs), expected, rtol=1e-5, atol=1e-5)


def test_logits_round_every_product_so_that_no_machine_differs():
    """One layer, added in the documented order with each product rounded to float32, gives the same bits: no FMA."""
    manifest = a_manifest(hidden=(32,), activation=Activation.RELU)
    weights = random_weights(manifest, seed=5)
    network = Network(weights, activation=Activation.RELU, normaliser=None)
    obs = observations(1, 261)[0]

    def layer(matrix: np.ndarray, bias: np.ndarray, x: np.ndarray) -> np.ndarray:
        rows = -(-x.size // 16) * 16
        products = np.zeros((rows, bias.size), np.float32)
        products[: x.size] = matrix.T * x[:, None]
        total = bias.copy()
        for p in products.reshape(-1, 8, bias.size):
            total = total + (((p[0] + p[1]) + (p[2] + p[3])) + ((p[4] + p[5]) + (p[6] + p[7])))
        return total

    hidden = np.maximum(layer(weights.matrices[0], weights.biases[0], obs), np.float32(0))
    expected = layer(weights.matrices[1], weights.biases[1], hidden)
    assert network.logits(obs).tolist() == expected.tolist()


def test_tanh_on_the_whole_line_is_within_four_ten_millionths():
    """The quotient follows tanh everywhere, never leaves [-1, 1], and is odd."""
    x = np.concatenate([np.linspace(-20, 20, 200_001), np.logspace(-30, 30, 1000)]).astype(np.float32)
    y, mirrored = x.copy(), -x
    _tanh_in_place(y)
    _tanh_in_place(mirrored)
    assert np.abs(y.astype(float) - np.tanh(x.astype(float))).max() < 4e-7
    assert np.abs(y).max() <= 1.0
    assert (mirrored == -y).all()


@given(st.floats(-800, 0))
def test_exp_negative_equals_the_library_to_the_last_digits(x):
    """The polynomial agrees with libm within 2e-15, and vanishes where nobody would miss it."""
    assert exp_negative(x) == pytest.approx(math.exp(x), rel=2e-15, abs=1e-300)


def test_masked_softmax_of_known_odds_gives_the_fractions():
    """Logits that are logarithms of 1, 2, 3, 4 give tenths; a masked action leaves its share to the others."""
    logits = np.log(np.array([1, 2, 3, 4, 5, 6], dtype=np.float64)).astype(np.float32)
    action, probs = masked_softmax(logits, 0b001111)
    assert action == 3
    assert probs == pytest.approx((0.1, 0.2, 0.3, 0.4, 0, 0), abs=1e-7)
    action, probs = masked_softmax(logits, 0b000101)
    assert action == 2
    assert probs == pytest.approx((0.25, 0, 0.75, 0, 0, 0), abs=1e-7)


@given(st.lists(FLOAT32, min_size=6, max_size=6), st.integers(1, 63))
def test_masked_softmax_of_any_logits_is_a_distribution_over_the_valid(logits, mask):
    """Probabilities sum to one, the invalid get exactly nothing, the choice is valid and nobody valid beats it."""
    action, probs = masked_softmax(np.array(logits, np.float32), mask)
    assert sum(probs) == pytest.approx(1.0, abs=1e-12)
    assert all(probs[i] == 0.0 for i in range(6) if not mask >> i & 1)
    assert mask >> action & 1
    assert all(logits[i] < logits[action] for i in range(action) if mask >> i & 1)
    assert all(logits[i] <= logits[action] for i in range(action, 6) if mask >> i & 1)


def test_masked_softmax_of_one_valid_action_is_certain():
    """A forced choice has probability exactly one, whatever its logit."""
    assert masked_softmax(np.array([-40, 9, 9, 9, 9, 9], np.float32), 1) == (0, (1.0, 0.0, 0.0, 0.0, 0.0, 0.0))


def test_masked_softmax_of_equal_logits_takes_the_lowest_valid_index():
    """A tie goes to the lowest index that the mask allows."""
    level = np.zeros(6, np.float32)
    assert masked_softmax(level, 0b111111)[0] == 0
    assert masked_softmax(level, 0b110100)[0] == 2


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_masked_softmax_of_a_valid_logit_that_is_not_finite_raises(bad):
    """A broken number is an error, not a choice; behind the mask it does not matter."""
    logits = np.array([0, bad, 0, 0, 0, 0], np.float32)
    with pytest.raises(InvariantError):
        masked_softmax(logits, 0b000011)
    assert masked_softmax(logits, 0b000101)[0] == 0


def test_choose_with_a_mask_equals_the_softmax_of_its_logits():
    """The fused call gives what logits and softmax give one after the other."""
    network = a_network()
    for k, obs in enumerate(observations(64, 261)):
        mask = k % 63 + 1
        assert network.choose(obs, mask) == masked_softmax(network.logits(obs), mask)


def test_choose_with_base_inputs_ignores_the_context():
    """A policy on 228 values reads the front of the full vector and nothing behind it."""
    network = a_network(inputs=Inputs.BASE)
    obs = observations(1, 261)[0]
    changed = obs.copy()
    changed[228:] = np.nan
    assert network.choose(obs, 63) == network.choose(changed, 63)
    assert network.choose(obs, 63) == network.choose(obs[:228].copy(), 63)


@pytest.mark.parametrize(("width", "mask"), [(260, 63), (261, 0), (261, 64), (261, -1)])
def test_choose_with_a_short_observation_or_foreign_mask_raises(width, mask):
    """Neither reads beyond its input: the kernel has no bounds checks, so the call has."""
    with pytest.raises(InvariantError, match="261 values"):
        a_network().choose(np.zeros(width, np.float32), mask)


@pytest.mark.parametrize("activation", list(Activation))
@pytest.mark.parametrize("normaliser", [None, NORMALISER])
def test_choose_with_one_nan_in_the_observation_raises_and_says_so(activation, normaliser):
    """A NaN that slipped through everything else does not become a trade."""
    obs = observations(1, 261)[0]
    obs[100] = np.nan
    with pytest.raises(InvariantError, match="observation finite: False"):
        a_network(activation=activation, normaliser=normaliser).choose(obs, 63)


def test_choose_twice_leaves_nothing_behind():
    """Buffers are reused, results are not shared: an earlier answer survives a later call."""
    network = a_network()
    first, second = observations(2, 261)
    before = network.logits(first)
    kept = before.copy()
    network.choose(second, 63)
    assert before.tolist() == kept.tolist()
    assert network.logits(first).tolist() == kept.tolist()


def test_policy_of_three_actions_never_manages_and_answers_as_its_three_logits_do():
    """Actions that a policy lacks have probability exactly 0; the others are renormalised without them."""
    manifest = a_manifest(actions=3)
    weights = random_weights(manifest, seed=2)
    network = Network(weights, activation=manifest.activation, normaliser=None)
    for obs in observations(20, 261):
        logits = network.logits(obs)
        _, probs = network.choose(obs, 0b111111)
        assert probs[3:] == (0.0, 0.0, 0.0)
        assert probs == masked_softmax(logits, 0b000111)[1]
        assert network.choose(obs, 0b111001) == (0, (1.0, 0.0, 0.0, 0.0, 0.0, 0.0))
