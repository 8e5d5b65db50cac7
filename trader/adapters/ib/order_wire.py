"""Orders out to the client library and its events in, as records of ours.

Orders leave by the library's protocol layer: its order calls refuse to touch what it believes cancelled. Its own
verdict of an order (a status that comes with an error, and not from the wire) is never passed on.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from trader.adapters.ib.contract import Pinned, as_contract
from trader.adapters.ib.facts import BrokerOrder
from trader.adapters.ib.foreign import IbCommissionReport, IbContract, IbFill, IbNotedTrade, IbPosition
from trader.adapters.ib.foreign_client import IB, IbClient
from trader.adapters.ib.library import Library
from trader.adapters.ib.orders import Draft, Sending, library_order
from trader.adapters.ib.readings import execution_of, number, order_of, whole
from trader.adapters.state.records import Execution
from trader.domain.instruments import Instrument
from trader.errors import InvariantError, LinkError

T = TypeVar("T")


class OrderLink(Protocol):
    """The connection as far as orders go; `Link` is one."""

    @property
    def ib(self) -> IB: ...

    @property
    def is_up(self) -> bool: ...

    @property
    def may_trade(self) -> bool: ...

    async def ask(self, what: str, awaitable: Awaitable[T], timeout_s: float | None = None) -> T: ...

    async def probe(self) -> int: ...

    def reclaim(self) -> None: ...

    def on_sync(self, hook: Callable[[], Awaitable[None]]) -> None: ...

    def on_lost(self, hook: Callable[[str], None]) -> None: ...

    def on_error(self, hook: Callable[[int, int, str], None]) -> None: ...


class Ears(Protocol):
    """Who is told what the wire says of orders."""

    def on_order(self, seen: BrokerOrder) -> None: ...

    def on_status(self, seen: BrokerOrder, status: str) -> None: ...

    def on_execution(self, execution: Execution, order_id: int) -> None: ...

    def on_commission(self, exec_id: str, cents: int) -> None: ...

    def on_position(self, qty: int) -> None: ...


class OrderWire:
    """Places and cancels on one connection after another. `attach` begins with a connection.

    `activity` counts order messages sent and executions heard. `guard` wraps what is done with an event: the library
    only logs what a listener raises.
    """

    def __init__(
        self,
        library: Library,
        account: str,
        market: Instrument,
        ears: Ears,
        guard: Callable[[Callable[[], None]], None],
    ) -> None:
        self._library = library
        self._account = account
        self._market = market
        self._ears = ears
        self._guard = guard
        self._ib: IB | None = None
        self._contract: IbContract | None = None
        self._above_id = 0
        self._con_id = 0
        self.activity = 0

    def pin(self, contract: Pinned) -> None:
        """The contract that is traded, and listened to."""
        self._con_id = contract.con_id
        self._contract = as_contract(self._library, contract)

    def attach(self, ib: IB) -> None:
        """Listen to a connection; again to the same one changes nothing."""
        if ib is self._ib:
            return
        self._ib = ib
        ib.client.updateReqId(self._above_id)  # an error names a request by a number: none that an order has had
        ib.openOrderEvent.connect(self._opened)
        ib.orderStatusEvent.connect(self._status)
        ib.execDetailsEvent.connect(self._executed)
        ib.commissionReportEvent.connect(self._commissioned)
        ib.positionEvent.connect(self._positioned)

    @property
    def client_id(self) -> int:
        """Under which orders leave now: those of another one can be neither moved (a second one results) nor cancelled
        (10147)."""
        return self._client().clientId

    def new_id(self) -> int:
        """An order id above every one that was ever seen: after a reconnect the broker may count from lower again."""
        client = self._client()
        client.updateReqId(self._above_id)
        try:
            order_id = client.getReqId()
        except ConnectionError as error:
            raise LinkError(str(error)) from None
        self._above_id = order_id + 1
        return order_id

    def reserve(self) -> None:
        """Before a question that travels as an order: the number that the library gives it next is no order's."""
        self.saw_id(self.new_id() + 1)

    def saw_id(self, order_id: int) -> None:
        """The broker knows this id."""
        self._above_id = max(self._above_id, order_id + 1)

    def place(self, draft: Draft, order_id: int, *, parent_id: int = 0, transmit: bool = True) -> None:
        """Send an order, or with the id of one that works its change."""
        sending = Sending(draft=draft, order_id=order_id, parent_id=parent_id, transmit=transmit, account=self._account)
        order = library_order(self._library.order, sending, self._market)
        self._leave(lambda client, contract: client.placeOrder(order_id, contract, order))

    def cancel(self, order_id: int) -> None:
        """Ask for the end of an order."""
        self._leave(lambda client, _: client.cancelOrder(order_id))

    def cancel_all(self) -> None:
        """Ask for the end of all orders of the login, of every client and every person."""
        self._leave(lambda client, _: client.reqGlobalCancel())

    def _leave(self, send: Callable[[IbClient, IbContract], None]) -> None:
        """LinkError where the socket has just gone: whether it was taken is then the broker's to say."""
        if self._contract is None:
            msg = "an order was to leave before there was a contract"
            raise InvariantError(msg)
        try:
            send(self._client(), self._contract)
        except ConnectionError as error:
            raise LinkError(str(error)) from None
        self.activity += 1

    def _client(self) -> IbClient:
        if self._ib is None:
            msg = "an order was to leave before there was a connection"
            raise InvariantError(msg)
        return self._ib.client

    def _opened(self, trade: IbNotedTrade) -> None:
        self._guard(lambda: self._on_opened(trade))

    def _status(self, trade: IbNotedTrade) -> None:
        self._guard(lambda: self._on_status(trade))

    def _executed(self, trade: IbNotedTrade, fill: IbFill) -> None:
        del trade
        self._guard(lambda: self._on_executed(fill))

    def _commissioned(self, trade: IbNotedTrade, fill: IbFill, report: IbCommissionReport) -> None:
        del trade, fill
        self._guard(lambda: self._on_commissioned(report))

    def _positioned(self, position: IbPosition) -> None:
        self._guard(lambda: self._on_positioned(position))

    def _on_opened(self, trade: IbNotedTrade) -> None:
        seen = self._seen(trade)
        if seen is not None:
            self._ears.on_order(seen)

    def _on_status(self, trade: IbNotedTrade) -> None:
        if trade.log and trade.log[-1].errorCode:
            return  # the library's own verdict on an error, and no word of the broker's
        seen = self._seen(trade)
        if seen is not None:
            self._ears.on_status(seen, trade.orderStatus.status)

    def _on_executed(self, fill: IbFill) -> None:
        self.saw_id(fill.execution.orderId)
        if fill.contract.conId == self._con_id and fill.execution.acctNumber == self._account:
            self.activity += 1
            self._ears.on_execution(execution_of(fill, self._market), fill.execution.orderId)

    def _on_commissioned(self, report: IbCommissionReport) -> None:
        commission = number(report.commission)
        if commission is not None:
            self._ears.on_commission(report.execId, round(commission * 100))

    def _on_positioned(self, position: IbPosition) -> None:
        if position.contract.conId == self._con_id and position.account == self._account:
            self._ears.on_position(whole(position.position))

    def _seen(self, trade: IbNotedTrade) -> BrokerOrder | None:
        self.saw_id(trade.order.orderId)
        if trade.contract.conId != self._con_id or trade.order.account != self._account:
            return None
        return order_of(trade, self._market)
