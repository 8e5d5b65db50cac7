"""The plain gymnasium view of one account."""

import numpy as np
from gymnasium.utils.env_checker import check_env as check_by_gymnasium
from stable_baselines3.common.env_checker import check_env as check_by_sb3
from training_builders import a_ground, some_bars

from trader.training.env import Shaping, TradingEnv
from trader.training.gym_view import GymView


def one_account(actions: int = 6, inputs: int = 261) -> TradingEnv:
    ground, shaping = a_ground(some_bars()), Shaping(breach=1.0)
    return TradingEnv(ground, actions=actions, inputs=inputs, count=1, seed=3, shaping=shaping)


def an_env(actions: int = 6, inputs: int = 261) -> GymView:
    return GymView(one_account(actions, inputs))


def test_gym_view_passes_both_libraries_checks():
    """Spaces, seeds, returned types: gymnasium's checker and stable-baselines3's find nothing."""
    for env in (an_env(), an_env(actions=3, inputs=228)):
        check_by_gymnasium(env, skip_render_check=True)
        check_by_sb3(env)


def test_gym_view_plays_what_the_vectorised_one_plays():
    """Same seed and choices: the same observations, rewards and ends."""
    single = an_env()
    many = one_account()
    obs, _ = single.reset(seed=3)
    assert (obs == many.reset()[0]).all()
    rng, ends = np.random.default_rng(1), 0
    for _ in range(400):
        mask = single.action_masks()
        action = int(rng.choice(np.flatnonzero(mask)))
        obs, reward, terminated, truncated, _ = single.step(action)
        seen, rewards, dones, infos = many.step(np.array([action]))
        assert reward == rewards[0]
        assert (terminated or truncated) == dones[0]
        if dones[0]:
            ends += 1
            assert (obs == infos[0]["terminal_observation"]).all()
            assert truncated == infos[0]["TimeLimit.truncated"]
            assert (single.reset()[0] == seen[0]).all()
        else:
            assert (obs == seen[0]).all()
    assert ends > 3


def test_gym_view_takes_a_masked_action_as_hold():
    """A tool without masks does nothing by what it may not do."""
    env, other = an_env(), an_env()
    env.reset(seed=5)
    other.reset(seed=5)
    obs, reward, *_ = env.step(5)
    expected, reward_of_hold, *_ = other.step(0)
    assert (obs == expected).all()
    assert reward == reward_of_hold


def test_gym_view_reset_in_mid_episode_opens_a_new_account_without_a_position():
    """What was open is dropped, and the drawdown that it had made with it."""
    env = an_env()
    obs, _ = env.reset(seed=3)
    rng = np.random.default_rng(1)
    while obs[257] == 0.0 or not obs[220]:
        obs, _, terminated, truncated, _ = env.step(int(rng.choice(np.flatnonzero(env.action_masks()))))
        if terminated or truncated:
            obs, _ = env.reset()
    obs, _ = env.reset()
    assert obs[257] == 0.0
    assert obs[220:225].tolist() == [0.0] * 5
    assert env.action_masks()[:3].all()
