"""The limits of `config/paper.yaml`, written out."""

from typing import Any

from builders import a_bar
from msgspec.structs import replace

from trader.domain.bars import Bar
from trader.risk.limits import RiskLimits
from trader.risk.review import RiskContext
from trader.risk.rules import veto_masks

_LIMITS = RiskLimits(
    enable_risk_veto=True,
    max_consecutive_losses=3,
    win_rate_window=10,
    min_win_rate_threshold=0.4,
    dd_buffer_threshold=0.2,
    trailing_limit_cents=250_000,
    daily_limit_cents=100_000,
    daily_loss_flattens=False,
    max_trades_per_session=20,
    cooldown_after_stop_minutes=0,
    veto_reset_minutes=240,
    max_cost_share=0.15,
    qty=1,
    veto_masks=veto_masks("shipped"),
)

_CONTEXT = RiskContext(
    bar=a_bar(minute=960),
    mask=0b111111,
    standing=0,
    close_ticks=48_000,
    atr_ticks=40.0,
    stop_distance_ticks=60,
    target_distance_ticks=180,
)


def limits(**changes: Any) -> RiskLimits:
    return replace(_LIMITS, **changes)


def a_context(**changes: Any) -> RiskContext:
    """10:00 in New York, nothing against an entry, every action in the mask."""
    return replace(_CONTEXT, **changes)


def a_minute(minute: int) -> Bar:
    return a_bar(minute=minute)
