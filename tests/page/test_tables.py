"""What the page's tables say is what was recorded, cell by cell."""

import pytest
from evaluation_rows import a_trade, a_veto, session_dates
from evaluations import a_chart, a_slice, an_evaluation
from msgspec.structs import replace
from parsed import Parsed

from trader.analysis.evaluation import Evaluation
from trader.analysis.evaluation_parts import BandRow, Slice
from trader.page.advice import advice_section, vetoes_section
from trader.page.closing import reproduce_section
from trader.page.formats import MINUS, NONE
from trader.page.full import figures_section
from trader.page.overview import comparison_section, masthead, verdict_section
from trader.page.results import curves_section, trades_section
from trader.page.strength import strength_section, walk_forward_section
from trader.page.trade_list import trade_list_section


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    """Ten sessions, one winning trade in each of the first two."""
    dates = session_dates(10)
    return an_evaluation(
        10, (a_trade(1, dates[0], 195.5), a_trade(2, dates[1], 395.5, side="short", method="weighted"))
    )


def test_runs_stand_beside_each_other_with_their_intervals(evaluation):
    """The headline first, the random band second: its median, and where 95 % of the seeds lie."""
    rows = Parsed(comparison_section(evaluation)).tables[
        "Headline, random band, ablations and baselines, at the same costs"
    ]

    assert rows[1] == [
        "Fused (headline)",
        f"$591 {MINUS}$2,000 to $3,182",
        f"+0.295 {MINUS}0.310 to +0.440",
        f"0.61 {MINUS}0.92 to 2.03",
        "1.07 0.81 to 1.42",
        "$2,480 $1,630 to $7,210",
        "2",
        "38.5 %",
        "17.3 %",
        "1",
    ]
    assert rows[2][0] == "Random entries, median of 200 seeds"
    assert rows[2][6:] == ["2", NONE, NONE, NONE]
    assert [row[0] for row in rows[3:]] == [run.title for run in evaluation.runs[1:]]


def test_the_band_is_told_by_its_quantiles(evaluation):
    """Two hundred seeds from 1 to 200 $: 2.5 % lie below 6, 2.5 % above 195."""
    assert evaluation.band is not None
    band = replace(
        evaluation.band,
        totals_usd=tuple(float(value) for value in range(1, 202)),
        mean_daily_r=(0.5,) * 200,
        sharpes=(None,) * 200,
        rows=(BandRow(session="2021-01-04", q025=0, q25=0, q50=0, q75=0, q975=0),),
    )

    row = Parsed(comparison_section(replace(evaluation, band=band))).tables[
        "Headline, random band, ablations and baselines, at the same costs"
    ][2]

    assert row[1:4] == ["$101 $6 to $196", "+0.500 +0.500 to +0.500", NONE]


def test_costs_twice_stand_beside_the_costs_as_stated(evaluation):
    """From the record of the run that was made again."""
    rows = Parsed(strength_section(evaluation)).tables["The same run at higher costs"]

    assert rows[0] == ["Costs", "As stated", "Times 2"]
    assert rows[1:5] == [
        ["Commission a side", "$2.25", "$4.50"],
        ["Slippage, ticks a fill", "1", "2"],
        ["Net P&L", "$591", f"{MINUS}$1,100"],
        ["Mean session, R", "+0.295", f"{MINUS}0.020"],
    ]


def test_ambiguous_bars_and_luck_are_told(evaluation):
    """Both ends of the interval, and the probabilities in percent."""
    tables = Parsed(strength_section(evaluation)).tables

    assert [row[1] for row in tables["Bars that reached stop and target both"]] == ["4", "$591", "$9,000"]
    evidence = dict(map(tuple, tables["Probabilistic and deflated Sharpe ratio"]))
    assert evidence["Configurations tried on this market and these dates"] == "6"
    assert evidence["Probability that the true ratio is above zero (probabilistic Sharpe)"] == "72.0 %"
    assert evidence["Probability that the true ratio is above that (deflated Sharpe)"] == "31.0 %"


def test_trades_are_cut_by_method_with_their_share_of_wins(evaluation):
    """How many, how many won, what they made, and the mean."""
    rows = Parsed(advice_section(evaluation)).tables["Trades by method"]

    assert rows == [
        ["Method", "Trades", "Won", "Net P&L", "Mean R"],
        ["Agreement", "1", "100.0 %", "$196", "+0.98"],
        ["Weighted", "1", "100.0 %", "$396", "+1.98"],
    ]


def test_a_cut_without_trades_has_no_share(evaluation):
    """Nothing is divided by nothing; the mean is a trade's."""
    none = Slice(key="long", trades=0, wins=0, pnl_usd=0.0, net_r=0.0)
    some = Slice(key="short", trades=4, wins=1, pnl_usd=-200.0, net_r=-1.0)
    headline = replace(evaluation.headline, by_side=(none, some))

    rows = Parsed(trades_section(replace(evaluation, headline=headline))).tables["Trades by side"]

    assert rows[1:] == [["Long", "0", NONE, "$0", NONE], ["Short", "4", "25.0 %", f"{MINUS}$200", f"{MINUS}0.25"]]


def test_vetoed_entries_say_what_they_would_have_made(evaluation):
    """Each with its rules; the head counts those that would have won among those that can be told."""
    vetoed = (
        a_veto(rules=("max_trades", "daily_loss")),
        a_veto(side="short", would_be_usd=395.5, would_be_r=1.98, advice_confidence=0.61),
        a_veto(would_be_usd=None, would_be_r=None),
    )
    page = Parsed(vetoes_section(replace(evaluation, headline=replace(evaluation.headline, vetoed=vetoed))))

    assert "3 vetoed entries: 1 of 2 would have won, mean +0.48 R" in page.text
    rows = page.tables["Vetoed entries"]
    assert rows[1] == [
        "2021-01-04 10:15",
        "long",
        "15,010.50",
        "3",
        "max trades, daily loss",
        "RL only",
        "0.58",
        NONE,
        f"{MINUS}$204.50",
        f"{MINUS}1.02",
    ]
    assert [row[-2:] for row in rows[2:]] == [["$395.50", "+1.98"], [NONE, NONE]]


def test_rules_that_never_held_are_left_out(evaluation):
    """Blocked decisions, and the share of the window in which a rule was in force."""
    rows = Parsed(vetoes_section(evaluation)).tables["Rules of the risk review in force"]

    assert rows[1:] == [["Max trades", "2", "12.5 %"], ["Session window", "15", "0.0 %"]]


def test_questions_to_the_advisor_are_counted(evaluation):
    """And what became of them."""
    rows = dict(map(tuple, Parsed(advice_section(evaluation)).tables["Questions to the advisor"]))

    assert rows["Questions"] == "920"
    assert rows["Became: late"] == "9"
    assert rows["Latency that the replay assumes"] == "500 ms"


def test_entries_that_advice_replaced_are_listed_or_said_to_be_none(evaluation):
    """The builder's would all have won."""
    assert "1 replaced entry: 1 of 1 would have won, mean +1.98 R" in Parsed(advice_section(evaluation)).text
    none = replace(evaluation, headline=replace(evaluation.headline, turned_away=()))
    assert "There were no replaced entries." in Parsed(advice_section(none)).text


def test_folds_show_the_median_and_the_spread(evaluation):
    """Every candidate is there as well, the picked one named."""
    section = walk_forward_section(evaluation)
    assert section is not None
    tables = Parsed(section).tables

    spread = f"{MINUS}0.010 to +0.090"
    assert tables["Folds of the walk-forward"][1] == [
        "1",
        "2021-01-04 to 2021-03-26",
        "2021-04-01 to 2021-04-30",
        "+0.040",
        spread,
        "seed 3",
    ]
    assert tables["Candidates"][3] == ["seed 3", "1", "+0.300", "+0.090", "$360"]


def test_drawdowns_are_listed(evaluation):
    """Two sessions of wins: none; a fall: from where to where."""
    none = Parsed(curves_section(evaluation)).tables["Drawdowns at sessions' ends, the deepest first"]
    dates = session_dates(10)
    losing = an_evaluation(10, (a_trade(1, dates[0], 195.5), a_trade(2, dates[3], -204.5)))
    rows = Parsed(curves_section(losing)).tables["Drawdowns at sessions' ends, the deepest first"]

    assert none[1:] == [["none"]]
    assert rows[1:] == [["1.", "$204", dates[2], dates[3], "not yet", "7"]]


def test_every_figure_of_the_headline_is_there(evaluation):
    """Three tables."""
    tables = Parsed(figures_section(evaluation)).tables

    assert ["Net P&L", "$591.00"] in tables["Result"]
    assert ["Sortino ratio, a year", "0.93"] in tables["Risk"]
    assert ["Recovered", "not yet"] in tables["Risk"]
    assert ["Trades", "2 (1 long, 1 short)"] in tables["Trades"]


def test_trades_are_listed_with_what_decided_them(evaluation):
    """A star marks an ambiguous bar, a word what advice changed."""
    trades = (a_trade(is_ambiguous=True, changed=True, advice_confidence=None),)

    page = Parsed(trade_list_section(replace(evaluation, headline=replace(evaluation.headline, trades=trades))))

    assert page.tables["Trades of the headline"][1] == [
        "1",
        "2021-01-04 10:17",
        "10:47",
        "long",
        "15,000.25",
        "15,010.25",
        "14,990.25",
        "15,020.25",
        "$195.50",
        "+0.98",
        "2.50",
        "12.75",
        "Target*",
        "Agreement, changed",
        "0.62",
        NONE,
    ]


def test_the_masthead_says_how_often_an_account_was_used_up(evaluation):
    """P&L runs on over accounts, so the page has to say it."""
    first = replace(evaluation.runs[0], accounts_used=3)

    text = Parsed(masthead(replace(evaluation, runs=(first, *evaluation.runs[1:])))).text

    assert "3 accounts used" in text
    assert "It was used up 2 times" in text


def test_key_figures_without_an_interval_say_so(evaluation):
    """Too few sessions give none."""
    none = an_evaluation(3, ())

    assert Parsed(verdict_section(none)).text.count("no interval") == 3
    assert "no interval" not in Parsed(verdict_section(evaluation)).text


def test_what_is_needed_to_make_it_again_is_there(evaluation):
    """Hashes in full."""
    text = Parsed(reproduce_section(evaluation)).text

    assert evaluation.facts.bars_sha256 in text
    assert evaluation.facts.bundle is not None
    assert evaluation.facts.bundle.id in text
    assert "seed 2, 7,000,000 steps" in text


def test_the_builder_sums_its_own_trades():
    """What these tests compare with is itself made right."""
    trades = [a_trade(1, pnl_usd=100.0), a_trade(2, pnl_usd=-50.0)]

    assert a_slice("x", trades) == Slice(key="x", trades=2, wins=1, pnl_usd=50.0, net_r=0.25)
    assert len(a_chart(2).open_s) == 52
