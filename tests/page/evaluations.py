"""Evaluations to render: made up, consistent in themselves, and any part can be replaced. No market is behind them."""

import datetime

import numpy as np
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
    DailyRow,
    Estimate,
    Fold,
    FoldSeed,
    PlaceboKind,
    PlaceboVerdict,
    SharpeEvidence,
    Slice,
    SplitFacts,
    Statistics,
    TradeRow,
    VerdictFacts,
    VerdictKind,
    VetoRow,
    WalkForward,
)

MINUTE_NS = 60 * 10**9
ET_OFFSET_S = -5 * 3600
OPEN_NS = int(datetime.datetime(2021, 1, 4, 14, 30, tzinfo=datetime.UTC).timestamp()) * 10**9
DAY_NS = 1440 * MINUTE_NS
NOTHING = Estimate(value=None, low=None, high=None)


def session_dates(count: int) -> list[str]:
    """The first weekdays from 2021-01-04."""
    first = datetime.date(2021, 1, 4)
    days = (first + datetime.timedelta(days=day) for day in range(2 * count + 7))
    return [day.isoformat() for day in days if day.weekday() < 5][:count]


def open_ns(session: str) -> int:
    """09:30 of New York on that date, an hour behind in summer or not."""
    days = datetime.date.fromisoformat(session) - datetime.date(2021, 1, 4)
    return OPEN_NS + days.days * DAY_NS


def a_trade(number: int = 1, session: str = "2021-01-04", pnl_usd: float = 195.5, **changes: object) -> TradeRow:
    """A long of one NQ contract with 200 $ at risk, opened ten minutes after 09:30, unless changed."""
    opened_ns = open_ns(session) + (10 + 37 * (number % 9)) * MINUTE_NS
    trade = TradeRow(
        number=number,
        session=session,
        symbol="NQH21",
        side="long",
        qty=1,
        decided_ns=opened_ns,
        opened_ns=opened_ns,
        closed_ns=opened_ns + 30 * MINUTE_NS,
        et_offset_s=ET_OFFSET_S,
        entry=15000.25,
        exit=15000.25 + (pnl_usd + 4.5) / 20,
        stop=14990.25,
        target=15020.25,
        pnl_usd=pnl_usd,
        optimistic_usd=pnl_usd,
        commission_usd=4.5,
        risk_usd=200.0,
        r=pnl_usd / 200,
        mae_points=2.5,
        mfe_points=12.75,
        bars=30,
        reason="target",
        is_ambiguous=False,
        method="agreement",
        decider="both",
        rl_action="BUY",
        rl_confidence=0.62,
        advice_action="BUY",
        advice_confidence=0.71,
        changed=False,
        changed_management=0,
        account=1,
    )
    return replace(trade, **changes)


def a_veto(session: str = "2021-01-04", **changes: object) -> VetoRow:
    """A long that a daily limit of trades blocked, which would have lost 1 R, unless changed."""
    veto = VetoRow(
        session=session,
        decided_ns=open_ns(session) + 45 * MINUTE_NS,
        et_offset_s=ET_OFFSET_S,
        side="long",
        bars=3,
        price=15010.5,
        rules=("max_trades",),
        method="rl_only",
        rl_confidence=0.58,
        advice_confidence=None,
        would_be_usd=-204.5,
        would_be_r=-1.02,
    )
    return replace(veto, **changes)


def some_trades(dates: list[str], seed: int) -> tuple[TradeRow, ...]:
    """Two trades a session with random results between about -1 and +2 R."""
    rng = np.random.default_rng(seed)
    trades = []
    for session in dates:
        for _ in range(2):
            pnl = float(np.round(rng.choice([-204.5, 395.5, rng.normal(0, 120)], p=[0.5, 0.25, 0.25]) * 4) / 4)
            side = "long" if rng.random() < 0.6 else "short"
            away = 10.0 if side == "long" else -10.0
            entry = 15000.0 + round(float(rng.normal(0, 300)) * 4) / 4
            direction = 1 if side == "long" else -1
            trades.append(
                a_trade(
                    len(trades) + 1,
                    session,
                    pnl,
                    side=side,
                    entry=entry,
                    exit=entry + direction * (pnl + 4.5) / 20,
                    stop=entry - away,
                    target=entry + 2 * away,
                    mae_points=float(abs(rng.normal(4, 3))),
                    mfe_points=float(abs(rng.normal(8, 6))),
                    reason="stop" if pnl < 0 else "target",
                    method=str(rng.choice(["agreement", "rl_only", "weighted", "llm_override", "rl_override"])),
                    decider=str(rng.choice(["both", "strategy", "advisor"])),
                    rl_confidence=float(rng.uniform(0.4, 0.9)),
                    changed=bool(rng.random() < 0.2),
                )
            )
    return tuple(trades)


def daily_of(trades: tuple[TradeRow, ...], dates: list[str]) -> tuple[DailyRow, ...]:
    """The sessions' sums of those trades."""
    rows: list[DailyRow] = []
    equity = 0.0
    for session in dates:
        own = [trade for trade in trades if trade.session == session]
        pnl = sum(trade.pnl_usd for trade in own)
        equity += pnl
        rows.append(
            DailyRow(
                session=session,
                trades=len(own),
                pnl_usd=pnl,
                pnl_r=pnl / 200,
                costs_usd=9.5 * len(own),
                equity_usd=equity,
                low_usd=equity - 100.0,
            )
        )
    return tuple(rows)


def statistics_of(trades: tuple[TradeRow, ...], daily: tuple[DailyRow, ...]) -> Statistics:
    """Figures that fit roughly: the page shows what it is given."""
    total = sum(trade.pnl_usd for trade in trades)
    sessions = max(len(daily), 1)
    around = (abs(total) + 2000.0) / sessions
    has_trades = bool(trades)
    estimate = Estimate(value=total / sessions, low=total / sessions - around, high=total / sessions + around)
    return Statistics(
        sessions=len(daily),
        trades=len(trades),
        long_trades=sum(trade.side == "long" for trade in trades),
        short_trades=sum(trade.side == "short" for trade in trades),
        total_usd=Estimate(value=total, low=total - around * sessions, high=total + around * sessions),
        mean_usd=estimate,
        total_r=total / 200,
        mean_r=Estimate(value=total / 200 / sessions, low=-0.31, high=0.44),
        sharpe=Estimate(value=0.61, low=-0.92, high=2.03) if has_trades else NOTHING,
        sortino=Estimate(value=0.93, low=-1.21, high=3.35) if has_trades else NOTHING,
        calmar=0.44 if has_trades else None,
        max_drawdown_usd=2480.5 if has_trades else 0.0,
        drawdown_range_usd=Estimate(value=2480.5, low=1630.0, high=7210.25) if has_trades else NOTHING,
        drawdown_sessions=61 if has_trades else 0,
        drawdown_from=daily[0].session if has_trades else None,
        drawdown_trough=daily[len(daily) // 2].session if has_trades else None,
        drawdown_to=None,
        deepest_usd=2610.0 if has_trades else 0.0,
        profit_factor=Estimate(value=1.07, low=0.81, high=1.42) if has_trades else NOTHING,
        expectancy_r=Estimate(value=0.03, low=-0.12, high=0.18) if has_trades else NOTHING,
        win_rate_pct=38.5 if has_trades else None,
        average_win_usd=310.25 if has_trades else None,
        average_loss_usd=-188.0 if has_trades else None,
        best_session_usd=791.0 if has_trades else None,
        worst_session_usd=-409.0 if has_trades else None,
        time_in_market_pct=17.3 if has_trades else 0.0,
        average_hold_minutes=30.0 if has_trades else None,
        commissions_usd=4.5 * len(trades),
        slippage_usd=5.0 * len(trades),
        costs_usd=9.5 * len(trades),
        cost_share_pct=6.4 if has_trades else None,
        mae_r=0.41 if has_trades else None,
        mfe_r=0.77 if has_trades else None,
        optimistic_usd=total,
        ambiguous_bars=0,
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
