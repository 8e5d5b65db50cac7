"""Where orders leave: behind the order gate, and, but for protection, after they have been recorded.

The only caller of a broker: a test says so.
"""

from msgspec.structs import replace

from trader.book import Book
from trader.domain.orders import Amend, Flatten, Order
from trader.errors import InvariantError
from trader.news import News
from trader.ports import Broker
from trader.risk.gate import LastPrice, OrderGate, Refusal


class Outbox:
    """What the gate lets through waits here for `release`; `news` is told of it, and of what is refused."""

    def __init__(self, book: Book, gate: OrderGate, news: News) -> None:
        self._book = book
        self._gate = gate
        self._news = news
        self._broker: Broker | None = None
        self._last = LastPrice(0, 0)
        self._now_ns = 0
        self._waiting: list[Order] = []

    def connect(self, broker: Broker) -> None:
        """Name the broker."""
        self._broker = broker

    @property
    def now_ns(self) -> int:
        """The event time."""
        return self._now_ns

    @property
    def holds_close(self) -> bool:
        """A close has not left yet."""
        return any(isinstance(order, Flatten) for order in self._waiting)

    def at(self, last: LastPrice, now_ns: int) -> None:
        """The last price with its time, and the event time: what the gate measures against."""
        self._last = last
        self._now_ns = now_ns

    def pass_time(self, now_ns: int) -> None:
        """No price, but later."""
        self._now_ns = now_ns

    def send(self, order: Order) -> bool:
        """Put an order out for `release`; False where the gate refuses it."""
        if not self._passes(order):
            return False
        self._news.orders.append(order)
        self._waiting.append(order)
        return True

    def send_now(self, order: Order, *, is_told: bool = True) -> bool:
        """Hand over what cannot wait for a record; `is_told` False where it completes an order that was told."""
        if not self._passes(order):
            return False
        if is_told:
            self._news.orders.append(order)
        self._hand_over(order)
        return True

    def release(self) -> None:
        """Hand what waits over to the broker: after it has been recorded.

        A close is never larger than what is open by now: it may have waited while fills came.
        """
        while self._waiting:
            order = self._waiting.pop(0)
            open_qty = abs(self._book.position_qty)
            if isinstance(order, Flatten) and order.qty > open_qty:
                order = replace(order, qty=open_qty)
            self._hand_over(order)

    def fit_close(self, qty: int) -> None:
        """A close that waits is of no more than `qty`, also where somebody adds to the position before it leaves."""
        self._waiting = [
            replace(order, qty=min(order.qty, qty)) if isinstance(order, Flatten) else order for order in self._waiting
        ]

    def withdraw(self) -> None:
        """The position is gone: what waits to close or to move it does not leave, and is told as refused."""
        for order in self._waiting:
            if isinstance(order, Flatten | Amend):
                self._news.refuse(order, Refusal.NO_POSITION)
        self._waiting = [order for order in self._waiting if not isinstance(order, Flatten | Amend)]

    def _passes(self, order: Order) -> bool:
        refusal = self._gate.check(order, self._book.view(), self._last, self._now_ns)
        if refusal is not None:
            self._news.refuse(order, refusal)
        return refusal is None

    def _hand_over(self, order: Order) -> None:
        if self._broker is None:
            msg = "an order was sent before a broker was connected"
            raise InvariantError(msg)
        self._broker.submit(order)
