"""A router between a book and a broker that takes every order and does nothing by itself."""

from builders import ORDER_LIMITS, some_terms
from msgspec.structs import replace

from trader.book import Book
from trader.domain.actions import Action, Side
from trader.domain.bars import Bar
from trader.domain.instruments import INSTRUMENTS
from trader.domain.orders import Fill, Order
from trader.ports import Broker
from trader.risk.gate import OrderGate
from trader.risk.limits import OrderLimits
from trader.risk.review import Approved
from trader.router import Router, RouterState

NQ = INSTRUMENTS["NQ"]
NOW_NS = 1_678_887_000_000_000_000
MINUTE_NS = 60_000_000_000
TERMS = some_terms().as_row(NQ)
LIMITS = replace(ORDER_LIMITS, max_order_qty=3, max_position_qty=3)


class SilentBroker:
    """Takes every order and does nothing."""

    def __init__(self) -> None:
        self.orders: list[Order] = []

    def submit(self, order: Order) -> None:
        self.orders.append(order)

    def on_bar(self, bar: Bar) -> None:
        """A real broker has its own market."""

    def on_session_end(self) -> None:
        """Nothing."""

    def on_roll(self) -> None:
        """Nothing."""


class Floor:
    """Router, book and broker, the market at 1,000 ticks."""

    def __init__(self, limits: OrderLimits = LIMITS) -> None:
        self._limits = limits
        self.book = Book(TERMS)
        self.router = Router(self.book, OrderGate(limits), NQ.tick_value_cents)
        self.broker = SilentBroker()
        self.router.connect(self.broker)
        self.router.at(1_000, NOW_NS, NOW_NS)

    def restart(self, state: RouterState, broker: Broker) -> None:
        """Begin again with what was kept."""
        row = self.book.row
        self.book = Book(TERMS)
        self.book.row[:] = row
        self.router = Router(self.book, OrderGate(self._limits), NQ.tick_value_cents)
        self.router.restore(state)
        self.router.connect(broker)
        self.router.at(1_000, NOW_NS, NOW_NS)

    def approve(self, action: Action, *, close: int = 1_000, atr: float = 20.0, qty: int = 1, ref: str = "r1") -> None:
        """Submit what a review would have approved."""
        self.router.submit(Approved(action, ref, qty, close, atr, 30, 90))

    def fill(self, side: Side, price: int, **changes: object) -> None:
        """Report an execution."""
        fill = Fill(
            order_ref="r1",
            nth=1,
            side=side,
            qty=1,
            remaining_qty=0,
            price_ticks=price,
            commission_cents=225,
            ts_ns=NOW_NS + MINUTE_NS,
        )
        self.router.on_fill(replace(fill, **changes))

    def long(self) -> "Floor":
        """Bought at 1,001; stop 971, target 1,091."""
        self.approve(Action.BUY)
        self.router.release()
        self.fill(Side.BUY, 1_001)
        self.router.drain()
        self.broker.orders.clear()
        return self
