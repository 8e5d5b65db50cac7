"""A whole evaluation of a busy strategy on synthetic bars: its parts agree with each other and with the engine."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import msgspec
import numpy as np
import pytest
from evaluation_builders import beside, columns, done, market, no_progress, settings
from msgspec.structs import replace

from trader.analysis.evaluation import (
    CHART_NAME,
    EVALUATION_NAME,
    Claim,
    Evaluation,
    RunName,
    encode,
    read_chart,
    read_evaluation,
)
from trader.analysis.evaluation_parts import PlaceboKind, Slice, SplitFacts, VerdictKind
from trader.analysis.splits import FoldPlan, Gap
from trader.domain.actions import Action, Side
from trader.domain.decisions import Advice, Decision, FusionMethod, Proposal
from trader.domain.instruments import instrument
from trader.domain.sessions import Calendar
from trader.errors import InputError, UsageError
from trader.evaluation.asked import Asked
from trader.evaluation.attribution import decider_of
from trader.evaluation.chart import chart_of
from trader.evaluation.figures import costs_of, measure
from trader.evaluation.runs import TITLES
from trader.evaluation.shadow import would_be
from trader.evaluation.walk_forward import parse_plan
from trader.evaluation.whole import evaluate
from trader.evaluation.witness import Blocked, Cause
from trader.training.ground import prepare_ground

SEEDS = 5
LONG = 66
"""Sessions enough for a verdict."""


@contextmanager
def quiet(label: str, bars: int) -> Iterator:
    yield no_progress


def asked(state: Path, *overrides: str, sessions: int = LONG, **changes: object) -> Asked:
    found = Asked(
        market=market(sessions),
        settings=settings(f"state.dir={state}", *overrides),
        split=SplitFacts(relation="unrelated", sentence="Nothing was trained."),
        seeds=SEEDS,
        skipped_bars=0,
        command="trader evaluate",
        made_utc="2022-01-01T00:00:00Z",
    )
    return replace(found, **changes)


@pytest.fixture(scope="module")
def state(tmp_path_factory) -> Path:
    """Where the trials of this module are counted."""
    return tmp_path_factory.mktemp("state")


@cache
def evaluated(state: Path) -> Evaluation:
    return asyncio.run(evaluate(asked(state), quiet))


@pytest.fixture
def record(state) -> Evaluation:
    """The evaluation of the busy strategy, made once."""
    return evaluated(state)


def test_every_run_is_there_and_the_headline_comes_first(record):
    """Each with its title and all sessions."""
    assert record.runs[0].name is RunName.FUSED
    assert {run.name: run.title for run in record.runs} == TITLES
    assert {len(run.daily) for run in record.runs} == {LONG}
    assert record.run(RunName.SMA_CROSS) is not None


@pytest.mark.parametrize("cut", ["side", "hour", "segment", "exit", "method", "decider", "change"])
def test_every_cut_holds_every_trade_once(record, cut):
    """Number, wins, dollars and R are those of all trades."""
    parts: tuple[Slice, ...] = getattr(record.headline, f"by_{cut}")
    trades = record.headline.trades

    assert len({part.key for part in parts}) == len(parts) > 1
    assert sum(part.trades for part in parts) == len(trades)
    assert sum(part.wins for part in parts) == sum(row.pnl_usd > 0 for row in trades)
    assert sum(part.pnl_usd for part in parts) == pytest.approx(sum(row.pnl_usd for row in trades))
    assert sum(part.net_r for part in parts) == pytest.approx(sum(row.r for row in trades))


def test_daily_rows_add_up_to_the_statistics(record):
    """In each run: the total, its running sum, trades and costs."""
    for run in record.runs:
        told, daily = run.statistics, run.daily
        assert sum(row.pnl_usd for row in daily) == pytest.approx(told.total_usd.value)
        assert daily[-1].equity_usd == pytest.approx(told.total_usd.value)
        assert sum(row.trades for row in daily) == told.trades
        assert sum(row.costs_usd for row in daily) == pytest.approx(told.commissions_usd + told.slippage_usd)
        assert told.costs_usd == pytest.approx(told.commissions_usd + told.slippage_usd)
        assert all(row.low_usd <= row.equity_usd for row in daily)


@pytest.mark.parametrize("name", [RunName.FUSED, RunName.DOUBLE_COSTS])
def test_slippage_by_trade_is_what_the_engine_counts_by_fill(name):
    """Targets do not slip, forced closes slip more; under doubled costs twice as much."""
    made = done() if name is RunName.FUSED else beside(name)
    told = measure(made, instrument("NQ"), 1).statistics

    assert told.slippage_usd == made.report.result.slippage_usd > 0
    assert told.commissions_usd == made.report.result.commissions_usd
    assert told.costs_usd == pytest.approx(sum(row.costs_usd for row in measure(made, instrument("NQ"), 1).rows))


def test_costs_are_a_share_of_what_the_winners_made_before_costs():
    """A trade that only its costs turned into a loss is among the winners."""
    made = done()
    costs = costs_of(made, instrument("NQ"))
    told = measure(made, instrument("NQ"), 1).statistics
    before = [
        trade.side * (trade.exit_ticks - trade.entry_ticks) * 500 + costs.slippage_cents(trade)
        for trade in made.witness.trades
    ]

    won = sum(cents for cents in before if cents > 0)
    assert won > sum(max(trade.pnl_cents, 0) for trade in made.witness.trades)
    assert told.cost_share_pct == pytest.approx(100 * told.costs_usd * 100 / won)


def test_time_in_market_is_a_share_of_the_entry_window():
    """Positions outlive the window: the bars after it count neither as held nor as window."""
    made = done("execution.entry_window=rth", "strategy.options={seed: 35, rate: 0.2}")
    held = sum(marks.held_bars for marks in made.witness.sessions)
    in_window = sum(marks.held_window_bars for marks in made.witness.sessions)
    told = measure(made, instrument("NQ"), 1).statistics

    assert 0 < in_window < held
    assert told.time_in_market_pct == pytest.approx(100 * in_window / made.report.run.window_bars)


def test_costs_are_doubled_in_the_stress_run(record):
    """Nine dollars a round trip, and two ticks a fill; the entries judged are nearly as many."""
    stressed = record.run(RunName.DOUBLE_COSTS)

    assert stressed.statistics.commissions_usd == pytest.approx(9.0 * stressed.statistics.trades)
    assert (record.stress.commission_side_usd, record.stress.slippage_ticks, record.stress.factor) == (4.5, 2, 2)
    assert record.stress.total_usd == stressed.statistics.total_usd.value
    assert f"{record.stress.total_usd:+,.2f} $" in record.stress.sentence
    assert f"{record.runs[0].statistics.total_usd.value:+,.2f} $" in record.stress.sentence


def test_the_verdict_compares_the_headline_with_its_band(record):
    """p = 2 (1 + k) / (1 + seeds), with k counted here."""
    mean_r = record.runs[0].statistics.mean_r.value
    above = sum(seed >= mean_r for seed in record.band.mean_daily_r)
    k = min(above, sum(seed <= mean_r for seed in record.band.mean_daily_r))

    assert (record.verdict.seeds, record.verdict.seeds_as_far) == (SEEDS, k)
    assert record.verdict.p == min(1.0, 2 * (1 + k) / (1 + SEEDS))
    assert record.verdict.kind is VerdictKind.NO_DIFFERENCE


def test_the_placebo_verdict_is_over_the_placebo_runs(record):
    """Mean differences of the runs' daily R, and a verdict in words."""
    mean_r = {run.name: run.statistics.mean_r.value for run in record.runs}
    placebo = record.placebo

    for estimate, other in (
        (placebo.over_shuffled_r, RunName.PLACEBO_SHUFFLED),
        (placebo.over_inverted_r, RunName.PLACEBO_INVERTED),
        (placebo.over_rl_only_r, RunName.RL_ONLY),
    ):
        assert estimate.value == pytest.approx(mean_r[RunName.FUSED] - mean_r[other])
    assert placebo.kind is PlaceboKind.ADDS_NOTHING
    assert placebo.sentence.startswith("The advice ADDS NOTHING")


def test_facts_state_what_was_evaluated_and_claim_no_more(record):
    """Synthetic bars: an engineering run, whatever came of it."""
    facts = record.facts

    assert (facts.claim, facts.labels) == (Claim.ENGINEERING_RUN, ("synthetic_bars",))
    assert (facts.sessions, facts.bars) == (LONG, len(columns(LONG)))
    assert (facts.commission_side_usd, facts.slippage_ticks, facts.advisor) == (2.25, 1, "rules")
    assert record.runs[0].accounts_used > 1


def test_a_record_survives_its_file(record, tmp_path):
    """Written, read and written again it is the same to the byte."""
    chart = chart_of(columns(), Calendar.load())
    (tmp_path / EVALUATION_NAME).write_bytes(encode(record))
    (tmp_path / CHART_NAME).write_bytes(encode(chart))

    assert encode(read_evaluation(tmp_path)) == encode(record)
    assert read_chart(tmp_path) == chart


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "does not exist; give the output folder of `trader evaluate`"),
        (b'{"version":1,"facts":{', "is cut off or no record"),
        (b'{"version":1}', "is cut off or no record"),
        (b"\xff\xfe", "is cut off or no record"),
    ],
)
def test_a_file_that_is_no_record_is_refused_by_name(content, message, tmp_path):
    """Missing, cut off, another document, no text at all."""
    if content is not None:
        (tmp_path / EVALUATION_NAME).write_bytes(content)
    with pytest.raises(InputError, match=message) as error:
        read_evaluation(tmp_path)
    assert EVALUATION_NAME in str(error.value)


def test_a_record_of_another_version_is_refused(record, tmp_path):
    """The version stands before everything that may have changed."""
    (tmp_path / EVALUATION_NAME).write_bytes(encode(replace(record, version=99)))
    with pytest.raises(InputError, match="version is 99, this program reads 1"):
        read_evaluation(tmp_path)


def test_trials_count_each_configuration_once(tmp_path):
    """The same again is no other trial; other settings, or another advisor, are."""
    trials = []
    for overrides in ((), (), ("risk.max_trades_per_session=5",), ("advisor.backend=off",)):
        found = asyncio.run(evaluate(asked(tmp_path, *overrides, sessions=8, seeds=0), quiet))
        trials.append(found.sharpe.trials)

    assert trials == [1, 1, 2, 3]
    assert found.band is None
    assert found.placebo.kind is PlaceboKind.NO_ADVICE


def test_the_same_evaluation_is_the_same_to_the_byte(tmp_path):
    """Twice with the same state: nothing of a clock or of a process is in the record."""
    first, second = (asyncio.run(evaluate(asked(tmp_path, sessions=8), quiet)) for _ in range(2))

    assert encode(first) == encode(second)
    assert first.facts.evaluation_id == second.facts.evaluation_id


def test_a_walk_forward_runs_all_models_and_counts_them_as_trials(tmp_path):
    """Three models, two folds: each test of each model is a trial of its fold's dates."""
    rivals = tuple(settings(f"strategy.options={{seed: {seed}, rate: 0.4}}") for seed in (1, 2))
    gap = Gap(purge_sessions=1, embargo_sessions=0)
    plan = FoldPlan(train_sessions=3, test_sessions=2, folds=2, is_anchored=False, gap=gap)
    found = asyncio.run(evaluate(asked(tmp_path, sessions=10, seeds=0, rivals=rivals, folds=plan), quiet))

    walked = found.walk_forward
    assert [len(fold.seeds) for fold in walked.folds] == [3, 3]
    assert len({seed.test_total_usd for seed in walked.folds[1].seeds}) == 3
    daily = {row.session: row.pnl_r for row in found.runs[0].daily}
    fold = walked.folds[0]
    tested = [r for session, r in daily.items() if fold.test_first <= session <= fold.test_last]
    assert fold.seeds[0].test_mean_r == pytest.approx(np.mean(tested))
    files = {path.name: len(path.read_bytes().splitlines()) for path in tmp_path.iterdir()}
    assert files[f"trials-synthetic-NQ-{fold.test_first}-{fold.test_last}.jsonl"] == 3
    assert len(files) == 3


def test_folds_that_do_not_fit_are_refused_before_anything_runs(tmp_path):
    """Nothing is traded, no trial is counted."""
    with pytest.raises(UsageError, match=r"need .* sessions, here are 8"):
        asyncio.run(evaluate(asked(tmp_path, sessions=8, folds=parse_plan("train=30,test=10", 15).dates), quiet))
    assert list(tmp_path.iterdir()) == []


def test_what_an_entry_would_have_made_is_what_it_made():
    """Of trades that nobody managed and no limit ended: each told of as if blocked, against the engine's own result."""
    free = ("account.trailing_limit_usd=40000", "account.daily_limit_usd=40000")
    made = done("strategy.name=buy_and_hold", "strategy.options={}", "advisor.backend=off", *free)
    blocked = [
        Blocked(session=t.session, side=t.side, rules=(), close_ticks=0, bars=1, cause=t.cause)
        for t in made.witness.trades
    ]
    ground = prepare_ground(made.settings, columns(), Calendar.load(), instrument("NQ"))

    told = would_be(ground, blocked)

    assert len(told) == len(made.witness.trades) > 10
    assert {key: usd for key, (usd, _) in told.items()} == {
        (t.cause.seq, t.side): t.pnl_cents / 100 for t in made.witness.trades
    }
    assert all(told[t.cause.seq, t.side][1] == pytest.approx(t.pnl_cents / t.risk_cents) for t in made.witness.trades)


def test_an_entry_that_could_not_be_filled_would_have_made_nothing():
    """Decided at the last bar of all: nothing follows."""
    made = done()
    last = Cause(
        len(columns()) - 1, 0, Proposal(Action.BUY, 1.0), None, Decision(FusionMethod.RL_ONLY, Action.BUY, 1.0, 0.3)
    )
    session = made.witness.sessions[-1].session
    ground = prepare_ground(made.settings, columns(), Calendar.load(), instrument("NQ"))

    blocked = Blocked(session=session, side=Side.BUY, rules=(), close_ticks=0, bars=1, cause=last)
    assert would_be(ground, [blocked]) == {}


def test_entries_that_were_blocked_and_turned_away_are_told_apart(record):
    """Every one is in one of the lists: with rules, or without."""
    headline = record.headline

    assert len(headline.vetoed) > len(headline.turned_away) > 0
    assert all(row.rules for row in headline.vetoed)
    assert not any(row.rules for row in headline.turned_away)


def test_vetoed_entries_are_told_with_their_rules_and_cut_by_them(record):
    """Rows and slices hold the same; the engine counts the bars, those of trails among them."""
    vetoed, slices = record.headline.vetoed, record.headline.vetoed_by_rule
    bars: dict[str, int] = {}
    for row in vetoed:
        for rule in row.rules:
            bars[rule] = bars.get(rule, 0) + row.bars
    told = [row for row in vetoed if row.would_be_usd is not None]

    counted = {rule: count for rule, count in record.headline.vetoes.items() if count}
    assert bars.pop("drawdown_proximity") < counted.pop("drawdown_proximity")  # it blocks ENABLE_TRAIL as well
    assert bars == counted
    assert {part.key: part.trades for part in slices} == {
        rule: sum(rule in row.rules for row in told) for row in told for rule in row.rules
    }
    for part in slices:
        assert part.pnl_usd == pytest.approx(sum(row.would_be_usd for row in told if part.key in row.rules))


@pytest.mark.parametrize(
    ("proposed", "advised", "chosen", "decider"),
    [
        (Action.BUY, None, Action.BUY, "strategy"),
        (Action.BUY, Action.BUY, Action.BUY, "both"),
        (Action.BUY, Action.SELL, Action.BUY, "strategy"),
        (Action.BUY, Action.SELL, Action.SELL, "advisor"),
        (Action.HOLD, Action.SELL, Action.SELL, "advisor"),
    ],
)
def test_the_decider_of_an_entry_is_who_wanted_it(proposed, advised, chosen, decider):
    """Both, or the one of them that had its way."""
    advice = None if advised is None else Advice(action=advised, confidence=0.9, reason="")
    decision = Decision(FusionMethod.WEIGHTED, chosen, 0.5, 0.3)

    assert decider_of(Cause(0, 0, Proposal(proposed, 0.5), advice, decision)) == decider


def test_calibration_is_of_the_voices_that_wanted_the_entry(record):
    """As many trades as the strategy, and as the advisor, were for."""
    trades = record.headline.trades

    assert record.headline.calibration_rl.trades == sum(row.decider != "advisor" for row in trades)
    assert record.headline.calibration_advice.trades == sum(row.decider != "strategy" for row in trades)


def test_trade_rows_state_levels_on_their_side(record):
    """A long's stop below its entry and its target above it, a short's the other way round; three times as far."""
    assert {row.side for row in record.headline.trades} == {"long", "short"}
    for row in record.headline.trades:
        side = 1 if row.side == "long" else -1
        assert side * (row.entry - row.stop) > 0
        assert side * (row.target - row.entry) == pytest.approx(3 * side * (row.entry - row.stop), abs=1.0)
        assert row.closed_ns >= row.opened_ns >= row.decided_ns
        assert row.r == pytest.approx(row.pnl_usd / row.risk_usd)
        assert row.is_ambiguous or row.optimistic_usd == row.pnl_usd
    assert record.ambiguous.bars == sum(row.is_ambiguous for row in record.headline.trades)
    assert record.ambiguous.optimistic_usd == pytest.approx(sum(row.optimistic_usd for row in record.headline.trades))


def test_costs_of_a_trade_follow_from_how_it_ended():
    """One tick in; out one tick, none at the target, two at a forced close."""
    made = done()
    costs = costs_of(made, instrument("NQ"))
    by_reason = {trade.reason.value: costs.slippage_cents(trade) // trade.qty for trade in made.witness.trades}

    assert by_reason["stop"] == 2 * 500
    assert by_reason["target"] == 500
    assert by_reason["forced_close"] == 3 * 500
    assert {trade.side for trade in made.witness.trades} == {Side.BUY, Side.SELL}


def test_the_record_is_plain_json(record):
    """Any reader of JSON can open it."""
    plain = msgspec.json.decode(encode(record))

    assert plain["facts"]["claim"] == "engineering run"
    assert plain["runs"][0]["name"] == "fused"
