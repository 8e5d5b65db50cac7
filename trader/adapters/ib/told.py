"""The library's orders and executions as records of ours: prices in ticks, times in nanoseconds, no nan."""

import math

from trader.adapters.ib.facts import BrokerOrder, OrderKind
from trader.adapters.ib.foreign import IbFill, IbOrder, IbTrade
from trader.adapters.state.records import Execution
from trader.domain.actions import Side
from trader.domain.instruments import Instrument

_KINDS = {"MKT": OrderKind.MARKET, "LMT": OrderKind.LIMIT, "STP": OrderKind.STOP}
_HELD = frozenset({"PendingSubmit", "ApiPending"})
_ENDED = frozenset({"Filled", "Cancelled", "ApiCancelled", "Inactive"})
_UNSET = 1e300  # the library writes the largest float for what is not set


def order_told(trade: IbTrade, market: Instrument) -> BrokerOrder:
    """An order as its messages described it; `is_working` is only as good as the status that came with it."""
    order, status = trade.order, trade.orderStatus
    return BrokerOrder(
        order_ref=order.orderRef,
        order_id=order.orderId,
        perm_id=order.permId,
        client_id=order.clientId,
        parent_id=order.parentId,
        account=order.account,
        con_id=trade.contract.conId,
        side=Side.BUY if order.action == "BUY" else Side.SELL,
        kind=_KINDS.get(order.orderType, OrderKind.OTHER),
        qty=round(order.totalQuantity),
        filled_qty=round(status.filled),
        price_ticks=_price_ticks(order, market),
        is_working=status.status not in _ENDED,
        is_held=status.status in _HELD,
        tif=order.tif,
        outside_rth=order.outsideRth,
        oca_group=order.ocaGroup,
    )


def execution_told(fill: IbFill, market: Instrument) -> Execution:
    """An execution; whose leg it was is not known here, and what it cost only from a report that has come."""
    told, report = fill.execution, fill.commissionReport
    is_reported = bool(report.execId) and math.isfinite(report.commission)
    return Execution(
        exec_id=told.execId,
        order_ref=told.orderRef or None,
        leg=None,
        perm_id=told.permId,
        side=Side.BUY if told.side == "BOT" else Side.SELL,
        qty=round(told.shares),
        price_ticks=market.to_ticks(told.price),
        commission_cents=round(report.commission * 100) if is_reported else None,
        ts_ns=round(told.time.timestamp()) * 1_000_000_000,
    )


def _price_ticks(order: IbOrder, market: Instrument) -> int | None:
    price = {"LMT": order.lmtPrice, "STP": order.auxPrice}.get(order.orderType)
    return None if price is None or not abs(price) < _UNSET else market.to_ticks(price)
