"""What a script of faults does to orders, cancels, executions and requests."""

from collections import Counter
from collections.abc import Iterable

from trader.gateway.contracts import Wanted
from trader.gateway.faults import Chance, Fault, Verb
from trader.gateway.intake import Refusal
from trader.gateway.layouts import REQUEST_ID_AT, Request, error
from trader.gateway.market import Market
from trader.gateway.orders import Act, Kind, Leg, OrderSpec, Step
from trader.gateway.session import Session
from trader.gateway.wire import Cursor

PLACING = frozenset({Step.NEW, Step.MODIFY})
_TEXT = "Order rejected - reason:by script"


class OrderMischief:
    """The exchange's Quirks, and the server's gate. `fired` counts how often each verb has happened."""

    def __init__(self, faults: Iterable[Fault], seed: int) -> None:
        self.fired: Counter[Verb] = Counter()
        self.chances = [Chance(fault, seed, place) for place, fault in enumerate(faults)]
        self._act = Act(step=Step.NEW, leg=Leg.ENTRY)

    def consider(self, act: Act) -> None:
        """What the calls after this one are about."""
        self._act = act

    def refusal(self) -> Refusal | None:
        """The reason of the first fault that is due."""
        fault = self._due_at(Verb.REJECT)
        return None if fault is None else Refusal(fault.code, fault.text or _TEXT)

    def lie(self) -> Refusal | None:
        """The error of the first fault that is due."""
        fault = self._due_at(Verb.ERROR_ON)
        return None if fault is None else Refusal(fault.code, fault.text or _TEXT)

    def is_lost(self) -> bool:
        """Whether a fault is due."""
        return self._act.step is Step.NEW and self._due_at(Verb.LOSE) is not None

    def is_untold(self) -> bool:
        """Whether a fault is due."""
        return self._due_at(Verb.SWALLOW) is not None

    def portions(self, qty: int) -> list[int]:
        """The script's quantities, and what is left over."""
        fault = self._due_at(Verb.PARTIAL)
        if fault is None:
            return []
        left = qty - sum(fault.portions)
        return [*fault.portions, left] if left > 0 else list(fault.portions)

    def fills_before_cancel(self) -> bool:
        """Whether a fault is due."""
        return self._due_at(Verb.FILL_BEFORE_CANCEL) is not None

    def fills_after_cancel(self) -> bool:
        """Whether a fault is due."""
        return self._due_at(Verb.FILL_AFTER_CANCEL) is not None

    def correction_ticks(self) -> int | None:
        """The ticks of the first fault that is due."""
        fault = self._due(chance for chance in self.chances if chance.fault.do is Verb.CORRECTED_EXECUTION)
        return None if fault is None else fault.ticks

    def admits(self, session: Session, number: int, fields: list[str]) -> bool:
        """The server's gate: a request that an error answers is not served."""
        fault = self._due(
            chance
            for chance in self.chances
            if chance.fault.do is Verb.ERROR_ON and chance.fault.message == number != Request.START_API
        )
        if fault is None:
            return True
        at = REQUEST_ID_AT.get(Request(number))
        session.send(error(-1 if at is None else Cursor(fields, at).whole(), fault.code, fault.text or "by script"))
        return False

    def _due_at(self, verb: Verb) -> Fault | None:
        return self._due(
            chance for chance in self.chances if chance.fault.do is verb and _is_meant(chance.fault, self._act)
        )

    def _due(self, chances: Iterable[Chance]) -> Fault | None:
        due = [chance.fault for chance in chances if chance.is_due()]
        if not due:
            return None
        self.fired[due[0].do] += 1
        return due[0]


def _is_meant(fault: Fault, act: Act) -> bool:
    if fault.leg not in {None, act.leg} or fault.message:
        return False
    if fault.do in {Verb.REJECT, Verb.ERROR_ON}:
        return act.step in PLACING if fault.step is None else fault.step is act.step
    return True


def by_hand(market: Market, order_id: int, fault: Fault) -> OrderSpec:
    """An order that somebody enters for the front month: `ticks` below the last price to buy at a limit, above it to
    buy at a stop, and the other way round to sell.
    """
    is_limit, is_buy = fault.kind is Kind.LIMIT, fault.qty > 0
    away = fault.ticks / market.front.ticks_per_point
    price = market.last - away if is_limit == is_buy else market.last + away
    return OrderSpec(
        order_id=order_id,
        contract=Wanted(con_id=market.front.con_id),
        action="BUY" if is_buy else "SELL",
        qty=abs(fault.qty),
        kind=fault.kind,
        limit=price if is_limit else None,
        aux=None if is_limit else price,
        tif="GTC",
        oca_group="",
        oca_type=3,
        account="",
        order_ref="",
        transmit=True,
        parent_id=0,
        outside_rth=True,
        good_till="",
        trail_stop=None,
        trail_percent=None,
        what_if=False,
    )
