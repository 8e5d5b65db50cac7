"""One continuous episode against the engine: the same bars and choices give the same trades under each rule."""

import numpy as np
import pytest
from line_builders import FACTS, drive, settings_with
from training_builders import CALENDAR, a_ground, awkward_bars, some_bars

from trader.app import assemble
from trader.domain.actions import ACTIONS, actions_in
from trader.domain.decisions import Proposal
from trader.domain.orders import ClosedTrade, ExitReason
from trader.domain.sessions import et_ns
from trader.errors import InvariantError
from trader.kernels import layout, training
from trader.outlook import Outlook
from trader.training.ground import ALL_ACTIONS, Ground, new_fleet, unscaled
from trader.training.rollout import REASONS, Rollout, follow, follow_planned, shadow_trades


class Whim:
    """Chooses among the valid actions by the bits of the observation: no memory, so that both sides can ask it.

    `eagerness` is the chance of doing something, 0..1.
    """

    def __init__(self, eagerness: float) -> None:
        self._eagerness = eagerness

    def choose(self, obs: np.ndarray, mask: int) -> int:
        rng = np.random.default_rng(np.frombuffer(obs.tobytes(), dtype=np.uint32).sum(dtype=np.uint64))
        choices = actions_in(mask)
        return int(choices[rng.integers(len(choices))]) if rng.random() < self._eagerness else 0

    def propose(self, outlook: Outlook) -> Proposal:
        return Proposal(ACTIONS[self.choose(outlook.obs, outlook.mask)], 1.0)


def backtested(columns, strategy, *overrides: str) -> tuple[list[ClosedTrade], int]:
    """The engine's own trades, advisor off, and the accounts that it used."""
    run = assemble(settings_with("advisor.backend=off", *overrides), FACTS, log=None, strategy=strategy)
    trades: list[ClosedTrade] = []
    count = run.tally.trade
    run.tally.trade = lambda trade: (trades.append(trade), count(trade))[1]  # type: ignore[method-assign]
    run.engine.controls.reconciled()
    for bar in columns.to_bars():
        drive(run.engine.on_bar(bar))
    run.engine.finish(at_end_of_feed=True)
    return trades, run.engine.accounts_used


NUMBERS = (
    "opened_ns",
    "closed_ns",
    "side",
    "entry_ticks",
    "exit_ticks",
    "pnl_cents",
    "optimistic_pnl_cents",
    "risk_cents",
)
"""What a round trip was, besides its reason: of the engine's record and of a rollout's columns by the same names."""


def as_rows(trades: list[ClosedTrade]) -> list[tuple]:
    return [(*(int(getattr(trade, name)) for name in NUMBERS), trade.reason) for trade in trades]


def rolled_rows(rollout: Rollout) -> list[tuple]:
    trades = rollout.trades
    numbers = zip(*(getattr(trades, name).tolist() for name in NUMBERS), strict=True)
    return [(*row, REASONS[reason]) for row, reason in zip(numbers, trades.reason.tolist(), strict=True)]


WIDE = "account.trailing_limit_usd=20000"
FREE = ("risk.enable_risk_veto=false", "account.daily_limit_usd=40000", "risk.max_trades_per_session=1000")
CASES = {
    "shipped": (some_bars, 0.3, ()),
    "hesitant": (some_bars, 0.02, ()),
    "no veto": (some_bars, 0.3, (*FREE, WIDE)),
    "breaches": (some_bars, 0.3, ("account.trailing_limit_usd=600", *FREE)),
    "near the threshold": (some_bars, 0.3, ("risk.dd_buffer_threshold=0.9",)),
    "daily loss": (some_bars, 0.3, ("account.daily_limit_usd=200", *FREE[:1], WIDE)),
    "daily loss flattens": (
        some_bars,
        0.3,
        ("account.daily_limit_usd=200", "account.daily_loss_flattens=true", *FREE[:1], WIDE),
    ),
    "few trades": (some_bars, 0.3, ("risk.max_trades_per_session=2", WIDE, *FREE[:1])),
    "cooldown": (some_bars, 0.3, ("risk.cooldown_after_stop_minutes=45", *FREE, WIDE)),
    "short resets": (some_bars, 0.3, ("risk.veto_reset_minutes=20", "account.daily_limit_usd=40000", WIDE)),
    "win rate": (some_bars, 0.5, ("risk.win_rate_window=4", "risk.max_consecutive_losses=50", WIDE)),
    "documented vetoes": (some_bars, 0.3, ("risk.veto_actions=documented",)),
    "end of day": (some_bars, 0.3, ("account.trailing_kind=end_of_day", "account.trailing_limit_usd=700", *FREE)),
    "costly": (some_bars, 0.3, ("risk.max_cost_share=0.03", *FREE, WIDE)),
    "overnight": (some_bars, 0.05, ("execution.entry_window=all", *FREE, WIDE)),
    "awkward": (awkward_bars, 0.3, (*FREE, WIDE)),
    "awkward overnight": (awkward_bars, 0.05, ("execution.entry_window=all",)),
    "touch": (some_bars, 0.3, ("execution.target_fill=touch", "execution.target_multiple=1", *FREE, WIDE)),
}


@pytest.mark.parametrize(("bars", "eagerness", "overrides"), CASES.values(), ids=CASES)
def test_rollout_trades_what_a_backtest_trades(bars, eagerness, overrides):
    """Times, prices, money, initial risk and reason of every round trip, under each rule of the review."""
    columns, whim = bars(), Whim(eagerness)
    rollout = follow(
        a_ground(columns, *overrides), whim.choose, full=False
    )  # what a strategy without a bundle waits for
    trades, accounts = backtested(columns, whim, *overrides)
    assert trades
    assert rolled_rows(rollout) == as_rows(trades)
    assert rollout.accounts_used == accounts


def in_episodes(ground: Ground, whim: Whim) -> np.ndarray:
    """The trades of an account that plays every session as an episode, in order, each from its first possible bar."""
    tape = ground.tape.for_inputs(full=False)
    fleet = new_fleet(ground, 1, trades=len(tape))
    world = ground.world(unscaled(), full=False, actions=ALL_ACTIONS)
    starts = [*tape.first_starts, tape.first_starts[-1]]
    training.begin(world, np.array(starts[:1]), fleet)
    episode = 0
    while episode < len(starts) - 1:
        mask = int(fleet.plans[0, layout.MASK])
        action = whim.choose(fleet.seen[0], mask)
        assert training.step(world, np.array([action]), np.array([starts[episode + 1]]), fleet) == -1
        episode += fleet.outcomes[0] != training.RUNNING
    return fleet.trades[0, : fleet.plans[0, layout.TRADES]]


@pytest.mark.parametrize("case", ["shipped", "hesitant", "breaches", "near the threshold", "daily loss", "awkward"])
def test_episodes_in_order_trade_what_the_continuous_account_trades(case):
    """An episode is a session of the same account: nothing is lost or gained between two of them."""
    bars, eagerness, overrides = CASES[case]
    ground, whim = a_ground(bars(), *overrides), Whim(eagerness)
    episodes = in_episodes(ground, whim)
    rollout = follow(ground, whim.choose, full=False)
    assert len(episodes) > 5
    assert episodes[:, layout.PNL_CENTS].tolist() == rollout.trades.pnl_cents.tolist()
    assert episodes[:, layout.OPENED_BAR].tolist() == rollout.trades.opened_bar.tolist()


def test_planned_rollout_enters_where_the_plan_says_and_the_rules_allow():
    """A strategy that proposes the plan's entries, run through the engine, has the same trades."""
    columns = some_bars()
    ground = a_ground(columns)
    rng = np.random.default_rng(2)
    wanted = np.where(rng.random(len(columns)) < 0.05, rng.choice([-1, 1], len(columns)), 0).astype(np.int8)
    sides = dict(zip(columns.ts_close_ns.tolist(), wanted.tolist(), strict=True))

    class Planned:
        def propose(self, outlook: Outlook) -> Proposal:
            side = sides[outlook.bar.ts_close_ns]
            action = (0, 1, 2)[side] if outlook.mask & 2 else 0
            return Proposal(ACTIONS[action], 1.0)

    trades, _ = backtested(columns, Planned())
    assert rolled_rows(follow_planned(ground, wanted, full=False)) == as_rows(trades)
    assert len(trades) > 5


@pytest.mark.parametrize("window", ["rth", "all"])
def test_entry_that_finds_no_bar_to_fill_it_is_dropped_as_the_engine_drops_it(window):
    """Sent at the close before the daily halt, before a hole that outlasts the entry window, and before a roll."""
    columns = awkward_bars()
    closes = {("2019-11-21", "10:00"), ("2019-11-21", "16:15"), ("2019-11-25", "15:20"), ("2019-11-26", "11:00")}
    at = {et_ns(CALENDAR.on(date), clock) for date, clock in closes}
    wanted = np.isin(columns.ts_close_ns, list(at)).astype(np.int8)
    assert wanted.sum() == len(closes)
    rules = ("risk.enable_risk_veto=false", "account.trailing_limit_usd=20000", f"execution.entry_window={window}")
    opened: list[int] = []

    class Planned:
        def propose(self, outlook: Outlook) -> Proposal:
            enters = outlook.bar.ts_close_ns in at and outlook.mask & 2
            opened.extend([outlook.bar.ts_close_ns] * bool(enters))
            return Proposal(ACTIONS[1 if enters else 0], 1.0)

    trades, _ = backtested(columns, Planned(), *rules)
    rollout = follow_planned(a_ground(columns, *rules), wanted, full=False)
    assert rolled_rows(rollout) == as_rows(trades)
    assert len(opened) == {"rth": 3, "all": 4}[window]
    assert len(trades) == {"rth": 1, "all": 2}[window]


def test_planned_rollout_manages_at_its_rates():
    """Always to break-even, or never: what a rate of one and of nought mean."""
    ground = a_ground(some_bars())
    wanted = np.ones(len(ground.tape), dtype=np.int8)
    luck = np.full(len(ground.tape), 0.5, dtype=np.float32)
    always = follow_planned(ground, wanted, draws=luck, manage_rates=(1.0, 0.0, 0.0))
    never = follow_planned(ground, wanted, draws=luck, manage_rates=(0.4, 0.0, 0.0))
    names = [{REASONS[reason] for reason in rollout.trades.reason.tolist()} for rollout in (always, never)]
    assert ExitReason.BREAK_EVEN in names[0]
    assert ExitReason.BREAK_EVEN not in names[1]


def test_shadow_trade_is_what_the_entry_alone_would_have_made():
    """Each entry of a backtest without vetoes, tried alone from its decision's bar, ends as it did."""
    columns = some_bars()
    ground = a_ground(columns, *FREE, WIDE)
    wanted = np.where(np.arange(len(columns)) % 40 == 0, 1, 0).astype(np.int8)
    made = follow_planned(ground, wanted).trades
    shadows = shadow_trades(a_ground(columns), made.opened_bar - 1, made.side)
    assert len(made) > 20
    for name in ("opened_ns", "closed_ns", "side", "entry_ticks", "exit_ticks", "pnl_cents", "risk_cents", "reason"):
        assert getattr(shadows, name).tolist() == getattr(made, name).tolist()


def test_rollout_of_a_choice_outside_the_mask_is_refused():
    """As the engine refuses a strategy that does so."""
    with pytest.raises(InvariantError, match="which its mask"):
        follow(a_ground(some_bars()), lambda _obs, _mask: 5)


def test_rollout_days_add_up_to_its_trades():
    """Dollars and R by session; sessions without a trade are zeros."""
    ground = a_ground(some_bars())
    rollout = follow(ground, Whim(0.05).choose)
    assert rollout.daily_cents.sum() == rollout.trades.pnl_cents.sum()
    assert rollout.daily_r.sum() == pytest.approx(rollout.trades.net_r.sum())
    assert len(rollout.daily_r) == len(ground.tape.session_dates) == 6
    quiet = follow(ground, Whim(0.0005).choose)
    assert 0.0 in quiet.daily_r.tolist()
