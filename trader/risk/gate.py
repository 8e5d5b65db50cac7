"""The last gate before the broker: checks each order again, on what it has itself let through and seen filled.

No clock: the time of the check is an argument. It believes the account for position, entry price and the session's
trades and loss, and the broker for its margin.
"""

from collections import deque
from enum import StrEnum

from msgspec import Struct

from trader.domain.account import AccountView
from trader.domain.orders import Amend, AmendCause, Bracket, Cancel, Fill, Flatten, Order, Protect
from trader.domain.units import SECOND_NS
from trader.errors import InvariantError
from trader.risk.limits import OrderLimits
from trader.risk.margin import UNKNOWN, MarginFigures, is_carried

RATE_WINDOW_NS = 60 * SECOND_NS
REMEMBERED_REFS = 1_000


class Refusal(StrEnum):
    """Why an order does not leave."""

    SIZE = "size"
    POSITION = "position"
    MALFORMED = "malformed"
    STALE_PRICE = "stale_price"
    COLLAR = "collar"
    RATE = "rate"
    TRADES = "trades"
    DAY_LOSS = "day_loss"
    MARGIN = "margin"
    DUPLICATE = "duplicate"
    NOT_REDUCING = "not_reducing"
    SECOND_CLOSE = "second_close"
    NO_POSITION = "no_position"
    LOOSENS_STOP = "loosens_stop"
    NOTHING_WORKING = "nothing_working"


class LastPrice(Struct, frozen=True, gc=False):
    """The last price seen, in ticks, and its time."""

    ticks: int
    ts_ns: int


class GateState(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What survives a restart: the decisions let through (oldest first), when orders left, and what is under way."""

    refs: tuple[str, ...]
    sent_ns: tuple[int, ...]
    bracket: Bracket | None
    entering_qty: int
    closing_qty: int
    stop_ticks: int | None
    may_anchor: bool


class OrderGate:
    """Entries pass only within every limit. An order that reduces risk by its effect passes all of them."""

    def __init__(self, limits: OrderLimits) -> None:
        self._limits = limits
        self._refs: deque[str] = deque(maxlen=REMEMBERED_REFS)
        self._sent_ns: deque[int] = deque(maxlen=limits.orders_per_minute)
        self._bracket: Bracket | None = None
        self._entering_qty = 0
        self._closing_qty = 0
        self._stop_ticks: int | None = None
        self._may_anchor = False
        self._figures = UNKNOWN

    def fund(self, figures: MarginFigures) -> None:
        """What the broker says of the account's margin, from now on."""
        self._figures = figures

    def check(self, order: Order, account: AccountView, last: LastPrice, now_ns: int) -> Refusal | None:
        """None lets the order leave, and takes note of it; otherwise the first reason against it."""
        match order:
            case Bracket():
                refusal = self._against_entry(order, account, last, now_ns)
            case Amend():
                refusal = self._against_amend(order, account)
            case Flatten():
                refusal = self._against_flatten(order, account)
            case Cancel():
                refusal = None if self._entering_qty else Refusal.NOTHING_WORKING
            case Protect():
                refusal = self._against_protection(order, account)
        if refusal is None:
            self._note(order, now_ns)
        return refusal

    def on_fill(self, fill: Fill) -> None:
        """An execution: what it filled is under way no more."""
        if fill.reason is not None:
            self._closing_qty = max(self._closing_qty - fill.qty, 0)
        elif self._entering_qty and self._bracket is not None and self._bracket.order_ref == fill.order_ref:
            self._entering_qty = fill.remaining_qty

    def entry_ended(self) -> None:
        """The entry, or what was left of it, will not be filled."""
        self._entering_qty = 0

    def close_ended(self) -> None:
        """No close is under way any more: it was refused, or its position is gone."""
        self._closing_qty = 0

    def expect(self, bracket: Bracket, now_ns: int) -> None:
        """This bracket has left before a restart."""
        if bracket.order_ref not in self._refs:
            self._note(bracket, now_ns)

    def adopt(self, order_ref: str) -> None:
        """A position is known by this reference; the stop behind it is the account's."""
        if order_ref not in self._refs:
            self._refs.append(order_ref)
        self._stop_ticks = None

    def demand_known(self, order_ref: str) -> None:
        """InvariantError for a reference under which nothing was let through, and nothing adopted."""
        if order_ref not in self._refs:
            msg = f"a report came of {order_ref!r}, which nobody has sent"
            raise InvariantError(msg)

    def state(self) -> GateState:
        """What a restart needs."""
        return GateState(
            refs=tuple(self._refs),
            sent_ns=tuple(self._sent_ns),
            bracket=self._bracket,
            entering_qty=self._entering_qty,
            closing_qty=self._closing_qty,
            stop_ticks=self._stop_ticks,
            may_anchor=self._may_anchor,
        )

    def restore(self, state: GateState) -> None:
        """Go on as the gate that had this state; the limits are those of now."""
        self._refs = deque(state.refs, maxlen=REMEMBERED_REFS)
        self._sent_ns = deque(state.sent_ns, maxlen=self._limits.orders_per_minute)
        self._bracket = state.bracket
        self._entering_qty = state.entering_qty
        self._closing_qty = state.closing_qty
        self._stop_ticks = state.stop_ticks
        self._may_anchor = state.may_anchor

    def _against_entry(self, order: Bracket, account: AccountView, last: LastPrice, now_ns: int) -> Refusal | None:
        limits = self._limits
        if not 0 < order.qty <= limits.max_order_qty:
            return Refusal.SIZE
        if account.position_qty or self._entering_qty or order.qty > limits.max_position_qty:
            return Refusal.POSITION
        anchor_ticks = _anchor(order)
        if anchor_ticks is None:
            return Refusal.MALFORMED
        if order.order_ref in self._refs:
            return Refusal.DUPLICATE
        return self._against_account(order.qty, account) or self._against_moment(anchor_ticks, last, now_ns)

    def _against_account(self, qty: int, account: AccountView) -> Refusal | None:
        limits = self._limits
        if limits.max_trades_per_session is not None and account.trades_in_session >= limits.max_trades_per_session:
            return Refusal.TRADES
        lost_cents = account.session_open_cents - account.equity_cents
        if limits.daily_limit_cents is not None and lost_cents >= limits.daily_limit_cents:
            return Refusal.DAY_LOSS
        if not is_carried(limits.margin, self._figures, qty, limits.initial_margin_share):
            return Refusal.MARGIN
        return None

    def _against_moment(self, anchor_ticks: int, last: LastPrice, now_ns: int) -> Refusal | None:
        limits = self._limits
        if not 0 <= now_ns - last.ts_ns <= limits.price_age_s * SECOND_NS:
            return Refusal.STALE_PRICE
        if abs(anchor_ticks - last.ticks) > limits.collar_share * last.ticks:
            return Refusal.COLLAR
        if len(self._sent_ns) == limits.orders_per_minute and now_ns - self._sent_ns[0] < RATE_WINDOW_NS:
            return Refusal.RATE
        return None

    def _against_amend(self, order: Amend, account: AccountView) -> Refusal | None:
        position = account.position_qty
        if position == 0:
            return Refusal.NO_POSITION
        side = 1 if position > 0 else -1
        resting_ticks = account.stop_ticks if self._stop_ticks is None else self._stop_ticks
        tightens = side * order.stop_ticks >= side * resting_ticks
        return None if tightens or self._is_anchoring(order, account, side) else Refusal.LOOSENS_STOP

    def _is_anchoring(self, order: Amend, account: AccountView, side: int) -> bool:
        bracket = self._bracket
        if order.cause is not AmendCause.ANCHOR or bracket is None or not self._may_anchor:
            return False
        return order.stop_ticks == account.entry_ticks - side * bracket.stop_distance_ticks

    def _against_flatten(self, order: Flatten, account: AccountView) -> Refusal | None:
        position = account.position_qty
        if position == 0:
            return Refusal.NO_POSITION
        if order.qty <= 0 or (order.side > 0) == (position > 0):
            return Refusal.NOT_REDUCING
        if order.qty <= abs(position) - self._closing_qty:
            return None
        return Refusal.SECOND_CLOSE if self._closing_qty else Refusal.NOT_REDUCING

    @staticmethod
    def _against_protection(order: Protect, account: AccountView) -> Refusal | None:
        position = account.position_qty
        if position == 0:
            return Refusal.NO_POSITION
        reduces = (order.side > 0) != (position > 0) and 0 < order.qty <= abs(position)
        return None if reduces else Refusal.NOT_REDUCING

    def _note(self, order: Order, now_ns: int) -> None:
        self._sent_ns.append(now_ns)
        match order:
            case Bracket():
                self._refs.append(order.order_ref)
                self._bracket = order
                self._entering_qty = order.qty
                self._stop_ticks = order.stop_ticks
                self._may_anchor = True
            case Amend():
                self._stop_ticks = order.stop_ticks
                self._may_anchor &= order.cause is not AmendCause.ANCHOR
            case Flatten():
                self._closing_qty += order.qty
            case Protect():
                self._stop_ticks = order.stop_ticks
            case Cancel():
                pass


def _anchor(order: Bracket) -> int | None:
    """The price that stop and target were laid around; None where they are not on their sides of one price."""
    if order.stop_distance_ticks <= 0 or order.target_distance_ticks <= 0:
        return None
    entry_ticks = order.stop_ticks + order.side * order.stop_distance_ticks
    return entry_ticks if order.target_ticks == entry_ticks + order.side * order.target_distance_ticks else None
