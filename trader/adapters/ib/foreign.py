"""What a client library tells and is told, as types: contracts, orders, fills, bars. The names are the library's."""

import datetime
from collections.abc import Callable, Sequence
from typing import Protocol


class Event(Protocol):
    """The library's kind of event. A listener that raises is only logged by it: see `Wire`."""

    def connect(self, listener: Callable[..., object]) -> object: ...

    def disconnect(self, listener: Callable[..., object]) -> object: ...

    def clear(self) -> None: ...


class IbContract(Protocol):
    """A contract."""

    conId: int
    symbol: str
    secType: str
    lastTradeDateOrContractMonth: str
    multiplier: str
    exchange: str
    currency: str
    localSymbol: str
    tradingClass: str


class IbContractDetails(Protocol):
    """A contract, and what is known of it."""

    contract: IbContract
    minTick: float
    contractMonth: str
    realExpirationDate: str


class IbOrder(Protocol):
    """An order as it is sent or echoed. Unset numbers are the library's largest float or integer."""

    orderId: int
    permId: int
    clientId: int
    parentId: int
    action: str
    orderType: str
    totalQuantity: float
    filledQuantity: float
    lmtPrice: float
    auxPrice: float
    tif: str
    account: str
    orderRef: str
    ocaGroup: str
    ocaType: int
    outsideRth: bool
    transmit: bool
    whatIf: bool


class IbOrderStatus(Protocol):
    """What has become of an order; `status` is a word of the broker's or, after some errors, of the library's."""

    orderId: int
    status: str
    filled: float
    remaining: float
    avgFillPrice: float
    permId: int
    parentId: int
    clientId: int
    whyHeld: str


class IbOrderState(Protocol):
    """What a what-if order would do to the account; figures are text, and the largest float where there is none."""

    status: str
    initMarginChange: str
    maintMarginChange: str
    initMarginAfter: str
    maintMarginAfter: str
    equityWithLoanAfter: str
    warningText: str


class IbLogEntry(Protocol):
    """One line of what has become of an order; `errorCode` is not 0 where the library concluded it from an error."""

    @property
    def status(self) -> str: ...

    @property
    def message(self) -> str: ...

    @property
    def errorCode(self) -> int: ...


class IbTrade(Protocol):
    """An order, and what has become of it. Frozen for ever when its connection ends."""

    contract: IbContract
    order: IbOrder
    orderStatus: IbOrderStatus
    fills: "list[IbFill]"


class IbNotedTrade(IbTrade, Protocol):
    """An order with the library's notes of it, oldest first."""

    @property
    def log(self) -> Sequence[IbLogEntry]: ...


class IbExecution(Protocol):
    """One execution."""

    execId: str
    time: datetime.datetime
    acctNumber: str
    side: str
    shares: float
    price: float
    permId: int
    clientId: int
    orderId: int
    orderRef: str


class IbCommissionReport(Protocol):
    """What an execution cost."""

    execId: str
    commission: float
    currency: str
    realizedPNL: float


class IbFill(Protocol):
    """An execution, its contract and its cost."""

    @property
    def contract(self) -> IbContract: ...

    @property
    def execution(self) -> IbExecution: ...

    @property
    def commissionReport(self) -> IbCommissionReport: ...

    @property
    def time(self) -> datetime.datetime: ...


class IbPosition(Protocol):
    """A position; `avgCost` includes the multiplier."""

    @property
    def account(self) -> str: ...

    @property
    def contract(self) -> IbContract: ...

    @property
    def position(self) -> float: ...

    @property
    def avgCost(self) -> float: ...


class IbAccountValue(Protocol):
    """One figure of an account, as text."""

    @property
    def account(self) -> str: ...

    @property
    def tag(self) -> str: ...

    @property
    def value(self) -> str: ...

    @property
    def currency(self) -> str: ...


class IbBar(Protocol):
    """One bar of a history."""

    date: datetime.datetime | datetime.date | str  # text in a callback, before the library has read it
    open: float
    high: float
    low: float
    close: float
    volume: float


class IbBars(Protocol):
    """A history; one that is kept up to date changes in place and emits (bars, hasNewBar)."""

    reqId: int

    @property
    def updateEvent(self) -> Event: ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> IbBar: ...


class IbTicker(Protocol):
    """The quote of a contract; nan where there is none."""

    contract: IbContract
    bid: float
    ask: float
    last: float
    marketDataType: int
    time: datetime.datetime | None

    @property
    def updateEvent(self) -> Event: ...
