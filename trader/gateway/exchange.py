"""The exchange and the broker behind it: takes orders, matches them, books what fills, tells `Notices` of it all."""

from itertools import count

from msgspec.structs import replace

from trader.gateway import fills
from trader.gateway.account import Account
from trader.gateway.contracts import Contract
from trader.gateway.fills import Costs, Match, Range
from trader.gateway.intake import ORDERS_A_SIDE_MAX, Refusal, Taker, refusal, resting
from trader.gateway.layouts import Execution
from trader.gateway.ledger import Event, Ledger
from trader.gateway.market import Market, central
from trader.gateway.order_book import OrderBook
from trader.gateway.orders import STOP_KINDS, Kind, OrderSpec, Resting, Status
from trader.gateway.ports import Notices, Quirks

FIRST_PERM_ID = 900_000_001


class Exchange:
    """Orders act as soon as they arrive, at the last price, unless `fills_at_once` is off (lockstep)."""

    def __init__(
        self, market: Market, account: Account, costs: Costs, notices: Notices, quirks: Quirks, ledger: Ledger
    ) -> None:
        self.book = OrderBook()
        self.executions: list[Execution] = []
        self.account = account
        self.fills_at_once = True
        self.ledger = ledger
        self._market = market
        self._costs = costs
        self._notices = notices
        self._quirks = quirks
        self._perm_ids = count(FIRST_PERM_ID)
        self._exec_ids = count(1)

    def place(self, client_id: int, spec: OrderSpec, *, reuses_ids: bool = False) -> None:
        """Take an order, modify the working one of that id, or refuse."""
        known = self.book.get(client_id, spec.order_id)
        if known is not None and known.is_working:
            self._modify(known, spec)
            return
        if known is not None and not reuses_ids:
            code, why = (
                (104, "Cannot modify a filled order.") if known.status is Status.FILLED else (103, "Duplicate order id")
            )
            self._notices.on_error(client_id, spec.order_id, code, why)
            return
        made = self._quirks.refusal() or self._made(client_id, spec, next(self._perm_ids))
        if isinstance(made, Refusal):
            self._notices.on_error(client_id, spec.order_id, made.code, made.text)
            return
        if spec.what_if:
            self._answer_what_if(made)
            return
        made.portions = self._quirks.portions(made.qty)
        self.book.add(made)
        self.ledger.order(Event.PLACED, made)
        if spec.transmit:
            self._transmit(made)

    def cancel(self, client_id: int, order_id: int) -> None:
        """Cancel an order of this client's own."""
        order = self.book.get(client_id, order_id)
        if order is None:
            text = f"OrderId {order_id} that needs to be cancelled is not found."
            self._notices.on_error(client_id, order_id, 10147, text)
        elif not order.is_working:
            text = f"OrderId {order_id} that needs to be cancelled can not be cancelled, state: {order.status}."
            self._notices.on_error(client_id, order_id, 10148, text)
        elif self._quirks.fills_before_cancel() and self.book.is_active(order):
            self._fill(fills.market_match(order, self._last_ticks(order.contract), self._costs))
            text = f"Cancel attempted when order is not in a cancellable state.  Order permId =  {order.perm_id}"
            self._notices.on_error(client_id, order_id, 161, text)
        else:
            self.end(order, Status.CANCELLED, "")

    def cancel_all(self) -> None:
        """Cancel the orders of every client."""
        for order in self.book.working():
            if order.is_working:
                self.end(order, Status.CANCELLED, "")

    def end(self, order: Resting, status: Status, reason: str) -> None:
        """An order ends without (more of) a fill; so do children that protect nothing."""
        order.status = status
        self.ledger.order(Event.ENDED, order)
        self._notices.on_order(order)
        self._notices.on_error(order.client_id, order.spec.order_id, 202, f"Order Canceled - reason:{reason}")
        for child in self.book.children(order):
            if self.book.fillable(child) <= 0 and not order.filled:
                self.end(child, Status.CANCELLED, "")
            elif child.qty > order.filled:
                child.qty = order.filled
                self._notices.on_order(child)

    def match_market(self) -> None:
        """Fill what waits at market at the last price: the open of a bar that has just opened."""
        for order in self.book.working():
            if order.kind is Kind.MARKET and self.book.is_active(order):
                self._match_now(order)

    def match_bar(self, bar: Range) -> None:
        """Match everything that is not at market against a whole bar; an order fills once a bar."""
        tried: set[int] = set()
        while (match := self._first_match(bar, tried)) is not None:
            tried.add(match.order.perm_id)
            self._fill(match, bar)
        for order in self.book.working():
            if order.kind is Kind.TRAIL and order.perm_id not in tried and self._is_here(order):
                trailed = fills.trail(order, bar, self._costs)
                if trailed is not None:
                    self._fill(trailed)

    def expire(self, session_date: str) -> None:
        """A session has begun: DAY orders of earlier ones end."""
        for order in self.book.working():
            if order.is_working and order.spec.tif == "DAY" and order.session_date != session_date:
                self.end(order, Status.CANCELLED, "Order has expired")

    def trade_by_hand(self, signed_qty: int) -> None:
        """Somebody trades the front month on the same account, not through this interface."""
        contract = self._market.front
        price = self._last_ticks(contract)
        self.account.book(contract, signed_qty, price)
        self.ledger.manual(contract.con_id, signed_qty, price, self.account.qty(contract))
        self._notices.on_account(contract)

    def _made(self, client_id: int, spec: OrderSpec, perm_id: int) -> Resting | Refusal:
        wrong = refusal(spec, self.account.terms.name)
        if wrong is not None:
            return wrong
        found = [] if spec.contract.sec_type == "CONTFUT" else self._market.find(spec.contract)
        if len(found) != 1:
            return Refusal(200, "No security definition has been found for the request")
        if spec.parent_id and self.book.get(client_id, spec.parent_id) is None:
            return Refusal(135, f"Can't find order with id ={spec.parent_id}")
        session = self._market.session
        price = self._last_ticks(found[0])
        taker = Taker(
            client_id=client_id,
            perm_id=perm_id,
            account=self.account.terms.name,
            session_date="" if session is None else session.date,
            price_ticks=price,
        )
        made = resting(spec, found[0], taker)
        return made if isinstance(made, Refusal) else self._limited(made, price)

    def _limited(self, order: Resting, price_ticks: int) -> Resting | Refusal:
        """The order, unless there are too many, or the margin does not carry it; exits of a bracket need none."""
        same = [each for each in self.book.working() if each.side is order.side and each.contract == order.contract]
        if len(same) >= ORDERS_A_SIDE_MAX:
            return Refusal(
                201, f"Order rejected - reason:You have {len(same)} working orders on this side, the most allowed"
            )
        if order.spec.parent_id or self.account.can_carry(order.contract, int(order.side) * order.qty, price_ticks):
            return order
        return Refusal(201, "Order rejected - reason:The available funds do not cover the initial margin of this order")

    def _answer_what_if(self, order: Resting) -> None:
        before = self.account.values(self._last_ticks(order.contract))
        after = self.account.qty(order.contract) + int(order.side) * order.qty
        terms, equity = self.account.terms, before["NetLiquidation"]
        figures: list[tuple[str, str, str]] = []
        for tag, cents in (
            ("InitMarginReq", terms.initial_margin_cents),
            ("MaintMarginReq", terms.maintenance_margin_cents),
        ):
            then = abs(after) * cents / 100
            figures.append((before[tag], f"{then - float(before[tag]):.2f}", f"{then:.2f}"))
        (initial, maintenance) = figures
        self._notices.on_what_if(
            order,
            tuple(text for trio in zip(initial, maintenance, (equity, "0.00", equity), strict=True) for text in trio),
        )

    def _modify(self, order: Resting, spec: OrderSpec) -> None:
        parent = self.book.parent(order)
        wrong = refusal(spec, order.account)
        if wrong is None and spec.parent_id and (parent is None or not parent.is_working):
            wrong = Refusal(135, f"Can't find order with id ={spec.parent_id}")
        if wrong is None and (spec.kind != order.kind or spec.action != order.spec.action):
            wrong = Refusal(329, "Order modify failed. Cannot change to the new order type.")
        wrong = wrong or self._quirks.refusal()
        taker = Taker(
            client_id=order.client_id,
            perm_id=order.perm_id,
            account=order.account,
            session_date=order.session_date,
            price_ticks=self._last_ticks(order.contract),
        )
        made = wrong or resting(spec, order.contract, taker)
        if isinstance(made, Refusal):
            self._notices.on_error(order.client_id, spec.order_id, made.code, made.text)
            return
        order.spec = replace(spec, parent_id=order.spec.parent_id, oca_group=spec.oca_group or order.spec.oca_group)
        order.qty = max(made.qty, order.filled)
        order.limit_ticks, order.stop_ticks = made.limit_ticks, made.stop_ticks
        order.trail_ticks, order.trail_gap_ticks = made.trail_ticks, made.trail_gap_ticks
        self.ledger.order(Event.MODIFIED, order)
        if order.status is Status.HELD:
            if spec.transmit:
                self._transmit(order)
            return
        self._notices.on_order(order)
        if self.fills_at_once:
            self._match_now(order)

    def _transmit(self, order: Resting) -> None:
        """Send the order, and with it its parent and what the parent's other children wait for."""
        family = [order, *self.book.siblings(order), *self.book.children(order)]
        parent = self.book.parent(order)
        if parent is not None:
            family += [parent, *self.book.children(parent)]
        sent = [
            each for each in self.book.working() if each.status is Status.HELD and any(each is one for one in family)
        ]
        for each in sent:
            self._acknowledge(each)
        if self.fills_at_once:
            for each in sent:
                self._match_now(each)

    def _acknowledge(self, order: Resting) -> None:
        waits = order.kind in STOP_KINDS or self.book.fillable(order) <= 0
        order.status = Status.PRE_SUBMITTED if waits else Status.SUBMITTED
        self._notices.on_order(order)

    def _match_now(self, order: Resting) -> None:
        """Match one order against the last price."""
        if not self.book.is_active(order) or not self._is_here(order):
            return
        price = self._last_ticks(order.contract)
        if order.kind is Kind.MARKET:
            self._fill(fills.market_match(order, price, self._costs))
            return
        here = Range(open=price, high=price, low=price, close=price, is_rth=self._market.is_rth)
        match = fills.range_match([order], here, self._costs)
        if match is not None:
            self._fill(match)

    def _first_match(self, bar: Range, tried: set[int]) -> Match | None:
        for bracket in self.book.brackets():
            here = [each for each in bracket if each.perm_id not in tried and self._is_here(each)]
            match = fills.range_match(here, bar, self._costs) if here else None
            if match is not None:
                return match
        return None

    def _fill(self, match: Match, bar: Range | None = None) -> None:
        order = match.order
        qty = self.book.fillable(order)
        if order.portions:
            qty = min(qty, order.portions.pop(0))
        order.filled += qty
        order.value_ticks += qty * match.price_ticks
        order.last_ticks = match.price_ticks
        order.status = Status.FILLED if not order.remaining else Status.SUBMITTED
        realized = self.account.book(order.contract, int(order.side) * qty, match.price_ticks)
        self.ledger.executed(order, qty, match.price_ticks, self.account.qty(order.contract))
        self._notices.on_order(order)
        self._tell(match, qty, realized)
        self._after_fill(match, qty, bar)

    def _tell(self, match: Match, qty: int, realized: int | None) -> None:
        order, scale = match.order, match.order.contract.points
        fees = self.account.terms.commission_cents * qty
        bar = self._market.bar
        ts_ns = bar.ts_open_ns if match.at_open and self._market.is_forming else self._market.bar.ts_close_ns
        fill = Execution(
            exec_id=f"0000e0d5.{next(self._exec_ids):08x}.01.01",
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
            time=f"{central(ts_ns):%Y%m%d %H:%M:%S} US/Central",
            commission_cents=fees,
            realized_cents=None if realized is None else realized - fees,
        )
        self.executions.append(fill)
        self._notices.on_execution(fill)
        self._notices.on_account(order.contract)

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
            self._acknowledge(child)
        beyond = fills.beyond_match(children, match, self._costs)
        if beyond is not None:
            self._fill(beyond)
        elif bar is not None and not match.at_open:
            self._stop_in(children, replace(bar, open=match.price_ticks))

    def _stop_in(self, children: list[Resting], bar: Range) -> None:
        """An entry inside a bar: its stop counts in the same bar, its target from the next one on."""
        stops = [each for each in children if each.level_ticks is not None]
        match = fills.range_match(stops, bar, self._costs) if stops else None
        if match is not None:
            self._fill(match)

    def _is_here(self, order: Resting) -> bool:
        """Whether the market's bars are of the order's month; another one's orders wait."""
        return self.book.is_active(order) and order.contract == self._market.front

    def _last_ticks(self, contract: Contract) -> int:
        return round(self._market.last * contract.ticks_per_point)
