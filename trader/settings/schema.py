"""Every key of the configuration, its type and its range. The values stand in `config/*.yaml`, none of them here.

May import domain and errors. Money is written in USD with at most two decimals and read as whole cents; times of day
are New York's. A field marked LIMIT is a safety limit: `live.yaml` states each of them itself. A field marked ASIDE
changes no decision: where things are stored, how long is waited, and what `ids.advisor` and `ids.bundle` name already.
"""

from collections.abc import Sequence
from datetime import time
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from trader.settings.advice import AdvisorSettings, LlmModelSettings, PromptSettings
from trader.settings.broker import GuardSettings, IbSettings
from trader.settings.marks import ASIDE, LIMIT, Section
from trader.settings.values import Market, Option, Share, TimeOfDay, Usd, UsdAboveZero, VetoActions, cents

_GLOBEX_OPEN = time(18, 0)  # New York; a session runs from here to 17:00 of the next day


class StrategySettings(Section):
    """Who proposes: a shipped name, a module or a file; `options` go to it as they are."""

    name: Annotated[str, Field(min_length=1)]
    options: dict[str, Option]


class PolicySettings(Section):
    """The model of the `ppo` strategy: `embedded` or a bundle's path."""

    bundle: Annotated[str, Field(min_length=1)]
    allow_mismatch: bool


class WindowSettings(Section):
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


class WindowsSettings(Section):
    """The two entry windows to choose from."""

    rth: WindowSettings
    all: WindowSettings


class ExecutionSettings(Section):
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


class AdaptiveSettings(Section):
    """How the advisor's weight follows its record where `fusion.mode` is adaptive."""

    learning_rate: Annotated[float, Field(gt=0, le=10)]
    share: Annotated[float, Field(ge=0, lt=1)]
    llm_weight_max: Share


class FusionSettings(Section):
    """How the strategy's proposal and the advice become one decision (the fusion table) and when advice is sought."""

    llm_weight: Share
    confidence_threshold: Share
    use_selective_querying: bool
    query_interval: Annotated[int, Field(ge=1, le=10_000)]
    mode: Literal["fixed", "adaptive"]
    adaptive: AdaptiveSettings
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


class AccountSettings(Section):
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


class RiskSettings(Section):
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


class GateSettings(Section):
    """The last check of each order before the broker."""

    collar_pct: Annotated[float, Field(gt=0, le=10), LIMIT]
    orders_per_minute: Annotated[int, Field(ge=1, le=600), LIMIT]
    price_age_s: Annotated[float, Field(gt=0, le=600), LIMIT]
    initial_margin_pct: Annotated[float, Field(gt=0, le=100), LIMIT]


class JournalSettings(Section):
    """Where the decision log is written, and how many records may wait for the writer."""

    dir: Annotated[str, Field(min_length=1)]
    queue_records: Annotated[int, Field(ge=1, le=1_000_000)]


class StateSettings(Section):
    """What is remembered from one command to the next."""

    dir: Annotated[str, Field(min_length=1)]


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
    live: Annotated[bool, ASIDE]
    live_token: Annotated[str | None, Field(min_length=1), ASIDE]
    ib: Annotated[IbSettings, ASIDE]
    guard: Annotated[GuardSettings, ASIDE]
    llm_model: Annotated[LlmModelSettings, ASIDE]
    prompt: Annotated[PromptSettings, ASIDE]

    def __init__(self, *, trees: Sequence[dict[str, Any]] = (), **values: Any) -> None:
        """Lay `values` over `trees`, the weakest first; pydantic's ValidationError where the result is not valid."""
        layers = [LayerSource(type(self), tree) for tree in reversed(trees)]
        super().__init__(_build_sources=((InitSettingsSource(type(self), init_kwargs=values), *layers), {}))
