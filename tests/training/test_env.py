"""The environment as MaskablePPO sees it: masks, rewards, ends of episodes, seeds."""

from functools import cache

import numpy as np
import pytest
from sb3_contrib import MaskablePPO
from sb3_contrib.common.maskable.utils import get_action_masks, is_masking_supported
from training_builders import CALENDAR, a_ground, a_tape, awkward_bars, some_bars

from trader.adapters.columns import concatenate
from trader.domain.sessions import et_ns
from trader.errors import InputError, InvariantError
from trader.kernels import book, layout, rules, training
from trader.training.env import Shaping, TradingEnv
from trader.training.ground import new_fleet, scaling_of
from trader.training.tape import TrainingTape


@cache
def the_tape() -> TrainingTape:
    return a_tape(some_bars())


def an_env(
    *overrides: str, count: int = 8, seed: int = 4, actions: int = 6, inputs: int = 261, breach: float = 1.0
) -> TradingEnv:
    ground = a_ground(some_bars(), *overrides)
    return TradingEnv(ground, actions=actions, inputs=inputs, count=count, seed=seed, shaping=Shaping(breach=breach))


def random_steps(env: TradingEnv, steps: int, seed: int = 0, patience: float = 0.0):
    """(masks before, actions, obs, rewards, dones, infos) of `steps` random valid steps.

    `patience` is the chance of leaving an open position alone, 0..1, besides that of drawing HOLD.
    """
    rng = np.random.default_rng(seed)
    env.reset()
    for _ in range(steps):
        masks = env.action_masks()
        actions = (rng.random(masks.shape) * masks).argmax(axis=1)
        if patience:
            actions[~masks[:, 1] & (rng.random(len(actions)) < patience)] = 0
        yield masks, actions, *env.step(actions)


def test_env_step_always_leaves_a_choice():
    """Bars at which only HOLD is valid pass by themselves; HOLD is valid at every other."""
    seen = set()
    for masks, *_ in random_steps(an_env(), 400):
        assert masks[:, 0].all()
        assert (masks.sum(axis=1) >= 2).all()
        seen |= set(map(tuple, masks.tolist()))
    assert (True, True, True, False, False, False) in seen
    assert {mask[3:] for mask in seen} >= {(False, False, False), (True, False, False), (False, True, False)}


def test_env_observations_are_finite_and_inside_their_space():
    """Nothing that a policy sees, at a choice or at an end, is out of bounds."""
    env = an_env()
    for _, _, obs, _, dones, infos in random_steps(env, 300):
        ends = [infos[n]["terminal_observation"] for n in np.flatnonzero(dones)]
        for seen in (*obs, *ends):
            assert env.observation_space.contains(seen)


def test_env_rewards_of_an_episode_add_up_to_its_result_in_r():
    """What was paid out step by step is what the episode made net of costs, and nothing is lost between."""
    totals = np.zeros(8)
    ended = 0
    env = an_env()
    for _, _, _, rewards, dones, infos in random_steps(env, 600):
        totals += rewards
        for n in np.flatnonzero(dones):
            assert infos[n]["episode"]["r"] == pytest.approx(totals[n], abs=1e-3)
            totals[n] = 0.0
            ended += 1
    assert ended > 20


@pytest.mark.parametrize("bars", [some_bars, awkward_bars])
def test_env_pays_for_an_episode_what_its_trades_made_of_their_own_risk(bars):
    """Net result over initial risk of each round trip, as the rollout books it, less the breach's share where it ended
    so: forced closes, rolls and trades that a breach closed are in it."""
    breach = 3.0
    ground = a_ground(bars(), "account.trailing_limit_usd=1200")
    env = TradingEnv(ground, actions=6, inputs=261, count=8, seed=4, shaping=Shaping(breach=breach))
    env._fleet = fleet = new_fleet(ground, 8, 261, trades=2_000)
    booked = [0] * 8
    reasons, breaches = set(), 0
    for _, _, _, _, dones, infos in random_steps(env, 800, patience=0.95):
        for n in np.flatnonzero(dones):
            upto = int(fleet.plans[n, layout.TRADES])
            trades = fleet.trades[n, booked[n] : upto]
            booked[n] = upto
            reasons |= set(trades[:, layout.REASON].tolist())
            made = float((trades[:, layout.PNL_CENTS] / trades[:, layout.RISK_CENTS]).sum())
            terminated = not infos[n]["TimeLimit.truncated"]
            breaches += terminated
            assert infos[n]["rewards"]["pnl"] == pytest.approx(made, abs=1e-9)
            assert infos[n]["episode"]["r"] == pytest.approx(made - breach * terminated, abs=1e-9)
    assert breaches > 3
    assert {layout.STOP, layout.FLAT_AT, layout.TRAILING_BREACH} <= reasons
    assert bars is some_bars or {layout.FORCED_CLOSE, layout.ROLL} <= reasons


def test_env_of_an_account_that_only_holds_earns_and_pays_nothing():
    """No trade, no reward; the episode ends by the clock."""
    env = an_env()
    env.reset()
    outcomes = []
    for _ in range(800):
        _, rewards, dones, infos = env.step(np.zeros(8, dtype=np.int64))
        assert not rewards.any()
        outcomes += [infos[n]["TimeLimit.truncated"] for n in np.flatnonzero(dones)]
    assert len(outcomes) > 8
    assert all(outcomes)


def test_env_ends_every_episode_flat():
    """The last thing seen of an episode is an account without a position."""
    ends = 0
    for _, _, _, _, dones, infos in random_steps(an_env(), 600):
        for n in np.flatnonzero(dones):
            assert infos[n]["terminal_observation"][220:225].tolist() == [0.0] * 5
            ends += 1
    assert ends > 20


def test_env_breach_terminates_and_a_new_account_begins():
    """With a threshold near the start some episode terminates, and the next one has its whole drawdown left."""
    terminated = 0
    for _, _, obs, _, dones, infos in random_steps(an_env("account.trailing_limit_usd=400"), 600):
        for n in np.flatnonzero(dones):
            if not infos[n]["TimeLimit.truncated"]:
                terminated += 1
                assert infos[n]["terminal_observation"][257] > 0.0
                assert obs[n, 257] == 0.0
    assert terminated > 5


def test_env_account_runs_on_after_a_truncated_episode():
    """A drawdown is carried into the next session, as it is in service."""
    carried = [
        (infos[n]["terminal_observation"][257], obs[n, 257])
        for _, _, obs, _, dones, infos in random_steps(an_env(), 600)
        for n in np.flatnonzero(dones)
        if infos[n]["TimeLimit.truncated"]
    ]
    assert len(carried) > 10
    # An account that came near its threshold has its entries vetoed for good: another one follows.
    assert all(after in {before, 0.0} for before, after in carried)
    assert sum(before == after > 0 for before, after in carried) > 5


def test_env_with_the_same_seed_repeats_itself_and_with_another_does_not():
    """A seed fixes every number that the environment gives out."""

    def trace(seed: int) -> list[float]:
        return [
            float(obs.sum()) + float(rewards.sum()) for _, _, obs, rewards, *_ in random_steps(an_env(seed=seed), 60)
        ]

    assert trace(1) == trace(1)
    assert trace(1) != trace(2)


def test_env_given_a_forbidden_action_refuses_and_changes_nothing():
    """An action outside the mask is a defect of the caller, as it is in service."""
    env = an_env()
    before = env.reset()
    with pytest.raises(InvariantError, match="account 3 was given action 4"):
        env.step(np.array([0, 0, 0, 4, 0, 0, 0, 0]))
    again = env.reset()
    assert before.shape == again.shape
    assert env.action_masks()[:, 0].all()


def test_env_observations_of_a_step_survive_the_next():
    """The learner keeps what it was given while the environment goes on."""
    env = an_env()
    first = env.reset()
    kept = first.copy()
    env.step(np.ones(8, dtype=np.int64))
    assert (first == kept).all()


def test_env_works_with_maskable_ppo():
    """The learner finds the masks, and a short training changes the weights and obeys them."""
    env = an_env(count=4)
    assert is_masking_supported(env)
    env.reset()
    assert (get_action_masks(env) == env.action_masks()).all()
    model = MaskablePPO("MlpPolicy", env, n_steps=16, batch_size=32, n_epochs=1, seed=1, device="cpu")
    before = model.policy.action_net.weight.detach().clone()
    model.learn(128)
    assert not (before == model.policy.action_net.weight.detach()).all()


def test_tape_starts_lie_in_the_entry_window_of_sessions_with_a_cash_market():
    """Every start closes at 09:35 or later and before 15:30, or before the half day's earlier end."""
    tape, columns = the_tape(), some_bars()
    for t in tape.starts:
        session = CALENDAR.at(int(columns.ts_open_ns[t]))
        assert session is not None
        assert session.date != "2019-11-28"
        assert et_ns(session, "09:35") <= columns.ts_close_ns[t] < et_ns(session, "15:30")
        if session.is_half_day:
            assert columns.ts_close_ns[t] < session.close_ns - 30 * 60 * 10**9
    assert (np.diff(tape.starts) > 0).all()
    assert set(tape.first_starts) <= set(tape.starts)


def test_tape_hash_covers_prices_and_volumes():
    """Another tick or another contract traded is another tape; the same bars are the same."""
    columns = some_bars()
    assert a_tape(columns).sha256 == the_tape().sha256
    assert a_tape(some_bars(seed=6)).sha256 != the_tape().sha256


def test_tape_of_a_gap_of_days_is_refused_by_its_dates():
    """Two missing sessions are a vendor's hole; three are another history, and the message says where to cut."""
    columns = some_bars("2019-11-11", 9)
    sessions = CALENDAR.session_index(columns.ts_open_ns)
    first = sessions[0]

    def without_sessions(*numbers: int):
        keep = np.flatnonzero(~np.isin(sessions - first, numbers))
        return concatenate(
            [
                columns.rows(int(part[0]), int(part[-1]) + 1)
                for part in np.split(keep, np.flatnonzero(np.diff(keep) > 1) + 1)
            ]
        )

    assert len(a_tape(without_sessions(3, 4)).session_dates) == 7
    with pytest.raises(InputError, match="no bars for 3 sessions between 2019-11-13 and 2019-11-19: fill the gap"):
        a_tape(without_sessions(3, 4, 5))


def test_tape_of_too_few_bars_is_refused():
    """Without warm-up there is nothing to begin at, and the message says how much is needed."""
    with pytest.raises(InputError, match="no bar is left to trade at: 600 bars were given"):
        a_tape(some_bars().rows(0, 600))


def test_step_kernel_stops_before_the_first_forbidden_action():
    """The whole step is refused: no account has moved."""
    env = an_env(count=2)
    env.reset()
    fleet = env._fleet
    before = fleet.plans.copy(), fleet.books.copy()
    refused = training.step(env._world, np.array([1, 5]), the_tape().starts[:2], fleet)
    assert refused == 1
    assert (fleet.plans == before[0]).all()
    assert (fleet.books == before[1]).all()
    assert fleet.books[0, book.QTY] == 0


def test_env_of_phase_one_knows_three_actions_and_leaves_positions_alone():
    """While a trade is open its bracket works; the next choice is an entry again."""
    env = an_env(actions=3, inputs=228)
    assert env.action_space.n == 3
    steps = 0
    for masks, actions, obs, *_ in random_steps(env, 200):
        assert masks.shape == (8, 3)
        assert obs.shape == (8, 228)
        assert masks.all()
        assert not obs[:, 220].any()
        steps += int((actions > 0).sum())
    assert steps > 50


def test_env_passes_over_bars_whose_entries_are_vetoed():
    """After as many losses in a row as the limit allows, no choice is offered before the next episode."""
    env = an_env("risk.max_consecutive_losses=1", "risk.veto_reset_minutes=1440", actions=3, inputs=228)
    losses = 0
    for *_, rewards, dones, _ in random_steps(env, 300):
        assert dones[rewards < -0.5].all()
        losses += int((rewards < -0.5).sum())
    assert losses > 20


def test_env_step_under_a_veto_of_its_action_does_nothing():
    """The mask does not contain the review: a blocked action is a HOLD."""
    env = an_env(count=1)
    env.reset()
    fleet = env._fleet
    fleet.memories[0, rules.LATCHED] = rules.DAILY_LOSS
    fleet.plans[0, layout.ACTIVE] = rules.DAILY_LOSS
    at = fleet.plans[0, layout.AT]
    _, rewards, dones, _ = env.step(np.array([1]))
    assert rewards[0] == 0.0
    assert dones[0]
    assert at != fleet.plans[0, layout.AT]
    assert fleet.books[0, book.TRADES] == 0


def test_env_breach_costs_what_the_shaping_says_once():
    """The term stands apart from the result, and both add up to the episode's reward."""
    ends = []
    for *_, dones, infos in random_steps(an_env("account.trailing_limit_usd=400", breach=2.5), 600):
        ends += [infos[n] for n in np.flatnonzero(dones)]
    breached = [info for info in ends if not info["TimeLimit.truncated"]]
    assert len(breached) > 5
    for info in ends:
        assert info["rewards"]["breach"] == (0.0 if info["TimeLimit.truncated"] else -2.5)
        assert info["episode"]["r"] == pytest.approx(info["rewards"]["pnl"] + info["rewards"]["breach"])


def test_env_shows_observations_through_the_scaling():
    """Centred, divided, clipped: as the network of a bundle does it before its first layer."""
    rng = np.random.default_rng(1)
    mean, variance = rng.normal(size=261), rng.random(261) + 0.01
    raw = an_env()
    scaled = TradingEnv(
        raw.ground, actions=6, inputs=261, count=8, seed=4, scaling=scaling_of(mean, variance, 2.0, 1e-8),
        shaping=Shaping(breach=1.0),
    )  # fmt: skip
    expected = np.clip((raw.reset() - mean) / np.sqrt(variance + 1e-8), -2.0, 2.0)
    np.testing.assert_allclose(scaled.reset(), expected, atol=1e-5)
    assert (np.abs(expected) == 2.0).any()


def test_env_restored_goes_on_as_if_nothing_had_happened():
    """Accounts, positions, vetoes and the draws of episode starts: the same numbers follow."""

    def on(env: TradingEnv) -> list[float]:
        rng, seen = np.random.default_rng(7), []
        for _ in range(150):
            masks = env.action_masks()
            obs, rewards, *_ = env.step((rng.random(masks.shape) * masks).argmax(axis=1))
            seen.append(float(obs.sum()) + float(rewards.sum()))
        return seen

    env = an_env()
    for _ in random_steps(env, 100):
        pass
    state = env.state()
    expected = on(env)
    other = an_env(seed=99)
    other.reset()
    other.restore(state)
    assert on(other) == expected
    with pytest.raises(InvariantError, match="belongs to another configuration"):
        an_env(count=3).restore(state)


def test_env_restored_from_a_state_without_its_generator_names_what_is_missing():
    """Nothing is taken over: half a state would go on with other draws."""
    env, other = an_env(count=2), an_env(count=2, seed=99)
    env.reset()
    state = env.state()
    del state["generator"]
    before = other.state()
    with pytest.raises(InvariantError, match="has no generator"):
        other.restore(state)
    assert all((values == before[name]).all() for name, values in other.state().items())
