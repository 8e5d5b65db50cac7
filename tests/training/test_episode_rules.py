"""What the review's rules do to an episode: which of them ends it, and what a stop forbids for how long."""

import msgspec
import numpy as np
from training_builders import CALENDAR, a_ground, some_bars

from trader.adapters.columns import BarColumns
from trader.domain.actions import Action
from trader.domain.orders import ExitReason
from trader.domain.sessions import et_ns
from trader.kernels.market import CONTEXT_SIZE, CONTEXT_START
from trader.training.env import Shaping, TradingEnv
from trader.training.ground import Ground
from trader.training.rollout import REASONS, follow

DRAWDOWN = 257
MINUTE_NS = 60 * 10**9
FREE = (
    "risk.enable_risk_veto=false",
    "risk.max_trades_per_session=1000",
    "account.daily_limit_usd=40000",
    "account.trailing_limit_usd=20000",
)


def an_env(ground: Ground) -> TradingEnv:
    return TradingEnv(ground, actions=6, inputs=261, count=8, seed=4, shaping=Shaping(breach=1.0))


def buying(obs: np.ndarray, mask: int) -> int:
    """Buys wherever that is valid."""
    del obs
    return Action.BUY if mask >> Action.BUY & 1 else Action.HOLD


def gapped_bars(every: int = 15, points: float = 60.0) -> BarColumns:
    """The same minutes, that jump down and up again between two bars: further than a stop is away."""
    columns = some_bars()
    shift = -points * (np.arange(len(columns)) // every % 2)
    return msgspec.structs.replace(
        columns, **{name: getattr(columns, name) + shift for name in ("open", "high", "low", "close")}
    )


def test_episode_of_an_account_near_its_threshold_is_cut_at_the_end_of_entries_not_terminated():
    """It may not enter any more, and is replaced afterwards; but it has not breached, so its value runs on."""
    columns = some_bars()
    env = an_env(a_ground(columns, "risk.dd_buffer_threshold=0.99", *FREE[1:]))
    context = env.ground.tape.bars.context.reshape(len(columns), CONTEXT_SIZE)
    env.reset()
    rng, replaced = np.random.default_rng(2), 0
    for _ in range(300):
        masks = env.action_masks()
        obs, _, dones, infos = env.step((rng.random(masks.shape) * masks).argmax(axis=1))
        for n in np.flatnonzero(dones):
            last = infos[n]["terminal_observation"]
            assert infos[n]["TimeLimit.truncated"]
            assert infos[n]["rewards"]["breach"] == 0.0
            replaced += bool(last[DRAWDOWN] > 0 and obs[n, DRAWDOWN] == 0)
            seen = last[CONTEXT_START : CONTEXT_START + CONTEXT_SIZE]
            (ended,) = columns.ts_close_ns[(context == seen).all(axis=1)].tolist()
            session = CALENDAR.at(ended - 1)
            assert session is not None
            over = session.close_ns - 30 * MINUTE_NS if session.is_half_day else et_ns(session, "15:30")
            assert ended >= over
    assert replaced > 20


def test_episode_begins_without_the_cooldown_of_the_one_before():
    """Episodes are not in time order: a stop in one says nothing of when the next may enter."""
    env = an_env(a_ground(some_bars(), "risk.cooldown_after_stop_minutes=1440", *FREE))
    env.reset()
    begins, stopped, after_a_stop = np.ones(8, dtype=bool), np.zeros(8, dtype=bool), 0
    for _ in range(200):
        actions = env.action_masks()[:, Action.BUY] * Action.BUY
        _, rewards, dones, infos = env.step(actions)
        assert (rewards[begins] != 0.0).all()  # an entry costs its commission, whatever the price does
        after_a_stop += int((begins & stopped).sum())
        begins = dones
        for n in np.flatnonzero(dones):
            stopped[n] = infos[n]["rewards"]["pnl"] < -0.9
    assert after_a_stop > 20


def test_entry_filled_beyond_its_stop_starts_the_cooldown_as_a_stop_does():
    """It is a stop that was reached before it could rest: no entry for as long."""
    ground = a_ground(gapped_bars(), "risk.cooldown_after_stop_minutes=45", *FREE)
    trades = follow(ground, buying).trades
    reasons = [REASONS[reason] for reason in trades.reason.tolist()]
    waits = dict.fromkeys((ExitReason.STOP, ExitReason.ENTRY_BEYOND_STOP), ())
    for reason, closed, opened in zip(reasons, trades.closed_ns.tolist(), trades.opened_ns[1:].tolist(), strict=False):
        if reason in waits:
            waits[reason] += ((opened - closed) // MINUTE_NS,)
    for minutes in waits.values():
        assert len(minutes) > 5
        assert min(minutes) in {45, 46}
