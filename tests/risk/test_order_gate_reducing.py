"""The last gate before what reduces risk: known by its effect, it passes whatever else is wrong."""

import pytest
from gate_builders import (
    FLAT,
    LAST,
    NOW_NS,
    S,
    a_bracket,
    a_fill,
    a_flatten,
    a_gate,
    a_gate_in_position,
    a_position,
    an_amend,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from trader.domain.actions import Side
from trader.domain.orders import Amend, AmendCause, Bracket, Cancel, ExitReason, Flatten, Order, Protect
from trader.risk.gate import LastPrice, Refusal
from trader.risk.margin import MarginRule


@pytest.mark.parametrize(("stop_ticks", "refusal"), [(47_941, None), (48_010, None), (47_939, Refusal.LOOSENS_STOP)])
def test_check_of_an_amended_stop_lets_it_tighten_only(stop_ticks: int, refusal: Refusal | None) -> None:
    """The gate knows the stop that it let through (47,940), whatever the account says."""
    account = a_position(stop_ticks=1)
    assert a_gate_in_position().check(an_amend(stop_ticks), account, LAST, NOW_NS) is refusal


def test_check_of_an_amended_short_stop_is_the_mirror() -> None:
    """Down is tighter for a short."""
    gate = a_gate()
    gate.check(a_bracket(side=Side.SELL), FLAT, LAST, NOW_NS)
    gate.on_fill(a_fill())
    short = a_position(-1, stop_ticks=48_060)
    assert gate.check(an_amend(48_061), short, LAST, NOW_NS) is Refusal.LOOSENS_STOP
    assert gate.check(an_amend(48_000), short, LAST, NOW_NS) is None
    assert gate.check(an_amend(48_001), short, LAST, NOW_NS) is Refusal.LOOSENS_STOP


def test_check_of_an_amended_stop_when_flat_is_refused() -> None:
    """There is nothing to protect."""
    assert a_gate_in_position().check(an_amend(48_000), FLAT, LAST, NOW_NS) is Refusal.NO_POSITION


def test_check_of_the_anchoring_amend_may_loosen_once_to_the_distance_from_the_fill() -> None:
    """Filled at 47,990: the stop goes from 47,940 to 47,930, and no other way."""
    gate = a_gate_in_position()
    account = a_position(entry_ticks=47_990)
    anchor = AmendCause.ANCHOR
    assert gate.check(an_amend(47_929, anchor), account, LAST, NOW_NS) is Refusal.LOOSENS_STOP
    assert gate.check(an_amend(47_930, AmendCause.TRAIL), account, LAST, NOW_NS) is Refusal.LOOSENS_STOP
    assert gate.check(an_amend(47_930, anchor), account, LAST, NOW_NS) is None
    assert gate.check(an_amend(47_950), account, LAST, NOW_NS) is None
    assert gate.check(an_amend(47_930, anchor), account, LAST, NOW_NS) is Refusal.LOOSENS_STOP


def test_check_of_an_amend_after_a_restart_compares_with_the_account() -> None:
    """A gate that has let nothing through yet believes the adopted position's stop."""
    gate = a_gate()
    assert gate.check(an_amend(47_940), a_position(), LAST, NOW_NS) is Refusal.LOOSENS_STOP
    assert gate.check(an_amend(47_942), a_position(), LAST, NOW_NS) is None


@pytest.mark.parametrize(
    ("position", "flatten", "refusal"),
    [
        (1, a_flatten(), None),
        (3, a_flatten(qty=2), None),
        (-2, a_flatten(qty=2, side=Side.BUY), None),
        (1, a_flatten(qty=2), Refusal.NOT_REDUCING),
        (1, a_flatten(side=Side.BUY), Refusal.NOT_REDUCING),
        (-1, a_flatten(side=Side.SELL), Refusal.NOT_REDUCING),
        (1, a_flatten(qty=0), Refusal.NOT_REDUCING),
        (1, a_flatten(qty=-1), Refusal.NOT_REDUCING),
        (0, a_flatten(), Refusal.NO_POSITION),
    ],
)
def test_check_of_a_close_is_known_by_its_effect(position: int, flatten: Flatten, refusal: Refusal | None) -> None:
    """Smaller on the same side, or zero."""
    assert a_gate().check(flatten, a_position(position), LAST, NOW_NS) is refusal


def test_check_of_a_second_close_of_the_same_contracts_is_refused() -> None:
    """Until the first one has ended without a fill."""
    gate = a_gate_in_position()
    account = a_position()
    assert gate.check(a_flatten(), account, LAST, NOW_NS) is None
    assert gate.check(a_flatten(), account, LAST, NOW_NS) is Refusal.SECOND_CLOSE
    gate.close_ended()
    assert gate.check(a_flatten(), account, LAST, NOW_NS) is None


def test_check_of_a_second_close_counts_contracts() -> None:
    """Two of three are being closed: one more may be, two may not; a partial fill does not change that."""
    gate = a_gate_in_position(3)
    assert gate.check(a_flatten(qty=2), a_position(3), LAST, NOW_NS) is None
    assert gate.check(a_flatten(qty=2), a_position(3), LAST, NOW_NS) is Refusal.SECOND_CLOSE
    gate.on_fill(a_fill(qty=1, remaining_qty=1, reason=ExitReason.FLAT_AT))
    assert gate.check(a_flatten(qty=2), a_position(2), LAST, NOW_NS) is Refusal.SECOND_CLOSE
    assert gate.check(a_flatten(qty=1), a_position(2), LAST, NOW_NS) is None


def test_check_of_a_close_in_the_next_trade_is_not_a_second_one() -> None:
    """What was being closed belongs to the trade that ended, by whichever order."""
    gate = a_gate_in_position()
    gate.check(a_flatten(), a_position(), LAST, NOW_NS)
    gate.on_fill(a_fill(reason=ExitReason.STOP))
    gate.check(a_bracket("b"), FLAT, LAST, NOW_NS)
    gate.on_fill(a_fill("b"))
    assert gate.check(a_flatten(), a_position(), LAST, NOW_NS) is None


def test_check_of_risk_reducing_orders_passes_under_every_limit() -> None:
    """No price for an hour, the rate used up, the last price far away, the day lost, too many trades, no margin."""
    gate = a_gate_in_position()
    for _ in range(50):
        gate.check(an_amend(47_950), a_position(), LAST, NOW_NS)
    ruined = a_gate(margin=MarginRule.OVERNIGHT)
    ruined.restore(gate.state())
    account = replace(a_position(), trades_in_session=99, equity_cents=0)
    late_ns = NOW_NS + 3_600 * S
    nowhere = LastPrice(1, NOW_NS)
    protect = Protect(order_ref="a", side=Side.SELL, qty=1, stop_ticks=47_900)
    assert ruined.check(an_amend(47_960), account, nowhere, late_ns) is None
    assert ruined.check(protect, account, nowhere, late_ns) is None
    assert ruined.check(a_flatten(), account, nowhere, late_ns) is None


@pytest.mark.parametrize(
    ("position", "side", "qty", "refusal"),
    [
        (0, Side.SELL, 1, Refusal.NO_POSITION),
        (1, Side.BUY, 1, Refusal.NOT_REDUCING),
        (1, Side.SELL, 2, Refusal.NOT_REDUCING),
        (1, Side.SELL, 0, Refusal.NOT_REDUCING),
        (-2, Side.BUY, 2, None),
    ],
)
def test_check_of_a_protecting_stop_is_known_by_its_effect(
    position: int, side: Side, qty: int, refusal: Refusal | None
) -> None:
    """It can only make what is there smaller."""
    protect = Protect(order_ref="a", side=side, qty=qty, stop_ticks=47_900)
    account = a_position(position) if position else FLAT
    assert a_gate().check(protect, account, LAST, NOW_NS) is refusal


def test_check_of_a_cancel_passes_while_an_entry_is_on_its_way() -> None:
    """Taking an entry back reduces risk; without one it means nothing."""
    gate = a_gate(max_order_qty=2, max_position_qty=2)
    cancel = Cancel(order_ref="a")
    assert gate.check(cancel, FLAT, LAST, NOW_NS) is Refusal.NOTHING_WORKING
    gate.check(a_bracket(qty=2), FLAT, LAST, NOW_NS)
    assert gate.check(cancel, FLAT, LAST, NOW_NS) is None
    gate.on_fill(a_fill(remaining_qty=1))
    assert gate.check(cancel, a_position(), LAST, NOW_NS) is None
    gate.entry_ended()
    assert gate.check(cancel, a_position(), LAST, NOW_NS) is Refusal.NOTHING_WORKING


ORDERS: st.SearchStrategy[Order] = st.one_of(
    st.builds(
        a_bracket, ref=st.text("abcdef", min_size=1, max_size=3), side=st.sampled_from(Side), qty=st.integers(-1, 3)
    ),
    st.builds(a_flatten, qty=st.integers(-1, 3), side=st.sampled_from(Side)),
    st.builds(an_amend, stop_ticks=st.integers(47_900, 48_100)),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(ORDERS, st.booleans()), max_size=60))
def test_check_of_any_orders_keeps_the_position_within_its_limit(steps: list[tuple[Order, bool]]) -> None:
    """Whatever is sent and whenever it is filled: never above one contract, never through zero, stops never loosen."""
    gate = a_gate()
    position, stop_ticks = 0, 0
    working: Bracket | None = None
    closing: Flatten | None = None
    for order, is_filled in steps:
        account = a_position(position, 48_000, stop_ticks) if position else FLAT
        if gate.check(order, account, LAST, NOW_NS) is None:
            match order:
                case Bracket():
                    assert (position, working) == (0, None)
                    working, stop_ticks = order, order.stop_ticks
                case Flatten():
                    assert closing is None
                    closing = order
                case Amend():
                    assert position * order.stop_ticks >= position * stop_ticks
                    stop_ticks = order.stop_ticks
                case Cancel():
                    pytest.fail("none was sent")
        if is_filled and working is not None:
            position += working.side * working.qty
            gate.on_fill(a_fill(working.order_ref))
            working = None
        elif is_filled and closing is not None:
            position += closing.side * closing.qty
            gate.on_fill(a_fill(reason=ExitReason.FLAT_AT))
            closing = None
        assert abs(position) <= 1
