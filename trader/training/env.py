"""The training environment: N accounts on one tape as a stable-baselines3 VecEnv with action masks.

A step is one choice: bars at which HOLD is the only valid action pass by themselves. Each episode begins at a random
bar of a random session's entry window and ends flat, at the session's end (truncated) or when the account breaches its
trailing threshold (terminated); otherwise the account runs on into the next episode, so that drawdown, streak and win
rate are seen as they come. The reward is the change of equity net of costs in R, the initial risk of a typical trade.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv

from trader.domain.actions import ACTION_COUNT
from trader.errors import InvariantError
from trader.kernels import book as book_kernels
from trader.kernels import training
from trader.observation import FULL_SIZE
from trader.training.tape import TrainingTape

Info = dict[str, Any]
_ACTIONS = np.arange(ACTION_COUNT)


class TradingEnv(VecEnv):  # type: ignore[misc]  # the library ships no types here
    """`count` accounts under `terms`. `risk_cents` is one R. The same seed gives the same episodes."""

    render_mode = None

    def __init__(
        self, tape: TrainingTape, terms: book_kernels.Terms, *, count: int, risk_cents: int, seed: int
    ) -> None:
        self._tape = tape
        self._terms = terms
        self._risk_cents = risk_cents
        self._rng = np.random.default_rng(seed)
        self._fleet = new_fleet(count)
        self._actions: NDArray[np.int64] = np.zeros(count, dtype=np.int64)
        self._quiet: list[Info] = [{} for _ in range(count)]
        super().__init__(count, spaces.Box(-20.0, 20.0, (FULL_SIZE,), np.float32), spaces.Discrete(ACTION_COUNT))

    def reset(self) -> NDArray[np.float32]:
        """Open new accounts and put them at random bars."""
        training.begin(self._tape.bars, self._draw(), self._fleet, self._terms)
        return self._fleet.obs.copy()

    def step_async(self, actions: NDArray[np.int64]) -> None:
        """Take one action an account."""
        self._actions = np.asarray(actions, dtype=np.int64)

    def step_wait(self) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_], list[Info]]:
        """Carry them out; InvariantError where a mask forbids one."""
        fleet = self._fleet
        forbidden = training.step(self._tape.bars, self._actions, self._draw(), fleet, self._terms)
        if forbidden >= 0:
            msg = f"account {forbidden} was given action {self._actions[forbidden]}, which its mask forbids"
            raise InvariantError(msg)
        ended = fleet.outcomes != training.RUNNING
        rewards = (fleet.rewards / self._risk_cents).astype(np.float32)
        return fleet.obs.copy(), rewards, ended, self._infos(ended)

    def action_masks(self) -> NDArray[np.bool_]:
        """What is valid now, [count, 6]."""
        return (self._fleet.masks[:, None] >> _ACTIONS & 1).astype(np.bool_)

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        """`action_masks` of each account: the one method that MaskablePPO calls."""
        if method_name != "action_masks" or args or kwargs:
            msg = f"this environment has no method {method_name!r}"
            raise AttributeError(msg)
        return list(self.action_masks()[list(self._get_indices(indices))])

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """The same attribute for every account."""
        return [getattr(self, attr_name) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Refused: accounts share everything."""
        del value, indices
        msg = f"{attr_name} of single accounts cannot be set"
        raise AttributeError(msg)

    def env_is_wrapped(self, wrapper_class: type, indices: Any = None) -> list[bool]:
        """Never."""
        del wrapper_class
        return [False for _ in self._get_indices(indices)]

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Begin the sequence of random bars anew; None leaves it as it is."""
        if seed is not None:
            self._rng = np.random.default_rng(seed)
        return [seed] * self.num_envs

    def close(self) -> None:
        """Nothing is held."""

    def _draw(self) -> NDArray[np.int64]:
        starts = self._tape.starts
        drawn: NDArray[np.int64] = starts[self._rng.integers(0, len(starts), self.num_envs)]
        return drawn

    def _infos(self, ended: NDArray[np.bool_]) -> list[Info]:
        infos = self._quiet.copy()
        for n in np.flatnonzero(ended):
            infos[n] = self._end_of(int(n))
        return infos

    def _end_of(self, n: int) -> Info:
        fleet = self._fleet
        return {
            "terminal_observation": fleet.end_obs[n].copy(),
            "TimeLimit.truncated": bool(fleet.outcomes[n] == training.TRUNCATED),
            "episode": {
                "r": float(fleet.episode_cents[n] / self._risk_cents),
                "l": int(fleet.episode_steps[n]),
                "t": 0.0,
            },
        }


def new_fleet(count: int) -> training.Fleet:
    """Room for `count` accounts."""
    return training.Fleet(
        books=np.zeros((count, book_kernels.SIZE), dtype=np.int64),
        at=np.zeros(count, dtype=np.int64),
        obs=np.zeros((count, FULL_SIZE), dtype=np.float32),
        masks=np.zeros(count, dtype=np.int64),
        end_obs=np.zeros((count, FULL_SIZE), dtype=np.float32),
        rewards=np.zeros(count, dtype=np.int64),
        outcomes=np.zeros(count, dtype=np.int64),
        episode_cents=np.zeros(count, dtype=np.int64),
        episode_steps=np.zeros(count, dtype=np.int64),
    )
