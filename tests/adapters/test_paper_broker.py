"""The simulated broker alone: orders in, bars past it, fills and refusals out."""

import msgspec
import pytest
from builders import some_terms
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from trader.adapters.paper_broker import STOP_REASONS, Faults, PaperBroker, PaperState
from trader.domain.actions import Side
from trader.domain.bars import Bar
from trader.domain.instruments import INSTRUMENTS
from trader.domain.orders import Amend, AmendCause, Bracket, Cancel, ExitReason, Fill, Flatten, Unfilled
from trader.errors import InvariantError

NQ = INSTRUMENTS["NQ"]
MINUTE_NS = 60_000_000_000
TERMS = some_terms().as_row(NQ)


class Listener:
    """Keeps what it is told, in order."""

    def __init__(self) -> None:
        self.told: list[Fill | tuple[str, Unfilled]] = []

    def on_fill(self, fill: Fill) -> None:
        self.told.append(fill)

    def on_unfilled(self, order_ref: str, outcome: Unfilled) -> None:
        self.told.append((order_ref, outcome))

    @property
    def fills(self) -> list[Fill]:
        return [told for told in self.told if isinstance(told, Fill)]


class Desk(Struct):
    """A broker with its listener and a clock."""

    broker: PaperBroker
    listener: Listener
    minute: int = 0

    def bar(self, open_: int, high: int, low: int, close: int) -> list[Fill]:
        """One bar in ticks; the fills that it brought."""
        before = len(self.listener.fills)
        start_ns = self.minute * MINUTE_NS
        prices = (open_ / 4, high / 4, low / 4, close / 4)
        self.broker.on_bar(Bar(start_ns, start_ns + MINUTE_NS, "NQH23", *prices, 100))
        self.minute += 1
        return self.listener.fills[before:]

    def quiet(self, level: int = 1_000) -> list[Fill]:
        """A bar that reaches nothing."""
        return self.bar(level, level + 1, level - 1, level)


def a_desk(faults: Faults | None = None) -> Desk:
    """A flat broker."""
    listener = Listener()
    return Desk(PaperBroker(NQ, TERMS, listener, faults or Faults()), listener)


def a_bracket(side: Side = Side.BUY, qty: int = 1, ref: str = "r1") -> Bracket:
    """An entry around 1,000 ticks with its stop 30 and its target 90 away."""
    return Bracket(
        order_ref=ref,
        side=side,
        qty=qty,
        stop_distance_ticks=30,
        target_distance_ticks=90,
        stop_ticks=1_000 - side * 30,
        target_ticks=1_000 + side * 90,
    )


def a_long() -> Desk:
    """Bought at 1,001, stop 970, target 1,090: nobody has anchored it."""
    desk = a_desk()
    desk.broker.submit(a_bracket())
    desk.quiet()
    return desk


def test_submit_entry_fills_at_the_next_open_only() -> None:
    """Accepting fills nothing; the next bar's open does, slipped by a tick, with one side's commission."""
    desk = a_desk()
    desk.broker.submit(a_bracket())
    assert desk.listener.told == []

    assert desk.bar(1_005, 1_010, 1_000, 1_002) == [
        Fill(
            order_ref="r1",
            nth=1,
            side=Side.BUY,
            qty=1,
            remaining_qty=0,
            price_ticks=1_006,
            commission_cents=225,
            ts_ns=0,
        )
    ]
    assert desk.quiet() == []


def test_exit_is_the_next_fill_of_the_same_order() -> None:
    """Stop and target belong to the entry's reference; time is the bar's close, commission that of one side."""
    desk = a_long()

    assert desk.bar(1_000, 1_001, 970, 980) == [
        Fill(
            order_ref="r1",
            nth=2,
            side=Side.SELL,
            qty=1,
            remaining_qty=0,
            price_ticks=969,
            commission_cents=225,
            ts_ns=2 * MINUTE_NS,
            reason=ExitReason.STOP,
        )
    ]


@pytest.mark.parametrize(("opens", "reason"), [(960, ExitReason.STOP), (1_095, ExitReason.TARGET)])
def test_exit_through_a_gap_happened_at_the_open(opens: int, reason: ExitReason) -> None:
    """What is known at the open is stamped with it; inside a bar only the close is certain."""
    (fill,) = a_long().bar(opens, opens + 5, opens - 5, opens)

    assert (fill.reason, fill.ts_ns) == (reason, MINUTE_NS)


def test_next_entry_counts_its_fills_anew() -> None:
    """`nth` is counted by order."""
    desk = a_long()
    desk.bar(1_000, 1_001, 970, 1_000)
    desk.broker.submit(a_bracket(ref="r2"))

    assert [(fill.order_ref, fill.nth) for fill in desk.quiet()] == [("r2", 1)]


def test_ambiguous_bar_books_the_stop_and_states_the_target() -> None:
    """Both inside: pessimistic, with the optimistic price beside it."""
    (fill,) = a_long().bar(1_000, 1_091, 970, 1_000)

    assert (fill.reason, fill.price_ticks, fill.optimistic_ticks) == (ExitReason.STOP, 969, 1_090)


def test_amend_reasons_cover_every_cause() -> None:
    """Each way to move a stop names the exit that it leads to."""
    assert set(STOP_REASONS) == set(AmendCause)


@pytest.mark.parametrize(("cause", "reason"), STOP_REASONS.items())
def test_submit_amend_moves_the_resting_levels(cause: AmendCause, reason: ExitReason) -> None:
    """From the next bar on the new levels count, and the stop is called after who moved it."""
    desk = a_long()
    desk.broker.submit(Amend(order_ref="r1", cause=cause, stop_ticks=985, target_ticks=1_095))

    assert desk.bar(1_000, 1_095, 986, 1_000) == []
    (fill,) = desk.bar(1_000, 1_001, 985, 990)
    assert (fill.reason, fill.price_ticks) == (reason, 984)


def test_submit_new_entry_forgets_how_the_last_stop_was_moved() -> None:
    """A trail of the trade before does not name this one's stop."""
    desk = a_long()
    desk.broker.submit(Amend(order_ref="r1", cause=AmendCause.TRAIL, stop_ticks=995, target_ticks=1_095))
    desk.bar(1_000, 1_001, 995, 1_000)
    desk.broker.submit(a_bracket(ref="r2"))
    desk.quiet()

    assert [fill.reason for fill in desk.bar(1_000, 1_001, 970, 980)] == [ExitReason.STOP]


def test_submit_flatten_fills_at_the_next_open_before_stop_and_target() -> None:
    """The market order is first in line; after it nothing rests."""
    desk = a_long()
    desk.broker.submit(Flatten(order_ref="r1", side=Side.SELL, qty=1, reason=ExitReason.FLAT_AT))

    (fill,) = desk.bar(1_020, 1_100, 900, 1_000)

    assert (fill.reason, fill.price_ticks, fill.ts_ns) == (ExitReason.FLAT_AT, 1_019, MINUTE_NS)
    assert desk.bar(1_000, 1_100, 900, 1_000) == []


def test_submit_flatten_without_a_position_opens_none() -> None:
    """A close that came too late is dropped, and does not wait for the next position."""
    desk = a_desk()
    desk.broker.submit(Flatten(order_ref="r1", side=Side.SELL, qty=1, reason=ExitReason.FLAT_AT))
    desk.broker.submit(a_bracket())

    assert [fill.reason for fill in (*desk.quiet(), *desk.quiet())] == [None]


def test_submit_cancel_takes_the_entry_back() -> None:
    """The listener hears of it once, and nothing is filled."""
    desk = a_desk()
    desk.broker.submit(a_bracket())
    desk.broker.submit(Cancel(order_ref="r1"))
    desk.broker.submit(Cancel(order_ref="r1"))

    assert desk.quiet() == []
    assert desk.listener.told == [("r1", Unfilled.CANCELLED)]


@pytest.mark.parametrize("is_filled", [False, True])
def test_submit_second_entry_is_an_error(is_filled: bool) -> None:
    """One position, one order: the router should never have sent it."""
    desk = a_desk()
    desk.broker.submit(a_bracket())
    if is_filled:
        desk.quiet()

    with pytest.raises(InvariantError, match="r2"):
        desk.broker.submit(a_bracket(ref="r2"))


@pytest.mark.parametrize("side", Side)
def test_fill_beyond_the_anchored_stop_closes_at_the_same_open(side: Side) -> None:
    """In at the slipped open, out at the slipped open."""
    desk = a_desk()
    desk.broker.submit(a_bracket(side))
    opened = 1_000 - side * 31

    entered, closed = desk.bar(opened, opened + 1, opened - 1, opened)

    assert (entered.price_ticks, closed.price_ticks) == (opened + side, opened - side)
    assert (closed.reason, closed.ts_ns) == (ExitReason.ENTRY_BEYOND_STOP, 0)


def test_on_session_end_closes_at_the_last_price_with_double_slippage() -> None:
    """The last bar's close and time, two ticks worse."""
    desk = a_long()
    desk.bar(1_000, 1_012, 999, 1_010)

    desk.broker.on_session_end()

    fill = desk.listener.fills[-1]
    assert (fill.reason, fill.price_ticks, fill.ts_ns) == (ExitReason.FORCED_CLOSE, 1_008, 2 * MINUTE_NS)


def test_on_session_end_overtakes_a_waiting_close() -> None:
    """A market order that found no bar is executed once, as what it became."""
    desk = a_long()
    desk.broker.submit(Flatten(order_ref="r1", side=Side.SELL, qty=1, reason=ExitReason.FLAT_AT))
    desk.broker.on_session_end()
    desk.broker.submit(a_bracket(ref="r2"))

    assert [(fill.order_ref, fill.reason) for fill in (*desk.quiet(), *desk.quiet())] == [("r2", None)]


def test_on_roll_closes_at_the_last_price_of_the_old_contract() -> None:
    """Usual slippage: the old contract still trades."""
    desk = a_long()
    desk.broker.on_roll()

    fill = desk.listener.fills[-1]
    assert (fill.reason, fill.price_ticks) == (ExitReason.ROLL, 999)


@pytest.mark.parametrize("event", ["on_session_end", "on_roll"])
def test_session_end_and_roll_cancel_a_waiting_entry(event: str) -> None:
    """Flat, with an entry on its way: it does not survive."""
    desk = a_desk()
    desk.broker.submit(a_bracket())
    getattr(desk.broker, event)()

    assert desk.listener.told == [("r1", Unfilled.CANCELLED)]
    assert desk.quiet() == []


@pytest.mark.parametrize("event", ["on_session_end", "on_roll"])
def test_session_end_and_roll_without_anything_are_silent(event: str) -> None:
    """Nothing is booked, nothing is told."""
    desk = a_desk()
    desk.quiet()
    getattr(desk.broker, event)()

    assert desk.listener.told == []


def test_faults_reject_the_entry_of_that_number() -> None:
    """The second entry of the run is refused inside `submit`; the third goes through."""
    desk = a_desk(Faults(rejected_entries=frozenset({2})))
    desk.broker.submit(a_bracket(ref="r1"))
    desk.broker.submit(Cancel(order_ref="r1"))
    desk.broker.submit(a_bracket(ref="r2"))
    desk.broker.submit(a_bracket(ref="r3"))

    assert desk.listener.told == [("r1", Unfilled.CANCELLED), ("r2", Unfilled.REJECTED)]
    assert [fill.order_ref for fill in desk.quiet()] == ["r3"]


def test_faults_fill_an_entry_in_portions_one_a_bar() -> None:
    """Each at its own open, each saying what is still to come, each with its own commission."""
    desk = a_desk(Faults(entry_portions={1: (1, 2)}))
    desk.broker.submit(a_bracket(qty=3))

    fills = [*desk.quiet(1_000), *desk.quiet(1_004), *desk.quiet()]

    assert [(fill.qty, fill.remaining_qty, fill.price_ticks, fill.nth) for fill in fills] == [
        (1, 2, 1_001, 1),
        (2, 0, 1_005, 2),
    ]
    assert [fill.commission_cents for fill in fills] == [225, 450]


def test_faults_stop_between_portions_cancels_the_rest() -> None:
    """The stop sells what was bought; the listener hears of the exit first, then of the rest."""
    desk = a_desk(Faults(entry_portions={1: (1, 2)}))
    desk.broker.submit(a_bracket(qty=3))

    fills = desk.bar(1_000, 1_001, 970, 980)

    assert [(fill.qty, fill.reason) for fill in fills] == [(1, None), (1, ExitReason.STOP)]
    assert desk.listener.told[-1] == ("r1", Unfilled.CANCELLED)
    assert desk.quiet() == []


LIVES = st.lists(st.tuples(st.integers(0, 7), st.integers(-40, 40)), max_size=30)


@settings(max_examples=60, deadline=None)
@given(LIVES)
def test_restart_before_any_bar_changes_nothing(life: list[tuple[int, int]]) -> None:
    """Orders on their way, portions, the bracket and its cause, the number of fills: all of it, through JSON."""
    faults = Faults(rejected_entries=frozenset({2}), entry_portions={1: (1, 1), 3: (2,)})
    whole, broken = a_desk(faults), a_desk(faults)
    for verb, level in life:
        for desk in (whole, broken):
            live_through(desk, verb, level)
        listener = broken.listener
        state = msgspec.json.decode(msgspec.json.encode(broken.broker.state()), type=PaperState)
        broken.broker = PaperBroker(NQ, TERMS, listener, faults)
        broken.broker.restore(state)
    assert broken.listener.told == whole.listener.told
    assert broken.broker.state() == whole.broker.state()


def live_through(desk: Desk, verb: int, level: int) -> None:
    """One order where it may be sent, then a bar around 1,000 ticks."""
    state, broker = desk.broker.state(), desk.broker
    ref = state.order_ref
    match verb:
        case 0 | 1 if not state.position_qty and state.entry is None:
            broker.submit(a_bracket((Side.BUY, Side.SELL)[verb], qty=2, ref=f"r{desk.minute}"))
        case 2 if state.position_qty:
            side = Side.SELL if state.position_qty > 0 else Side.BUY
            broker.submit(Flatten(order_ref=ref, side=side, qty=abs(state.position_qty), reason=ExitReason.OPERATOR))
        case 3 if state.position_qty:
            broker.submit(
                Amend(order_ref=ref, cause=AmendCause.TRAIL, stop_ticks=state.stop_ticks, target_ticks=1_000 + level)
            )
        case 4:
            broker.submit(Cancel(order_ref=ref))
        case 5:
            broker.on_session_end()
        case 6:
            broker.on_roll()
        case _:
            pass
    desk.bar(1_000, 1_000 + max(level, 0), 1_000 + min(level, 0), 1_000 + level)
