"""Orders and an order gate, to be varied."""

from typing import Any

from builders import OPEN_NS, ORDER_LIMITS, an_account
from msgspec.structs import replace

from trader.domain.account import AccountView
from trader.domain.actions import Side
from trader.domain.orders import Amend, AmendCause, Bracket, ExitReason, Fill, Flatten
from trader.risk.gate import LastPrice, OrderGate

S = 1_000_000_000
NOW_NS = OPEN_NS
FLAT = an_account()
LAST = LastPrice(48_000, NOW_NS)


def a_bracket(ref: str = "a", side: Side = Side.BUY, anchor_ticks: int = 48_000, **changes: Any) -> Bracket:
    """A well-formed entry: 60 ticks to the stop, 180 to the target."""
    bracket = Bracket(
        order_ref=ref,
        side=side,
        qty=1,
        stop_distance_ticks=60,
        target_distance_ticks=180,
        stop_ticks=anchor_ticks - side * 60,
        target_ticks=anchor_ticks + side * 180,
    )
    return replace(bracket, **changes)


def an_amend(stop_ticks: int, cause: AmendCause = AmendCause.TRAIL) -> Amend:
    return Amend(order_ref="a", cause=cause, stop_ticks=stop_ticks, target_ticks=48_180)


def a_flatten(qty: int = 1, side: Side = Side.SELL) -> Flatten:
    return Flatten(order_ref="a", side=side, qty=qty, reason=ExitReason.FLAT_AT)


def a_fill(ref: str = "a", qty: int = 1, remaining_qty: int = 0, reason: ExitReason | None = None) -> Fill:
    return Fill(
        order_ref=ref,
        nth=1,
        side=Side.BUY if reason is None else Side.SELL,
        qty=qty,
        remaining_qty=remaining_qty,
        price_ticks=48_001,
        commission_cents=225,
        ts_ns=NOW_NS,
        reason=reason,
    )


def a_position(qty: int = 1, entry_ticks: int = 48_001, stop_ticks: int = 47_941) -> AccountView:
    return an_account(position_qty=qty, entry_ticks=entry_ticks, stop_ticks=stop_ticks)


def a_gate(**changes: Any) -> OrderGate:
    return OrderGate(replace(ORDER_LIMITS, **changes))


def a_gate_in_position(qty: int = 1) -> OrderGate:
    """A bracket has left at 48,000, and was filled at 48,001."""
    gate = a_gate(max_order_qty=qty, max_position_qty=qty)
    assert gate.check(a_bracket(qty=qty), FLAT, LAST, NOW_NS) is None
    gate.on_fill(a_fill(qty=qty))
    return gate
