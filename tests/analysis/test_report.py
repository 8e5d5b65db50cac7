"""Every figure of a report against small cases computed by hand."""

import pytest
from log_builders import MINUTE_NS, NQ, weekdays
from msgspec.structs import replace
from report_builders import EVEN, FACTS, LOST, a_fill, a_trade, count_bar, reported, tally_of

from trader.analysis.figures import Label
from trader.analysis.report import Tally
from trader.domain.actions import Action
from trader.domain.decisions import AdviceStatus, FusionMethod, Rule
from trader.domain.orders import ExitReason
from trader.errors import InvariantError


def test_result_of_three_trades_is_in_dollars_points_and_r():
    """195.50 - 104.50 + 0 = 91.00 $ = 91 / 20 points; 195.5/200 - 104.5/100 = -0.0675 R, the third has no risk."""
    result = reported(tally_of([a_trade(), LOST, EVEN])).result
    assert result.net_pnl_usd == 91.0
    assert result.net_pnl_points == 4.55
    assert result.net_pnl_r == pytest.approx(-0.0675, abs=1e-12)
    assert result.captured_points == 5.25  # (40 - 20 + 1) ticks of a quarter point


def test_result_of_an_ambiguous_bar_is_a_range():
    """Only the second trade is re-booked: 195.50 + 145.50 + 0."""
    result = reported(tally_of([a_trade(), LOST, EVEN])).result
    assert (result.ambiguous_bars, result.pessimistic_pnl_usd, result.optimistic_pnl_usd) == (1, 91.0, 341.0)


def test_trades_of_three_are_counted_by_side_outcome_and_reason():
    """A trade of exactly zero is neither won nor lost: one of two decided ones was won."""
    trades = reported(tally_of([a_trade(), LOST, EVEN])).trades
    assert (trades.trades, trades.long_trades, trades.short_trades) == (3, 2, 1)
    assert (trades.wins, trades.losses, trades.scratches) == (1, 1, 1)
    assert trades.win_rate_pct == 50.0
    assert {reason: count for reason, count in trades.exits.items() if count} == {"target": 2, "stop": 1}
    assert set(trades.exits) == {reason.value for reason in ExitReason}


def test_trades_of_three_have_averages_by_hand():
    """195.50 / 104.50; -0.0675 R over the two trades with a risk; (30 + 10 + 5) / 3 minutes."""
    trades = reported(tally_of([a_trade(), LOST, EVEN])).trades
    assert trades.profit_factor == pytest.approx(1.870813397, abs=1e-9)
    assert (trades.average_win_usd, trades.average_loss_usd) == (195.5, -104.5)
    assert trades.expectancy_r == pytest.approx(-0.03375, abs=1e-12)
    assert trades.average_hold_minutes == 15.0


def test_trades_of_two_contracts_capture_twice_the_points():
    """Net dollars and points count contracts; ten points on two are twenty."""
    two = a_trade(qty=2, pnl_cents=39_100, optimistic_pnl_cents=39_100)
    result = reported(tally_of([two])).result
    assert (result.net_pnl_usd, result.net_pnl_points, result.captured_points) == (391.0, 19.55, 20.0)


def test_report_without_anything_has_no_ratio():
    """Zero trades have no win rate; None says so, and not 0."""
    report = reported(Tally(NQ))
    trades = report.trades
    assert (trades.win_rate_pct, trades.profit_factor, trades.expectancy_r, trades.average_hold_minutes) == (None,) * 4
    assert (trades.average_win_usd, trades.average_loss_usd) == (None, None)
    assert (report.run.first_session, report.run.sessions, report.run.bars) == (None, 0, 0)
    assert report.result.sharpe_daily_annualised is None
    assert report.decisions.veto_window_share_pct["cost_share"] is None


def test_profit_factor_without_a_loss_is_none():
    """Nothing was lost: there is nothing to divide by."""
    assert reported(tally_of([a_trade()])).trades.profit_factor is None


@pytest.mark.parametrize(
    ("equity_cents", "drawdown_usd"),
    [
        ([0, 0, 0], 0.0),
        ([0, 30_000, 10_000, 40_000, 15_000, 20_000], 250.0),
        ([0, -10_000, 5_000, -4_900], 100.0),
        ([5_000_000, 4_990_000, 5_020_000, 5_000_000], 200.0),
        ([0, 100, 200, 300], 0.0),
    ],
)
def test_max_drawdown_over_bar_closes_is_the_deepest_fall_from_a_peak(equity_cents: list[int], drawdown_usd: float):
    """The start is a peak too; where the account begins does not matter."""
    tally = Tally(NQ)
    for equity in equity_cents:
        count_bar(tally, equity)
    assert reported(tally).result.max_drawdown_usd == drawdown_usd


def test_open_pnl_is_what_no_trade_has_booked():
    """Equity has risen by 120 $, of which trades account for 195.50 $: an open loss of 75.50 $."""
    tally = Tally(NQ)
    count_bar(tally, 5_000_000)
    for reason in (None, ExitReason.TARGET):
        tally.fill(a_fill(reason))
    tally.trade(a_trade(closed_ns=MINUTE_NS))
    count_bar(tally, 5_012_000)
    assert reported(tally).result.open_pnl_usd == -75.5


def test_forced_close_seen_at_the_next_sessions_first_bar_belongs_to_the_session_that_ended():
    """Each of 20 sessions ends 100 $ up and is closed 50 $ lower: all earn 50 $, so there is no deviation to divide by.

    Booked to the following session, the first would have earned 100 $ and the last nothing.
    """
    tally = Tally(NQ)
    for day, session in enumerate(weekdays(20)):
        closed_ns = day * 1_000 * MINUTE_NS
        count_bar(tally, day * 5_000, session=session, close_ns=closed_ns - MINUTE_NS)
        count_bar(tally, day * 5_000 + 10_000, session=session, close_ns=closed_ns)
        tally.fill(a_fill())
        tally.fill(a_fill(ExitReason.FORCED_CLOSE))
        tally.trade(a_trade(pnl_cents=5_000, closed_ns=closed_ns, reason=ExitReason.FORCED_CLOSE))
    result = reported(tally).result
    assert result.sharpe_daily_annualised is None
    assert result.max_drawdown_usd == 50.0
    assert (result.net_pnl_usd, result.open_pnl_usd) == (1_000.0, 0.0)


def test_costs_are_summed_by_fill():
    """Four fills at 2.25 $; entries and stops slip one tick of 5 $, a target none, a forced close two."""
    tally = tally_of([a_trade(), a_trade(reason=ExitReason.FORCED_CLOSE)])
    result = reported(tally).result
    assert (result.commissions_usd, result.slippage_usd) == (9.0, 20.0)
    tally.fill(a_fill(qty=3))
    tally.fill(a_fill(ExitReason.STOP, qty=3))
    result = reported(tally).result
    assert (result.commissions_usd, result.slippage_usd) == (22.5, 50.0)


def test_slippage_of_a_real_broker_is_not_assumed():
    """None says that nobody knows it from the configuration."""
    facts = replace(FACTS, slippage_ticks=None, forced_slippage_ticks=None)
    assert reported(tally_of([a_trade()]), facts).result.slippage_usd is None


def test_report_of_trades_without_their_fills_is_refused():
    """Commissions of zero would be a lie."""
    tally = Tally(NQ)
    tally.trade(a_trade())
    with pytest.raises(InvariantError, match="1 trades were counted with 0 fills"):
        reported(tally)


def test_report_of_a_run_that_found_a_position_needs_no_fill_of_its_entry():
    """An earlier run has counted it, or somebody else has traded."""
    tally = Tally(NQ)
    tally.goes_on()
    tally.trade(a_trade())
    tally.fill(a_fill(ExitReason.STOP))
    report = reported(tally)
    assert (report.trades.trades, report.result.commissions_usd) == (1, 2.25)


def test_decisions_of_bars_are_counted_by_action_method_and_rule_in_force():
    """Of four bars in the window one has a rule in force; a fifth, outside, does not count for the share."""
    tally = Tally(NQ)
    count_bar(tally, 0, action=Action.BUY, method=FusionMethod.AGREEMENT)
    count_bar(tally, 0, rules=[Rule.DAILY_LOSS, Rule.KILL_SWITCH])
    count_bar(tally, 0)
    count_bar(tally, 0, action=Action.BUY)
    count_bar(tally, 0, rules=[Rule.SESSION_WINDOW, Rule.DAILY_LOSS], in_window=False)
    tally.veto((Rule.COST_SHARE, Rule.DAILY_LOSS))
    tally.veto((Rule.COST_SHARE,))
    report = reported(tally)
    decisions = report.decisions
    assert (report.run.bars, report.run.window_bars) == (5, 4)
    assert decisions.actions == dict.fromkeys((action.name for action in Action), 0) | {"HOLD": 3, "BUY": 2}
    assert {name: count for name, count in decisions.methods.items() if count} == {"rl_only": 4, "agreement": 1}
    assert {name: count for name, count in decisions.vetoes.items() if count} == {"cost_share": 2, "daily_loss": 1}
    assert {name: share for name, share in decisions.veto_window_share_pct.items() if share} == {
        "daily_loss": 25.0,
        "kill_switch": 25.0,
    }
    assert set(decisions.vetoes) == set(decisions.veto_window_share_pct) == {rule.value for rule in Rule}


def test_advice_is_counted_by_what_became_of_it():
    """Three questions; the one that was late came after all at a bar that was not asked, and was used."""
    tally = Tally(NQ)
    tally.asked(AdviceStatus.USED)
    tally.asked(AdviceStatus.CACHED)
    tally.asked(AdviceStatus.LATE)
    tally.asked(AdviceStatus.USED, is_late=True)
    decisions = reported(tally).decisions
    assert (decisions.advice_asked, decisions.advice_used) == (3, 3)
    assert {name: count for name, count in decisions.advice.items() if count} == {"used": 2, "cached": 1, "late": 1}


def test_run_of_three_sessions_states_the_first_and_the_last():
    """A session without a trade is a session."""
    tally = Tally(NQ)
    for session in weekdays(3):
        count_bar(tally, 0, session=session)
        count_bar(tally, 0, session=session)
    run = tally.report(FACTS, accounts_used=2, skipped_bars=7, bars_per_s=60_000.0).run
    assert (run.first_session, run.last_session, run.sessions, run.bars) == ("2023-01-02", "2023-01-04", 3, 6)
    assert (run.accounts_used, run.skipped_bars, run.bars_per_s) == (2, 7, 60_000.0)


def test_report_may_be_taken_while_the_run_goes_on():
    """Asking twice gives the same; what comes later is added."""
    tally = tally_of([a_trade()])
    count_bar(tally, 19_550)
    assert reported(tally) == reported(tally)
    count_bar(tally, 19_550, session="2023-01-11")
    assert reported(tally).run.sessions == 2


def test_report_of_a_run_that_has_no_end_is_labelled_so():
    """After a crash the figures go as far as the log."""
    report = Tally(NQ).report(FACTS, accounts_used=1, is_closed=False)
    assert report.run.labels == (Label.NOT_CLOSED,)
