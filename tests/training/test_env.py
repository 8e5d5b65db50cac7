"""The environment as MaskablePPO sees it: masks, rewards, ends of episodes, seeds."""

from functools import cache

import numpy as np
import pytest
from sb3_contrib import MaskablePPO
from sb3_contrib.common.maskable.utils import get_action_masks, is_masking_supported
from training_builders import CALENDAR, a_tape, some_bars, terms_with

from trader.domain.sessions import et_ns
from trader.errors import InputError, InvariantError
from trader.kernels import book, training
from trader.training.env import TradingEnv
from trader.training.evaluate import evaluate
from trader.training.tape import TrainingTape

R = 15_000


@cache
def the_tape() -> TrainingTape:
    return a_tape(some_bars())


def an_env(*overrides: str, count: int = 8, seed: int = 4) -> TradingEnv:
    return TradingEnv(the_tape(), terms_with(*overrides), count=count, risk_cents=R, seed=seed)


def random_steps(env: TradingEnv, steps: int, seed: int = 0):
    """(masks before, actions, obs, rewards, dones, infos) of `steps` random valid steps."""
    rng = np.random.default_rng(seed)
    env.reset()
    for _ in range(steps):
        masks = env.action_masks()
        actions = (rng.random(masks.shape) * masks).argmax(axis=1)
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
            assert infos[n]["episode"]["r"] == pytest.approx(totals[n], abs=1e-4)
            totals[n] = 0.0
            ended += 1
    assert ended > 20


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
    assert all(before == after for before, after in carried)
    assert any(before > 0 for before, _ in carried)


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


def test_tape_typical_risk_is_the_median_stop_in_cents():
    """R is what a trade of one contract risks: 1.5 ATR rounded up, at least 20 ticks, at 5 $ a tick."""
    tape = the_tape()
    stops = sorted(max(20, -int(-1.5 * tape.bars.atrs[t] // 1)) for t in tape.starts)
    middle = (stops[(len(stops) - 1) // 2] + stops[len(stops) // 2]) / 2
    assert tape.typical_risk_cents(terms_with()) == int(middle * 500)


def test_tape_hash_covers_prices_and_volumes():
    """Another tick or another contract traded is another tape; the same bars are the same."""
    columns = some_bars()
    assert a_tape(columns).sha256 == the_tape().sha256
    assert a_tape(some_bars(seed=6)).sha256 != the_tape().sha256


def test_tape_of_too_few_bars_is_refused():
    """Without warm-up there is nothing to begin at, and the message says how much is needed."""
    with pytest.raises(InputError, match="no bar is left"):
        a_tape(some_bars().rows(0, 600))


def test_evaluate_of_a_policy_that_holds_has_no_trades():
    """Every session is played, nothing is done."""
    figures = evaluate(the_tape(), terms_with(), R, lambda _obs, _mask: 0)
    assert figures.episodes == len(the_tape().first_starts)
    assert (figures.trades, figures.wins, figures.net_r, figures.accounts) == (0, 0, 0.0, 1)
    assert figures.win_rate == 0.0
    assert figures.actions[0] > 1000
    assert sum(figures.actions[1:]) == 0


def test_evaluate_of_a_policy_that_always_buys_counts_its_trades():
    """Trades, winners and result agree with the account's own books."""
    figures = evaluate(the_tape(), terms_with(), R, lambda _obs, mask: mask >> 1 & 1)
    assert figures.trades == figures.actions[1] > 30
    assert 0 < figures.wins < figures.trades
    assert figures.win_rate == figures.wins / figures.trades


def test_step_kernel_stops_before_the_first_forbidden_action():
    """The whole step is refused: no account has moved."""
    env = an_env(count=2)
    env.reset()
    fleet = env._fleet
    before = fleet.at.copy(), fleet.books.copy()
    refused = training.step(the_tape().bars, np.array([1, 5]), the_tape().starts[:2], fleet, terms_with())
    assert refused == 1
    assert (fleet.at == before[0]).all()
    assert (fleet.books == before[1]).all()
    assert fleet.books[0, book.QTY] == 0
