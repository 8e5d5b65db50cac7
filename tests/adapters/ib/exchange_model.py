"""A small exchange, a daemon that dies at any point of its work, a human on the same account: what is to be mended.

The daemon's work comes in steps, each of which is whole on the disk or at the exchange, or did not happen. After its
death the exchange goes on.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count, islice

from msgspec.structs import replace
from reconcile_builders import ACCOUNT, LAST, MOMENT, NOTHING, a_bracket

from trader.adapters.ib.facts import BrokerOrder, OrderKind, Truth, close_ref, named, protect_ref
from trader.adapters.ib.ours import decision_of
from trader.adapters.ib.plan import Known, Moment, Plan
from trader.adapters.state.intents import ENDED
from trader.adapters.state.records import Execution, Intent, IntentState, Leg
from trader.domain.actions import Side
from trader.domain.orders import Amend, AmendCause, Bracket, ExitReason, Flatten, Order, Protect

KINDS = {
    Leg.ENTRY: OrderKind.MARKET,
    Leg.STOP: OrderKind.STOP,
    Leg.TARGET: OrderKind.LIMIT,
    Leg.CLOSE: OrderKind.MARKET,
}


@dataclass
class Exchange:
    """One contract, one account. Orders of a group are reduced together; children sleep until their parent fills."""

    position_qty: int = 0
    cost: int = 0
    last_ticks: int = LAST
    orders: list[BrokerOrder] = field(default_factory=list)
    executions: list[Execution] = field(default_factory=list)
    entered: dict[str, int] = field(default_factory=dict)
    ids: "count[int]" = field(default_factory=lambda: count(1))

    def place(self, ref: str, leg: Leg, side: Side, qty: int, price: int | None, group: str = "") -> None:
        """An order arrives."""
        number = next(self.ids)
        self.orders.append(
            BrokerOrder(
                order_ref=ref,
                order_id=number,
                perm_id=1_000 + number,
                client_id=1 if ref else 0,
                parent_id=0,
                account=ACCOUNT,
                con_id=1,
                side=side,
                kind=KINDS[leg],
                qty=qty,
                filled_qty=0,
                price_ticks=price,
                is_working=True,
                is_held=False,
                tif="GTC",
                outside_rth=True,
                oca_group=group,
            )
        )

    def cancel(self, order: BrokerOrder) -> None:
        """An entry that has not filled takes its children along."""
        gone = {order.perm_id}
        if named(order.order_ref, order.kind) and self.leg(order) is Leg.ENTRY and not order.filled_qty:
            gone |= {each.perm_id for each in self.orders if each.order_ref == order.order_ref}
        self.orders = [each for each in self.orders if each.perm_id not in gone]

    def amend(self, order: BrokerOrder, price: int) -> None:
        """In place."""
        self.orders = [
            replace(each, price_ticks=price) if each.perm_id == order.perm_id else each for each in self.orders
        ]

    def fill(self, leg: Leg, qty: int) -> None:
        """The first order of that role of ours fills in part or whole, at its price; its group shrinks by as much."""
        order = next((each for each in self.orders if self.leg(each) is leg), None)
        if order is None:
            return
        if leg in {Leg.STOP, Leg.TARGET}:
            qty = min(qty, self.entered.get(decision_of(order.order_ref) or "", 0))
            if order.price_ticks is not None and qty:
                self.last_ticks = order.price_ticks
        qty = min(qty, order.remaining_qty)
        if qty:
            self.trade(order.side * qty, order.order_ref, order.price_ticks or self.last_ticks, order.perm_id)
            self._book(order, qty)

    def trade(self, signed_qty: int, ref: str | None, price: int, perm_id: int = 1) -> None:
        """An execution, with or without an order."""
        number = next(self.ids)
        self.executions.append(
            Execution(
                exec_id=f"0000e0d5.{number:08x}.01.01",
                order_ref=ref,
                leg=None,
                perm_id=perm_id,
                side=Side.BUY if signed_qty > 0 else Side.SELL,
                qty=abs(signed_qty),
                price_ticks=price,
                commission_cents=225,
                ts_ns=MOMENT.ts_ns - 1_000 + number,
            )
        )
        self.position_qty += signed_qty

    def leg(self, order: BrokerOrder) -> Leg | None:
        """None for what is not ours."""
        found = named(order.order_ref, order.kind)
        return None if found is None else found.leg

    def truth(self) -> Truth:
        """All of it."""
        return replace(
            NOTHING,
            position_qty=self.position_qty,
            entry_ticks=self.last_ticks if self.position_qty else 0,
            orders=tuple(self.orders),
            executions=tuple(self.executions),
        )

    def _book(self, order: BrokerOrder, qty: int) -> None:
        if self.leg(order) is Leg.ENTRY:
            self.entered[order.order_ref] = self.entered.get(order.order_ref, 0) + qty
        kept = []
        for each in self.orders:
            now = each
            if each.perm_id == order.perm_id:
                now = replace(each, filled_qty=each.filled_qty + qty)
            elif order.oca_group and each.oca_group == order.oca_group:
                now = replace(each, qty=each.qty - qty)
            if now.remaining_qty > 0:
                kept.append(now)
        self.orders = kept


@dataclass
class Daemon:
    """What is on its disk, and the verbs that change it. `left` counts the steps until it dies."""

    exchange: Exchange
    left: int
    decisions: "count[int]" = field(default_factory=lambda: count(1))
    laid: "count[int]" = field(default_factory=lambda: count(1))
    bracket: Bracket | None = None
    position_qty: int = 0
    entry_working: bool = False
    closing: bool = False
    stop_ticks: int = 0
    target_ticks: int = 0
    executions: list[Execution] = field(default_factory=list)
    intents: dict[str, Intent] = field(default_factory=dict)

    def step(self) -> bool:
        """Whether it lives to make this step."""
        self.left -= 1
        return self.left >= 0

    def enter(self, side: Side, qty: int) -> None:
        """Write ahead, remember, send: three orders as one."""
        if self.position_qty or self.entry_working or self.exchange.orders or self.exchange.position_qty:
            return
        bracket = a_bracket(f"NQ-{next(self.decisions)}", side, qty)
        if not self.intend(bracket.order_ref, bracket):
            return
        if not self.step():
            return
        self.bracket, self.entry_working = bracket, True
        if not self.step():
            return
        exits, ref = Side(-side), bracket.order_ref
        self.exchange.place(ref, Leg.ENTRY, side, qty, None)
        self.exchange.place(ref, Leg.TARGET, exits, qty, bracket.target_ticks, ref)
        self.exchange.place(ref, Leg.STOP, exits, qty, bracket.stop_ticks, ref)

    def listen(self) -> None:
        """Hear what was executed, one by one; after the entry's last fill its bracket is anchored."""
        known = {each.exec_id for each in self.executions}
        for told in self.exchange.executions:
            is_ours = self.bracket is not None and decision_of(told.order_ref) == self.bracket.order_ref
            if told.exec_id in known or not is_ours:
                continue
            if not self.step():
                return
            self.book(told)

    def trail(self, by: int) -> None:
        """Pull the stop in the book, write ahead, modify."""
        if self.bracket is None or not self.position_qty or not self.step():
            return
        self.stop_ticks += by if self.position_qty > 0 else -by
        ref, level = self.bracket.order_ref, self.stop_ticks
        amend = Amend(order_ref=ref, cause=AmendCause.TRAIL, stop_ticks=level, target_ticks=self.target_ticks)
        if not self.intend(f"{ref}.a{next(self.laid)}", amend) or not self.step():
            return
        for each in [each for each in self.exchange.orders if self.exchange.leg(each) is Leg.STOP]:
            self.exchange.amend(each, level)

    def flatten(self) -> None:
        """Write ahead, remember, send."""
        if self.bracket is None or not self.position_qty or self.closing:
            return
        if not self.step():
            return
        self.closing = True
        if self.step():
            self.lay_close(self.bracket.order_ref, abs(self.position_qty))

    def intend(self, name: str, order: Order) -> bool:
        """Write ahead."""
        if not self.step():
            return False
        self.intents[name] = Intent(
            order_ref=name,
            decision_id=order.order_ref,
            order=order,
            state=IntentState.INTENDED,
            ts_intended_ns=1,
            ts_changed_ns=1,
            why=None,
        )
        return True

    def book(self, told: Execution) -> None:
        """Position, levels and what the line waits for."""
        self.executions.append(told)
        was = self.position_qty
        self.position_qty += told.side * told.qty
        bracket = self.bracket
        if bracket is not None and told.side is bracket.side and decision_of(told.order_ref) == bracket.order_ref:
            if not self.stop_ticks:
                self.stop_ticks, self.target_ticks = bracket.stop_ticks, bracket.target_ticks
            done = sum(
                each.qty
                for each in self.executions
                if each.side is bracket.side and decision_of(each.order_ref) == bracket.order_ref
            )
            self.entry_working = self.entry_working and done < bracket.qty
        self._turned(was)

    def lay_close(self, decision: str, qty: int) -> None:
        """A market order out of the position, in its group."""
        side = Side.SELL if self.position_qty > 0 else Side.BUY
        name = close_ref(decision, next(self.laid))
        order = Flatten(order_ref=decision, side=side, qty=qty, reason=ExitReason.OPERATOR)
        if self.intend(name, order) and self.step():
            self.exchange.place(name, Leg.CLOSE, side, qty, None, decision)

    def known(self) -> Known:
        """What it finds when it starts again."""
        return Known(
            symbol="NQH20",
            bracket=self.bracket,
            position_qty=self.position_qty,
            entry_ticks=LAST if self.position_qty else 0,
            entry_working=self.entry_working,
            closing=self.closing,
            stop_ticks=self.stop_ticks,
            target_ticks=self.target_ticks,
            executions=tuple(self.executions),
            intents=tuple(each for each in self.intents.values() if each.state not in ENDED),
        )

    def moment(self, **changes: bool) -> Moment:
        """Now, at the exchange's last price."""
        return replace(MOMENT, last_ticks=self.exchange.last_ticks, **changes)

    def apply(self, plan: Plan, steps: int = 1_000_000) -> None:
        """In the order that `Plan` gives, as far as it lives."""
        self.left = 1_000_000
        for _ in islice(self._acts(plan), steps):
            pass

    def _acts(self, plan: Plan) -> Iterator[None]:
        """One step each: whole on the disk or at the exchange, or not at all."""
        if plan.bracket is not None:
            yield
            self.bracket, self.entry_working = plan.bracket, True
        for each in plan.executions:
            yield
            self.book(each)
        if plan.foreign or plan.unexplained_qty:
            yield  # by one transaction: else the next plan would find the same contracts again
            self.executions += plan.foreign
            was = self.position_qty
            self.position_qty += plan.foreign_qty + plan.unexplained_qty
            self._turned(was)
        yield
        yield from self._guards(plan)
        for each in plan.cancel:
            yield
            self.exchange.cancel(each)
            if self.exchange.leg(each) is Leg.ENTRY and self.bracket and each.order_ref == self.bracket.order_ref:
                self.entry_working = False
        for one, level in ((plan.stop, plan.amend_stop_ticks), (plan.target, plan.amend_target_ticks)):
            if one is not None and level is not None:
                yield
                self.exchange.amend(one, level)
        for each in plan.resolutions:
            yield
            self.intents[each.order_ref] = replace(self.intents[each.order_ref], state=each.state)
        yield
        self.entry_working = self.entry_working and not plan.entry_is_over

    def _guards(self, plan: Plan) -> Iterator[None]:
        side = Side.SELL if plan.position_qty > 0 else Side.BUY
        if plan.protect_qty:
            name = protect_ref(plan.decision, next(self.laid))
            yield
            self.intend(
                name, Protect(order_ref=plan.decision, side=side, qty=plan.protect_qty, stop_ticks=plan.protect_ticks)
            )
            yield
            self.exchange.place(name, Leg.STOP, side, plan.protect_qty, plan.protect_ticks, plan.decision)
            yield
            self.stop_ticks = plan.protect_ticks
        if plan.close_qty:
            name = close_ref(plan.decision, next(self.laid))
            yield
            self.closing = True
            self.intend(
                name,
                Flatten(order_ref=plan.decision, side=side, qty=plan.close_qty, reason=ExitReason.UNPROTECTED),
            )
            yield
            self.exchange.place(name, Leg.CLOSE, side, plan.close_qty, None, plan.decision)

    def _turned(self, was: int) -> None:
        """Levels and a close belong to a position: they end with it."""
        if not self.position_qty or self.position_qty * was < 0:
            self.stop_ticks = self.target_ticks = 0
            self.closing = False
