"""Matches resting orders with prices and bars, books what fills, and does to other orders what a fill does."""

from itertools import count

from msgspec.structs import replace

from trader.gateway import fills
from trader.gateway.account import Account
from trader.gateway.contracts import Contract
from trader.gateway.fills import Costs, Match, Range
from trader.gateway.layouts import Execution
from trader.gateway.ledger import Event, Ledger
from trader.gateway.market import Market, central
from trader.gateway.order_book import OrderBook
from trader.gateway.orders import STOP_KINDS, Kind, Resting, Status
from trader.gateway.ports import Notices, Quirks

FIRST_TELLING, SECOND_TELLING = "01", "02"


class Matcher:
    """Fills are final when `fill` returns: booked, told, siblings ended, children at work.

    `limit_holds`: a target that the entry has filled past already is filled at its limit or better, as an exchange
    does it. Without, it leaves at the market, slipped, as the paper broker and the training have it.
    """

    def __init__(
        self, market: Market, account: Account, costs: Costs, notices: Notices, quirks: Quirks, ledger: Ledger
    ) -> None:
        self.book = OrderBook()
        self.executions: list[Execution] = []
        self.limit_holds = True
        self._market = market
        self._account = account
        self._costs = costs
        self._notices = notices
        self._quirks = quirks
        self._ledger = ledger
        self._exec_ids = count(1)

    def end(self, order: Resting, status: Status, reason: str) -> None:
        """An order ends without (more of) a fill; so do children that protect nothing."""
        order.status = status
        self._ledger.order(Event.ENDED, order)
        self._notices.on_order(order)
        self._notices.on_error(order.client_id, order.spec.order_id, 202, f"Order Canceled - reason:{reason}")
        for child in self.book.children(order):
            if self.book.fillable(child) <= 0 and not order.filled:
                self.end(child, Status.CANCELLED, "")
            elif child.qty > order.filled:
                child.qty = order.filled
                self._notices.on_order(child)

    def match_market(self, tried: set[int] | None = None) -> None:
        """Fill what waits at market at the last price: the open of a bar that has just opened.

        Orders whose permId is in `tried` have had their chance in this bar; those that get one now are put there.
        """
        had = set() if tried is None else tried
        for order in self.book.working():
            if order.kind is Kind.MARKET and order.perm_id not in had and self.book.is_active(order):
                had.add(order.perm_id)
                self.match_now(order)

    def match_bar(self, bar: Range) -> None:
        """Match everything that is not at market against a whole bar; an order fills once a bar."""
        tried: set[int] = set()
        while (match := self._first_match(bar, tried)) is not None:
            tried.add(match.order.perm_id)
            self.fill(match, bar)
        for order in self.book.working():
            if order.kind is Kind.TRAIL and order.perm_id not in tried and self._is_here(order):
                trailed = fills.trail(order, bar, self._costs)
                if trailed is not None:
                    self.fill(trailed)

    def match_now(self, order: Resting) -> None:
        """Match one order against the last price."""
        if not self.book.is_active(order) or not self._is_here(order):
            return
        price = self.last_ticks(order.contract)
        if order.kind is Kind.MARKET:
            self.fill_at_last(order)
            return
        here = Range(open=price, high=price, low=price, close=price, is_rth=self._market.is_rth)
        match = fills.range_match([order], here, self._costs)
        if match is not None:
            self.fill(match)

    def fill_at_last(self, order: Resting) -> None:
        """Fill an order at the last price, slipped, whatever it waits for."""
        self.fill(fills.market_match(order, self.last_ticks(order.contract), self._costs))

    def acknowledge(self, order: Resting) -> None:
        """Say that the order is there: a stop and a child that wait are pre-submitted."""
        waits = order.kind in STOP_KINDS or self.book.fillable(order) <= 0
        order.status = Status.PRE_SUBMITTED if waits else Status.SUBMITTED
        self._notices.on_order(order)

    def _first_match(self, bar: Range, tried: set[int]) -> Match | None:
        for bracket in self.book.brackets():
            here = [each for each in bracket if each.perm_id not in tried and self._is_here(each)]
            match = fills.range_match(here, bar, self._costs) if here else None
            if match is not None:
                return match
        return None

    def fill(self, match: Match, bar: Range | None = None) -> None:
        """Book a match; `bar` where it happened inside one."""
        order = match.order
        qty = self.book.fillable(order)
        if order.portions:
            qty = min(qty, order.portions.pop(0))
        order.filled += qty
        order.value_ticks += qty * match.price_ticks
        order.last_ticks = match.price_ticks
        order.status = Status.FILLED if not order.remaining else Status.SUBMITTED
        realized = self._account.book(order.contract, int(order.side) * qty, match.price_ticks)
        self._ledger.executed(order, qty, match.price_ticks, self._account.qty(order.contract))
        self._notices.on_order(order)
        self._tell(match, qty, realized)
        self._after_fill(match, qty, bar)

    def _tell(self, match: Match, qty: int, realized: int | None) -> None:
        order, scale = match.order, match.order.contract.points
        fees = self._account.terms.commission_cents * qty
        bar = self._market.bar
        ts_ns = bar.ts_open_ns if match.at_open and self._market.is_forming else self._market.bar.ts_close_ns
        fill = Execution(
            exec_id=f"0000e0d5.{next(self._exec_ids):08x}.01.{FIRST_TELLING}",
            contract=order.contract,
            order_id=order.spec.order_id,
            client_id=order.client_id,
            perm_id=order.perm_id,
            order_ref=order.spec.order_ref,
            account=order.account,
            side="BOT" if order.side > 0 else "SLD",
            qty=qty,
            price=scale(match.price_ticks),
            cumulative=order.filled,
            average=scale(order.value_ticks / order.filled),
            time=f"{central(ts_ns + self._market.skew_ns):%Y%m%d %H:%M:%S} US/Central",
            commission_cents=fees,
            realized_cents=None if realized is None else realized - fees,
        )
        self.executions.append(fill)
        self._notices.on_execution(fill)
        ticks = self._quirks.correction_ticks()
        if ticks is not None:
            self._correct(fill, ticks, int(order.side))
        self._notices.on_account(order.contract)

    def _correct(self, fill: Execution, ticks: int, side: int) -> None:
        """Tell the last execution again, at another price: its execId goes on in the digits after the last dot."""
        realized = None if fill.realized_cents is None else fill.realized_cents
        if realized is not None:
            realized -= side * fill.qty * ticks * fill.contract.tick_value_cents
        self._account.correct(fill.contract, side * fill.qty * ticks, has_closed=realized is not None)
        right = replace(
            fill,
            exec_id=fill.exec_id.removesuffix(FIRST_TELLING) + SECOND_TELLING,
            price=fill.price + fill.contract.points(ticks),
            realized_cents=realized,
        )
        self.executions[-1] = right
        self._notices.on_execution(right)

    def _after_fill(self, match: Match, qty: int, bar: Range | None) -> None:
        """Siblings end or shrink; children begin to work, and those that the fill is already beyond fill at once."""
        order = match.order
        for sibling in self.book.siblings(order):
            if order.remaining and sibling.remaining > qty:
                sibling.qty -= qty
                self._notices.on_order(sibling)
            elif not order.remaining:
                self.end(sibling, Status.CANCELLED, "")
        children = [each for each in self.book.children(order) if each.status is not Status.HELD]
        if not children:
            return
        for child in children:
            self.acknowledge(child)
        beyond = fills.beyond_match(children, match, self._costs, limit_holds=self.limit_holds)
        if beyond is not None:
            self.fill(beyond)
        elif bar is not None and not match.at_open:
            self._stop_in(children, replace(bar, open=match.price_ticks))

    def _stop_in(self, children: list[Resting], bar: Range) -> None:
        """An entry inside a bar: its stop counts in the same bar, its target from the next one on."""
        stops = [each for each in children if each.level_ticks is not None]
        match = fills.range_match(stops, bar, self._costs) if stops else None
        if match is not None:
            self.fill(match)

    def _is_here(self, order: Resting) -> bool:
        """Whether the market's bars are of the order's month; another one's orders wait."""
        return self.book.is_active(order) and order.contract == self._market.front

    def last_ticks(self, contract: Contract) -> int:
        """The last price in ticks of `contract`."""
        return round(self._market.last * contract.ticks_per_point)
