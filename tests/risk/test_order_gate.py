"""The last gate: each refusal at its boundary, and what passes whatever else is wrong."""

from typing import Any

import msgspec
import pytest
from builders import OPEN_NS, ORDER_LIMITS, an_account
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from trader.domain.account import AccountView
from trader.domain.actions import Side
from trader.domain.orders import Amend, AmendCause, Bracket, Cancel, ExitReason, Fill, Flatten, Order, Protect
from trader.errors import InvariantError
from trader.risk.gate import GateState, LastPrice, OrderGate, Refusal
from trader.risk.margin import MarginFigures, MarginPeriod, MarginRule

S = 1_000_000_000
NOW_NS = OPEN_NS
FLAT = an_account()
LAST = LastPrice(48_000, NOW_NS)


def a_bracket(ref: str = "a", side: Side = Side.BUY, anchor_ticks: int = 48_000, **changes: Any) -> Bracket:
    """A well-formed entry: 60 ticks to the stop, 180 to the target."""
    bracket = Bracket(
        order_ref=ref,
        side=side,
        qty=1,
        stop_distance_ticks=60,
        target_distance_ticks=180,
        stop_ticks=anchor_ticks - side * 60,
        target_ticks=anchor_ticks + side * 180,
    )
    return replace(bracket, **changes)


def an_amend(stop_ticks: int, cause: AmendCause = AmendCause.TRAIL) -> Amend:
    return Amend(order_ref="a", cause=cause, stop_ticks=stop_ticks, target_ticks=48_180)


def a_flatten(qty: int = 1, side: Side = Side.SELL) -> Flatten:
    return Flatten(order_ref="a", side=side, qty=qty, reason=ExitReason.FLAT_AT)


def a_fill(ref: str = "a", qty: int = 1, remaining_qty: int = 0, reason: ExitReason | None = None) -> Fill:
    return Fill(
        order_ref=ref,
        nth=1,
        side=Side.BUY if reason is None else Side.SELL,
        qty=qty,
        remaining_qty=remaining_qty,
        price_ticks=48_001,
        commission_cents=225,
        ts_ns=NOW_NS,
        reason=reason,
    )


def a_position(qty: int = 1, entry_ticks: int = 48_001, stop_ticks: int = 47_941) -> AccountView:
    return an_account(position_qty=qty, entry_ticks=entry_ticks, stop_ticks=stop_ticks)


def a_gate(**changes: Any) -> OrderGate:
    return OrderGate(replace(ORDER_LIMITS, **changes))


def a_gate_in_position(qty: int = 1) -> OrderGate:
    """A bracket has left at 48,000, and was filled at 48,001."""
    gate = a_gate(max_order_qty=qty, max_position_qty=qty)
    assert gate.check(a_bracket(qty=qty), FLAT, LAST, NOW_NS) is None
    gate.on_fill(a_fill(qty=qty))
    return gate


@pytest.mark.parametrize("side", list(Side))
def test_check_of_a_sound_entry_lets_it_leave(side: Side) -> None:
    """On both sides."""
    assert a_gate().check(a_bracket(side=side), FLAT, LAST, NOW_NS) is None


@pytest.mark.parametrize(
    ("bracket", "refusal"),
    [
        (a_bracket(qty=2), Refusal.SIZE),
        (a_bracket(qty=0), Refusal.SIZE),
        (a_bracket(qty=-1), Refusal.SIZE),
        (a_bracket(stop_ticks=48_060), Refusal.MALFORMED),
        (a_bracket(target_ticks=47_820), Refusal.MALFORMED),
        (a_bracket(stop_distance_ticks=0, stop_ticks=48_000), Refusal.MALFORMED),
        (a_bracket(target_distance_ticks=-180, target_ticks=47_820), Refusal.MALFORMED),
        (a_bracket(anchor_ticks=48_240), None),
        (a_bracket(anchor_ticks=48_241), Refusal.COLLAR),
        (a_bracket(anchor_ticks=47_760), None),
        (a_bracket(anchor_ticks=47_759), Refusal.COLLAR),
    ],
)
def test_check_of_an_entry_refuses_size_shape_and_distance(bracket: Bracket, refusal: Refusal | None) -> None:
    """0.5 % of 48,000 ticks is 240."""
    assert a_gate().check(bracket, FLAT, LAST, NOW_NS) is refusal


def test_check_of_an_entry_larger_than_the_position_may_be_is_refused() -> None:
    """Order size and position size are limits of their own."""
    gate = a_gate(max_order_qty=5, max_position_qty=2)
    assert gate.check(a_bracket(qty=3), FLAT, LAST, NOW_NS) is Refusal.POSITION
    assert gate.check(a_bracket(qty=2), FLAT, LAST, NOW_NS) is None


@pytest.mark.parametrize("qty", [1, -1])
def test_check_of_an_entry_in_position_is_refused(qty: int) -> None:
    """Neither added to nor reversed in one step."""
    assert a_gate().check(a_bracket(), a_position(qty), LAST, NOW_NS) is Refusal.POSITION


def test_check_of_an_entry_while_another_is_on_its_way_is_refused() -> None:
    """The account need not know of it yet; once it ended unfilled the way is free."""
    gate = a_gate()
    gate.check(a_bracket("a"), FLAT, LAST, NOW_NS)
    assert gate.check(a_bracket("b"), FLAT, LAST, NOW_NS) is Refusal.POSITION
    gate.entry_ended()
    assert gate.check(a_bracket("b"), FLAT, LAST, NOW_NS) is None


@pytest.mark.parametrize(
    ("age_ns", "refusal"), [(0, None), (10 * S, None), (10 * S + 1, Refusal.STALE_PRICE), (-1, Refusal.STALE_PRICE)]
)
def test_check_of_an_entry_on_an_old_price_is_refused(age_ns: int, refusal: Refusal | None) -> None:
    """Ten seconds; a price from the future is no price either."""
    assert a_gate().check(a_bracket(), FLAT, LAST, NOW_NS + age_ns) is refusal


def test_check_of_the_same_decision_twice_is_refused() -> None:
    """Even after the first one has come to its end."""
    gate = a_gate_in_position()
    gate.on_fill(a_fill(reason=ExitReason.STOP))
    assert gate.check(a_bracket("a"), FLAT, LAST, NOW_NS) is Refusal.DUPLICATE
    assert gate.check(a_bracket("b"), FLAT, LAST, NOW_NS) is None


def sent(gate: OrderGate, number: int, now_ns: int) -> Refusal | None:
    """Send an entry and have it rejected, so that the next one is possible."""
    refusal = gate.check(a_bracket(str(number)), FLAT, LastPrice(48_000, now_ns), now_ns)
    gate.entry_ended()
    return refusal


def test_check_of_the_twenty_first_order_in_a_minute_is_refused() -> None:
    """A second apart; a minute after the first there is room for one again, and a refused order used none up."""
    gate = a_gate()
    assert [sent(gate, number, NOW_NS + number * S) for number in range(20)] == [None] * 20
    assert sent(gate, 20, NOW_NS + 59 * S) is Refusal.RATE
    assert sent(gate, 21, NOW_NS + 60 * S) is None
    assert sent(gate, 22, NOW_NS + 60 * S) is Refusal.RATE
    assert sent(gate, 23, NOW_NS + 61 * S) is None


@pytest.mark.parametrize(("trades", "refusal"), [(19, None), (20, Refusal.TRADES), (21, Refusal.TRADES)])
def test_check_of_one_trade_too_many_in_a_session_is_refused(trades: int, refusal: Refusal | None) -> None:
    """Twenty are allowed, by the account's own count, which a restart keeps."""
    assert a_gate().check(a_bracket(), an_account(trades_in_session=trades), LAST, NOW_NS) is refusal


@pytest.mark.parametrize(("lost_cents", "refusal"), [(99_999, None), (100_000, Refusal.DAY_LOSS), (-500_000, None)])
def test_check_of_an_entry_after_the_day_s_loss_is_refused(lost_cents: int, refusal: Refusal | None) -> None:
    """A thousand dollars since the session opened, what is open included."""
    account = an_account(session_open_cents=6_000_000, equity_cents=6_000_000 - lost_cents)
    assert a_gate().check(a_bracket(), account, LAST, NOW_NS) is refusal


def test_check_of_limits_that_configuration_lifts_asks_nothing() -> None:
    """As it lifts them in the review."""
    gate = a_gate(max_trades_per_session=None, daily_limit_cents=None)
    assert gate.check(a_bracket(), an_account(trades_in_session=99, equity_cents=0), LAST, NOW_NS) is None


def a_period(**changes: Any) -> MarginPeriod:
    """50,000 $ that are free, and a contract that takes 20,000 $ and 18,000 $."""
    period = MarginPeriod(
        available_cents=5_000_000, excess_cents=5_000_000, initial_cents=2_000_000, maintenance_cents=1_800_000
    )
    return replace(period, **changes)


@pytest.mark.parametrize(
    ("changes", "carries"),
    [
        ({}, True),
        ({"initial_cents": 2_500_000}, True),
        ({"initial_cents": 2_500_001}, False),
        ({"available_cents": 3_999_999}, False),
        ({"available_cents": -1}, False),
        ({"excess_cents": 1_800_000}, True),
        ({"excess_cents": 1_799_999}, False),
        ({"maintenance_cents": 5_000_001}, False),
        ({"initial_cents": 0}, False),
        ({"maintenance_cents": 0}, False),
        ({"available_cents": None}, False),
        ({"excess_cents": None}, False),
        ({"initial_cents": None}, False),
        ({"maintenance_cents": None}, False),
    ],
)
@pytest.mark.parametrize("is_night", [False, True])
def test_check_of_an_entry_needs_the_margin_of_each_period(
    changes: dict[str, Any], carries: bool, is_night: bool
) -> None:
    """Half of what is free for the initial margin, all that is above for the maintenance; nothing untold carries."""
    odd, sound = a_period(**changes), a_period()
    figures = MarginFigures(day=sound, overnight=odd) if is_night else MarginFigures(day=odd, overnight=sound)
    answers = {}
    for rule in MarginRule:
        gate = a_gate(margin=rule)
        gate.fund(figures)
        answers[rule] = gate.check(a_bracket(), FLAT, LAST, NOW_NS)
    refusal = None if carries else Refusal.MARGIN
    assert answers == {
        MarginRule.NOT_ASKED: None,
        MarginRule.DAY: None if is_night else refusal,
        MarginRule.OVERNIGHT: refusal,
    }


def test_check_of_an_entry_counts_its_contracts_against_the_margin() -> None:
    """One fits into half of what is free, two do not."""
    gate = a_gate(margin=MarginRule.DAY, max_order_qty=2, max_position_qty=2)
    gate.fund(MarginFigures(day=a_period(), overnight=a_period()))
    assert gate.check(a_bracket(qty=2), FLAT, LAST, NOW_NS) is Refusal.MARGIN
    assert gate.check(a_bracket(), FLAT, LAST, NOW_NS) is None


def test_check_of_an_entry_before_the_broker_has_told_its_figures_is_refused() -> None:
    """On a real broker; a restart forgets them, and waits for them again."""
    gate = a_gate(margin=MarginRule.DAY)
    assert gate.check(a_bracket(), FLAT, LAST, NOW_NS) is Refusal.MARGIN
    gate.fund(MarginFigures(day=a_period(), overnight=a_period()))
    again = a_gate(margin=MarginRule.DAY)
    again.restore(gate.state())
    assert again.check(a_bracket(), FLAT, LAST, NOW_NS) is Refusal.MARGIN
    assert gate.check(a_bracket(), FLAT, LAST, NOW_NS) is None


def test_check_of_the_same_decision_after_a_restart_is_refused() -> None:
    """Duplicates are known by the decision's id, and ids outlive the process, through JSON."""
    gate = a_gate_in_position()
    gate.on_fill(a_fill(reason=ExitReason.STOP))
    again = a_gate()
    again.restore(msgspec.json.decode(msgspec.json.encode(gate.state()), type=GateState))
    assert again.state() == gate.state()
    assert again.check(a_bracket("a"), FLAT, LAST, NOW_NS) is Refusal.DUPLICATE


def test_adopted_and_expected_references_are_known_and_never_sent_again() -> None:
    """What was found at the broker belongs to a decision that has been carried out."""
    gate = a_gate()
    gate.adopt("a", 47_940)
    gate.expect(a_bracket("b"), NOW_NS)
    gate.demand_known("a")
    gate.demand_known("b")
    with pytest.raises(InvariantError, match="'c'"):
        gate.demand_known("c")
    gate.entry_ended()
    assert gate.check(a_bracket("a"), FLAT, LAST, NOW_NS) is Refusal.DUPLICATE
    assert gate.check(a_bracket("b"), FLAT, LAST, NOW_NS) is Refusal.DUPLICATE


def test_late_fill_of_an_entry_that_has_ended_holds_back_no_other() -> None:
    """Neither the same bracket's, told as cancelled, nor an earlier one's."""
    gate = a_gate()
    gate.check(a_bracket("a"), FLAT, LAST, NOW_NS)
    gate.entry_ended()
    gate.on_fill(a_fill("a", remaining_qty=1))
    assert gate.check(a_bracket("b"), FLAT, LAST, NOW_NS) is None
    gate.on_fill(a_fill("a", remaining_qty=0))
    assert gate.check(a_bracket("c"), FLAT, LAST, NOW_NS) is Refusal.POSITION


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
