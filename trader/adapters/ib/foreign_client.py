"""A client library's client, as this package uses it: its socket, its messages, its questions, its events."""

import datetime
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from trader.adapters.ib.foreign import (
    Event,
    IbAccountValue,
    IbBar,
    IbBars,
    IbContract,
    IbContractDetails,
    IbFill,
    IbOrder,
    IbOrderState,
    IbPosition,
    IbTicker,
    IbTrade,
)


class Socket(Protocol):
    """asyncio's view of a socket, or another loop's."""

    def setsockopt(self, level: int, optname: int, value: int, /) -> None: ...


class Transport(Protocol):
    """asyncio's or another loop's."""

    def abort(self) -> None: ...

    def get_extra_info(self, name: str) -> Socket | None: ...


class IbConnection(Protocol):
    """The library's socket."""

    @property
    def disconnected(self) -> Event: ...

    @property
    def hasData(self) -> Event: ...

    @property
    def transport(self) -> Transport | None: ...


class IbClient(Protocol):
    """The library's protocol layer: one method a message. `MaxRequests` a second are sent at once; 0: all are."""

    MaxRequests: int
    clientId: int

    @property
    def conn(self) -> IbConnection: ...

    def getReqId(self) -> int: ...

    def updateReqId(self, minReqId: int) -> None: ...

    def placeOrder(self, orderId: int, contract: IbContract, order: IbOrder) -> None: ...

    def cancelOrder(self, orderId: int, manualCancelOrderTime: str = "") -> None: ...

    def reqOpenOrders(self) -> None: ...

    def cancelAccountSummary(self, reqId: int) -> None: ...

    def reqGlobalCancel(self) -> None: ...

    def cancelHistoricalData(self, reqId: int) -> None: ...


class IbWrapper(Protocol):
    """Where the library's decoder takes messages to. Its own reading drops each bar that is older than the newest one
    (late corrections), and all bars after an empty first list; and there is no event before that.
    """

    historicalDataUpdate: Callable[[int, IbBar], None]


class IbEvents(Protocol):
    """What happens, as it is told."""

    @property
    def errorEvent(self) -> Event: ...

    @property
    def disconnectedEvent(self) -> Event: ...

    @property
    def openOrderEvent(self) -> Event: ...

    @property
    def orderStatusEvent(self) -> Event: ...

    @property
    def execDetailsEvent(self) -> Event: ...

    @property
    def commissionReportEvent(self) -> Event: ...

    @property
    def positionEvent(self) -> Event: ...

    @property
    def accountValueEvent(self) -> Event: ...

    @property
    def accountSummaryEvent(self) -> Event: ...


class IbKnowledge(Protocol):
    """What the library believes; it may be partial."""

    def managedAccounts(self) -> list[str]: ...

    def accountValues(self, account: str = "") -> Sequence[IbAccountValue]: ...

    def positions(self, account: str = "") -> Sequence[IbPosition]: ...

    def trades(self) -> Sequence[IbTrade]: ...

    def openTrades(self) -> Sequence[IbTrade]: ...

    def fills(self) -> Sequence[IbFill]: ...


class IbQuestions(Protocol):
    """Requests, sent when they are called; the answer is awaited."""

    def reqCurrentTimeAsync(self) -> Awaitable[datetime.datetime]: ...

    def reqPositionsAsync(self) -> Awaitable[Sequence[IbPosition]]: ...

    def reqOpenOrdersAsync(self) -> Awaitable[Sequence[IbTrade]]: ...

    def reqAllOpenOrdersAsync(self) -> Awaitable[Sequence[IbTrade]]: ...

    def reqAccountSummaryAsync(self) -> Awaitable[object]: ...

    def reqExecutionsAsync(self, execFilter: object = None) -> Awaitable[Sequence[IbFill]]: ...

    def reqContractDetailsAsync(self, contract: IbContract) -> Awaitable[Sequence[IbContractDetails]]: ...

    def whatIfOrderAsync(self, contract: IbContract, order: IbOrder) -> Awaitable[IbOrderState]: ...

    def reqHistoricalDataAsync(
        self,
        contract: IbContract,
        endDateTime: datetime.datetime | str,
        durationStr: str,
        barSizeSetting: str,
        whatToShow: str,
        useRTH: bool,
        formatDate: int = 1,
        keepUpToDate: bool = False,
    ) -> Awaitable[IbBars]: ...


class IB(IbEvents, IbKnowledge, IbQuestions, Protocol):
    """The library's client. Only what this package uses; `*Async` and events only, never what runs the loop itself."""

    RaiseRequestErrors: bool

    @property
    def client(self) -> IbClient: ...

    @property
    def wrapper(self) -> IbWrapper: ...

    async def connectAsync(
        self,
        host: str = ...,
        port: int = ...,
        clientId: int = ...,
        timeout: float | None = ...,
        readonly: bool = ...,
        account: str = ...,
    ) -> object: ...

    def disconnect(self) -> object: ...

    def placeOrder(self, contract: IbContract, order: IbOrder) -> IbTrade: ...

    def cancelOrder(self, order: IbOrder, manualCancelOrderTime: str = "") -> IbTrade | None: ...

    def reqGlobalCancel(self) -> None: ...

    def reqMarketDataType(self, marketDataType: int) -> None: ...

    def reqMktData(self, contract: IbContract, genericTickList: str = "") -> IbTicker: ...

    def cancelMktData(self, contract: IbContract) -> object: ...

    def cancelHistoricalData(self, bars: IbBars) -> None: ...
