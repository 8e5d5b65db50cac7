"""The simulated broker: fills orders from bars by `kernels.matching`, pessimistic inside a bar, costs always on."""

from collections.abc import Mapping

from msgspec import Struct

from trader.domain.actions import Side
from trader.domain.bars import Bar
from trader.domain.instruments import Instrument
from trader.domain.orders import Amend, AmendCause, Bracket, Cancel, ExitReason, Fill, Flatten, Order, Protect, Unfilled
from trader.errors import InvariantError
from trader.kernels import book as k
from trader.kernels import matching
from trader.ports import OrderListener

STOP_REASONS = {
    AmendCause.ANCHOR: ExitReason.STOP,
    AmendCause.BREAK_EVEN: ExitReason.BREAK_EVEN,
    AmendCause.TRAIL: ExitReason.TRAIL,
}


class Faults(Struct, frozen=True, kw_only=True):
    """Trouble to inject, by the number of the entry (1 = the run's first): rejected, or filled in portions.

    A portion is filled at each following bar's open; what is left over is cancelled when the position ends.
    """

    rejected_entries: frozenset[int] = frozenset()
    entry_portions: Mapping[int, tuple[int, ...]] = {}


NO_FAULTS = Faults()


class PaperState(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that the simulation holds: entry and close on their way, the bracket at work, the last bar.

    `portions` are what is still to come of the entry, `fills_of_ref` counts the fills of `order_ref`.
    """

    entries_seen: int
    entry: Bracket | None
    portions: tuple[int, ...]
    position_qty: int
    order_ref: str
    stop_ticks: int
    target_ticks: int
    stop_reason: ExitReason
    closing: Flatten | None
    fills_of_ref: int
    last: Bar | None


class PaperBroker:
    """One position, one bracket. Accepts inside `submit`; executes inside `on_bar`, `on_session_end`, `on_roll`."""

    def __init__(
        self, instrument: Instrument, terms: k.Terms, listener: OrderListener, faults: Faults = NO_FAULTS
    ) -> None:
        self._ticks_per_point = instrument.ticks_per_point
        self._slippage = int(terms[k.SLIPPAGE])
        self._forced_slippage = int(terms[k.FORCED_SLIPPAGE])
        self._through = int(terms[k.TARGET_THROUGH])
        self._commission_cents = int(terms[k.COMMISSION])
        self._listener = listener
        self._faults = faults
        self._entries_seen = 0
        self._entry: Bracket | None = None
        self._portions: list[int] = []
        self._qty = 0
        self._ref = ""
        self._stop = 0
        self._target = 0
        self._stop_reason = ExitReason.STOP
        self._close: Flatten | None = None
        self._fills_of_ref = 0
        self._last: Bar | None = None

    def submit(self, order: Order) -> None:
        """Accept an order; it acts from the next bar on."""
        match order:
            case Bracket():
                self._accept_entry(order)
            case Amend():
                self._stop = order.stop_ticks
                self._target = order.target_ticks
                self._stop_reason = STOP_REASONS[order.cause]
            case Flatten():
                self._close = order if self._qty else None
            case Protect():
                self._stop = order.stop_ticks
                self._stop_reason = ExitReason.STOP
            case Cancel():
                self._cancel_entry()

    def on_bar(self, bar: Bar) -> None:
        """Match what rests against one bar: market orders at its open, then stop and target over its range."""
        if self._entry is not None or self._qty:
            scale = self._ticks_per_point
            open_ = round(bar.open * scale)
            if self._close is not None:
                self._exit_at_market(open_, self._slippage, self._close.reason, bar.ts_open_ns)
            elif self._entry is not None:
                self._fill_entry(self._entry, open_, bar.ts_open_ns)
            if self._qty:
                self._match_range(bar, open_, round(bar.high * scale), round(bar.low * scale))
        self._last = bar

    def on_session_end(self) -> None:
        """The market closed on an open position: booked at its last price, with twice the slippage."""
        self._close_at_last(self._forced_slippage, ExitReason.FORCED_CLOSE)

    def on_roll(self) -> None:
        """The next bar is of another contract: close at the old one's last price."""
        self._close_at_last(self._slippage, ExitReason.ROLL)

    def state(self) -> PaperState:
        """What a restart needs."""
        return PaperState(
            entries_seen=self._entries_seen,
            entry=self._entry,
            portions=tuple(self._portions),
            position_qty=self._qty,
            order_ref=self._ref,
            stop_ticks=self._stop,
            target_ticks=self._target,
            stop_reason=self._stop_reason,
            closing=self._close,
            fills_of_ref=self._fills_of_ref,
            last=self._last,
        )

    def restore(self, state: PaperState) -> None:
        """Go on as the broker that had this state; costs and faults are those of now."""
        self._entries_seen = state.entries_seen
        self._entry = state.entry
        self._portions = list(state.portions)
        self._qty = state.position_qty
        self._ref = state.order_ref
        self._stop = state.stop_ticks
        self._target = state.target_ticks
        self._stop_reason = state.stop_reason
        self._close = state.closing
        self._fills_of_ref = state.fills_of_ref
        self._last = state.last

    def _close_at_last(self, slippage: int, reason: ExitReason) -> None:
        self._cancel_entry()
        last = self._last
        if self._qty and last is not None:
            self._exit_at_market(round(last.close * self._ticks_per_point), slippage, reason, last.ts_close_ns)

    def _accept_entry(self, order: Bracket) -> None:
        if self._entry is not None or self._qty:
            msg = f"entry {order.order_ref} arrived while an entry or a position is open"
            raise InvariantError(msg)
        self._entries_seen += 1
        if self._entries_seen in self._faults.rejected_entries:
            self._listener.on_unfilled(order.order_ref, Unfilled.REJECTED)
            return
        self._entry = order
        self._portions = list(self._faults.entry_portions.get(self._entries_seen, (order.qty,)))
        self._ref = order.order_ref
        self._fills_of_ref = 0
        self._stop = order.stop_ticks
        self._target = order.target_ticks
        self._stop_reason = ExitReason.STOP

    def _cancel_entry(self) -> None:
        if self._entry is not None:
            ref = self._entry.order_ref
            self._entry = None
            self._listener.on_unfilled(ref, Unfilled.CANCELLED)

    def _fill_entry(self, order: Bracket, open_: int, ts_ns: int) -> None:
        qty = self._portions.pop(0)
        remaining = sum(self._portions)
        if not remaining:
            self._entry = None
        price = matching.market_price(int(order.side), open_, self._slippage)
        beyond = matching.is_beyond(int(order.side), price, self._stop, self._target)
        self._qty += int(order.side) * qty
        fill = Fill(
            order_ref=self._ref,
            nth=self._next_nth(),
            side=order.side,
            qty=qty,
            remaining_qty=remaining,
            price_ticks=price,
            commission_cents=self._commission_cents * qty,
            ts_ns=ts_ns,
        )
        self._listener.on_fill(fill)
        if beyond:
            self._exit_at_market(open_, self._slippage, ExitReason.ENTRY_BEYOND_STOP, ts_ns)

    def _match_range(self, bar: Bar, open_: int, high: int, low: int) -> None:
        side = 1 if self._qty > 0 else -1
        outcome, price, optimistic = matching.exit_in_bar(
            side, open_, high, low, self._stop, self._target, self._slippage, self._through
        )
        if outcome == matching.NO_EXIT:
            return
        reason = ExitReason.TARGET if outcome == matching.TARGET else self._stop_reason
        is_gap = outcome != matching.AMBIGUOUS and matching.opens_beyond(
            side, open_, self._stop, self._target, self._through
        )
        ts_ns = bar.ts_open_ns if is_gap else bar.ts_close_ns
        self._exit(price, reason, ts_ns, optimistic if outcome == matching.AMBIGUOUS else None)

    def _exit_at_market(self, open_: int, slippage: int, reason: ExitReason, ts_ns: int) -> None:
        side = -1 if self._qty > 0 else 1
        self._exit(matching.market_price(side, open_, slippage), reason, ts_ns, None)

    def _exit(self, price: int, reason: ExitReason, ts_ns: int, optimistic: int | None) -> None:
        fill = Fill(
            order_ref=self._ref,
            nth=self._next_nth(),
            side=Side.SELL if self._qty > 0 else Side.BUY,
            qty=abs(self._qty),
            remaining_qty=0,
            price_ticks=price,
            commission_cents=self._commission_cents * abs(self._qty),
            ts_ns=ts_ns,
            reason=reason,
            optimistic_ticks=optimistic,
        )
        self._qty = 0
        self._close = None
        self._listener.on_fill(fill)
        self._cancel_entry()

    def _next_nth(self) -> int:
        self._fills_of_ref += 1
        return self._fills_of_ref
