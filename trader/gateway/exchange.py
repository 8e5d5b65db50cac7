"""The exchange and the broker behind it: takes orders, changes and ends them; its matcher fills them."""

from itertools import count

from msgspec.structs import replace

from trader.gateway.account import Account
from trader.gateway.contracts import Contract
from trader.gateway.fills import Costs
from trader.gateway.intake import ORDERS_A_SIDE_MAX, Refusal, Taker, refusal, resting
from trader.gateway.ledger import Event, Ledger
from trader.gateway.market import Market
from trader.gateway.matcher import Matcher
from trader.gateway.orders import Act, OrderSpec, Resting, Status, Step, leg_of
from trader.gateway.ports import Notices, Quirks

FIRST_PERM_ID = 900_000_001


class Exchange:
    """Orders act as soon as they arrive, at the last price, unless `fills_at_once` is off (lockstep)."""

    def __init__(
        self, market: Market, account: Account, costs: Costs, notices: Notices, quirks: Quirks, ledger: Ledger
    ) -> None:
        self.matcher = Matcher(market, account, costs, notices, quirks, ledger)
        self.book = self.matcher.book
        self.executions = self.matcher.executions
        self.account = account
        self.fills_at_once = True
        self.expired: set[Contract] = set()
        self.ledger = ledger
        self._market = market
        self._notices = notices
        self._quirks = quirks
        self._perm_ids = count(FIRST_PERM_ID)

    def place(self, client_id: int, spec: OrderSpec, *, reuses_ids: bool = False) -> None:
        """Take an order, modify the working one of that id, or refuse; what only asks (what-if) is no order."""
        if spec.what_if:
            self._answer_what_if(client_id, spec)
            return
        known = self.book.get(client_id, spec.order_id)
        is_known = known is not None and known.is_working
        self._begin(Step.MODIFY if is_known else Step.NEW, known.spec if known is not None and is_known else spec)
        if self._quirks.is_lost():
            return
        if known is not None and is_known:
            self._modify(known, spec)
        else:
            self._place(client_id, spec, reuses_ids=reuses_ids)
        lie = self._quirks.lie()
        if lie is not None:
            self._notices.on_error(client_id, spec.order_id, lie.code, lie.text)

    def _place(self, client_id: int, spec: OrderSpec, *, reuses_ids: bool) -> None:
        known = self.book.get(client_id, spec.order_id)
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
        made.portions = self._quirks.portions(made.qty)
        made.is_untold = self._quirks.is_untold()
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
            return
        self._begin(Step.CANCEL, order.spec)
        lie = self._quirks.lie()
        if lie is not None:
            self._notices.on_error(client_id, order_id, lie.code, lie.text)
        elif not order.is_working:
            text = f"OrderId {order_id} that needs to be cancelled can not be cancelled, state: {order.status}."
            self._notices.on_error(client_id, order_id, 10148, text)
        elif self.book.is_active(order) and self._quirks.fills_before_cancel():
            self.matcher.fill_at_last(order)
            text = f"Cancel attempted when order is not in a cancellable state.  Order permId =  {order.perm_id}"
            self._notices.on_error(client_id, order_id, 161, text)
        else:
            is_late = self.book.is_active(order) and self._quirks.fills_after_cancel()
            self.matcher.end(order, Status.CANCELLED, "")
            if is_late:
                order.portions.clear()
                self.matcher.fill_at_last(order)
                if order.is_working:  # what its parent had not filled: that part is cancelled all the same
                    self.matcher.end(order, Status.CANCELLED, "")

    def cancel_all(self) -> None:
        """Cancel the orders of every client."""
        for order in self.book.working():
            if order.is_working:
                self.matcher.end(order, Status.CANCELLED, "")

    def expire(self, session_date: str) -> None:
        """A session has begun: DAY orders of earlier ones end."""
        for order in self.book.working():
            if order.is_working and order.spec.tif == "DAY" and order.session_date != session_date:
                self.matcher.end(order, Status.CANCELLED, "Order has expired")

    def trade_by_hand(self, signed_qty: int) -> None:
        """Somebody trades the front month on the same account, not through this interface; nobody once it has ended."""
        contract = self._market.front
        if contract in self.expired:
            return
        price = self.matcher.last_ticks(contract)
        self.account.book(contract, signed_qty, price)
        self.ledger.manual(contract.con_id, signed_qty, price, self.account.qty(contract))
        self._notices.on_account(contract)

    def end_contract(self) -> None:
        """The front month's last day has come: its orders end, its position is settled in cash at the last price."""
        contract = self._market.front
        self.expired.add(contract)
        for order in self.book.working():
            if order.is_working and order.contract == contract:
                self.matcher.end(order, Status.CANCELLED, "Contract has expired")
        price = self.matcher.last_ticks(contract)
        settled = self.account.settle(contract, price)
        if settled:
            self.ledger.settled(contract.con_id, settled, price)
            self._notices.on_account(contract)

    def _begin(self, step: Step, spec: OrderSpec) -> None:
        self._quirks.consider(Act(step=step, leg=leg_of(spec, self.account.qty(self._market.front))))

    def _made(self, client_id: int, spec: OrderSpec, perm_id: int) -> Resting | Refusal:
        wrong = refusal(spec, self.account.terms.name)
        if wrong is not None:
            return wrong
        found = [] if spec.contract.sec_type == "CONTFUT" else self._market.find(spec.contract)
        if len(found) != 1:
            return Refusal(200, "No security definition has been found for the request")
        if found[0] in self.expired:
            return Refusal(201, "Order rejected - reason:The contract has expired")
        if spec.parent_id and self.book.get(client_id, spec.parent_id) is None:
            return Refusal(135, f"Can't find order with id ={spec.parent_id}")
        session = self._market.session
        price = self.matcher.last_ticks(found[0])
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

    def _answer_what_if(self, client_id: int, spec: OrderSpec) -> None:
        order = self._made(client_id, spec, next(self._perm_ids))
        if isinstance(order, Refusal):
            self._notices.on_error(client_id, spec.order_id, order.code, order.text)
            return
        before = self.account.values(self.matcher.last_ticks(order.contract))
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
            price_ticks=self.matcher.last_ticks(order.contract),
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
            self.matcher.match_now(order)

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
            self.matcher.acknowledge(each)
        if self.fills_at_once:
            for each in sent:
                self.matcher.match_now(each)
