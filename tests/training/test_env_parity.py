"""The environment against the engine: the same bars and actions give the same observations, masks and money."""

import itertools

import numpy as np
import pytest
from line_builders import FACTS, drive, settings_with
from training_builders import LOOSE, a_tape, awkward_bars, some_bars, terms_with

from trader.adapters.columns import BarColumns
from trader.analysis.figures import facts_of
from trader.app import assemble
from trader.domain.account import AccountView
from trader.domain.actions import ACTIONS, actions_in
from trader.domain.decisions import Proposal
from trader.kernels import book, training
from trader.outlook import Outlook
from trader.training.env import new_fleet

FIELDS = {
    "position_qty": book.QTY,
    "entry_ticks": book.ENTRY,
    "stop_ticks": book.STOP,
    "target_ticks": book.TARGET,
    "bars_held": book.BARS_HELD,
    "equity_cents": book.EQUITY,
    "peak_cents": book.PEAK,
    "threshold_cents": book.THRESHOLD,
    "realized_cents": book.REALIZED,
    "trades_closed": book.TRADES,
    "streak": book.STREAK,
}


class Replayed:
    """Proposes at each bar's close what the environment was given there, else HOLD, and keeps what it was shown."""

    def __init__(self, actions: dict[int, int]) -> None:
        self._actions = actions
        self.seen: dict[int, tuple[np.ndarray, int, AccountView]] = {}
        self.last: AccountView | None = None

    def propose(self, outlook: Outlook) -> Proposal:
        ts_ns = outlook.bar.ts_close_ns
        self.last = outlook.account
        if ts_ns in self._actions:
            self.seen[ts_ns] = (outlook.obs.copy(), outlook.mask, outlook.account)
        return Proposal(ACTIONS[self._actions.get(ts_ns, 0)], 1.0)


def played(columns: BarColumns, seed: int, overrides: tuple[str, ...]):
    """Random valid actions in every session, each from a random bar on: what was done and seen at which close.

    In every second seed open positions are mostly left alone, so that they live to see the end of the session.
    """
    patience = 0.98 * (seed % 2)
    tape, terms = a_tape(columns, *overrides), terms_with(*overrides)
    rng = np.random.default_rng(seed)
    bounds = [*np.searchsorted(tape.starts, tape.first_starts), len(tape.starts)]
    starts = [tape.starts[rng.integers(a, (a + b) // 2 + 1)] for a, b in itertools.pairwise(bounds)]
    fleet = new_fleet(1)
    training.begin(tape.bars, np.array(starts[:1]), fleet, terms)
    log, episode, outcomes, booked = {}, 0, [], 0
    while episode < len(starts):
        choices = actions_in(int(fleet.masks[0]))
        is_open = fleet.books[0, book.QTY] != 0
        action = 0 if is_open and rng.random() < patience else int(choices[rng.integers(len(choices))])
        ts_ns = int(columns.ts_close_ns[fleet.at[0]])
        account = {name: int(fleet.books[0, place]) for name, place in FIELDS.items()}
        log[ts_ns] = (action, fleet.obs[0].copy(), int(fleet.masks[0]), account)
        following = starts[min(episode + 1, len(starts) - 1)]
        training.step(tape.bars, np.array([action]), np.array([following]), fleet, terms)
        if fleet.outcomes[0] != training.RUNNING:
            episode += 1
            outcomes.append(int(fleet.outcomes[0]))
            booked += int(fleet.episode_cents[0])
    return log, outcomes, booked


WIDE = "account.trailing_limit_usd=20000"
CASES = {
    "shipped": (some_bars, (), 1, {"stop", "break_even", "target", "trailing_breach"}),
    "managed": (some_bars, (), 2, {"stop", "break_even", "target", "trail", "trailing_breach"}),
    "breaches": (some_bars, ("account.trailing_limit_usd=400",), 2, {"trail", "trailing_breach"}),
    "overnight": (some_bars, ("execution.entry_window=all", WIDE), 1, {"stop", "target", "flat_at"}),
    "overnight managed": (some_bars, ("execution.entry_window=all", WIDE), 2, {"trail", "flat_at", "trailing_breach"}),
    "awkward": (awkward_bars, (WIDE,), 1, {"forced_close", "roll", "flat_at"}),
    "awkward managed": (awkward_bars, (WIDE,), 2, {"trail", "roll", "flat_at"}),
}
"""Bars, changed settings, seed, and exits that must have been among those compared."""


@pytest.mark.parametrize(("bars", "overrides", "seed", "exits"), CASES.values(), ids=CASES)
def test_env_with_any_actions_sees_and_books_what_the_engine_does(bars, overrides, seed, exits):
    """Observation to the last bit, mask, levels, equity, peak, threshold and realised P&L agree at every choice."""
    columns = bars()
    log, outcomes, booked = played(columns, seed, overrides)
    strategy = Replayed({ts_ns: action for ts_ns, (action, *_) in log.items()})
    run = assemble(settings_with(*LOOSE, *overrides), FACTS, log=None, strategy=strategy)
    run.engine.controls.reconciled()
    for bar in columns.to_bars():
        drive(run.engine.on_bar(bar))
    for ts_ns, (_, obs, mask, account) in log.items():
        seen_obs, seen_mask, seen = strategy.seen[ts_ns]
        assert {name: getattr(seen, name) for name in account} == account
        assert seen_mask == mask
        np.testing.assert_array_equal(seen_obs, obs)
    assert strategy.last is not None
    assert strategy.last.realized_cents == booked
    report = run.tally.report(facts_of(run.start), accounts_used=run.engine.accounts_used)
    assert exits <= {reason for reason, count in report.trades.exits.items() if count}
    assert outcomes[:-1].count(training.TERMINATED) == run.engine.accounts_used - 1
