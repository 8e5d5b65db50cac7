"""Every key of the configuration, its type and its range. The values stand in `config/*.yaml`, none of them here.

May import domain and errors. Money is written in USD with at most two decimals and read as whole cents; times of day
are New York's. A field marked LIMIT is a safety limit: `live.yaml` states each of them itself. A field marked ASIDE
changes no decision: where things are stored, how long is waited, and what `ids.advisor` and `ids.bundle` name already.
"""

from collections.abc import Sequence
from datetime import time
from enum import Enum
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    model_validator,
)
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from trader.settings.values import Device, Market, Option, Share, TimeOfDay, Usd, UsdAboveZero, VetoActions, cents


class Mark(Enum):
    """What else is known of a field, beside its type and range."""

    LIMIT = "a safety limit"
    ASIDE = "changes no decision"


LIMIT = Mark.LIMIT
ASIDE = Mark.ASIDE

_GLOBEX_OPEN = time(18, 0)  # New York; a session runs from here to 17:00 of the next day


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class StrategySettings(_Section):
    """Who proposes: a shipped name, a module or a file; `options` go to it as they are."""

    name: Annotated[str, Field(min_length=1)]
    options: dict[str, Option]


class PolicySettings(_Section):
    """The model of the `ppo` strategy: `embedded` or a bundle's path."""

    bundle: Annotated[str, Field(min_length=1)]
    allow_mismatch: bool


class TriggerSettings(_Section):
    """Which reasons may send a question to the advisor."""

    low_confidence: bool
    entry: bool
    interval: bool
    state_change: bool


class AdvisorSettings(_Section):
    """Who advises, how long it may take, and how long an answer lasts."""

    backend: Annotated[Literal["rules", "recorded", "off"], ASIDE]
    recorded_from: Annotated[str | None, Field(min_length=1), ASIDE]
    triggers: TriggerSettings
    query_cooldown_bars: Annotated[int, Field(ge=0, le=1_000)]
    deadline_ms: Annotated[int, Field(ge=1, le=60_000)]
    assumed_latency_ms: Annotated[int, Field(ge=0, le=3_600_000)]
    cache_minutes: Annotated[int, Field(ge=0, le=1_440)]
    reuse_decay: Annotated[float, Field(gt=0, le=1)]
    breaker_errors: Annotated[int, Field(ge=1, le=1_000), ASIDE]
    breaker_reset_s: Annotated[int, Field(ge=1, le=86_400), ASIDE]

    @model_validator(mode="after")
    def _recorded_advice_has_a_source(self) -> Self:
        if self.backend == "recorded" and self.recorded_from is None:
            msg = "backend: recorded needs recorded_from, the folder or file of the decision log that holds the advice"
            raise ValueError(msg)
        return self


class WindowSettings(_Section):
    """When entries are allowed, [start, end), and when the position is closed, by New York's clock."""

    start: TimeOfDay
    end: TimeOfDay
    flat_at: TimeOfDay

    @model_validator(mode="after")
    def _in_session_order(self) -> Self:
        # From 18:00 on it is the evening before: times are compared as the session runs through them.
        order = [(at < _GLOBEX_OPEN, at) for at in (self.start, self.end, self.flat_at)]
        if not order[0] < order[1] <= order[2]:
            msg = "start, end and flat_at must follow each other in the session, which opens at 18:00"
            raise ValueError(msg)
        return self


class WindowsSettings(_Section):
    """The two entry windows to choose from."""

    rth: WindowSettings
    all: WindowSettings


class ExecutionSettings(_Section):
    """Position size, brackets, entry windows and the conventions of simulated fills."""

    qty: Annotated[int, Field(ge=1, le=1_000), LIMIT]
    max_position_qty: Annotated[int, Field(ge=1, le=1_000), LIMIT]
    min_stop_ticks: Annotated[int, Field(ge=1, le=10_000), LIMIT]
    min_stop_gap_ticks: Annotated[int, Field(ge=1, le=10_000), LIMIT]
    entry_window: Literal["rth", "all"]
    windows: WindowsSettings
    half_day_flat_minutes: Annotated[int, Field(ge=1, le=120)]
    entry_end_before_flat_minutes: Annotated[int, Field(ge=0, le=240)]
    stop_atr: Annotated[float, Field(gt=0, le=100)]
    target_multiple: Annotated[float, Field(gt=0, le=100)]
    trail_atr: Annotated[float, Field(gt=0, le=100)]
    slippage_ticks: Annotated[int, Field(ge=0, le=100)]
    forced_close_slippage_factor: Annotated[int, Field(ge=1, le=100)]
    target_fill: Literal["through", "touch"]
    commission_side_usd: Usd | None

    @property
    def window(self) -> WindowSettings:
        """The entry window in force."""
        return self.windows.rth if self.entry_window == "rth" else self.windows.all

    @property
    def commission_side_cents(self) -> int | None:
        """Cents a contract and side; None stands for the instrument's own."""
        return None if self.commission_side_usd is None else cents(self.commission_side_usd)

    @model_validator(mode="after")
    def _size_within_limit(self) -> Self:
        if self.qty > self.max_position_qty:
            msg = f"qty {self.qty} is above max_position_qty {self.max_position_qty}"
            raise ValueError(msg)
        return self


class FusionSettings(_Section):
    """How the strategy's proposal and the advice become one decision (the fusion table) and when advice is sought."""

    llm_weight: Share
    confidence_threshold: Share
    use_selective_querying: bool
    query_interval: Annotated[int, Field(ge=1, le=10_000)]
    mode: Literal["fixed"]
    override_high: Share
    override_low: Share
    uncertain_below: Share
    calibrate_rl: Literal[False]

    @model_validator(mode="after")
    def _override_bounds_ordered(self) -> Self:
        if self.override_low > self.override_high:
            msg = f"override_low {self.override_low} is above override_high {self.override_high}"
            raise ValueError(msg)
        return self


class AccountSettings(_Section):
    """The account's size and what may be lost of it."""

    start_balance_usd: Annotated[UsdAboveZero, LIMIT]
    trailing_limit_usd: Annotated[UsdAboveZero, LIMIT]
    trailing_kind: Annotated[Literal["intraday", "end_of_day", "static"], LIMIT]
    trailing_freeze: Annotated[bool, LIMIT]
    daily_limit_usd: Annotated[UsdAboveZero, LIMIT]
    daily_loss_flattens: Annotated[bool, LIMIT]
    on_exhausted: Literal["auto", "stop", "renew"]

    @model_validator(mode="after")
    def _limit_within_balance(self) -> Self:
        if self.trailing_limit_cents >= self.start_balance_cents:
            msg = (
                f"trailing_limit_usd {self.trailing_limit_usd} is not below start_balance_usd {self.start_balance_usd}"
            )
            raise ValueError(msg)
        return self

    @property
    def start_balance_cents(self) -> int:
        """What the account begins with."""
        return cents(self.start_balance_usd)

    @property
    def trailing_limit_cents(self) -> int:
        """How far equity may fall below its peak."""
        return cents(self.trailing_limit_usd)

    @property
    def daily_limit_cents(self) -> int:
        """How far equity may fall below that of the session's open."""
        return cents(self.daily_limit_usd)


class RiskSettings(_Section):
    """When the review blocks entries."""

    max_consecutive_losses: Annotated[int, Field(ge=1, le=1_000), LIMIT]
    min_win_rate_threshold: Annotated[Share, LIMIT]
    dd_buffer_threshold: Annotated[Share, LIMIT]
    enable_risk_veto: Annotated[bool, LIMIT]
    win_rate_window: Annotated[int, Field(ge=1, le=1_000), LIMIT]
    max_trades_per_session: Annotated[int, Field(ge=1, le=10_000), LIMIT]
    cooldown_after_stop_minutes: Annotated[int, Field(ge=0, le=1_440), LIMIT]
    veto_reset_minutes: Annotated[int, Field(ge=1, le=10_080), LIMIT]
    max_cost_share: Annotated[float, Field(gt=0, le=1), LIMIT]
    veto_actions: Annotated[VetoActions, LIMIT]


class GateSettings(_Section):
    """The last check of each order before the broker."""

    collar_pct: Annotated[float, Field(gt=0, le=10), LIMIT]
    orders_per_minute: Annotated[int, Field(ge=1, le=600), LIMIT]
    price_age_s: Annotated[float, Field(gt=0, le=600), LIMIT]
    initial_margin_pct: Annotated[float, Field(gt=0, le=100), LIMIT]


class JournalSettings(_Section):
    """Where the decision log is written, and how many records may wait for the writer."""

    dir: Annotated[str, Field(min_length=1)]
    queue_records: Annotated[int, Field(ge=1, le=1_000_000)]


class StateSettings(_Section):
    """What is remembered from one command to the next."""

    dir: Annotated[str, Field(min_length=1)]


class LlmModelSettings(_Section):
    """The language model of the advisor's model back ends."""

    name: Annotated[str, Field(min_length=1)]
    quantization: Literal["int8", "int4", "none"]
    device: Device
    max_new_tokens: Annotated[int, Field(ge=1, le=4_096)]
    temperature: Annotated[float, Field(ge=0, le=2)]
    top_p: Annotated[float, Field(gt=0, le=1)]


class LayerSource(PydanticBaseSettingsSource):
    """One layer's tree as a source of pydantic-settings, which lays the sources over each other."""

    def __init__(self, settings_cls: type[BaseSettings], tree: dict[str, Any]) -> None:
        super().__init__(settings_cls)
        self.tree = tree

    def get_field_value(self, field: object, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002 - the port's
        """The layer's value for a section, as the base class asks for it."""
        return self.tree.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        """The whole layer."""
        return self.tree


class Settings(BaseSettings):
    """The whole configuration. `trader.settings.load_settings` builds it; nothing here reads a file or the process."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    market: Market
    strategy: StrategySettings
    policy: Annotated[PolicySettings, ASIDE]
    advisor: AdvisorSettings
    execution: ExecutionSettings
    fusion: FusionSettings
    account: AccountSettings
    risk: RiskSettings
    gate: GateSettings
    journal: Annotated[JournalSettings, ASIDE]
    state: Annotated[StateSettings, ASIDE]
    llm_model: Annotated[LlmModelSettings, ASIDE]

    def __init__(self, *, trees: Sequence[dict[str, Any]] = (), **values: Any) -> None:
        """Lay `values` over `trees`, the weakest first; pydantic's ValidationError where the result is not valid."""
        layers = [LayerSource(type(self), tree) for tree in reversed(trees)]
        super().__init__(_build_sources=((InitSettingsSource(type(self), init_kwargs=values), *layers), {}))
