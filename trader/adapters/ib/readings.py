"""The client library's records as ours: whole ticks, cents and nanoseconds, no nan, the broker's words. Pure.

For what the broker answers and for what it tells without having been asked.
"""

import math
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import cast

from trader.adapters.ib.facts import BrokerOrder, Funds, OrderKind
from trader.adapters.ib.foreign import IbAccountValue, IbCommissionReport, IbFill, IbNotedTrade, IbTrade
from trader.adapters.state.records import Execution
from trader.domain.actions import Side
from trader.domain.instruments import Instrument

UNSET_INTEGER = 2**31 - 1
_UNSET_FROM = 1e300  # the wire's largest double (1.797e308) is how the broker says "no number"
_CANCELLED_BY_BROKER = 202
_FROM_WIRE = frozenset({"", "Modified"})
ENDED = frozenset({"Filled", "Cancelled", "ApiCancelled", "Inactive"})
_UNSENT = frozenset({"Inactive", "ApiPending"})
_KINDS = {"MKT": OrderKind.MARKET, "LMT": OrderKind.LIMIT, "STP": OrderKind.STOP}
_CURRENCY = "USD"
_FUNDS = {
    "NetLiquidation": "net_liquidation_cents",
    "AvailableFunds": "available_cents",
    "ExcessLiquidity": "excess_cents",
    "InitMarginReq": "initial_margin_cents",
    "MaintMarginReq": "maintenance_margin_cents",
    "LookAheadAvailableFunds": "ahead_available_cents",
    "LookAheadExcessLiquidity": "ahead_excess_cents",
    "LookAheadInitMarginReq": "ahead_initial_margin_cents",
    "LookAheadMaintMarginReq": "ahead_maintenance_margin_cents",
}


def order_of(trade: IbTrade, market: Instrument) -> BrokerOrder:
    """An order as the wire told of it; whether it works is the broker's last word, and no conclusion of the library's.

    `is_held`: a child before its parent has filled, or an order that was never transmitted.
    """
    order, status = trade.order, trade.orderStatus
    word = wire_status(trade)
    return BrokerOrder(
        order_ref=order.orderRef,
        order_id=whole(order.orderId),
        perm_id=whole(order.permId),
        client_id=whole(order.clientId),
        parent_id=whole(order.parentId),
        account=order.account,
        con_id=trade.contract.conId,
        side=Side.BUY if order.action == "BUY" else Side.SELL,
        kind=_KINDS.get(order.orderType, OrderKind.OTHER),
        qty=whole(order.totalQuantity),
        filled_qty=whole(status.filled),
        price_ticks=_price_ticks(trade, market),
        is_working=word not in ENDED,
        is_held=word in _UNSENT or "child" in status.whyHeld,
        tif=order.tif,
        outside_rth=order.outsideRth,
        oca_group=order.ocaGroup,
    )


def wire_status(trade: IbTrade) -> str:
    """The last status that came over the wire; "" where only the library has spoken.

    On many errors the library writes `Cancelled` (ib_async also `ValidationError`) itself and notes the error's number
    beside it; the order may work on. 202 is different: it is the broker's own word for a cancelled order.
    """
    notes = cast("IbNotedTrade", trade).log
    for entry in reversed(notes):
        if entry.errorCode == _CANCELLED_BY_BROKER or (not entry.errorCode and entry.message in _FROM_WIRE):
            return entry.status
    return "" if any(entry.errorCode for entry in notes) else trade.orderStatus.status


def execution_of(fill: IbFill, market: Instrument, report: IbCommissionReport | None = None) -> Execution:
    """An execution; `leg` is None, as the wire does not say of which type its order was. Off-tick averages are rounded.

    `report` where the fill's own is empty; what it cost is None until one has come.
    """
    told = fill.execution
    costs = report if report is not None and report.execId else fill.commissionReport
    commission = number(costs.commission) if costs.execId else None
    return Execution(
        exec_id=told.execId,
        order_ref=told.orderRef or None,
        leg=None,
        perm_id=whole(told.permId) or None,
        side=Side.BUY if told.side == "BOT" else Side.SELL,
        qty=whole(told.shares),
        price_ticks=market.to_ticks(told.price),
        commission_cents=None if commission is None else round(commission * 100),
        ts_ns=time_ns_of(told.time),
    )


def funds_of(values: Iterable[IbAccountValue], account: str) -> Funds:
    """The figures among the account's values in dollars; a base currency's are not taken for them."""
    found: dict[str, int | None] = dict.fromkeys(_FUNDS.values())
    for each in values:
        field = _FUNDS.get(each.tag)
        if field is not None and each.account == account and each.currency == _CURRENCY:
            found[field] = cents_of(each.value)
    return Funds(**found)


def cents_of(text: str) -> int | None:
    """A figure of money as the broker writes it; None where it is no number."""
    try:
        value = number(float(text))
    except ValueError:
        return None
    return None if value is None else round(value * 100)


def number(value: float | None) -> float | None:
    """A number of the library's; None for nan, infinity and the largest double, its ways to say that there is none."""
    if value is None or not math.isfinite(value) or abs(value) >= _UNSET_FROM:
        return None
    return float(value)


def whole(value: float) -> int:
    """A whole number of the library's; 0 where there is none, also for the largest integer, by which it says so."""
    told = number(value)
    return 0 if told is None or told == UNSET_INTEGER else round(told)


def time_ns_of(moment: datetime) -> int:
    """Nanoseconds since 1970 UTC of a time in any zone; one without a zone is taken as UTC."""
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return round(aware.timestamp() * 1e6) * 1_000


def _price_ticks(trade: IbTrade, market: Instrument) -> int | None:
    order = trade.order
    price = number({"LMT": order.lmtPrice, "STP": order.auxPrice}.get(order.orderType))
    return None if price is None else market.to_ticks(price)
