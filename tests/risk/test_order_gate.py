"""The last gate before an entry: each refusal at its boundary."""

from typing import Any

import msgspec
import pytest
from builders import an_account
from gate_builders import FLAT, LAST, NOW_NS, S, a_bracket, a_fill, a_gate, a_gate_in_position, a_position
from msgspec.structs import replace

from trader.domain.actions import Side
from trader.domain.orders import Bracket, ExitReason
from trader.errors import InvariantError
from trader.risk.gate import GateState, LastPrice, OrderGate, Refusal
from trader.risk.margin import MarginFigures, MarginPeriod, MarginRule


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
    gate.adopt("a")
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
