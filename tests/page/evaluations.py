"""Evaluations to render: made up, consistent in themselves, and any part can be replaced. No market is behind them."""

import numpy as np
from evaluation_rows import a_veto, daily_of, open_ns, session_dates, some_trades, statistics_of
from msgspec.structs import replace

from trader.analysis.evaluation import (
    EVALUATION_VERSION,
    BundleFacts,
    Chart,
    Claim,
    Evaluation,
    Facts,
    Headline,
    RunName,
    RunRecord,
)
from trader.analysis.evaluation_parts import (
    AdviceFacts,
    AmbiguousInterval,
    Band,
    BandRow,
    Bin,
    Calibration,
    CostStress,
    Estimate,
    Fold,
    FoldSeed,
    PlaceboKind,
    PlaceboVerdict,
    SharpeEvidence,
    Slice,
    SplitFacts,
    TradeRow,
    VerdictFacts,
    VerdictKind,
    VetoRow,
    WalkForward,
)


def a_run(
    name: RunName, title: str, dates: list[str], seed: int, trades: tuple[TradeRow, ...] | None = None
) -> RunRecord:
    """A run over those sessions; its trades are made up where none are given."""
    made = some_trades(dates, seed) if trades is None else trades
    daily = daily_of(made, dates)
    return RunRecord(name=name, title=title, accounts_used=1, statistics=statistics_of(made, daily), daily=daily)


def slices(trades: tuple[TradeRow, ...], key: str) -> tuple[Slice, ...]:
    """The trades, cut by a field."""
    keys = sorted({str(getattr(trade, key)) for trade in trades})
    parts = {name: [trade for trade in trades if str(getattr(trade, key)) == name] for name in keys}
    return tuple(a_slice(name, part) for name, part in parts.items())


def a_slice(key: str, trades: list[TradeRow]) -> Slice:
    """Those trades, summed up."""
    return Slice(
        key=key,
        trades=len(trades),
        wins=sum(trade.pnl_usd > 0 for trade in trades),
        pnl_usd=sum(trade.pnl_usd for trade in trades),
        net_r=sum(trade.r or 0.0 for trade in trades),
    )


def hours(trades: tuple[TradeRow, ...]) -> tuple[Slice, ...]:
    """The trades by the New York hour of their entry."""
    at = {
        hour: [t for t in trades if (t.opened_ns // 10**9 + t.et_offset_s) // 3600 % 24 == hour] for hour in range(24)
    }
    return tuple(a_slice(f"{hour:02d}", part) for hour, part in at.items() if part)


def a_calibration() -> Calibration:
    """Five bins that are not quite on the line."""
    bins = tuple(
        Bin(low=low, high=low + 0.1, trades=12 + index * 4, mean_confidence=low + 0.05, win_share=0.35 + 0.04 * index)
        for index, low in enumerate((0.4, 0.5, 0.6, 0.7, 0.8))
    )
    return Calibration(bins=bins, brier=0.251, trades=sum(part.trades for part in bins))


def a_headline(trades: tuple[TradeRow, ...], vetoed: tuple[VetoRow, ...]) -> Headline:
    """What is kept of the headline run."""
    return Headline(
        trades=trades,
        vetoed=vetoed,
        turned_away=tuple(replace(row, rules=(), would_be_usd=395.5, would_be_r=1.98) for row in vetoed[::3]),
        by_side=slices(trades, "side"),
        by_hour=hours(trades),
        by_segment=slices(trades, "qty"),
        by_exit=slices(trades, "reason"),
        by_method=slices(trades, "method"),
        by_decider=slices(trades, "decider"),
        by_change=slices(trades, "changed"),
        vetoed_by_rule=(
            Slice(key="max_trades", trades=len(vetoed), wins=0, pnl_usd=-204.5 * len(vetoed), net_r=-1.02),
        ),
        methods={"rl_only": 51200, "agreement": 410, "rl_override": 33, "llm_override": 71, "weighted": 25},
        actions={"HOLD": 51000, "BUY": 420, "SELL": 319, "SET_BE": 12},
        vetoes={"max_trades": len(vetoed), "cooldown": 0, "session_window": 15},
        veto_window_share_pct={"max_trades": 12.5, "cooldown": None, "session_window": 0.0},
        advice=AdviceFacts(
            backend="rules",
            asked=920,
            model_calls=920,
            late_used=0,
            by_status={"used": 911, "late": 9},
            cache_hit_pct=0.0,
            error_pct=1.0,
            assumed_latency_ms=500,
        ),
        calibration_rl=a_calibration() if trades else None,
        calibration_advice=None,
    )


def a_band(dates: list[str], trades: int) -> Band:
    """Two hundred seeds around zero."""
    rng = np.random.default_rng(3)
    paths = np.cumsum(rng.normal(-9, 190, (200, len(dates))), axis=1)
    quantiles = np.quantile(paths, [0.025, 0.25, 0.5, 0.75, 0.975], axis=0).T.tolist()
    rows = tuple(
        BandRow(session=session, q025=row[0], q25=row[1], q50=row[2], q75=row[3], q975=row[4])
        for session, row in zip(dates, quantiles, strict=True)
    )
    return Band(
        seeds=200,
        first_seed=1000,
        matched_trades=trades,
        fewest=trades - 2,
        most=trades,
        long_share_pct=58.0,
        rows=rows,
        totals_usd=tuple(paths[:, -1].tolist()),
        mean_daily_r=tuple((paths[:, -1] / 200 / len(dates)).tolist()),
        sharpes=tuple(float(value) for value in rng.normal(0, 1, 200)),
        matching="Entries are drawn among the bars of the same hours until each seed has the headline's trades.",
    )


def a_walk_forward() -> WalkForward:
    """Two folds of three seeds."""
    folds = tuple(
        Fold(
            number=number,
            train_first=f"2021-0{number}-04",
            train_last=f"2021-0{number + 2}-26",
            test_first=f"2021-0{number + 3}-01",
            test_last=f"2021-0{number + 3}-30",
            seeds=tuple(
                FoldSeed(
                    candidate=f"seed {seed}",
                    bundle=f"b{seed}",
                    seed=seed,
                    train_mean_r=0.1 * seed,
                    test_mean_r=0.05 * seed - 0.06,
                    test_total_usd=200.0 * seed - 240,
                    is_picked=seed == 3,
                )
                for seed in (1, 2, 3)
            ),
            median_r=0.04,
            low_r=-0.01,
            high_r=0.09,
        )
        for number in (1, 2)
    )
    return WalkForward(
        mode="pick",
        train_sessions=60,
        test_sessions=20,
        purge_sessions=3,
        folds=folds,
        median_r=0.04,
        low_r=-0.01,
        high_r=0.09,
        sentence="The median over 2 folds and 3 seeds is +0.04 R a session.",
    )


BUNDLE = BundleFacts(
    id="ab" * 32,
    name="three phases, median seed",
    phase="3",
    market="NQ",
    label="in_sample",
    seed=2,
    steps=7_000_000,
    training_description="made up",
    training_sha256="cd" * 32,
    training_first_session="2019-01-02",
    training_last_session="2020-12-31",
)

FACTS = Facts(
    evaluation_id="20261122T193000-abcd",
    strategy="ppo",
    bundle=BUNDLE,
    source="made-up-2021.csv",
    bars_sha256="ef" * 32,
    is_synthetic=True,
    market="NQ",
    market_name="E-mini Nasdaq-100",
    tick=0.25,
    tick_value_usd=5.0,
    bar_minutes=1,
    bars=340_000,
    window_bars=88_000,
    skipped_bars=3,
    first_session="2021-01-04",
    last_session="2021-12-17",
    sessions=250,
    advisor="rules",
    commission_side_usd=2.25,
    slippage_ticks=1,
    forced_slippage_ticks=2,
    qty=1,
    start_balance_usd=50_000.0,
    trailing_limit_usd=2_500.0,
    entry_window="09:30 to 15:30 ET",
    settings_sha256="12" * 32,
    code_version="0.3.0",
    mismatches=("the model was trained on 5-minute bars",),
    labels=("synthetic_bars", "mismatch"),
    claim=Claim.ENGINEERING_RUN,
    claim_reason="The bars are synthetic: the figures show that the machinery works, and nothing about a market.",
    seeds=200,
    bootstrap_resamples=2000,
    command="trader evaluate --model embedded --bars made-up-2021.csv",
)


def an_evaluation(
    sessions: int = 250, trades: tuple[TradeRow, ...] | None = None, seed: int = 7, **changes: object
) -> Evaluation:
    """A whole evaluation over that many sessions; `trades` are the headline's, made up where None."""
    dates = session_dates(sessions)
    own = some_trades(dates, seed) if trades is None else trades
    vetoed = tuple(a_veto(session) for session in dates[::9])
    runs = (
        a_run(RunName.FUSED, "Fused", dates, seed, own),
        a_run(RunName.RL_ONLY, "RL only", dates, seed + 1),
        a_run(RunName.ADVICE_ONLY, "Advice only", dates, seed + 2),
        a_run(RunName.NO_VETO, "No veto", dates, seed + 3),
        a_run(RunName.PLACEBO_SHUFFLED, "Placebo: shuffled advice", dates, seed + 4),
        a_run(RunName.PLACEBO_INVERTED, "Placebo: inverted advice", dates, seed + 5),
        a_run(RunName.FLAT, "Flat", dates, seed, ()),
        a_run(RunName.BUY_AND_HOLD, "Buy and hold", dates, seed + 6),
        a_run(RunName.SMA_CROSS, "SMA cross", dates, seed + 8),
    )
    whole = Evaluation(
        version=EVALUATION_VERSION,
        facts=replace(FACTS, sessions=sessions, last_session=dates[-1]),
        split=SplitFacts(relation="newer", sentence="All evaluated sessions are newer than the training's."),
        verdict=VerdictFacts(
            kind=VerdictKind.NO_DIFFERENCE,
            p=0.39,
            seeds_as_far=38,
            seeds=200,
            mean_daily_r=0.06,
            sentence="No: the result does not differ from random entries with the same trades (p = 0.39).",
        ),
        headline=a_headline(own, vetoed),
        runs=runs,
        band=a_band(dates, len(own)) if own else None,
        stress=CostStress(
            factor=2,
            commission_side_usd=4.5,
            slippage_ticks=2,
            total_usd=-1100.0,
            mean_r=-0.02,
            sharpe=-0.3,
            trades=len(own),
            sentence="At twice the costs the run loses.",
        ),
        ambiguous=AmbiguousInterval(bars=4, pessimistic_usd=runs[0].daily[-1].equity_usd, optimistic_usd=9_000.5),
        sharpe=SharpeEvidence(
            sessions=sessions,
            daily_sharpe=0.038,
            skew=0.4,
            kurtosis=3.9,
            probabilistic=0.72,
            deflated=0.31,
            trials=6,
            trials_variance=0.002,
            expected_best=0.07,
            trials_file="trials-NQ-2021-01-04-2021-12-17.jsonl",
            notes=("Two evaluations of the same configuration count once.",),
        ),
        placebo=PlaceboVerdict(
            kind=PlaceboKind.ADDS_NOTHING,
            over_shuffled_r=Estimate(value=0.01, low=-0.09, high=0.11),
            over_inverted_r=Estimate(value=0.03, low=-0.05, high=0.12),
            over_rl_only_r=Estimate(value=-0.01, low=-0.1, high=0.09),
            sentence="Advice adds nothing: shuffled in time it did as well.",
        ),
        walk_forward=a_walk_forward(),
    )
    return replace(whole, **changes)


def a_chart(sessions: int = 250, minutes: int = 15) -> Chart:
    """Bars of a made-up walk around 15,000, the cash hours of each session."""
    rng = np.random.default_rng(11)
    per_session = 390 // minutes
    opens = [open_ns(session) // 10**9 for session in session_dates(sessions)]
    starts = [start + minutes * 60 * bar for start in opens for bar in range(per_session)]
    close = np.round((15000 + np.cumsum(rng.normal(0, 8, len(starts)))) * 4) / 4
    before = np.concatenate(([15000.0], close[:-1]))
    reach = np.round(abs(rng.normal(0, 6, (2, len(starts)))) * 4) / 4
    return Chart(
        version=EVALUATION_VERSION,
        minutes=minutes,
        symbols=("NQH21",),
        open_s=tuple(starts),
        open=tuple(before.tolist()),
        high=tuple((np.maximum(before, close) + reach[0]).tolist()),
        low=tuple((np.minimum(before, close) - reach[1]).tolist()),
        close=tuple(close.tolist()),
        symbol_index=(0,) * len(starts),
    )
