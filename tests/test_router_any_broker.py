"""Whatever a broker reports of orders that were sent, and whatever somebody else trades: the book is what is there."""

from collections.abc import Callable
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from router_floor import LIMITS, NOW_NS, NQ, Floor, SilentBroker

from trader.domain.actions import Action, Side
from trader.domain.orders import Bracket, ExitReason, Fill, Flatten, Order, Protect, Unfilled
from trader.router import RouterState

Step = Callable[["Market"], None]
QTY = st.integers(1, 3)
PRICE = st.integers(900, 1_100)
REF = st.integers(0, 9)


class Market(SilentBroker):
    """Sums up what was told, and looks at each order that arrives."""

    def __init__(self, *, restarts: bool = False) -> None:
        super().__init__()
        self.floor = Floor(
            replace(LIMITS, orders_per_minute=1_000, max_trades_per_session=None, daily_limit_cents=None)
        )
        self.floor.router.connect(self)
        self.refs: list[str] = []
        self.position = 0
        self.paid_cents = 0
        self._restarts = restarts
        self._entering: str | None = None
        self._closing: tuple[str, int] | None = None
        self._is_clean = True

    def submit(self, order: Order) -> None:
        """One close at a time, of no more than is open; stops on the right side of it."""
        self.orders.append(order)
        match order:
            case Bracket():
                self._entering = order.order_ref
                self.refs.append(order.order_ref)
            case Flatten():
                assert self._closing is None
                assert 0 < order.qty <= abs(self.position)
                assert order.side * self.position < 0
                self._closing = (order.order_ref, order.qty)
            case Protect():
                assert (order.qty, order.side * self.position < 0) == (abs(self.position), True)
            case _:
                pass

    def enter(self, side: Side, qty: int) -> None:
        """A decision, where the mask allows one."""
        floor = self.floor
        if floor.book.position_qty or floor.book.working:
            return
        floor.approve(Action.BUY if side is Side.BUY else Action.SELL, qty=qty, ref=f"D-{len(self.refs)}")
        self._is_clean = False

    def open(self, side: Side, qty: int) -> None:
        """A decision that is filled as it should be."""
        if not self.floor.book.position_qty and not self.floor.book.working:
            self.enter(side, qty)
            self.release()
            self.fill(-1, a_fill(side, qty, 1_000, None, 0))

    def flatten(self) -> None:
        """Somebody wants it closed; it leaves with the next release."""
        self.floor.router.flatten(ExitReason.OPERATOR)
        self._is_clean = False

    def release(self) -> None:
        """The record is written."""
        self.floor.router.release()
        self._is_clean = True

    def fill(self, ref: int, fill: Fill) -> None:
        """An execution of any order that was ever sent, whether it can be or not."""
        if not self.refs:
            return
        fill = replace(fill, order_ref=self.refs[ref % len(self.refs)])
        if fill.order_ref == self._entering and fill.reason is None and not fill.remaining_qty:
            self._entering = None
        if self._closing is not None and fill.reason is not None:
            own = fill.order_ref in {self._closing[0], self.floor.router.state().holding.order_ref}
            left = self._closing[1] - fill.qty * own
            self._closing = (self._closing[0], left) if left > 0 else None
        self._moved(fill.side * fill.qty, fill.price_ticks, fill.commission_cents)
        self.floor.router.on_fill(fill)

    def foreign(self, signed_qty: int, price: int) -> None:
        """A person at the same account."""
        self._moved(signed_qty, price, 0)
        self.floor.router.on_foreign(signed_qty, price, NOW_NS)

    def unfilled(self, ref: int, outcome: Unfilled, *, is_close: bool) -> None:
        """An end of anything that was ever sent, perhaps told twice."""
        if not self.refs:
            return
        order_ref = self.refs[ref % len(self.refs)]
        if order_ref == self._entering and not is_close:
            self._entering = None
        elif self._closing is not None and self.floor.router._holding.owns(order_ref):
            self._closing = None
        self.floor.router.on_unfilled(f"{order_ref}.c1" if is_close else order_ref, outcome)

    def fee(self, cents: int) -> None:
        """The broker took more, or less."""
        self.paid_cents += cents
        self.floor.router.on_fee("D-0", cents)

    def protect(self, stop: int) -> None:
        """The guard found no stop."""
        self.floor.router.protect(stop)

    def after(self) -> None:
        """What holds after every step."""
        floor = self.floor
        view, state = floor.book.view(), floor.router.state()
        assert view.position_qty == self.position
        assert bool(state.holding.order_ref) is bool(self.position)
        assert floor.router.closing or not self._closing
        if self.position:
            assert view.stop_ticks or view.working
        else:
            assert view.balance_cents == 5_000_000 - self.paid_cents
            assert view.realized_cents == -self.paid_cents
        if self._restarts and self._is_clean:
            floor.restart(msgspec.json.decode(msgspec.json.encode(state), type=RouterState), self)

    def _moved(self, signed_qty: int, price: int, commission_cents: int) -> None:
        before = self.position
        self.position += signed_qty
        self.paid_cents += signed_qty * price * NQ.tick_value_cents + commission_cents
        if before and before * self.position <= 0:
            self._closing = None  # what was to be closed is gone, whoever closed it


def a_fill(side: Side, qty: int, price: int, reason: ExitReason | None, remaining: int) -> Fill:
    """Of an order that the market names."""
    return Fill(
        order_ref="",
        nth=1,
        side=side,
        qty=qty,
        remaining_qty=remaining,
        price_ticks=price,
        commission_cents=225 * qty,
        ts_ns=NOW_NS,
        reason=reason,
    )


def call(name: str, *arguments: Any, **named: Any) -> Step:
    """A step by the name of the market's verb; it reads well where an example fails."""

    def step(market: Market) -> None:
        getattr(market, name)(*arguments, **named)

    step.__qualname__ = f"{name}{arguments}{named or ''}"
    return step


SIDE = st.sampled_from(Side)
REASON = st.none() | st.sampled_from([ExitReason.STOP, ExitReason.TARGET, ExitReason.OPERATOR, ExitReason.UNPROTECTED])
FILL = st.builds(a_fill, SIDE, QTY, PRICE, REASON, st.integers(0, 2))
STEPS = st.lists(
    st.one_of(
        st.builds(call, st.just("enter"), SIDE, QTY),
        st.builds(call, st.just("open"), SIDE, QTY),
        st.builds(call, st.just("release")),
        st.builds(call, st.just("flatten")),
        st.builds(call, st.just("fill"), REF, FILL),
        st.builds(call, st.just("fill"), REF, FILL),
        st.builds(call, st.just("unfilled"), REF, st.sampled_from(Unfilled), is_close=st.booleans()),
        st.builds(call, st.just("foreign"), st.integers(-3, 3).filter(bool), PRICE),
        st.builds(call, st.just("fee"), st.integers(-50, 50)),
        st.builds(call, st.just("protect"), PRICE),
    ),
    max_size=25,
)


@settings(max_examples=200, deadline=None)
@given(STEPS)
def test_book_is_what_was_executed_whatever_a_broker_does(steps: list[Step]) -> None:
    """Position and money to the cent, one close under way at most, nothing but HOLD without a stop, and no error."""
    market = Market()
    for step in steps:
        step(market)
        market.after()


@settings(max_examples=100, deadline=None)
@given(STEPS)
def test_restart_after_any_step_changes_nothing(steps: list[Step]) -> None:
    """The state, through JSON, is all that router, position and gate remember."""
    whole, broken = Market(), Market(restarts=True)
    for step in steps:
        for market in (whole, broken):
            step(market)
            market.after()
    assert broken.orders == whole.orders
    assert broken.floor.router.state() == whole.floor.router.state()
    assert broken.floor.book.view() == whole.floor.book.view()
