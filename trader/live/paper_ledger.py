"""Between router and simulated broker: writes down the orders and executions as those of a real broker are.

So one report reads both. The simulation takes an order inside the call in which it is sent, and nothing of it is on the
way when the process dies: there is no writing ahead, what is noted here is kept with the book that it made.
"""

from collections.abc import Callable, Iterable
from functools import partial

from msgspec import Struct

from trader.adapters.paper_broker import NO_FAULTS, Faults, PaperBroker
from trader.adapters.state.database import StateDb
from trader.adapters.state.intents import ENDED
from trader.adapters.state.records import Execution, Intent, IntentState, Leg
from trader.domain.bars import Bar
from trader.domain.instruments import Instrument
from trader.domain.orders import Amend, Bracket, Cancel, ExitReason, Fill, Flatten, Order, Protect, Unfilled
from trader.domain.units import DAY_NS
from trader.errors import InvariantError
from trader.kernels.book import Terms
from trader.ports import Broker, OrderListener

Note = Callable[[StateDb], object]
"""A change of the state that is still to be made."""

KEPT_NS = 8 * DAY_NS
"""A real broker tells of a week's executions at most: what is older is never told again, and may be forgotten."""
_STOPS = frozenset({ExitReason.STOP, ExitReason.BREAK_EVEN, ExitReason.TRAIL})
_ENDS = {Unfilled.REJECTED: IntentState.REJECTED, Unfilled.CANCELLED: IntentState.CANCELLED}


class PaperLedger:
    """The broker that a router is connected to, and the listener of the simulated one behind it.

    An intent is known by the bracket's reference, with `.a`, `.c`, `.p`, `.x` and a number for the n-th amendment,
    close, stop laid behind, cancellation; an execution by the bracket's reference, `#` and its number.
    """

    def __init__(self, listener: OrderListener) -> None:
        self._listener = listener
        self._broker: Broker | None = None
        self._notes: list[Note] = []
        self._now_ns = 0
        self._entered_ns = 0
        self._counts: dict[str, int] = {}
        self._open: dict[str, Order] = {}

    def connect(self, broker: Broker) -> None:
        """Name the simulated broker; it was built with this ledger as its listener."""
        self._broker = broker

    def drain(self) -> list[Note]:
        """What has happened since the last call, to be written in this order."""
        notes, self._notes = self._notes, []
        return notes

    def restore(self, intents: Iterable[Intent], now_ns: int) -> None:
        """Go on numbering, and ending, where another run stood; `intents` in the order in which they were written."""
        self._now_ns = now_ns
        for intent in intents:
            self._begin(intent.order_ref, intent.order)
            if isinstance(intent.order, Bracket):
                self._entered_ns = intent.ts_intended_ns
            if intent.state in ENDED:
                del self._open[intent.order_ref]

    def submit(self, order: Order) -> None:
        """Note the order, and hand it on."""
        order_ref = self._ref_of(order)
        if isinstance(order, Bracket):
            self._note_oblivion()
        self._begin(order_ref, order)
        self._notes.append(partial(_intended, order_ref, order, self._now_ns))
        self._behind.submit(order)
        if order_ref in self._open:
            self._note_move(order_ref, IntentState.ACKNOWLEDGED)
        if isinstance(order, (Amend, Cancel)):
            self._end(order_ref, IntentState.FILLED, "done")

    def on_bar(self, bar: Bar) -> None:
        """Hand it on; it is time that passes."""
        self._behind.on_bar(bar)
        self._now_ns = bar.ts_close_ns

    def on_session_end(self) -> None:
        """Hand it on."""
        self._behind.on_session_end()

    def on_roll(self) -> None:
        """Hand it on."""
        self._behind.on_roll()

    def on_fill(self, fill: Fill) -> None:
        """Note the execution, and hand it on."""
        self._now_ns = fill.ts_ns
        if fill.reason is None:
            self._note_execution(fill, fill.order_ref, Leg.ENTRY)
            if not fill.remaining_qty:
                self._end(fill.order_ref, IntentState.FILLED, None)
        else:
            self._note_exit(fill, fill.reason)
        self._listener.on_fill(fill)

    def on_unfilled(self, order_ref: str, outcome: Unfilled) -> None:
        """Note how the order ended, and hand it on."""
        self._end(order_ref, _ENDS[outcome], outcome.value)
        self._listener.on_unfilled(order_ref, outcome)

    @property
    def _behind(self) -> Broker:
        if self._broker is None:
            msg = "an order was sent before the simulated broker was connected"
            raise InvariantError(msg)
        return self._broker

    def _ref_of(self, order: Order) -> str:
        match order:
            case Bracket():
                return order.order_ref
            case Amend():
                letter = "a"
            case Flatten():
                letter = "c"
            case Protect():
                letter = "p"
            case Cancel():
                letter = "x"
        return f"{order.order_ref}.{letter}{self._counts.get(letter, 0) + 1}"

    def _begin(self, order_ref: str, order: Order) -> None:
        if isinstance(order, Bracket):
            self._counts.clear()
            self._open.clear()
        else:
            letter = order_ref[len(order.order_ref) + 1]
            self._counts[letter] = self._counts.get(letter, 0) + 1
        self._open[order_ref] = order

    def _end(self, order_ref: str, state: IntentState, why: str | None) -> None:
        if self._open.pop(order_ref, None) is not None:
            self._note_move(order_ref, state, why)

    def _note_oblivion(self) -> None:
        """With the first entry of a day, so while nothing is open: what ended long ago is dropped."""
        before_ns, self._entered_ns = self._entered_ns, self._now_ns
        if before_ns // DAY_NS != self._now_ns // DAY_NS:
            self._notes.append(partial(_forgotten, self._now_ns - KEPT_NS))

    def _note_move(self, order_ref: str, state: IntentState, why: str | None = None) -> None:
        self._notes.append(partial(_moved, order_ref, state, self._now_ns, why))

    def _note_exit(self, fill: Fill, reason: ExitReason) -> None:
        """The position has ended, by one of its orders; those that did not end it are at work no more."""
        leg = Leg.STOP if reason in _STOPS else Leg.TARGET if reason is ExitReason.TARGET else Leg.CLOSE
        by = fill.order_ref
        for order_ref, order in tuple(self._open.items()):
            match order:
                case Flatten() if leg is Leg.CLOSE and order.reason is reason:
                    by = order_ref
                    self._end(order_ref, IntentState.FILLED, None)
                case Protect() if leg is Leg.STOP:
                    by = order_ref
                    self._end(order_ref, IntentState.FILLED, None)
                case Flatten() | Protect():
                    self._end(order_ref, IntentState.CANCELLED, reason.value)
                case Bracket() | Amend() | Cancel():
                    pass
        self._note_execution(fill, by, leg)

    def _note_execution(self, fill: Fill, order_ref: str, leg: Leg) -> None:
        execution = Execution(
            exec_id=f"{fill.order_ref}#{fill.nth}",
            order_ref=order_ref,
            leg=leg,
            perm_id=None,
            side=fill.side,
            qty=fill.qty,
            price_ticks=fill.price_ticks,
            commission_cents=fill.commission_cents,
            ts_ns=fill.ts_ns,
        )
        self._notes.append(partial(_executed, execution))


class Simulated(Struct, frozen=True, kw_only=True):
    """The broker inside this process, and the ledger to which the router is connected in its place."""

    broker: PaperBroker
    ledger: PaperLedger


def simulated(market: Instrument, terms: Terms, listener: OrderListener, faults: Faults = NO_FAULTS) -> Simulated:
    """A simulated broker behind a ledger, for a run whose state is kept."""
    ledger = PaperLedger(listener)
    broker = PaperBroker(market, terms, ledger, faults)
    ledger.connect(broker)
    return Simulated(broker=broker, ledger=ledger)


def _intended(order_ref: str, order: Order, ts_ns: int, state: StateDb) -> None:
    state.intend(order_ref, order.order_ref, order, ts_ns)


def _moved(order_ref: str, to: IntentState, ts_ns: int, why: str | None, state: StateDb) -> None:
    state.moved(order_ref, to, ts_ns, why)


def _forgotten(before_ns: int, state: StateDb) -> None:
    state.forget_ended(before_ns)


def _executed(execution: Execution, state: StateDb) -> None:
    state.executed(execution)
