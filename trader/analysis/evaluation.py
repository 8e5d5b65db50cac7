"""The record of an evaluation: everything that its page shows, written as `evaluation.json` and `chart.json`.

Dollars are of one account that runs on over its renewals, net of commissions and slippage unless the name says
otherwise; R is a trade's initial risk in dollars; prices are contract points; `_ns` are nanoseconds since 1970 UTC and
`et_offset_s` are the seconds to add for New York's clock in that session. None stands for a figure without a meaning,
never for zero. `trader.evaluation` fills it in, `trader.page` renders it; both import nothing else of each other.
"""

from enum import StrEnum
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from trader.analysis.evaluation_parts import (
    AdviceFacts,
    AmbiguousInterval,
    Band,
    Calibration,
    CostStress,
    DailyRow,
    PlaceboVerdict,
    SharpeEvidence,
    Slice,
    SplitFacts,
    Statistics,
    TradeRow,
    VerdictFacts,
    VetoRow,
    WalkForward,
)
from trader.errors import InputError

EVALUATION_VERSION = 1
EVALUATION_NAME = "evaluation.json"
CHART_NAME = "chart.json"

Record = TypeVar("Record", "Evaluation", "Chart")


class Claim(StrEnum):
    """What a page may claim, and no more; it stands on every page."""

    ENGINEERING_RUN = "engineering run"
    IN_SAMPLE = "in-sample"
    OUT_OF_SAMPLE = "out-of-sample evidence"


class RunName(StrEnum):
    """The runs of an evaluation. FUSED is the headline: the strategy with the advisor as configured."""

    FUSED = "fused"
    RL_ONLY = "rl_only"
    ADVICE_ONLY = "advice_only"
    NO_VETO = "no_veto"
    PLACEBO_SHUFFLED = "placebo_shuffled"
    PLACEBO_INVERTED = "placebo_inverted"
    DOUBLE_COSTS = "double_costs"
    FLAT = "flat"
    BUY_AND_HOLD = "buy_and_hold"
    SMA_CROSS = "sma_cross"


class BundleFacts(Struct, frozen=True, kw_only=True):
    """The model under test; the dates are of the sessions that it was trained on. `id` is its SHA-256."""

    id: str
    name: str
    phase: str
    market: str
    label: str
    seed: int
    steps: int
    training_description: str
    training_sha256: str
    training_first_session: str
    training_last_session: str


class Facts(Struct, frozen=True, kw_only=True):
    """What was evaluated, on what, under which terms.

    `labels` are those of a backtest's report (`trader.analysis.figures.Label`). `bundle` is None for a strategy without
    a model. `commission_side_usd` is a contract and side; `slippage_ticks` a market or stop fill, `forced_` at a
    session's end. `settings_sha256` is the hash of everything that decides; `command` repeats the evaluation.
    """

    evaluation_id: str
    strategy: str
    bundle: BundleFacts | None
    source: str
    bars_sha256: str
    is_synthetic: bool
    market: str
    market_name: str
    tick: float
    tick_value_usd: float
    bar_minutes: int
    bars: int
    window_bars: int
    skipped_bars: int
    first_session: str
    last_session: str
    sessions: int
    advisor: str
    commission_side_usd: float
    slippage_ticks: int
    forced_slippage_ticks: int
    qty: int
    start_balance_usd: float
    trailing_limit_usd: float
    entry_window: str
    settings_sha256: str
    code_version: str
    mismatches: tuple[str, ...]
    labels: tuple[str, ...]
    claim: Claim
    claim_reason: str
    seeds: int
    bootstrap_resamples: int
    command: str


class RunRecord(Struct, frozen=True, kw_only=True):
    """One run through the engine: `title` for people, and one row a session, those without a trade included."""

    name: RunName
    title: str
    accounts_used: int
    statistics: Statistics
    daily: tuple[DailyRow, ...]


class Headline(Struct, frozen=True, kw_only=True):
    """What is kept of the headline run alone.

    `vetoed` are entries that the review blocked, `turned_away` entries of the strategy that advice replaced (no rules).
    `by_` are its trades cut in different ways; each cut holds every trade once. `by_decider`: who wanted the entry
    (`both`, `strategy`, `advisor`). `by_method`: the fusion's row at the entry. `by_change`: advice `changed` the
    entry against the strategy's own proposal at that bar, only `managed` the position, or left all `unchanged`.
    `methods` and `actions` count decisions at bars, `vetoes` blocked decisions by rule, `veto_window_share_pct` the
    share of the entry window's bars under each rule.
    """

    trades: tuple[TradeRow, ...]
    vetoed: tuple[VetoRow, ...]
    turned_away: tuple[VetoRow, ...]
    by_side: tuple[Slice, ...]
    by_hour: tuple[Slice, ...]
    by_segment: tuple[Slice, ...]
    by_exit: tuple[Slice, ...]
    by_method: tuple[Slice, ...]
    by_decider: tuple[Slice, ...]
    by_change: tuple[Slice, ...]
    vetoed_by_rule: tuple[Slice, ...]
    methods: dict[str, int]
    actions: dict[str, int]
    vetoes: dict[str, int]
    veto_window_share_pct: dict[str, float | None]
    advice: AdviceFacts
    calibration_rl: Calibration | None
    calibration_advice: Calibration | None


class Evaluation(Struct, frozen=True, kw_only=True):
    """The whole evaluation; `runs` begins with the headline. `band` is None where there was nothing to match."""

    version: int
    facts: Facts
    split: SplitFacts
    verdict: VerdictFacts
    headline: Headline
    runs: tuple[RunRecord, ...]
    band: Band | None
    stress: CostStress | None
    ambiguous: AmbiguousInterval
    sharpe: SharpeEvidence
    placebo: PlaceboVerdict
    walk_forward: WalkForward | None

    def run(self, name: RunName) -> RunRecord | None:
        """The run of that name, None where it was not made."""
        return next((run for run in self.runs if run.name is name), None)


class Chart(Struct, frozen=True, kw_only=True):
    """Bars of `minutes` for the price chart, one list a column; times are UTC seconds of the open.

    A row never spans two sessions. `symbol_index` points into `symbols`.
    """

    version: int
    minutes: int
    symbols: tuple[str, ...]
    open_s: tuple[int, ...]
    open: tuple[float, ...]
    high: tuple[float, ...]
    low: tuple[float, ...]
    close: tuple[float, ...]
    symbol_index: tuple[int, ...]


def encode(record: Evaluation | Chart) -> bytes:
    """The JSON text of a record, one object and a newline; equal records give equal bytes."""
    return msgspec.json.encode(record) + b"\n"


def read_evaluation(folder: Path) -> Evaluation:
    """The record in `folder`; InputError names file, field and remedy."""
    return _read(folder / EVALUATION_NAME, Evaluation)


def read_chart(folder: Path) -> Chart:
    """The chart's bars in `folder`; InputError names file, field and remedy."""
    return _read(folder / CHART_NAME, Chart)


def _read(path: Path, kind: type[Record]) -> Record:
    try:
        record = msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError as error:
        msg = f"{path} does not exist; give the output folder of `trader evaluate`"
        raise InputError(msg) from error
    except OSError as error:
        msg = f"{path} cannot be read ({error.strerror}); check its permissions"
        raise InputError(msg) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        msg = f"{path} is cut off or no record of an evaluation: {error}; make it again with `trader evaluate`"
        raise InputError(msg) from error
    if record.version != EVALUATION_VERSION:
        msg = (
            f"{path}: version is {record.version}, this program reads {EVALUATION_VERSION}; "
            "make it again with `trader evaluate`"
        )
        raise InputError(msg)
    return record
