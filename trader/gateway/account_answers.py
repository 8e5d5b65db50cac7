"""Answers to what a client asks when it starts, about the account and about the clock."""

from collections.abc import Callable

from trader.domain.units import SECOND_NS
from trader.gateway import layouts
from trader.gateway.account import Account
from trader.gateway.contracts import CURRENCY
from trader.gateway.layouts import Message, Request
from trader.gateway.market import Market, central
from trader.gateway.order_answers import IdCounter, no_answer
from trader.gateway.reporter import Reporter
from trader.gateway.server import Handler, Server
from trader.gateway.session import Session
from trader.gateway.wire import Cursor

FARMS = (
    (2104, "Market data farm connection is OK:usfuture"),
    (2106, "HMDS data farm connection is OK:ushmds"),
    (2158, "Sec-def data farm connection is OK:secdefnj"),
)


class AccountAnswers:
    """The start of a client, the account and the clock; `on_probe` is told who asks for the time, and answers."""

    def __init__(self, server: Server, account: Account, market: Market, reporter: Reporter, ids: IdCounter) -> None:
        self._server = server
        self._account = account
        self._market = market
        self._reporter = reporter
        self._ids = ids
        self.on_probe: Callable[[Session], None] = self.tell_time

    def handlers(self) -> dict[Request, Handler]:
        """By request."""
        return {
            Request.START_API: self._start,
            Request.MANAGED_ACCOUNTS: self._managed,
            Request.CURRENT_TIME: self._time,
            Request.LOG_LEVEL: no_answer,
            Request.POSITIONS: self._positions,
            Request.CANCEL_POSITIONS: _no_positions,
            Request.ACCOUNT_UPDATES: self._updates,
            Request.ACCOUNT_UPDATES_MULTI: self._updates_multi,
            Request.CANCEL_ACCOUNT_UPDATES_MULTI: no_answer,
            Request.ACCOUNT_SUMMARY: self._summary,
            Request.CANCEL_ACCOUNT_SUMMARY: no_answer,
            Request.PNL: self._profit,
            Request.CANCEL_PNL: _no_profit,
        }

    def _start(self, session: Session, fields: list[str]) -> None:
        client_id = Cursor(fields, 2).whole()
        if not self._server.enter(session, client_id):
            return
        self._managed(session, fields)
        session.send([Message.NEXT_VALID_ID, 1, self._ids.next_id(client_id)])
        for code, text in FARMS:
            session.send(layouts.error(-1, code, text))

    def _managed(self, session: Session, fields: list[str]) -> None:
        del fields
        session.send([Message.MANAGED_ACCOUNTS, 1, self._account.terms.name])

    def _time(self, session: Session, fields: list[str]) -> None:
        del fields
        self.on_probe(session)

    def tell_time(self, session: Session, ts_ns: int | None = None) -> None:
        """49. The broker's clock, or `ts_ns`."""
        session.send([Message.CURRENT_TIME, 1, (self._market.told_ns if ts_ns is None else ts_ns) // SECOND_NS])

    def _positions(self, session: Session, fields: list[str]) -> None:
        del fields
        session.wants.positions = True
        for held in self._account.positions.values():
            if held.qty:
                session.send(self._reporter.position(held.contract))
        session.send([Message.POSITION_END, 1])

    def _updates(self, session: Session, fields: list[str]) -> None:
        session.wants.account = Cursor(fields, 2).flag()
        name = self._account.terms.name
        self._reporter.tell_values(session)
        for held in self._account.positions.values():
            if held.qty:
                session.send(layouts.portfolio(name, self._account.holding(held.contract, self._reporter.price_ticks)))
        session.send([Message.ACCOUNT_TIME, 1, f"{central(self._market.told_ns):%H:%M}"])
        session.send([Message.ACCOUNT_DOWNLOAD_END, 1, name])

    def _updates_multi(self, session: Session, fields: list[str]) -> None:
        req_id = Cursor(fields, 2).whole()
        for tag, value in self._account.values(self._reporter.price_ticks).items():
            session.send([Message.ACCOUNT_UPDATE_MULTI, 1, req_id, self._account.terms.name, "", tag, value, CURRENCY])
        session.send([Message.ACCOUNT_UPDATE_MULTI_END, 1, req_id])

    def _summary(self, session: Session, fields: list[str]) -> None:
        at = Cursor(fields, 2)
        req_id, _, tags = at.whole(), at.text(), at.text().split(",")
        for tag, value in self._account.values(self._reporter.price_ticks).items():
            if tag in tags:
                session.send([Message.ACCOUNT_SUMMARY, 1, req_id, self._account.terms.name, tag, value, CURRENCY])
        session.send([Message.ACCOUNT_SUMMARY_END, 1, req_id])

    def _profit(self, session: Session, fields: list[str]) -> None:
        session.wants.profit.add(Cursor(fields, 1).whole())
        self._reporter.tell_profit(session)


def _no_positions(session: Session, fields: list[str]) -> None:
    del fields
    session.wants.positions = False


def _no_profit(session: Session, fields: list[str]) -> None:
    session.wants.profit.discard(Cursor(fields, 1).whole())
