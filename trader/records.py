"""The decision log, version 2: one record a closed bar, and the lines that open, continue and close a log.

These classes are the schema that `docs/decision-log.md` publishes. In canonical records prices are points on the tick,
money is dollars with cents, other floats are rounded to 1e-6; nothing in them comes from a clock, a process, a broker
or a host. `trader.recorder` makes them, `trader.analysis.log` reads them.
"""

from enum import StrEnum

from msgspec import Raw, Struct

LOG_VERSION = 2


def file_name(session_date: str) -> str:
    """The name of the file that holds the lines of one session."""
    return f"decisions-{session_date}.jsonl"


class BarRecord(Struct, frozen=True, kw_only=True):
    """The closed bar; times are ISO 8601 in UTC and New York, `v` is null where the source has no volume."""

    open_utc: str
    close_utc: str
    open_et: str
    close_et: str
    session: str
    symbol: str
    o: float
    h: float
    l: float  # noqa: E741 -- the log's own short key, beside o, h, c and v
    c: float
    v: int | None
    roll_offset: float


class FeaturesRecord(Struct, frozen=True, kw_only=True):
    """sha256 of the observation's float32 bytes, and the indicators that a person reads (points, percent, fraction)."""

    sha256: str
    ready: bool
    adx: float
    rsi: float
    atr: float
    vwap: float
    vwap_distance: float
    momentum: float
    sma_20: float
    sma_50: float
    regime: int


class RlRecord(Struct, frozen=True, kw_only=True):
    """The strategy's proposal; `mask` has 1 where the action of that index was valid."""

    action: str
    confidence: float
    probs: tuple[float, ...] | None
    mask: tuple[int, ...]
    forced: bool


class QueryRecord(Struct, frozen=True, kw_only=True):
    """Whether the advisor was asked, by which triggers, or why not."""

    asked: bool
    triggers: tuple[str, ...]
    skipped_because: str | None


class LlmRecord(Struct, frozen=True, kw_only=True):
    """What the advisor said, or why it said nothing; `visible_from_bar` is the seq from which the advice may count.

    The record's `llm` is null at a bar that raised no question and met no late answer.
    """

    action: str | None
    confidence: float | None
    raw: float | None
    calibrated: float | None
    base_rate: float | None
    verbal: float | None
    legal_mass: float | None
    reason: str | None
    status: str
    from_cache: bool
    age_s: int
    reuse: int
    prompt_sha256: str | None
    visible_from_bar: int | None


class FusionRecord(Struct, frozen=True, kw_only=True):
    """Which rule of the fusion table decided what; `weight` is the advisor's."""

    method: str
    action: str
    confidence: float
    weight: float


class LimitsRecord(Struct, frozen=True, kw_only=True):
    """Distances to the limits, in dollars (positive: room left), and the session's trade count."""

    to_threshold: float
    to_daily_limit: float
    trades_in_session: int


class RiskRecord(Struct, frozen=True, kw_only=True):
    """`approved`, `vetoed` or `idle` (nothing to approve); `vetoes` are the rules that blocked this decision,
    `active` those in force at this bar whatever was decided."""

    verdict: str
    vetoes: tuple[str, ...]
    active: tuple[str, ...]
    veto_enabled: bool
    limits: LimitsRecord


class OrderRecord(Struct, frozen=True, kw_only=True):
    """An intent that was approved at this bar: `bracket`, `amend`, `flatten`, or `cancel` of an unfilled entry."""

    kind: str
    ref: str
    side: str | None
    qty: int | None
    stop: float | None
    target: float | None
    reason: str | None


class FillRecord(Struct, frozen=True, kw_only=True):
    """An execution since the line before; `pnl` is the trade's net result where it ended the position.

    `optimistic` is the price that an ambiguous bar would have given at best; `risk` the trade's initial risk.
    """

    ref: str
    nth: int
    side: str
    qty: int
    price: float
    commission: float
    ts_utc: str
    reason: str | None
    optimistic: float | None
    pnl: float | None
    risk: float | None


class AccountRecord(Struct, frozen=True, kw_only=True):
    """The account after those fills and before this decision; money in dollars, prices in points, null when flat."""

    position: int
    entry: float | None
    stop: float | None
    target: float | None
    trailing: bool
    balance: float
    equity: float
    drawdown: float
    streak: int
    win_rate: float
    trades: int
    account: int


class IdsRecord(Struct, frozen=True, kw_only=True):
    """What decided: hashes of configuration, bundle, advisor and observation schema."""

    config: str
    bundle: str
    advisor: str
    schema: str


class Canonical(Struct, frozen=True, kw_only=True):
    """One closed bar and everything that was decided on it: `c` of a line."""

    v: int
    seq: int
    bar: BarRecord
    features: FeaturesRecord
    rl: RlRecord
    query: QueryRecord
    llm: LlmRecord | None
    fusion: FusionRecord
    risk: RiskRecord
    orders: tuple[OrderRecord, ...]
    fills: tuple[FillRecord, ...]
    account: AccountRecord
    ids: IdsRecord


class EventKind(StrEnum):
    """What happens besides bars."""

    TRADING = "trading"
    LIMIT_HIT = "limit_hit"
    VETO_RESET = "veto_reset"
    ACCOUNT_RENEWED = "account_renewed"
    ACCOUNT_EXHAUSTED = "account_exhausted"
    ORDER_REFUSED = "order_refused"
    ORDER_UNFILLED = "order_unfilled"
    COMMAND = "command"
    FEE = "fee"
    FOREIGN_TRADE = "foreign_trade"


class EventRecord(Struct, frozen=True, kw_only=True):
    """Something besides bars that replay must know: `kind`, the seq of the bar from which it counts, what it says."""

    kind: str
    from_bar: int
    detail: dict[str, str | int | float | bool | None]


class AdvisorRecord(Struct, frozen=True, kw_only=True):
    """A model that advises, or one that was recorded: what it is, what it may know, what it has learned.

    `knowledge_until` is the last day of its training data (None: unknown); `anonymised`: dates and prices are hidden
    from it. `fitted` is the hash of what `trader advisor fit` made, on sessions up to `fitted_until`; `learned` is what
    earlier runs taught calibration and weights.
    """

    backend: str
    identity: str
    is_batched: bool
    knowledge_until: str | None
    anonymised: bool
    fitted: str | None
    fitted_until: str | None
    learned: dict[str, object] | None


class WarmUpRecord(Struct, frozen=True, kw_only=True):
    """The bars before a run from which its features began: a file beside the log, and what is in it."""

    file: str
    sha256: str
    bars: int
    first_utc: str
    last_utc: str


class PreviousRun(Struct, frozen=True, kw_only=True):
    """The run that this one goes on from, and the last line of its log that was kept."""

    run_id: str
    lines: int
    head: str


class StartRecord(Struct, frozen=True, kw_only=True):
    """The manifest of a run: everything that its decisions depend on, by hash."""

    v: int
    code_version: str
    market: str
    bars: dict[str, str | int | float | bool | None]
    strategy: str
    strategy_sha256: str | None
    ids: IdsRecord
    config: dict[str, object]
    calendar: str
    bundle: dict[str, object] | None
    mismatches: tuple[str, ...]
    account: AccountRecord
    advisor: AdvisorRecord | None
    previous_run: PreviousRun | None
    warm_up: WarmUpRecord | None = None


class ContinueRecord(Struct, frozen=True, kw_only=True):
    """Opens each later file of a run; the chain runs on from `head`."""

    previous_file: str
    head: str


class EndRecord(Struct, frozen=True, kw_only=True):
    """Closes a run: fills after the last bar, and the final account."""

    bars: int
    lines: int
    fills: tuple[FillRecord, ...]
    account: AccountRecord


class Line(
    Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    rename={"continue_": "continue"},
):
    """One line of the log as it stands in the file: exactly one of `c`, `e`, `start`, `continue`, `end`.

    `hash` is sha256 over the previous line's hash (hex, ASCII; empty before the first) and the bytes of that one value.
    """

    x: Raw
    hash: str
    c: Raw = Raw(b"")
    e: Raw = Raw(b"")
    start: Raw = Raw(b"")
    continue_: Raw = Raw(b"")
    end: Raw = Raw(b"")
