"""The parts of an evaluation's record, small to large; `trader.analysis.evaluation` puts them together.

Units and None as stated there. Shares named `_pct` are percent, 0..100.
"""

from enum import StrEnum

from msgspec import Struct


class Estimate(Struct, frozen=True, kw_only=True):
    """A figure and its 95 % interval by block bootstrap; None where there is none to give."""

    value: float | None
    low: float | None
    high: float | None


class Statistics(Struct, frozen=True, kw_only=True):
    """The figures of one run; sessions without a trade count as days of zero.

    Sharpe, Sortino and Calmar are annualised by 252 sessions. `max_drawdown_usd` is over equity at session ends,
    with the range of resampled ones, `drawdown_sessions` from its peak to recovery or to the end (`drawdown_to`; None:
    not recovered), `deepest_usd` over equity at bar closes. `costs_usd` are commissions and slippage together,
    `cost_share_pct` their share of the gross profit of the trades before costs that won. `mae_r`, `mfe_r` are medians
    over trades. `optimistic_usd` books ambiguous bars at their target. `time_in_market_pct` is the share of the entry
    window's bars at whose close a position was open.
    """

    sessions: int
    trades: int
    long_trades: int
    short_trades: int
    total_usd: Estimate
    mean_usd: Estimate
    total_r: float
    mean_r: Estimate
    sharpe: Estimate
    sortino: Estimate
    calmar: float | None
    max_drawdown_usd: float
    drawdown_range_usd: Estimate
    drawdown_sessions: int
    drawdown_from: str | None
    drawdown_trough: str | None
    drawdown_to: str | None
    deepest_usd: float
    profit_factor: Estimate
    expectancy_r: Estimate
    win_rate_pct: float | None
    average_win_usd: float | None
    average_loss_usd: float | None
    best_session_usd: float | None
    worst_session_usd: float | None
    time_in_market_pct: float | None
    average_hold_minutes: float | None
    commissions_usd: float
    slippage_usd: float
    costs_usd: float
    cost_share_pct: float | None
    mae_r: float | None
    mfe_r: float | None
    optimistic_usd: float
    ambiguous_bars: int


class DailyRow(Struct, frozen=True, kw_only=True):
    """One session: P&L of the trades that ended in it, and the running sum of it after it; `low_usd` is the lowest
    running P&L at a bar's close, open positions included."""

    session: str
    trades: int
    pnl_usd: float
    pnl_r: float
    costs_usd: float
    equity_usd: float
    low_usd: float


class Slice(Struct, frozen=True, kw_only=True):
    """A part of the trades. Of vetoed entries: what they would have made, `trades` being those that could be told."""

    key: str
    trades: int
    wins: int
    pnl_usd: float
    net_r: float


class TradeRow(Struct, frozen=True, kw_only=True):
    """One round trip. `side` is `long` or `short`; `mae_points`, `mfe_points` are at least zero.

    `decided_ns` is the close of the bar that decided the entry; `stop` and `target` are those set at the fill. On the
    bar that ends a trade only its exit price counts for the excursions: what came first inside it is not known.
    `method`, `rl_` and `advice_` are of the deciding bar: fusion's row, the strategy's own proposal, and the advice
    that fusion compared (None: there was none). `decider` is `both`, `strategy` or `advisor`. `changed` says that
    without advice the bar would have decided something else; `changed_management` counts the bars of the position at
    which advice changed a decision. `optimistic_usd` differs from `pnl_usd` on an ambiguous bar only.
    """

    number: int
    session: str
    symbol: str
    side: str
    qty: int
    decided_ns: int
    opened_ns: int
    closed_ns: int
    et_offset_s: int
    entry: float
    exit: float
    stop: float
    target: float
    pnl_usd: float
    optimistic_usd: float
    commission_usd: float
    risk_usd: float
    r: float | None
    mae_points: float
    mfe_points: float
    bars: int
    reason: str
    is_ambiguous: bool
    method: str
    decider: str
    rl_action: str
    rl_confidence: float
    advice_action: str | None
    advice_confidence: float | None
    changed: bool
    changed_management: int
    account: int


class VetoRow(Struct, frozen=True, kw_only=True):
    """An entry that the review blocked, and what it would have made with its plain bracket, on its own: None where the
    bars end before it does. The same entry blocked by the same rules on `bars` bars in a row is one row, told of the
    first of them. Outcomes of different rows may overlap in time: their sum is no account's result."""

    session: str
    decided_ns: int
    et_offset_s: int
    side: str
    bars: int
    price: float
    rules: tuple[str, ...]
    method: str
    rl_confidence: float
    advice_confidence: float | None
    would_be_usd: float | None
    would_be_r: float | None


class AdviceFacts(Struct, frozen=True, kw_only=True):
    """What became of the questions of the headline run. `assumed_latency_ms` is what the replay assumes."""

    backend: str
    asked: int
    model_calls: int
    late_used: int
    by_status: dict[str, int]
    cache_hit_pct: float | None
    error_pct: float | None
    assumed_latency_ms: int


class Bin(Struct, frozen=True, kw_only=True):
    """Trades whose confidence at entry lay in [low, high)."""

    low: float
    high: float
    trades: int
    mean_confidence: float
    win_share: float


class Calibration(Struct, frozen=True, kw_only=True):
    """How often trades won, by the confidence at their entry; the Brier score is 0 (right and sure) to 1."""

    bins: tuple[Bin, ...]
    brier: float
    trades: int


class BandRow(Struct, frozen=True, kw_only=True):
    """Quantiles over random seeds of the running P&L in dollars after a session."""

    session: str
    q025: float
    q25: float
    q50: float
    q75: float
    q975: float


class Band(Struct, frozen=True, kw_only=True):
    """Random entries with the headline's number of trades, sides, hours and exits, one value a seed.

    `matched_trades` is what each seed was to make; `fewest`, `most` what they made; `moved_pct` the share of trades, on
    average, that lie in another hour of the day or on another side than the headline's.
    """

    seeds: int
    first_seed: int
    matched_trades: int
    fewest: int
    most: int
    long_share_pct: float | None
    rows: tuple[BandRow, ...]
    totals_usd: tuple[float, ...]
    mean_daily_r: tuple[float, ...]
    sharpes: tuple[float | None, ...]
    matching: str
    moved_pct: float | None = None


class VerdictKind(StrEnum):
    """Whether the headline differs from the random band."""

    BETTER = "yes"
    WORSE = "worse"
    NO_DIFFERENCE = "no difference"
    TOO_SHORT = "too short"
    NO_TRADES = "no trades"


class VerdictFacts(Struct, frozen=True, kw_only=True):
    """`p` is 2 (1 + k) / (seeds + 1), k the random seeds at least as far out on the headline's side; the measure is
    mean daily net R. `sentence` says it in words."""

    kind: VerdictKind
    p: float | None
    seeds_as_far: int | None
    seeds: int
    mean_daily_r: float | None
    sentence: str


class CostStress(Struct, frozen=True, kw_only=True):
    """The headline run again at `factor` times commission and slippage."""

    factor: int
    commission_side_usd: float
    slippage_ticks: int
    total_usd: float
    mean_r: float
    sharpe: float | None
    trades: int
    sentence: str


class AmbiguousInterval(Struct, frozen=True, kw_only=True):
    """Bars that reached stop and target both: all booked at the stop, and all at the target."""

    bars: int
    pessimistic_usd: float
    optimistic_usd: float


class SharpeEvidence(Struct, frozen=True, kw_only=True):
    """Probabilistic and deflated Sharpe ratio (Bailey and Lopez de Prado 2012, 2014), both probabilities 0..1.

    `daily_sharpe` is a session's, not annualised. `trials` counts the different configurations that were evaluated on
    this instrument and these dates, this one included; `expected_best` is the daily Sharpe ratio that the best of so
    many would reach by luck.
    """

    sessions: int
    daily_sharpe: float | None
    skew: float | None
    kurtosis: float | None
    probabilistic: float | None
    deflated: float | None
    trials: int
    trials_variance: float | None
    expected_best: float | None
    trials_file: str
    notes: tuple[str, ...] = ()


class PlaceboKind(StrEnum):
    """Whether advice beats its placebo."""

    ADDS = "adds"
    ADDS_NOTHING = "adds nothing"
    TOO_SHORT = "too short"
    NO_ADVICE = "no advice"


class PlaceboVerdict(Struct, frozen=True, kw_only=True):
    """Mean daily R of the fused run minus that of the same advice shuffled in time, and inverted; in words."""

    kind: PlaceboKind
    over_shuffled_r: Estimate
    over_inverted_r: Estimate
    over_rl_only_r: Estimate
    sentence: str


class SplitFacts(Struct, frozen=True, kw_only=True):
    """How the evaluated dates lie to those of training: one of `trader.analysis.splits.Relation`."""

    relation: str
    sentence: str


class FoldSeed(Struct, frozen=True, kw_only=True):
    """One candidate in one fold: its mean daily R where it was chosen, and where it was tested."""

    candidate: str
    bundle: str
    seed: int | None
    train_mean_r: float
    test_mean_r: float | None
    test_total_usd: float | None
    is_picked: bool


class Fold(Struct, frozen=True, kw_only=True):
    """One step of a walk-forward: `median_r` over seeds of the test's mean daily R, never the best."""

    number: int
    train_first: str
    train_last: str
    test_first: str
    test_last: str
    seeds: tuple[FoldSeed, ...]
    median_r: float | None
    low_r: float | None
    high_r: float | None


class WalkForward(Struct, frozen=True, kw_only=True):
    """`mode` is `pick` (among given models) or `train`. The headline is the median over folds of the folds' medians."""

    mode: str
    train_sessions: int
    test_sessions: int
    purge_sessions: int
    folds: tuple[Fold, ...]
    median_r: float | None
    low_r: float | None
    high_r: float | None
    sentence: str
