"""Tells clients what becomes of their orders, and of the account, as the broker does without being asked."""

from collections import Counter

from trader.gateway import layouts
from trader.gateway.account import Account
from trader.gateway.contracts import CURRENCY, Contract
from trader.gateway.layouts import Execution, Message
from trader.gateway.market import Market
from trader.gateway.orders import Resting, Status
from trader.gateway.server import Server
from trader.gateway.session import Session
from trader.gateway.wire import Fields


class Reporter:
    """The exchange's Notices: an order's go to its own client, the account's to everybody who wants them.

    `executions` counts those of each client.
    """

    def __init__(self, server: Server, market: Market, account: Account) -> None:
        self._server = server
        self._market = market
        self._account = account
        self.executions: Counter[int] = Counter()

    def on_order(self, order: Resting) -> None:
        """openOrder and orderStatus; nothing of an order that is not transmitted, or is not to be told of."""
        if order.status is not Status.HELD and not order.is_untold:
            self._tell(order.client_id, layouts.open_order(order), layouts.order_status(order))

    def on_error(self, client_id: int, order_id: int, code: int, text: str) -> None:
        """An error about an order."""
        self._tell(client_id, layouts.error(order_id, code, text))

    def on_execution(self, fill: Execution) -> None:
        """execDetails and commissionReport."""
        self.executions[fill.client_id] += 1
        self._tell(fill.client_id, layouts.execution(-1, fill), layouts.commission_report(fill))

    def on_what_if(self, order: Resting, margin: tuple[str, ...]) -> None:
        """The margin of an order that was only asked about."""
        self._tell(order.client_id, layouts.open_order(order, margin))

    def on_account(self, contract: Contract) -> None:
        """Position, portfolio and account values after a fill."""
        for session in self._server.sessions:
            if session.wants.positions:
                session.send(self.position(contract))
            if session.wants.account:
                session.send(
                    layouts.portfolio(self._account.terms.name, self._account.holding(contract, self.price_ticks))
                )
                self.tell_values(session)
            self.tell_profit(session)

    @property
    def price_ticks(self) -> int:
        """The last price, that positions are valued at."""
        return round(self._market.last * self._market.front.ticks_per_point)

    def position(self, contract: Contract) -> Fields:
        """The account's position in a month."""
        account = self._account
        return layouts.position(account.terms.name, contract, account.qty(contract), account.average_cost(contract))

    def tell_values(self, session: Session) -> None:
        """The account's figures, one message each."""
        name = self._account.terms.name
        for tag, value in self._account.values(self.price_ticks).items():
            session.send([Message.ACCOUNT_VALUE, 2, tag, value, CURRENCY, name])

    def tell_profit(self, session: Session) -> None:
        """Daily, open and realized profit, where it was asked for."""
        values = self._account.values(self.price_ticks)
        realized, unrealized = float(values["RealizedPnL"]), float(values["UnrealizedPnL"])
        for req_id in sorted(session.wants.profit):
            session.send([Message.PNL, req_id, realized + unrealized, unrealized, realized])

    def _tell(self, client_id: int, *messages: Fields) -> None:
        session = self._server.session_of(client_id)
        if session is not None:
            for message in messages:
                session.send(message)
