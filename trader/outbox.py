"""Where orders leave: behind the order gate, and, but for protection, after they have been recorded.

The only caller of a broker: a test says so.
"""

from trader.book import Book
from trader.domain.orders import Order
from trader.errors import InvariantError
from trader.news import News, RefusedOrder
from trader.ports import Broker
from trader.risk.gate import LastPrice, OrderGate


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
        """Hand what waits over to the broker: after it has been recorded."""
        while self._waiting:
            self._hand_over(self._waiting.pop(0))

    def _passes(self, order: Order) -> bool:
        refusal = self._gate.check(order, self._book.view(), self._last, self._now_ns)
        if refusal is not None:
            self._news.refused.append(RefusedOrder(order, refusal))
        return refusal is None

    def _hand_over(self, order: Order) -> None:
        if self._broker is None:
            msg = "an order was sent before a broker was connected"
            raise InvariantError(msg)
        self._broker.submit(order)
