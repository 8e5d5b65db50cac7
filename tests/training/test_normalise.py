"""The frozen normaliser: statistics of what random choices see."""

import numpy as np
import pytest
from lesson_builders import the_ground

from trader.observation import INDEX
from trader.training.env import Shaping, TradingEnv
from trader.training.normalise import measure, random_choices


class Recorded(TradingEnv):
    """Keeps what it has shown."""

    def __init__(self, **arguments) -> None:
        super().__init__(the_ground(), inputs=228, count=8, seed=4, shaping=Shaping(breach=1.0), **arguments)
        self.seen: list[np.ndarray] = []

    def reset(self):
        self.seen.append(super().reset())
        return self.seen[-1].copy()

    def step_wait(self):
        obs, *rest = super().step_wait()
        self.seen.append(obs.copy())
        return obs, *rest


def test_normaliser_has_mean_and_variance_of_what_was_seen():
    """All at once in float64 gives what was summed up batch by batch."""
    env = Recorded(actions=6)
    mean, variance = measure(env, steps=40, seed=1, variance_floor=1e-9)
    seen = np.concatenate(env.seen[:-1]).astype(np.float64)
    assert seen.shape == (320, 228)
    np.testing.assert_allclose(mean, seen.mean(axis=0), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(variance, np.maximum(seen.var(axis=0), 1e-9), rtol=1e-5, atol=1e-9)
    assert mean.dtype == variance.dtype == np.float32


def test_normaliser_floor_keeps_what_hardly_moves_from_being_blown_up():
    """A value without spread has the floor as its variance; others keep their own."""
    _, variance = measure(Recorded(actions=3), steps=40, seed=1, variance_floor=0.01)
    assert variance[INDEX["position"]] == np.float32(0.01)
    assert variance[INDEX["rsi_t"]] > 0.01


def test_normaliser_with_all_actions_sees_positions_as_well():
    """What only an open position shows has a spread under management, none without."""
    _, managing = measure(Recorded(actions=6), steps=60, seed=1, variance_floor=1e-9)
    assert managing[INDEX["stop_distance"]] > 0.01
    assert managing[INDEX["position"]] > 0.01


def test_random_choices_are_valid_and_even():
    """Every valid action is drawn as often as any other, an invalid one never."""
    masks = np.tile(np.array([[True, False, True, True]]), (6000, 1))
    counts = np.bincount(random_choices(masks, np.random.default_rng(1)), minlength=4)
    assert counts[1] == 0
    assert counts[[0, 2, 3]] == pytest.approx(2000, abs=150)
