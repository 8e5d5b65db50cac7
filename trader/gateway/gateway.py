"""The gateway put together: a market, an exchange, an account and a server. Bars move when `step` is called."""

import time
from collections.abc import Callable

from msgspec import Struct

from trader.adapters.columns import BarColumns
from trader.domain.instruments import Instrument
from trader.domain.sessions import Calendar
from trader.errors import InputError
from trader.gateway.account import Account, AccountTerms
from trader.gateway.account_answers import AccountAnswers
from trader.gateway.contracts import ContractTable, code_on
from trader.gateway.data_answers import DataAnswers, Ticker
from trader.gateway.exchange import Exchange
from trader.gateway.fills import Costs, Range
from trader.gateway.ledger import Ledger
from trader.gateway.market import Market, stamp
from trader.gateway.order_answers import IdCounter, OrderAnswers
from trader.gateway.ports import NoQuirks, Quirks
from trader.gateway.reporter import Reporter
from trader.gateway.server import Server


class GatewayTerms(Struct, frozen=True, kw_only=True):
    """What the gateway is made of. `history_bars` of the bars have closed when it starts."""

    market: Instrument
    account: AccountTerms
    costs: Costs
    history_bars: int


class Gateway:
    """A broker on loopback. `start`, then `step` bar by bar (or `open_bar` and `finish_bar`), then `close`.

    `clock` gives seconds to the ledger; `before_bar` is called before each bar opens.
    """

    def __init__(
        self,
        columns: BarColumns,
        calendar: Calendar,
        terms: GatewayTerms,
        quirks: Quirks | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not 0 < terms.history_bars < len(columns):
            msg = f"{len(columns)} bars cannot give {terms.history_bars} of history and one to go on with"
            raise InputError(msg)
        self.market = Market(columns, _table(columns, terms.market, calendar), calendar, terms.history_bars)
        self.account = Account(terms.account)
        self.ids = IdCounter()
        self.ledger = Ledger(clock, lambda: self.market.now_ns)
        self.server = Server(lambda: stamp(self.market.told_ns, is_epoch=False), self._on_clients)
        self.reporter = Reporter(self.server, self.market, self.account)
        self.exchange = Exchange(
            self.market, self.account, terms.costs, self.reporter, quirks or NoQuirks(), self.ledger
        )
        self.data = DataAnswers(self.market)
        self.ticker = Ticker(self.server, self.market, self.data)
        self.before_bar: Callable[[], None] = _nothing
        self._is_heard = False
        self.clock = AccountAnswers(self.server, self.account, self.market, self.reporter, self.ids)
        self.orders = OrderAnswers(self.exchange, self.ids)
        for each in (self.clock, self.orders, self.data):
            self.server.serve(each.handlers())

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.server.port

    async def start(self, port: int = 0) -> None:
        """Listen on 127.0.0.1; InputError where the port is taken."""
        try:
            await self.server.start(port)
        except OSError as error:
            msg = f"--port {port}: cannot listen there ({error.strerror})"
            raise InputError(msg) from None

    async def close(self) -> None:
        """Let everybody go."""
        await self.server.close()

    def step(self) -> None:
        """One bar: it opens, trades and closes."""
        self.open_bar()
        self.finish_bar()

    def open_bar(self) -> None:
        """The next bar opens: what waits at market fills, DAY orders of an earlier session end."""
        self.before_bar()
        self.market.is_forming = True
        session = self.market.session
        if session is not None:
            self.exchange.expire(session.date)
        self.ticker.opened()
        if self.exchange.fills_at_once:
            self.exchange.matcher.match_market()

    def finish_bar(self) -> None:
        """The bar trades its range and closes: its last update is told, then stops and limits fill."""
        bar, scale = self.market.bar, self.market.front.ticks_per_point
        whole = Range(
            open=round(bar.open * scale),
            high=round(bar.high * scale),
            low=round(bar.low * scale),
            close=round(bar.close * scale),
            is_rth=self.market.is_rth,
        )
        self.ticker.finished()
        self.exchange.matcher.match_bar(whole)
        self.market.at += 1
        self.market.is_forming = False

    def _on_clients(self, is_heard: bool) -> None:  # noqa: FBT001 -- the one thing that is told
        if is_heard != self._is_heard:
            self._is_heard = is_heard
            self.ledger.link(is_up=is_heard)


def _nothing() -> None:
    """Nothing goes wrong."""


def _table(columns: BarColumns, market: Instrument, calendar: Calendar) -> ContractTable:
    session = calendar.at(int(columns.ts_open_ns[0]))
    date = "" if session is None else session.date
    return ContractTable(market, [code_on(symbol, market, date) for symbol in columns.symbols])
