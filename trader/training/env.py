"""The training environment: N accounts on one tape as a stable-baselines3 VecEnv with action masks.

A step is one real choice: bars at which HOLD is the only valid action, or at which the review blocks every other, pass
by themselves. Each episode begins at a random bar of a random session's entry window and ends flat, at the session's
end (truncated) or when the account breaches its trailing threshold (terminated); otherwise the account runs on into the
next episode, so that drawdown, streak and win rate are seen as they come.

The reward is the change of equity net of costs in R, the initial risk of the trade at hand, less `Shaping`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from gymnasium import spaces
from msgspec import Struct
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv

from trader.errors import InvariantError
from trader.kernels import layout, training
from trader.observation import FULL_SIZE
from trader.training.ground import Ground, new_fleet, unscaled

Info = dict[str, Any]
RAW_BOUND = 20.0
"""No feature's clip is wider."""
STATE_FIELDS = tuple(name for name in training.Fleet._fields if name != "trades")


class Shaping(Struct, frozen=True, kw_only=True):
    """What the reward has besides the result, in R: `breach` is taken off once, when an account breaches."""

    breach: float


class TradingEnv(VecEnv):  # type: ignore[misc]  # the library ships no types here
    """`count` accounts on `ground` for a policy of the first `actions` actions that sees `inputs` values.

    `scaling` is the policy's frozen normaliser, None shows the observations as they are. The same seed gives the same
    episodes.
    """

    render_mode = None

    def __init__(  # noqa: PLR0913 -- each is a fact of its own
        self,
        ground: Ground,
        *,
        actions: int,
        inputs: int,
        count: int,
        seed: int,
        scaling: training.Scaling | None = None,
        shaping: Shaping,
    ) -> None:
        self.ground = ground
        sight = unscaled(inputs) if scaling is None else scaling
        full = inputs == FULL_SIZE
        self._world = ground.world(sight, full=full, actions=(1 << actions) - 1)
        self._starts = ground.tape.for_inputs(full=full).starts
        self._shaping = shaping
        self._rng = np.random.default_rng(seed)
        self._fleet = new_fleet(ground, count, inputs)
        self._bits = np.arange(actions)
        self._chosen: NDArray[np.int64] = np.zeros(count, dtype=np.int64)
        self._quiet: list[Info] = [{} for _ in range(count)]
        bound = RAW_BOUND if scaling is None else scaling.clip
        space = spaces.Box(-bound, bound, (inputs,), np.float32)
        super().__init__(count, space, spaces.Discrete(actions))

    def reset(self) -> NDArray[np.float32]:
        """Open new accounts and put them at random bars."""
        training.begin(self._world, self._draw(), self._fleet)
        return self._fleet.seen.copy()

    def step_async(self, actions: NDArray[np.int64]) -> None:
        """Take one action an account."""
        self._chosen = np.asarray(actions, dtype=np.int64)

    def step_wait(self) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_], list[Info]]:
        """Carry them out; InvariantError where a mask forbids one."""
        fleet = self._fleet
        forbidden = training.step(self._world, self._chosen, self._draw(), fleet)
        if forbidden >= 0:
            msg = f"account {forbidden} was given action {self._chosen[forbidden]}, which its mask forbids"
            raise InvariantError(msg)
        ended = fleet.outcomes != training.RUNNING
        return fleet.seen.copy(), self._total(fleet.rewards).astype(np.float32), ended, self._infos(ended)

    def action_masks(self) -> NDArray[np.bool_]:
        """What is valid now, [count, actions]."""
        return (self._fleet.plans[:, layout.MASK, None] >> self._bits & 1).astype(np.bool_)

    def state(self) -> dict[str, NDArray[Any]]:
        """Everything that decides what comes next: accounts, places, and the generator of episode starts."""
        arrays = {name: getattr(self._fleet, name).copy() for name in STATE_FIELDS}
        generator = msgspec.json.encode(_as_text(self._rng.bit_generator.state))
        return arrays | {"generator": np.frombuffer(generator, dtype=np.uint8)}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from `state`; InvariantError where it is that of another environment."""
        if "generator" not in state:
            msg = "the environment's state has no generator of episode starts: it was not made by `state`"
            raise InvariantError(msg)
        for name in STATE_FIELDS:
            own, given = getattr(self._fleet, name), state.get(name)
            if given is None or own.shape != given.shape or own.dtype != given.dtype:
                msg = f"the environment's state has no {name} of shape {own.shape}: it belongs to another configuration"
                raise InvariantError(msg)
            own[...] = given
        self._rng.bit_generator.state = _as_numbers(msgspec.json.decode(state["generator"].tobytes()))

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        """`action_masks` of each account: the one method that MaskablePPO calls."""
        if method_name != "action_masks" or args or kwargs:
            msg = f"this environment has no method {method_name!r}"
            raise AttributeError(msg)
        masks = self.action_masks()
        return list(masks) if indices is None else list(masks[list(self._get_indices(indices))])

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
        drawn: NDArray[np.int64] = self._starts[self._rng.integers(0, len(self._starts), self.num_envs)]
        return drawn

    def _total(self, rewards: NDArray[np.float64]) -> NDArray[np.float64]:
        total: NDArray[np.float64] = (
            rewards[..., training.PNL_R] - self._shaping.breach * rewards[..., training.BREACH_R]
        )
        return total

    def _infos(self, ended: NDArray[np.bool_]) -> list[Info]:
        """Empty where the episode goes on; the arrays of those that ended are cut once, not one by one."""
        infos = self._quiet.copy()
        fleet, places = self._fleet, np.flatnonzero(ended)
        parts = zip(
            places.tolist(),
            fleet.episode_rewards[places].tolist(),
            fleet.episode_steps[places].tolist(),
            fleet.outcomes[places].tolist(),
            fleet.end_seen[places],
            strict=True,
        )
        for n, terms, steps, outcome, seen in parts:
            pnl, breach = terms[training.PNL_R], -self._shaping.breach * terms[training.BREACH_R]
            infos[n] = {
                "terminal_observation": seen,
                "TimeLimit.truncated": outcome == training.TRUNCATED,
                "episode": {"r": pnl + breach, "l": steps, "t": 0.0},
                "rewards": {"pnl": pnl, "breach": breach},
            }
        return infos


def _as_text(state: Any) -> Any:
    """A generator's state with its 128-bit numbers as text: JSON's numbers end at 64 bits."""
    if isinstance(state, Mapping):
        return {key: _as_text(value) for key, value in state.items()}
    return f"int:{state}" if isinstance(state, int) else state


def _as_numbers(state: Any) -> Any:
    if isinstance(state, dict):
        return {key: _as_numbers(value) for key, value in state.items()}
    return int(state[4:]) if isinstance(state, str) and state.startswith("int:") else state
