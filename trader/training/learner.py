"""PPO with masked actions on the trading environment: one update after the other, and what each was like."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from msgspec import Struct
from stable_baselines3.common.vec_env import VecEnv

from trader.domain.actions import Action
from trader.training.plan import Plan
from trader.training.ppo import BatchedPPO

torch.distributions.Distribution.set_default_validate_args(False)  # it costs a tenth of an update and finds nothing


class Update(Struct, frozen=True, kw_only=True):
    """One rollout and the passes over it. `steps` counts from the phase's start; `action_shares` are of real choices,
    `entry_shares` of those at which an entry was valid.

    `losses` are stable-baselines3's `train/` figures; `rewards` the mean of each reward term an episode, in R.
    """

    number: int
    steps: int
    episodes: int
    episode_r: float | None
    episode_length: float | None
    action_shares: tuple[float, ...]
    entry_shares: tuple[float, ...]
    confidence: float
    losses: dict[str, float]
    rewards: dict[str, float]


def make_model(plan: Plan, env: VecEnv, *, seed: int) -> BatchedPPO:
    """A fresh learner of `plan` on `env`; the seed fixes weights, sampling and batches. Sets torch's thread count."""
    torch.set_num_threads(plan.run.torch_threads)
    ppo, layers = plan.ppo, list(plan.network.hidden)
    return BatchedPPO(
        "MlpPolicy",
        env,
        learning_rate=lambda left: ppo.learning_rate * left,
        n_steps=ppo.rollout_steps,
        batch_size=ppo.batch_size,
        n_epochs=ppo.epochs,
        gamma=ppo.gamma,
        gae_lambda=ppo.gae_lambda,
        clip_range=ppo.clip_range,
        ent_coef=ppo.entropy_start,
        vf_coef=ppo.value_coef,
        max_grad_norm=ppo.max_grad_norm,
        target_kl=ppo.target_kl,
        policy_kwargs={"net_arch": {"pi": layers, "vf": layers}, "activation_fn": torch.nn.Tanh},
        seed=seed,
        device="cpu",
    )


class Learner:
    """A model and how far it is. `updates` goes on from wherever the model stands: fresh, transferred or restored."""

    def __init__(self, model: BatchedPPO, plan: Plan, *, total_steps: int, critic_updates: int = 0) -> None:
        """`total_steps` of the phase fix the schedules; the first `critic_updates` move the critic alone."""
        self.model = model
        self.plan = plan
        self.total_steps = total_steps
        self.critic_updates = critic_updates
        self.number = 0
        _, self._callback = model._setup_learn(total_steps)

    def updates(self) -> Iterator[Update]:
        """Learn to the end, an update at a time; between two the whole state stands still and may be saved."""
        while self.model.num_timesteps < self.total_steps:
            yield self._update()

    def _update(self) -> Update:
        model, ppo = self.model, self.plan.ppo
        self.set_actor_learning(on=self.number >= self.critic_updates)
        steps_before = model.num_timesteps
        model.collect_rollouts(model.env, self._callback, model.rollout_buffer, model.n_steps)
        actions, masks = model.rollout_buffer.actions, model.rollout_buffer.action_masks
        actions, masks = actions.ravel(), masks.reshape(-1, masks.shape[-1])
        confidence = float(np.exp(model.rollout_buffer.log_probs).mean())
        # Schedules follow the steps before the rollout: the last one, which may go past the end, still learns.
        model._update_current_progress_remaining(steps_before, self.total_steps)
        left = model._current_progress_remaining
        model.ent_coef = ppo.entropy_end + (ppo.entropy_start - ppo.entropy_end) * left
        model.train()
        self.number += 1
        ended = [info["episode"] for info in model.ended]
        return Update(
            number=self.number,
            steps=model.num_timesteps,
            episodes=len(ended),
            episode_r=_mean([float(episode["r"]) for episode in ended]),
            episode_length=_mean([float(episode["l"]) for episode in ended]),
            action_shares=_shares(actions, masks.sum(axis=1) > 1, masks.shape[1]),
            entry_shares=_shares(actions, masks[:, Action.BUY] > 0, masks.shape[1]),
            confidence=confidence,
            losses=_losses(model),
            rewards=_reward_terms(model.ended),
        )

    def set_actor_learning(self, *, on: bool) -> None:
        """Gradients of the actor off or on; the critic always learns."""
        for name, parameter in self.model.policy.named_parameters():
            if is_actor(name):
                parameter.requires_grad_(on)


def is_actor(parameter: str) -> bool:
    """Whether a parameter of the policy, by its name, belongs to the actor."""
    return parameter.startswith(("mlp_extractor.policy_net.", "action_net."))


def _shares(actions: np.ndarray[Any, Any], counted: np.ndarray[Any, Any], count: int) -> tuple[float, ...]:
    """Share of each of `count` actions among the steps that are `counted`; all 0 if there are none."""
    found = np.bincount(actions[counted].astype(np.int64), minlength=count)
    return tuple((found / max(int(found.sum()), 1)).tolist())


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _losses(model: BatchedPPO) -> dict[str, float]:
    recorded = model.logger.name_to_value
    return {name: float(value) for name, value in recorded.items() if name.startswith("train/")}


def _reward_terms(ended: list[dict[str, Any]]) -> dict[str, float]:
    """Mean of each term of the reward over the episodes that ended."""
    terms = [info["rewards"] for info in ended if "rewards" in info]
    return {name: float(np.mean([episode[name] for episode in terms])) for name in (terms[0] if terms else ())}
