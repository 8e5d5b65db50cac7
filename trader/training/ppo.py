"""MaskablePPO with a collection that treats all accounts of a step together.

What stable-baselines3 does one account at a time (fetching masks, valuing the last observation of a truncated episode)
took a fifth of a phase-1 update, in which an episode has five choices. The update itself is the library's own.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sb3_contrib import MaskablePPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv

Info = dict[str, Any]


class BatchedPPO(MaskablePPO):  # type: ignore[misc]  # the library ships no types here
    """`ended` are the infos of the episodes that ended in the last rollout, in the order of their ends."""

    ended: list[Info]
    _last_obs: Any
    _last_episode_starts: Any

    def collect_rollouts(
        self,
        env: VecEnv,
        callback: BaseCallback,
        rollout_buffer: Any,
        n_rollout_steps: int,
        use_masking: bool = True,  # noqa: ARG002, FBT001, FBT002 - the library's signature
    ) -> bool:
        """Fill the buffer with choices of the present policy and its advantages (GAE, Schulman et al. 2016).

        The end of a session is a truncation: the value of what was seen there stands for what would have followed.
        """
        self.policy.set_training_mode(False)
        rollout_buffer.reset()
        callback.on_rollout_start()
        self.ended = []
        obs, starts = self._last_obs, self._last_episode_starts
        for _ in range(n_rollout_steps):
            masks = env.action_masks()
            with torch.no_grad():
                actions, values, log_probs = self.policy(torch.from_numpy(obs), action_masks=masks)
            chosen = actions.numpy()
            new_obs, rewards, dones, infos = env.step(chosen)
            self.num_timesteps += env.num_envs
            if dones.any():
                ended = np.flatnonzero(dones)
                self._bootstrap(rewards, [infos[n] for n in ended], ended)
            rollout_buffer.add(obs, chosen.reshape(-1, 1), rewards, starts, values, log_probs, action_masks=masks)
            obs, starts = new_obs, dones
        self._last_obs, self._last_episode_starts = obs, starts
        self.ep_info_buffer.extend(info["episode"] for info in self.ended)
        with torch.no_grad():
            last_values = self.policy.predict_values(torch.from_numpy(obs))
        rollout_buffer.compute_returns_and_advantage(last_values=last_values, dones=starts)
        callback.on_rollout_end()
        return True

    def _bootstrap(self, rewards: NDArray[np.float32], infos: list[Info], ended: NDArray[np.intp]) -> None:
        """Add the discounted value of what was seen last, where an episode was cut off by the clock."""
        self.ended += infos
        cut = [i for i, info in enumerate(infos) if info["TimeLimit.truncated"]]
        if cut:
            seen = np.stack([infos[i]["terminal_observation"] for i in cut])
            with torch.no_grad():
                values = self.policy.predict_values(torch.from_numpy(seen)).numpy().ravel()
            rewards[ended[cut]] += self.gamma * values
