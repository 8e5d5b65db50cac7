"""PPO as this project runs it: the library's numbers, schedules, seeds, and a critic that may learn alone."""

import numpy as np
import pytest
from lesson_builders import ROLLOUT, a_learner, a_lesson, a_plan, learn, parameters_of, the_ground
from sb3_contrib import MaskablePPO
from training_builders import a_ground, some_bars

from trader.training.beginning import begin
from trader.training.env import Shaping, TradingEnv
from trader.training.ground import Ground
from trader.training.learner import Learner, is_actor, make_model
from trader.training.phases import Phase
from trader.training.ppo import BatchedPPO
from trader.training.transfer import is_critic


def an_env(ground: Ground | None = None) -> TradingEnv:
    return TradingEnv(ground or the_ground(), actions=3, inputs=228, count=8, seed=4, shaping=Shaping(breach=1.0))


def test_rollout_of_all_accounts_together_is_the_librarys_one_by_one():
    """Same weights, seeds and environment: what is learned from equals what stable-baselines3 collects.

    Episodes end by the clock, which is worth what would have followed, and by a breach, after which nothing follows.
    """
    ground, buffers, outcomes = a_ground(some_bars(), "account.trailing_limit_usd=400"), [], set()
    for kind in (MaskablePPO, BatchedPPO):
        model = kind("MlpPolicy", an_env(ground), n_steps=64, batch_size=64, gamma=0.9, seed=3, device="cpu")
        _, callback = model._setup_learn(10_000)
        for _ in range(2):
            model.collect_rollouts(model.env, callback, model.rollout_buffer, 64)
        buffers.append(model.rollout_buffer)
        episodes = [(episode["r"], episode["l"]) for episode in model.ep_info_buffer]
        assert len(episodes) == 100
        assert model.num_timesteps == 2 * 64 * 8
        outcomes |= {info["TimeLimit.truncated"] for info in getattr(model, "ended", ())}
    assert outcomes == {True, False}
    theirs, ours = buffers
    for name in ("observations", "actions", "action_masks", "episode_starts"):
        assert (getattr(ours, name) == getattr(theirs, name)).all(), name
    for name in ("rewards", "values", "log_probs", "advantages", "returns"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), atol=1e-5, err_msg=name)
    assert theirs.episode_starts.sum() > 20


def test_learner_with_the_same_seed_has_the_same_weights_and_with_another_not():
    """A seed fixes weights, sampling, batches and episode starts."""
    made = []
    for seed in (1, 1, 2):
        learner = a_learner(seed=seed)
        updates = learn(learner, 3)
        made.append((parameters_of(learner), updates))
    assert made[0][1] == made[1][1] != made[2][1]
    assert all((made[0][0][name] == made[1][0][name]).all() for name in made[0][0])
    assert not (made[0][0]["action_net.weight"] == made[2][0]["action_net.weight"]).all()


def test_learner_update_tells_what_was_chosen_and_what_came_of_it():
    """Shares add up, episodes are counted, figures are the library's."""
    for update in learn(a_learner(), 3):
        assert update.steps == update.number * ROLLOUT
        assert sum(update.action_shares) == pytest.approx(1)
        assert len(update.action_shares) == len(update.entry_shares) == 3
        assert 0.3 < update.confidence < 0.4
        assert update.episodes > 0
        assert update.episode_r == pytest.approx(sum(update.rewards.values()), abs=1e-6)
        assert {"train/value_loss", "train/approx_kl", "train/entropy_loss"} <= update.losses.keys()


def test_learner_rate_and_entropy_fall_linearly_to_the_end():
    """The schedules follow the phase's steps and end where the plan says."""
    learner = a_learner(Phase.ENTRIES, "ppo.entropy_start=0.5", "ppo.entropy_end=0.1", updates=4)
    rates, entropies = [], []
    for update in learner.updates():
        rates.append(update.losses["train/learning_rate"])
        entropies.append(learner.model.ent_coef)
    assert rates == pytest.approx([3e-4 * left for left in (1, 0.75, 0.5, 0.25)])
    assert entropies == pytest.approx([0.5, 0.4, 0.3, 0.2])


def test_learner_moves_the_critic_alone_for_its_updates_and_everything_afterwards():
    """The actor stands still exactly as long as the plan says, and nothing is frozen for ever."""
    plan = a_plan()
    learner = Learner(make_model(plan, an_env(), seed=1), plan, total_steps=8 * ROLLOUT, critic_updates=2)
    begun = parameters_of(learner)
    learn(learner, 2)
    alone = parameters_of(learner)
    for name, values in alone.items():
        assert (values == begun[name]).all() == is_actor(name), name
    learn(learner, 1)
    for name, values in parameters_of(learner).items():
        assert not (values == alone[name]).all(), name


def test_learner_parameters_are_the_actors_or_the_critics():
    """Nothing is both or neither: what one file leaves out the other has."""
    for name in parameters_of(a_learner()):
        assert is_actor(name) != is_critic(name)


def test_lesson_of_a_phase_that_begins_afresh_does_not_keep_the_actor_waiting():
    """Without a policy to protect, the critic needs no head start."""
    assert begin(a_lesson()).learner.critic_updates == 0
