"""A second set of books for tests: positions, money and stops counted again from what left and what came back."""

from dataclasses import dataclass, field

from trader.domain.bars import Bar
from trader.domain.instruments import Instrument
from trader.domain.orders import Amend, AmendCause, Bracket, Cancel, Flatten, Order
from trader.ports import Broker
from trader.records import FillRecord


@dataclass
class Watch:
    """Stands before a broker and checks, order by order, what nobody may send."""

    broker: Broker
    side: int = 0
    stop: int | None = None
    is_anchored: bool = False

    def submit(self, order: Order) -> None:
        """Note what rests; a stop only tightens, but for the one anchoring of a bracket."""
        match order:
            case Bracket():
                self.side, self.stop, self.is_anchored = int(order.side), order.stop_ticks, False
            case Amend(cause=AmendCause.ANCHOR):
                assert not self.is_anchored, "anchored twice"
                self.stop, self.is_anchored = order.stop_ticks, True
            case Amend():
                assert self.stop is not None
                assert self.is_anchored, "managed before it was anchored"
                assert self.side * order.stop_ticks > self.side * self.stop, "a stop was loosened"
                self.stop = order.stop_ticks
            case Flatten():
                assert order.side == -self.side, "a close that opens"
            case Cancel():
                pass
        self.broker.submit(order)

    def on_bar(self, bar: Bar) -> None:
        """Pass it on."""
        self.broker.on_bar(bar)

    def on_session_end(self) -> None:
        """Pass it on."""
        self.broker.on_session_end()

    def on_roll(self) -> None:
        """Pass it on."""
        self.broker.on_roll()


@dataclass
class Ledger:
    """Money in cents and position, from the log's fills alone: no average, no balance, only sums."""

    instrument: Instrument
    side_cents: int
    start_cents: int
    max_qty: int
    qty: int = 0
    entries: list[tuple[int, int]] = field(default_factory=list)
    results_cents: list[int] = field(default_factory=list)
    account_results_cents: list[int] = field(default_factory=list)
    commissions_cents: int = 0

    def take(self, fill: FillRecord) -> None:
        """Book one fill, and check what the log says of it."""
        side = 1 if fill.side == "BUY" else -1
        price = self.instrument.to_ticks(fill.price)
        commission = round(fill.commission * 100)
        assert commission == self.side_cents * fill.qty
        self.commissions_cents += commission
        before = self.qty
        self.qty += side * fill.qty
        assert before * self.qty >= 0, "reversed in one step"
        assert abs(self.qty) <= self.max_qty
        if fill.reason is None:
            assert before * side >= 0, "an entry against the position"
            self.entries.append((side * fill.qty, price))
            assert fill.pnl is None
            return
        assert self.qty == 0, "a close that leaves something"
        value = self.instrument.tick_value_cents
        gross = sum(qty * (price - paid) * value for qty, paid in self.entries)
        result = gross - 2 * self.side_cents * fill.qty
        assert sum(qty for qty, _ in self.entries) == before
        assert fill.pnl is not None
        assert round(fill.pnl * 100) == result
        self.results_cents.append(result)
        self.account_results_cents.append(result)
        self.entries.clear()

    def renew(self) -> None:
        """Another account begins; only a flat one can be left."""
        assert self.qty == 0
        self.account_results_cents.clear()

    def balance_cents(self) -> int:
        """Start, closed trades, and the commissions that the open one has paid so far."""
        open_commissions = self.side_cents * abs(self.qty)
        return self.start_cents + sum(self.account_results_cents) - open_commissions

    def unrealized_cents(self, close_ticks: int) -> int:
        """What the open contracts would bring at `close_ticks`, before the exit's commissions."""
        return sum(qty * (close_ticks - paid) for qty, paid in self.entries) * self.instrument.tick_value_cents
