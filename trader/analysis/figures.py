"""What a run came to: every figure that a trader is shown, with its unit in its name."""

from datetime import date
from enum import StrEnum

import msgspec
from msgspec import Struct

from trader.analysis.contamination import ModelFacts, contamination
from trader.analysis.splits import Sample, relation
from trader.domain.instruments import instrument
from trader.errors import LogDamagedError
from trader.records import AdvisorRecord, StartRecord


class Label(StrEnum):
    """What a reader must know before he believes a figure."""

    SYNTHETIC_BARS = "synthetic_bars"
    SYNTHETIC_TRAINING = "synthetic_training"
    UNTRAINED = "untrained"
    IN_SAMPLE = "in_sample"
    MISMATCH = "mismatch"
    CONTAMINATED = "contaminated"
    BATCHED_ADVICE = "batched_advice"
    FITTED_HERE = "fitted_here"
    MISSING_ADVICE = "missing_advice"
    FAILED_ADVICE = "failed_advice"
    NOT_CLOSED = "not_closed"


class TrainedOn(Struct, frozen=True, kw_only=True):
    """The bars that a model was trained on; dates of sessions."""

    sha256: str
    first_session: str
    last_session: str


class Origin(Struct, frozen=True, kw_only=True):
    """Where a model's weights come from; `label` is `synthetic`, `in_sample` or `random`."""

    label: str
    training: TrainedOn


class Model(Struct, frozen=True, kw_only=True):
    """As much of a bundle's manifest as a report needs."""

    name: str
    market: str
    provenance: Origin


class RunFacts(Struct, frozen=True, kw_only=True):
    """What a report says about the run besides its results. `source` names the bars, `bars_sha256` is their hash.

    Slippage is in ticks a contract and fill, None where it is measured instead of assumed (a real broker).
    """

    market: str
    strategy: str
    source: str
    bars_sha256: str
    is_synthetic: bool
    mismatches: tuple[str, ...]
    model: Model | None
    slippage_ticks: int | None
    forced_slippage_ticks: int | None
    advisor: AdvisorRecord | None


class RunFigures(Struct, frozen=True, kw_only=True):
    """What was run, on what, how far. `window_bars` are the bars inside the entry window; `skipped_bars` is None where
    it is not known (a log alone), `bars_per_s` where nobody measured it."""

    market: str
    strategy: str
    source: str
    model: str | None
    labels: tuple[Label, ...]
    mismatches: tuple[str, ...]
    accounts_used: int
    first_session: str | None
    last_session: str | None
    sessions: int
    bars: int
    window_bars: int
    skipped_bars: int | None
    bars_per_s: float | None


class ResultFigures(Struct, frozen=True, kw_only=True):
    """What it came to. Dollars are exact to the cent, points are contract points, R is a trade's initial risk.

    The net figures are of closed trades after commissions and slippage; `net_pnl_r` leaves out trades without a risk.
    `captured_points` is the sum of exit minus entry, signed by side, before commissions. An ambiguous bar is booked at
    its stop in `pessimistic_pnl_usd` (which is the net one), at its target in `optimistic_pnl_usd`.
    `max_drawdown_usd` is over equity at bar closes, open positions included, P&L running on over accounts.
    `sharpe_daily_annualised` is None below 20 sessions; `slippage_usd` is None where it is not assumed but real.
    """

    net_pnl_usd: float
    net_pnl_points: float
    net_pnl_r: float
    captured_points: float
    open_pnl_usd: float
    pessimistic_pnl_usd: float
    optimistic_pnl_usd: float
    ambiguous_bars: int
    max_drawdown_usd: float
    sharpe_daily_annualised: float | None
    commissions_usd: float
    slippage_usd: float | None


class TradeFigures(Struct, frozen=True, kw_only=True):
    """The round trips. `scratches` came to exactly zero and are neither wins nor losses; `exits` by reason.

    `average_loss_usd` is negative. `profit_factor` is what was won over what was lost. None where nothing was divided.
    """

    trades: int
    long_trades: int
    short_trades: int
    wins: int
    losses: int
    scratches: int
    win_rate_pct: float | None
    profit_factor: float | None
    average_win_usd: float | None
    average_loss_usd: float | None
    expectancy_r: float | None
    average_hold_minutes: float | None
    exits: dict[str, int]


class DecisionFigures(Struct, frozen=True, kw_only=True):
    """The decisions, counted. `vetoes` are those that each rule blocked, `veto_window_share_pct` the share of the entry
    window's bars at which the rule was in force; `advice` says what became of the questions (a late answer that came
    after all is one more)."""

    actions: dict[str, int]
    methods: dict[str, int]
    vetoes: dict[str, int]
    veto_window_share_pct: dict[str, float | None]
    advice_asked: int
    advice_used: int
    advice: dict[str, int]


class Report(Struct, frozen=True, kw_only=True):
    """The figures of one run; None stands for a figure without a meaning, never for zero."""

    run: RunFigures
    result: ResultFigures
    trades: TradeFigures
    decisions: DecisionFigures


def facts_of(start: StartRecord) -> RunFacts:
    """What the first record of a run says about it.

    Read of `bars`: `source`, `sha256`, `synthetic`; of `config`: `execution.slippage_ticks` and
    `execution.forced_close_slippage_factor`; of `bundle`, a manifest: `name`, `market` and `provenance`.
    LogDamagedError where one is missing: a report that cannot say what its bars are must not be made.
    """
    try:
        bars = msgspec.convert(start.bars, _Bars)
        config = msgspec.convert(start.config, _Config)
        model = None if start.bundle is None else msgspec.convert(start.bundle, Model)
    except msgspec.ValidationError as error:
        msg = f"the log's start record does not say what a report needs: {error}"
        raise LogDamagedError(msg) from error
    execution = config.execution
    instrument(start.market)
    return RunFacts(
        market=start.market,
        strategy=start.strategy,
        source=bars.source,
        bars_sha256=bars.sha256,
        is_synthetic=bars.synthetic,
        mismatches=start.mismatches,
        model=model,
        slippage_ticks=execution.slippage_ticks,
        forced_slippage_ticks=execution.slippage_ticks * execution.forced_close_slippage_factor,
        advisor=start.advisor,
    )


def labels_of(facts: RunFacts, first_session: str | None, last_session: str | None) -> tuple[Label, ...]:
    """What must be said about bars of these sessions, in the order in which it is shown."""
    labels = [Label.SYNTHETIC_BARS] if facts.is_synthetic else []
    if facts.model is not None:
        labels += _model_labels(facts, facts.model, first_session, last_session)
    if facts.mismatches:
        labels.append(Label.MISMATCH)
    if facts.advisor is not None:
        labels += _advisor_labels(facts.advisor, first_session, is_synthetic=facts.is_synthetic)
    return tuple(labels)


def _advisor_labels(advisor: AdvisorRecord, first: str | None, *, is_synthetic: bool) -> list[Label]:
    """Bars that are older than what the advisor has learned from, in whatever way."""
    labels = [Label.BATCHED_ADVICE] if advisor.is_batched else []
    if first is not None and advisor.fitted_until is not None and first <= advisor.fitted_until:
        labels.append(Label.FITTED_HERE)
    until = advisor.knowledge_until
    model = ModelFacts(
        backend=advisor.backend,
        knowledge_until=None if until is None else date.fromisoformat(until),
        anonymised=advisor.anonymised,
    )
    return labels if contamination(first, model, is_synthetic=is_synthetic) is None else [*labels, Label.CONTAMINATED]


def _model_labels(facts: RunFacts, model: Model, first: str | None, last: str | None) -> list[Label]:
    origin = model.provenance
    if origin.label == "random":
        return [Label.UNTRAINED]
    trained = Sample(
        market=model.market,
        first_session=origin.training.first_session,
        last_session=origin.training.last_session,
        sha256=origin.training.sha256,
        is_synthetic=origin.label == "synthetic",
    )
    labels = [Label.SYNTHETIC_TRAINING] if trained.is_synthetic else []
    is_seen = trained.sha256 == facts.bars_sha256
    if first is not None and last is not None:
        traded = Sample(
            market=facts.market,
            first_session=first,
            last_session=last,
            sha256=facts.bars_sha256,
            is_synthetic=facts.is_synthetic,
        )
        is_seen = relation(trained, traded).is_seen
    return [*labels, Label.IN_SAMPLE] if is_seen else labels


class _Bars(Struct, frozen=True):
    source: str
    sha256: str
    synthetic: bool


class _Execution(Struct, frozen=True):
    slippage_ticks: int
    forced_close_slippage_factor: int


class _Config(Struct, frozen=True):
    execution: _Execution
