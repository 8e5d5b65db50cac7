"""One account as a plain gymnasium environment, for tools that know nothing else; training itself uses `TradingEnv`."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from trader.domain.actions import Action
from trader.kernels.training import Scaling
from trader.training.env import Shaping, TradingEnv
from trader.training.ground import Ground


class SingleEnv(gymnasium.Env):  # type: ignore[misc]  # the library ships no types here
    """The same bars, rules and rewards as `TradingEnv` with one account.

    A tool without masks may choose what is not valid: that is a HOLD then, and the info says `is_masked`.
    `action_masks()` and the info's `mask` say what is valid next.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 -- the library's own form

    def __init__(
        self, ground: Ground, *, actions: int, inputs: int, scaling: Scaling | None = None, shaping: Shaping
    ) -> None:
        self._many = TradingEnv(
            ground, actions=actions, inputs=inputs, count=1, seed=0, scaling=scaling, shaping=shaping
        )
        self.observation_space: spaces.Space[Any] = self._many.observation_space
        self.action_space: spaces.Space[Any] = self._many.action_space

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Open a new account and put it at a random bar, the first of the sequence of `seed` if one is given."""
        super().reset(seed=seed, options=options)
        self._many.seed(seed)
        return self._many.reset()[0], self._info()

    def step(self, action: int) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Carry it out and go on to the next choice, or to the episode's end, whose observation is returned then."""
        is_masked = not self.action_masks()[action]
        taken = int(Action.HOLD) if is_masked else int(action)
        self._many.step_async(np.array([taken]))
        seen, rewards, dones, infos = self._many.step_wait()
        info = self._info() | {"is_masked": is_masked}
        if not dones[0]:
            return seen[0], float(rewards[0]), False, False, info
        end = infos[0]
        truncated = bool(end["TimeLimit.truncated"])
        info |= {name: end[name] for name in ("episode", "rewards")}
        return end["terminal_observation"], float(rewards[0]), not truncated, truncated, info

    def action_masks(self) -> NDArray[np.bool_]:
        """What is valid now, [actions]."""
        masks: NDArray[np.bool_] = self._many.action_masks()[0]
        return masks

    def _info(self) -> dict[str, Any]:
        return {"mask": self.action_masks()}
