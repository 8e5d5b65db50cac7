"""Answers to requests about orders and executions."""

from collections import Counter

from trader.gateway import layouts
from trader.gateway.exchange import Exchange
from trader.gateway.layouts import Message, Request
from trader.gateway.orders import Status
from trader.gateway.server import Handler
from trader.gateway.session import Session
from trader.gateway.wire import Cursor


class IdCounter:
    """The next valid order id of each client; `roll_back` makes the broker forget the last ones, as it does."""

    def __init__(self) -> None:
        self._next: dict[int, int] = {}
        self._free_from: dict[int, int] = {}

    def next_id(self, client_id: int) -> int:
        """What the client is told."""
        return self._next.get(client_id, 1)

    def saw(self, client_id: int, order_id: int) -> bool:
        """An order came with this id; says whether an id that was used may be used again."""
        self._next[client_id] = max(self.next_id(client_id), order_id + 1)
        return order_id >= self._free_from.get(client_id, order_id + 1)

    def roll_back(self, by: int) -> None:
        """All clients' ids, by so many."""
        for client_id, following in self._next.items():
            self._next[client_id] = self._free_from[client_id] = max(1, following - by)


class OrderAnswers:
    """Orders, and what the account has of them. `heard` counts each client's requests to place or cancel one order.

    What only asks (what-if) is not counted.
    """

    def __init__(self, exchange: Exchange, ids: IdCounter) -> None:
        self.heard: Counter[int] = Counter()
        self._exchange = exchange
        self._ids = ids

    def handlers(self) -> dict[Request, Handler]:
        """By request."""
        return {
            Request.PLACE_ORDER: self._place,
            Request.CANCEL_ORDER: self._cancel,
            Request.GLOBAL_CANCEL: self._cancel_all,
            Request.OPEN_ORDERS: self._open_orders,
            Request.ALL_OPEN_ORDERS: self._open_orders,
            Request.AUTO_OPEN_ORDERS: no_answer,
            Request.COMPLETED_ORDERS: self._completed_orders,
            Request.EXECUTIONS: self._executions,
            Request.IDS: self._tell_id,
        }

    def _place(self, session: Session, fields: list[str]) -> None:
        spec, client_id = layouts.read_order(fields), session.client_id or 0
        self.heard[client_id] += not spec.what_if
        self._exchange.place(client_id, spec, reuses_ids=self._ids.saw(client_id, spec.order_id))

    def _cancel(self, session: Session, fields: list[str]) -> None:
        client_id, order_id = session.client_id or 0, Cursor(fields, 2).whole()
        self.heard[client_id] += 1
        self._exchange.cancel(client_id, order_id)

    def _cancel_all(self, session: Session, fields: list[str]) -> None:
        del session, fields
        self._exchange.cancel_all()

    def _open_orders(self, session: Session, fields: list[str]) -> None:
        asks_all = Cursor(fields).whole() == Request.ALL_OPEN_ORDERS
        for order in self._exchange.book.working():
            if order.status is not Status.HELD and (asks_all or order.client_id == session.client_id):
                session.send(layouts.open_order(order))
                session.send(layouts.order_status(order))
        session.send([Message.OPEN_ORDER_END, 1])

    def _completed_orders(self, session: Session, fields: list[str]) -> None:
        del fields
        session.send([Message.COMPLETED_ORDERS_END])

    def _executions(self, session: Session, fields: list[str]) -> None:
        wanted = layouts.read_execution_filter(fields)
        for fill in self._exchange.executions:
            if wanted.client_id in {0, fill.client_id} and wanted.symbol in {"", fill.contract.symbol}:
                session.send(layouts.execution(wanted.req_id, fill))
                session.send(layouts.commission_report(fill))
        session.send([Message.EXECUTION_END, 1, wanted.req_id])

    def _tell_id(self, session: Session, fields: list[str]) -> None:
        del fields
        session.send([Message.NEXT_VALID_ID, 1, self._ids.next_id(session.client_id or 0)])


def no_answer(session: Session, fields: list[str]) -> None:
    """A request that wants no answer."""
    del session, fields
