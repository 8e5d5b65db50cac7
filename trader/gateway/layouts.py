"""Each message's fields in their order at server version 176, in this one place: what is read, and what is sent.

The field orders are the protocol's; both client libraries read and write them by position.
"""

from collections.abc import Sequence
from enum import IntEnum

from msgspec import Struct

from trader.gateway.contracts import CURRENCY, EXCHANGE, Contract, Wanted
from trader.gateway.orders import OrderSpec, Resting
from trader.gateway.wire import Cursor, Field, Fields

UNSET_NUMBER = 1.7976931348623157e308
"""How the protocol writes a number that is not known, where an empty field will not do."""


class Request(IntEnum):
    """What a client sends, by the first field."""

    MARKET_DATA = 1
    CANCEL_MARKET_DATA = 2
    PLACE_ORDER = 3
    CANCEL_ORDER = 4
    OPEN_ORDERS = 5
    ACCOUNT_UPDATES = 6
    EXECUTIONS = 7
    IDS = 8
    CONTRACT_DETAILS = 9
    LOG_LEVEL = 14
    AUTO_OPEN_ORDERS = 15
    ALL_OPEN_ORDERS = 16
    MANAGED_ACCOUNTS = 17
    HISTORY = 20
    CANCEL_HISTORY = 25
    CURRENT_TIME = 49
    REAL_TIME_BARS = 50
    CANCEL_REAL_TIME_BARS = 51
    GLOBAL_CANCEL = 58
    MARKET_DATA_TYPE = 59
    POSITIONS = 61
    ACCOUNT_SUMMARY = 62
    CANCEL_ACCOUNT_SUMMARY = 63
    CANCEL_POSITIONS = 64
    START_API = 71
    ACCOUNT_UPDATES_MULTI = 76
    CANCEL_ACCOUNT_UPDATES_MULTI = 77
    HEAD_TIMESTAMP = 87
    CANCEL_HEAD_TIMESTAMP = 90
    PNL = 92
    CANCEL_PNL = 93
    COMPLETED_ORDERS = 99


REQUEST_ID_AT = {
    Request.MARKET_DATA: 2,
    Request.CONTRACT_DETAILS: 2,
    Request.HISTORY: 1,
    Request.REAL_TIME_BARS: 2,
    Request.ACCOUNT_SUMMARY: 2,
    Request.ACCOUNT_UPDATES_MULTI: 2,
    Request.HEAD_TIMESTAMP: 1,
    Request.EXECUTIONS: 2,
}
"""Where in a request its own id stands, of those that have one."""


class Message(IntEnum):
    """What the gateway sends, by the first field."""

    TICK_PRICE = 1
    ORDER_STATUS = 3
    ERROR = 4
    OPEN_ORDER = 5
    ACCOUNT_VALUE = 6
    PORTFOLIO = 7
    ACCOUNT_TIME = 8
    NEXT_VALID_ID = 9
    CONTRACT_DETAILS = 10
    EXECUTION = 11
    MANAGED_ACCOUNTS = 15
    HISTORY = 17
    CURRENT_TIME = 49
    REAL_TIME_BAR = 50
    CONTRACT_DETAILS_END = 52
    OPEN_ORDER_END = 53
    ACCOUNT_DOWNLOAD_END = 54
    EXECUTION_END = 55
    MARKET_DATA_TYPE = 58
    COMMISSION_REPORT = 59
    POSITION = 61
    POSITION_END = 62
    ACCOUNT_SUMMARY = 63
    ACCOUNT_SUMMARY_END = 64
    ACCOUNT_UPDATE_MULTI = 73
    ACCOUNT_UPDATE_MULTI_END = 74
    TICK_PARAMETERS = 81
    HEAD_TIMESTAMP = 88
    HISTORY_UPDATE = 90
    PNL = 94
    COMPLETED_ORDERS_END = 102


class Price(Struct, frozen=True, gc=False):
    """A bar on the wire: its stamp as the client wants it, prices in points, volume in contracts (-1 unknown)."""

    stamp: str
    open: float
    high: float
    low: float
    close: float
    volume: int


class HistoryRequest(Struct, frozen=True, kw_only=True):
    """20. `end` is empty for now; `duration` such as `1 D`; `bar_size` such as `1 min`."""

    req_id: int
    contract: Wanted
    end: str
    bar_size: str
    duration: str
    is_rth_only: bool
    what: str
    is_epoch: bool
    keeps_up: bool


class ExecutionFilter(Struct, frozen=True, kw_only=True):
    """7. What is 0 or empty does not filter."""

    req_id: int
    client_id: int
    symbol: str
    side: str


def read_contract(cursor: Cursor) -> Wanted:
    """The 12 fields of a contract in a request."""
    con_id, symbol, sec_type, expiry = cursor.whole(), cursor.text(), cursor.text(), cursor.text()
    cursor.skip(3)  # strike, right, multiplier
    exchange = cursor.text()
    cursor.skip(2)  # primaryExchange, currency
    local_symbol = cursor.text()
    cursor.skip(1)  # tradingClass
    return Wanted(
        con_id=con_id,
        symbol=symbol,
        sec_type=sec_type,
        expiry=expiry.split(" ")[0],
        exchange=exchange,
        local_symbol=local_symbol,
    )


def read_order(fields: list[str]) -> OrderSpec:
    """3. Everything up to whatIf; what the gateway does not act on is skipped."""
    at = Cursor(fields, 1)
    order_id, contract = at.whole(), read_contract(at)
    at.skip(2)  # secIdType, secId
    action, qty, kind = at.text(), at.number(), at.text()
    limit, aux = at.number(), at.number()
    tif, oca_group, account = at.text(), at.text(), at.text()
    at.skip(2)  # openClose, origin
    order_ref, transmit, parent_id = at.text(), at.flag(), at.whole()
    at.skip(4)  # blockOrder, sweepToFill, displaySize, triggerMethod
    outside_rth = at.flag()
    at.skip(4)  # hidden, an empty one, discretionaryAmt, goodAfterTime
    good_till = at.text()
    at.skip(8)  # four of financial advisors, modelCode, three of short sales
    oca_type = at.whole()
    at.skip(17)  # rule80A to volatilityType
    trail_stop, trail_percent = _read_trail(at)
    return OrderSpec(
        order_id=order_id,
        contract=contract,
        action=action,
        qty=qty or 0.0,
        kind=kind,
        limit=limit,
        aux=aux,
        tif=tif or "DAY",
        oca_group=oca_group,
        oca_type=oca_type or 3,
        account=account,
        order_ref=order_ref,
        transmit=transmit,
        parent_id=parent_id,
        outside_rth=outside_rth,
        good_till=good_till,
        trail_stop=trail_stop,
        trail_percent=trail_percent,
        what_if=_read_what_if(at),
    )


def _read_trail(at: Cursor) -> tuple[float | None, float | None]:
    is_delta_neutral = bool(at.text())
    at.skip(9 if is_delta_neutral else 1)  # deltaNeutralAuxPrice, and eight more where there is one
    at.skip(2)  # continuousUpdate, referencePriceType
    return at.number(), at.number()


def _read_what_if(at: Cursor) -> bool:
    at.skip(2)  # scaleInitLevelSize, scaleSubsLevelSize
    if at.number():  # scalePriceIncrement
        at.skip(7)
    at.skip(3)  # scaleTable, activeStartTime, activeStopTime
    if at.text():  # hedgeType
        at.skip(1)
    at.skip(4)  # optOutSmartRouting, clearingAccount, clearingIntent, notHeld
    if at.flag():  # delta neutral contract
        at.skip(3)
    if at.text():  # algoStrategy
        at.skip(2 * at.whole())
    at.skip(1)  # algoId
    return at.flag()


def read_history(fields: list[str]) -> HistoryRequest:
    """20."""
    at = Cursor(fields, 1)
    req_id, contract = at.whole(), read_contract(at)
    at.skip(1)  # includeExpired
    end, bar_size, duration = at.text(), at.text(), at.text()
    is_rth_only, what, date_format = at.flag(), at.text(), at.whole()
    return HistoryRequest(
        req_id=req_id,
        contract=contract,
        end=end,
        bar_size=bar_size,
        duration=duration,
        is_rth_only=is_rth_only,
        what=what,
        is_epoch=date_format == 2,
        keeps_up=at.flag(),
    )


def read_execution_filter(fields: list[str]) -> ExecutionFilter:
    """7."""
    at = Cursor(fields, 2)
    req_id, client_id = at.whole(), at.whole()
    at.skip(2)  # account, time
    symbol = at.text()
    at.skip(2)  # secType, exchange
    return ExecutionFilter(req_id=req_id, client_id=client_id, symbol=symbol, side=at.text())


def contract_11(contract: Contract) -> Fields:
    """A contract in an order, a position or an execution."""
    return [*contract_7(contract), EXCHANGE, CURRENCY, contract.local_symbol, contract.symbol]


def contract_7(contract: Contract) -> Fields:
    """What all contracts begin with: conId, symbol, secType, expiry, strike, right, multiplier."""
    return [contract.con_id, contract.symbol, "FUT", contract.expiry, 0.0, "", contract.multiplier]


def error(req_id: int, code: int, text: str) -> Fields:
    """4. `req_id` -1 concerns the connection."""
    return [Message.ERROR, 2, req_id, code, text, ""]


def contract_details(req_id: int, contract: Contract, sec_type: str, hours: tuple[str, str]) -> Fields:
    """10. `hours` are the trading hours and the liquid ones, in the exchange's zone."""
    return [
        *(Message.CONTRACT_DETAILS, req_id, contract.symbol, sec_type, contract.expiry, 0.0, "", EXCHANGE, CURRENCY),
        *(contract.local_symbol, contract.symbol, contract.symbol, contract.con_id, 1 / contract.ticks_per_point),
        *(contract.multiplier, "ACTIVETIM,DAY,GTC,LMT,MKT,STP,STPLMT,TRAIL,WHATIF", EXCHANGE, 1, 0, contract.name),
        *("", contract.expiry[:6], "", "", "", "US/Central", *hours, "", 0, 0),
        *(2147483647, contract.symbol, "IND", "67", contract.expiry, "", 1, 1, 1),
    ]


def open_order(order: Resting, margin: Sequence[Field] = ("",) * 9) -> Fields:
    """5. `margin` are the nine figures of a what-if: initial, maintenance and equity, before, change and after."""
    spec, scale = order.spec, order.contract.points
    limit, aux = (0.0 if each is None else each for each in (spec.limit, spec.aux))
    trail = "" if order.trail_ticks is None else scale(order.trail_ticks)
    return [
        *(Message.OPEN_ORDER, spec.order_id, *contract_11(order.contract)),
        *(spec.action, order.qty, spec.kind, limit, aux, spec.tif, spec.oca_group, order.account, "", 0),
        *(spec.order_ref, order.client_id, order.perm_id, spec.outside_rth, 0, 0.0, ""),
        *("", "", "", "", "", "", spec.good_till, "", "", "", 0, "", -1, 0),  # advisors, model, short sale, auction
        *("", "", "", "", "", 0, 0, 0, 0, "", spec.oca_type, 0, 0, ""),  # reference prices, size, flags
        *(spec.parent_id, 0, "", 0, "", ""),  # triggerMethod, volatility; no delta-neutral order
        *(0, 0, trail, spec.trail_percent, "", "", ""),  # the first trailStopPrice: the second one counts
        *(0, 0, 0, "", "", "", ""),  # legs of a combination, scale, hedge
        *(0, "", "IB", 0, 0, ""),  # clearing, no delta-neutral contract, no algorithm
        *(0, spec.what_if, order.status, *margin),
        *("", "", "", "", "", 0, 0, 0),  # commissions, warning, randomizing, no conditions
        *("None", "", trail, "", "", "", "", 0, "", "", "", "", 0, 0, 0, 0),
        *("", "", 0, "", "", "", "", ""),  # duration, postToAts, autoCancelParent, sizes
    ]


def order_status(order: Resting) -> Fields:
    """3."""
    scale, spec = order.contract.points, order.spec
    average = scale(order.value_ticks / order.filled) if order.filled else 0.0
    return [
        *(Message.ORDER_STATUS, spec.order_id, order.status, order.filled, order.remaining, average, order.perm_id),
        *(spec.parent_id, scale(order.last_ticks) if order.filled else 0.0, order.client_id, order.why_held, 0.0),
    ]


class Execution(Struct, frozen=True, kw_only=True):
    """One fill as the broker tells it. `side` is BOT or SLD, `time` is YYYYMMDD HH:MM:SS and a zone.

    `cumulative` and `average` are of its order up to here; `realized` is None on an execution that closes nothing.
    """

    exec_id: str
    contract: Contract
    order_id: int
    client_id: int
    perm_id: int
    order_ref: str
    account: str
    side: str
    qty: int
    price: float
    cumulative: int
    average: float
    time: str
    commission_cents: int
    realized_cents: int | None


def execution(req_id: int, fill: Execution) -> Fields:
    """11. `req_id` -1 where nobody asked."""
    return [
        *(Message.EXECUTION, req_id, fill.order_id, *contract_11(fill.contract)),
        *(fill.exec_id, fill.time, fill.account, EXCHANGE, fill.side, fill.qty, fill.price),
        *(fill.perm_id, fill.client_id, 0, fill.cumulative, fill.average, fill.order_ref, "", "", "", 2),
    ]


def commission_report(fill: Execution) -> Fields:
    """59."""
    realized = UNSET_NUMBER if fill.realized_cents is None else fill.realized_cents / 100
    return [Message.COMMISSION_REPORT, 1, fill.exec_id, fill.commission_cents / 100, CURRENCY, realized, "", ""]


def position(account: str, contract: Contract, qty: int, average_cost: float) -> Fields:
    """61. `average_cost` is dollars a contract."""
    return [Message.POSITION, 3, account, *contract_11(contract), qty, average_cost]


class Holding(Struct, frozen=True, kw_only=True):
    """A line of the portfolio, money in dollars."""

    contract: Contract
    qty: int
    price: float
    value: float
    average_cost: float
    unrealized: float
    realized: float


def portfolio(account: str, held: Holding) -> Fields:
    """7."""
    return [
        *(Message.PORTFOLIO, 8, *contract_11(held.contract), held.qty, held.price, held.value),
        *(held.average_cost, held.unrealized, held.realized, account),
    ]


def history(req_id: int, start: str, end: str, bars: Sequence[Price]) -> Fields:
    """17. Of a bar: date, open, high, low, close, volume, wap, count."""
    fields: Fields = [Message.HISTORY, req_id, start, end, len(bars)]
    for bar in bars:
        fields += [bar.stamp, bar.open, bar.high, bar.low, bar.close, bar.volume, bar.close, -1]
    return fields


def history_update(req_id: int, bar: Price) -> Fields:
    """90. The close stands before the high."""
    return [
        *(Message.HISTORY_UPDATE, req_id, -1, bar.stamp),
        *(bar.open, bar.close, bar.high, bar.low, bar.close, bar.volume),
    ]


def real_time_bar(req_id: int, bar: Price) -> Fields:
    """50. Five seconds; the stamp is seconds since 1970."""
    return [
        *(Message.REAL_TIME_BAR, 3, req_id, bar.stamp),
        *(bar.open, bar.high, bar.low, bar.close, bar.volume, bar.close, 1),
    ]


def tick_price(req_id: int, kind: int, price: float, size: int) -> Fields:
    """1. Kinds: 1 bid, 2 ask, 4 last; 66, 67 and 68 when delayed."""
    return [Message.TICK_PRICE, 6, req_id, kind, price, size, 0]
