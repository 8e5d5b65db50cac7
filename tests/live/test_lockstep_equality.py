"""A run in lockstep decides and trades what a backtest of the same bars does, to the byte of the decision log.

Real processes: `trader run` with the real client library, over a socket, at `trader gateway-sim --lockstep`.
"""

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from lockstep_runs import ALWAYS_TRADING, Both, Runs, occurrences

TWO_SESSIONS = ("--bars", "sample", "--from", "2019-12-03", "--to", "2019-12-04")
ONE_SESSION = ("--bars", "sample", "--from", "2019-12-03", "--to", "2019-12-03")
WITHOUT_LIMITS = (
    f"strategy.name={ALWAYS_TRADING}",
    "account.on_exhausted=renew",
    "account.start_balance_usd=10000000",
    "account.daily_limit_usd=1000000",
    "account.trailing_limit_usd=1000000",
    "risk.max_trades_per_session=1000",
    "risk.max_consecutive_losses=1000",
    "risk.min_win_rate_threshold=0",
    "risk.max_cost_share=1",
    "gate.orders_per_minute=600",
    "execution.entry_window=all",
)
BUSY = (
    *WITHOUT_LIMITS,
    "advisor.backend=off",
    "execution.min_stop_ticks=3",
    "execution.stop_atr=0.3",
    "execution.target_multiple=6",
    "execution.trail_atr=0.3",
    "execution.entry_end_before_flat_minutes=1",
    "execution.windows.all.start=05:35",
    "execution.windows.all.end=09:00",
    "execution.windows.all.flat_at=09:02",
)
"""Brackets as narrow as a bar: every way in which a trade can end, in three hours of the night and morning."""
PPO = ("strategy.name=ppo", "advisor.backend=rules", "account.on_exhausted=renew")
OTHER_PYTHON = os.environ.get("IB_ASYNC_PYTHON")

Played = dict[str, Future[Both]]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """All runs of this module, two at a time: each is a client that waits for its gateway most of the time."""
    folder = tmp_path_factory.mktemp("lockstep")
    with ThreadPoolExecutor(2) as pool:
        runs = {
            "busy": pool.submit(Runs(folder / "busy", TWO_SESSIONS, BUSY).both),
            "ppo": pool.submit(Runs(folder / "ppo", TWO_SESSIONS, PPO).both),
            "paper": pool.submit(Runs(folder / "paper", ONE_SESSION, BUSY).both, broker="paper"),
        }
        if OTHER_PYTHON is not None:
            other = Runs(folder / "other", ONE_SESSION, BUSY)
            runs["other"] = pool.submit(other.both, other_python=OTHER_PYTHON)
        yield runs


def test_every_way_in_which_a_trade_ends_is_the_same_in_a_backtest_and_over_the_wire(played: Played) -> None:
    """Stops, targets, break-even, trails, bars that reach both levels, entries past their stop, the time to be flat."""
    both = played["busy"].result()
    assert both.difference() is None
    seen = occurrences(both.backtest)
    ways = ("stop", "target", "break_even", "trail", "flat_at", "entry_beyond_stop")
    assert {way: seen[f"exit {way}"] > 0 for way in ways} == dict.fromkeys(ways, True)
    assert seen["ambiguous bar"] > 0
    assert min(seen["bracket BUY"], seen["bracket SELL"], seen["amend trail"]) > 5
    assert seen["trades"] > 200
    assert seen["bars"] == 2_724


def test_the_gateway_has_filled_what_the_backtest_has_and_every_order_was_sent_once(played: Played) -> None:
    """Three orders a bracket, and nothing is left over at the broker."""
    both = played["busy"].result()
    seen = occurrences(both.backtest)
    assert both.ledger.executions == seen["fills"]
    assert both.ledger.orders == 3 * (seen["bracket BUY"] + seen["bracket SELL"]) + seen["flatten flat_at"]
    assert both.ledger.is_clean


def test_the_model_with_an_advisor_trades_the_same_over_the_wire(played: Played) -> None:
    """Every question, answer, fusion and veto of two sessions."""
    both = played["ppo"].result()
    assert both.difference() is None
    seen = occurrences(both.backtest)
    assert both.ledger.executions == seen["fills"] > 10
    assert both.ledger.is_clean


def test_the_simulated_broker_on_live_bars_trades_as_on_a_file(played: Played) -> None:
    """Bars come over the wire, no order goes there."""
    both = played["paper"].result()
    assert both.difference() is None
    assert occurrences(both.backtest)["trades"] > 100
    assert both.ledger.orders == 0


def test_the_other_client_library_trades_the_same(played: Played) -> None:
    """Nothing is different but the library."""
    if "other" not in played:
        pytest.skip("needs a Python with ib_async, which cannot be installed beside ib_insync: set IB_ASYNC_PYTHON")
    both = played["other"].result()
    assert both.difference() is None
    assert both.ledger.executions == occurrences(both.backtest)["fills"] > 100
    assert both.ledger.is_clean
