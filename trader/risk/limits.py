"""The limits that the review and the last gate enforce. No value stands here: configuration states each of them."""

import math

import numpy as np
from msgspec import Struct

from trader.domain.actions import ACTIONS
from trader.domain.units import MINUTE_NS
from trader.kernels import rules as k
from trader.risk.margin import MarginRule


class RiskLimits(Struct, frozen=True, kw_only=True):
    """Limits of the review; money in cents, shares 0..1, `veto_masks` from `trader.risk.rules.veto_masks`."""

    enable_risk_veto: bool
    max_consecutive_losses: int
    win_rate_window: int
    min_win_rate_threshold: float
    dd_buffer_threshold: float
    trailing_limit_cents: int
    daily_limit_cents: int
    daily_loss_flattens: bool
    max_trades_per_session: int
    cooldown_after_stop_minutes: int
    veto_reset_minutes: int
    max_cost_share: float
    qty: int
    veto_masks: tuple[int, ...]


class OrderLimits(Struct, frozen=True, kw_only=True):
    """Limits of the last gate. The collar is a share of the last price, 0.005 for 0.5 %.

    Trades and loss of a session are None where configuration takes them off the review as well. `initial_margin_share`
    is the share of the available funds that an order's initial margin may take.
    """

    max_order_qty: int
    max_position_qty: int
    collar_share: float
    orders_per_minute: int
    price_age_s: float
    max_trades_per_session: int | None
    daily_limit_cents: int | None
    margin: MarginRule
    initial_margin_share: float


def limit_row(limits: RiskLimits, *, min_stop_ticks: int) -> k.Limits:
    """The row that `trader.kernels.rules` reads. An entry's stop must lie `min_stop_ticks` away for its costs' sake."""
    row = np.zeros(k.LIMITS_SIZE)
    row[k.MAX_LOSSES] = limits.max_consecutive_losses
    row[k.MIN_WIN_RATE] = limits.min_win_rate_threshold
    row[k.WIN_RATE_WINDOW] = limits.win_rate_window
    row[k.BUFFER] = round(limits.dd_buffer_threshold * limits.trailing_limit_cents, 6)
    row[k.DAILY_LIMIT] = limits.daily_limit_cents
    row[k.RESET_NS] = limits.veto_reset_minutes * MINUTE_NS
    row[k.MIN_STOP] = min_stop_ticks
    row[k.SESSION_TRADES_MAX] = limits.max_trades_per_session
    row[k.COOLDOWN_NS] = limits.cooldown_after_stop_minutes * MINUTE_NS
    row[k.IN_USE] = k.EVERY_RULE if limits.enable_risk_veto else k.EVERY_RULE & ~k.OPTIONAL
    row[k.FLATTENING] = k.TRAILING_BREACH | (k.DAILY_LOSS if limits.daily_loss_flattens else 0)
    for action in ACTIONS:
        row[k.BLOCKING + action] = sum(1 << i for i, mask in enumerate(limits.veto_masks) if mask >> action & 1)
    return row


def round_trip_cost_cents(commission_side_cents: int, slippage_ticks: int, tick_value_cents: int) -> int:
    """Both commissions and the slippage of entry and exit, of one contract."""
    return 2 * commission_side_cents + 2 * slippage_ticks * tick_value_cents


def min_stop_for_cost_ticks(cost_cents: int, max_cost_share: float, tick_value_cents: int) -> int:
    """The smallest stop distance of which `cost_cents` is not more than `max_cost_share`."""
    # The tolerance keeps a cost of exactly the share, such as 15 of 100, from being pushed over it by 0.15's own error.
    return math.ceil(cost_cents / (max_cost_share * tick_value_cents) - 1e-9)
