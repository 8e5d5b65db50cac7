"""The table that a trader reads at the end of a run."""

import msgspec
from log_builders import NQ, START
from report_builders import FACTS, LOST, a_trade, count_bar, tally_of

from trader.analysis.figures import Report, facts_of
from trader.analysis.report import Tally
from trader.analysis.table import render
from trader.domain.actions import Action
from trader.domain.decisions import AdviceStatus, FusionMethod, Rule


def a_report() -> Report:
    """Two trades and four bars of synthetic data."""
    tally = tally_of([a_trade(), LOST])
    for equity_cents in (0, 25_000, 9_100):
        count_bar(tally, equity_cents, action=Action.BUY, method=FusionMethod.AGREEMENT)
    count_bar(tally, 9_100, rules=[Rule.DAILY_LOSS])
    tally.asked(AdviceStatus.USED)
    tally.asked(AdviceStatus.ERROR)
    tally.veto((Rule.COST_SHARE,))
    facts = msgspec.structs.replace(facts_of(START), mismatches=("bars of 5 minutes, trained on bars of 1",))
    return tally.report(facts, accounts_used=2, skipped_bars=3, bars_per_s=61_234.5)


TABLE = """\
================================================================================================
NQ · ppo · embedded · sample.csv.gz
2023-01-10 to 2023-01-10, 1 session, 4 bars, 61,234 bars/s
accounts used: 2 (1 exhausted and renewed)
bad bars skipped: 3
SYNTHETIC DATA, made by a program: it says nothing about real markets.
The model was trained on synthetic bars only: nothing suggests that it earns money.
MISMATCH, allowed by configuration: the model was made for other bars.
  - bars of 5 minutes, trained on bars of 1
INCOMPLETE ADVICE: the advisor failed, the strategy decided alone; see Advice, error.
================================================================================================

Result                                            Trades
  net P&L                91.00 $                    trades                     2
                          4.55 points               long, short             1, 1
                         -0.07 R                    win rate                50.0 %
  max drawdown          159.00 $                    won, lost, even      1, 1, 0
  daily Sharpe               - (1 session)          profit factor           1.87
  commissions             9.00 $                    average win           195.50 $
  slippage               15.00 $                    average loss         -104.50 $
                                                    expectancy             -0.03 R a trade
                                                    average hold            20.0 minutes

Ambiguous bars: 1; P&L [pessimistic, optimistic] = [91.00, 341.00] $

Exits                                             Decided
  stop                       1                      HOLD                       1
  target                     1                      BUY                        3

Advice                                            Fusion
  asked                      2 (50.0 % of bars)     rl_only                    1
  usable                     1                      agreement                  3
    used                     1
    error                    1

Vetoes
                     decisions blocked      share of window in force
  daily_loss                         0                        25.0 %
  cost_share                         1                         0.0 %
"""


def test_render_of_a_report_is_the_table():
    """Word for word, accounts and labels first."""
    assert render(a_report()) == TABLE


def test_render_is_no_wider_than_a_terminal():
    """Also with six-figure results, the longest reason and a real file's name."""
    report = a_report()
    large = msgspec.structs.replace(
        report.result, net_pnl_usd=-123_456.75, optimistic_pnl_usd=-100_000.25, open_pnl_usd=-1_234.5
    )
    text = render(msgspec.structs.replace(report, result=large))
    assert max(map(len, text.splitlines())) <= 100
    assert "open position" in text


def test_render_of_an_empty_run_shows_dashes_for_what_has_no_meaning():
    """No trade, no bar, no model: nothing is divided by zero, nothing is called 0 %."""
    text = render(Tally(NQ).report(FACTS, accounts_used=1))
    assert "  win rate                   -\n" in text
    assert "accounts used: 1\n" in text
    assert "0 sessions, 0 bars\n" in text
    assert "Vetoes\n  none\n" in text
    assert "\x1b" not in text
