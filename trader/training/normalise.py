"""The frozen normaliser: mean and variance of each value of the observation under random valid choices.

Taken once, before phase 1, with all six actions, so that what only an open position shows has a spread too. Random
choices see the market's values as they are; a value that they hardly ever move gets the floor of the plan as its
variance and is not blown up to noise.
"""

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv

from trader.policy.tensors import Floats


def random_choices(masks: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.int64]:
    """One valid action a row of `masks` [count, actions], each valid one equally likely."""
    chosen: NDArray[np.int64] = (rng.random(masks.shape) * masks).argmax(axis=1)
    return chosen


def measure(env: VecEnv, *, steps: int, seed: int, variance_floor: float) -> tuple[Floats, Floats]:
    """Mean and variance [inputs] of raw observations over `steps` random choices of each account of `env`.

    By Chan, Golub and LeVeque's (1983) pairwise update in float64, a batch of accounts at a time.
    """
    rng = np.random.default_rng(seed)
    obs: Floats = env.reset()
    mean = np.zeros(obs.shape[1])
    squares = np.zeros(obs.shape[1])
    count = 0
    for _ in range(steps):
        batch = obs.astype(np.float64)
        added = len(batch)
        shift = batch.mean(axis=0) - mean
        squares += ((batch - batch.mean(axis=0)) ** 2).sum(axis=0) + shift**2 * (count * added / (count + added))
        mean += shift * (added / (count + added))
        count += added
        obs, *_ = env.step(random_choices(env.action_masks(), rng))
    variance = np.maximum(squares / count, variance_floor)
    return mean.astype(np.float32), variance.astype(np.float32)
