"""One account as a gymnasium environment: for other libraries, and for comparison with how they are usually used."""

from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from trader.domain.actions import Action
from trader.training.env import TradingEnv

Obs = NDArray[np.float32]
Info = dict[str, Any]


class GymView(gymnasium.Env[Obs, np.int64]):  # type: ignore[misc]  # the library ships no types here
    """`env`, which has one account. An action that the mask forbids is taken as HOLD, as random samplers need it.

    The account runs on from episode to episode, as in `env`: `reset` after an end shows the episode that has begun.
    `reset` in mid-episode drops the account with what it has open and opens a new one at another random bar, as
    `reset(seed=...)` does at any time, from the first bar of that seed.
    """

    def __init__(self, env: TradingEnv) -> None:
        self._env = env
        self._next: Obs | None = None
        self.observation_space = env.observation_space
        self.action_space = env.action_space

    def reset(self, *, seed: int | None = None, options: Info | None = None) -> tuple[Obs, Info]:
        """The first choice of an episode, of a new account unless the one before has just ended; `options` has none."""
        super().reset(seed=seed, options=options)
        if seed is not None:
            self._env.seed(seed)
        begun, self._next = self._next, None
        return (self._env.reset()[0] if begun is None or seed is not None else begun), {}

    def step(self, action: np.int64) -> tuple[Obs, float, bool, bool, Info]:
        """Observation, reward in R, terminated, truncated; the infos of an end are those of `env`."""
        valid = bool(self._env.action_masks()[0, int(action)])
        obs, rewards, dones, infos = self._env.step(np.array([action if valid else Action.HOLD]))
        info = dict(infos[0])
        if not dones[0]:
            return obs[0], float(rewards[0]), False, False, info
        self._next = obs[0]
        cut = bool(info["TimeLimit.truncated"])
        return info["terminal_observation"], float(rewards[0]), not cut, cut, info

    def action_masks(self) -> NDArray[np.bool_]:
        """What is valid now, [actions]; MaskablePPO asks for it by this name."""
        masks: NDArray[np.bool_] = self._env.action_masks()[0]
        return masks
