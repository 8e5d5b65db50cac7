"""When a question leaves for the advisor."""

from dataclasses import dataclass
from typing import Any

import pytest
from builders import ASK_RULES as RULES
from builders import an_account
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from trader.advisor.gate import TRIGGER_SETS, Gate
from trader.domain.account import AccountView
from trader.domain.actions import Action
from trader.domain.decisions import NotAsked, Proposal, Trigger

FREE = 0b000111
FORCED = 0b000001
FLAT = an_account()
LONG = an_account(position_qty=1)
SURE_HOLD = Proposal(Action.HOLD, 0.9)
UNSURE_HOLD = Proposal(Action.HOLD, 0.34)
SURE_BUY = Proposal(Action.BUY, 0.9)


def ask(
    gate: Gate,
    seq: int,
    proposal: Proposal = SURE_HOLD,
    account: AccountView = FLAT,
    mask: int = FREE,
    *,
    ready: bool = True,
    halted: bool = False,
) -> tuple[Trigger, ...] | NotAsked:
    asked = gate.decide(seq, mask, proposal, account, ready=ready, halted=halted)
    return asked if isinstance(asked, NotAsked) else TRIGGER_SETS[asked]


def a_quiet_gate(account: AccountView = FLAT, answered: int = 100, **changes: Any) -> Gate:
    """A gate that was answered at bar 100 and has nothing to ask at 101."""
    gate = Gate(replace(RULES, **changes), account)
    gate.answered(answered)
    return gate


def test_gate_with_nothing_new_does_not_ask() -> None:
    """A sure HOLD shortly after an answer, on an unchanged account, triggers nothing."""
    assert ask(a_quiet_gate(), 101) is NotAsked.NO_TRIGGER


@pytest.mark.parametrize(("confidence", "asks"), [(0.69, True), (0.7, False), (0.71, False)])
def test_gate_at_the_confidence_threshold_asks_below_it_only(confidence: float, asks: bool) -> None:
    """The threshold itself is confident enough."""
    expected = (Trigger.LOW_CONFIDENCE,) if asks else NotAsked.NO_TRIGGER
    assert ask(a_quiet_gate(), 101, Proposal(Action.HOLD, confidence)) == expected


@pytest.mark.parametrize("action", [Action.BUY, Action.SELL])
def test_gate_on_an_entry_asks(action: Action) -> None:
    """Flat, and the strategy proposes to enter."""
    assert ask(a_quiet_gate(), 101, Proposal(action, 1.0)) == (Trigger.ENTRY,)


def test_gate_on_an_entry_proposed_in_position_does_not_call_it_entry() -> None:
    """An entry decision is one of a flat account."""
    assert ask(a_quiet_gate(LONG), 101, SURE_BUY, LONG) is NotAsked.NO_TRIGGER


@pytest.mark.parametrize(("seq", "expected"), [(104, NotAsked.NO_TRIGGER), (105, (Trigger.INTERVAL,))])
def test_gate_asks_again_five_bars_after_the_last_answer(seq: int, expected: object) -> None:
    """`query_interval` counts from the answer."""
    assert ask(a_quiet_gate(), seq) == expected


def test_gate_without_any_answer_yet_asks_at_once() -> None:
    """The first bar that may be asked is asked."""
    assert ask(Gate(RULES, FLAT), 400) == (Trigger.INTERVAL,)


def test_gate_whose_question_was_not_answered_asks_again_after_the_cooldown() -> None:
    """A question without an answer does not restart the interval."""
    gate = a_quiet_gate()
    asked_at = [seq for seq in range(105, 114) if ask(gate, seq) == (Trigger.INTERVAL,)]
    assert asked_at == [105, 109, 113]


@pytest.mark.parametrize(
    ("account", "asks"),
    [
        (an_account(balance_cents=5_025_000), False),
        (an_account(balance_cents=5_025_001), True),
        (an_account(balance_cents=4_974_999), True),
        (an_account(balance_cents=4_975_000), False),
        (an_account(balance_cents=4_999_000, win_rate=0.59), False),
        (an_account(balance_cents=4_999_000, win_rate=0.6), True),
        (an_account(balance_cents=4_999_000, win_rate=0.4), True),
        (an_account(position_qty=1), True),
        (an_account(position_qty=-1), True),
        (an_account(trades_closed=1), True),
    ],
)
def test_gate_on_a_changed_account_asks_from_its_bounds_on(account: AccountView, asks: bool) -> None:
    """More than 0.5 % of balance, 0.1 or more of win rate, any change of position."""
    assert ask(a_quiet_gate(), 101, account=account) == ((Trigger.STATE_CHANGE,) if asks else NotAsked.NO_TRIGGER)


def test_gate_compares_win_rates_as_the_fractions_that_they_are() -> None:
    """From 3 of 10 to 2 of 10 is 0.1, though 0.3 - 0.2 is less in floats."""
    gate = a_quiet_gate(an_account(win_rate=0.3))
    assert ask(gate, 101, account=an_account(win_rate=0.2, balance_cents=4_999_000)) == (Trigger.STATE_CHANGE,)


def test_gate_compares_with_what_the_last_question_told() -> None:
    """Small moves add up until a question has told the advisor."""
    gate = a_quiet_gate()
    assert ask(gate, 101, account=an_account(balance_cents=5_020_000)) is NotAsked.NO_TRIGGER
    assert ask(gate, 102, account=an_account(balance_cents=5_030_000)) == (Trigger.STATE_CHANGE,)
    gate.answered(102)
    assert ask(gate, 106, account=an_account(balance_cents=5_050_000)) is NotAsked.NO_TRIGGER


def test_gate_names_every_trigger_that_fired() -> None:
    """An unsure entry at the interval, on a moved balance, has four reasons."""
    gate = a_quiet_gate()
    asked = ask(gate, 105, Proposal(Action.BUY, 0.5), an_account(balance_cents=4_900_000))
    assert asked == tuple(Trigger)


def test_gate_in_cooldown_waits_until_the_fourth_bar() -> None:
    """After a question at t the next comes at t+4."""
    gate = Gate(RULES, FLAT)
    outcomes = [ask(gate, seq, UNSURE_HOLD) for seq in range(5)]
    gone = (Trigger.LOW_CONFIDENCE, Trigger.INTERVAL)
    assert outcomes == [gone, NotAsked.COOLDOWN, NotAsked.COOLDOWN, NotAsked.COOLDOWN, gone]


def test_gate_in_cooldown_lets_a_position_change_through() -> None:
    """A new position cannot wait, and starts the cooldown again."""
    gate = Gate(RULES, FLAT)
    ask(gate, 0, UNSURE_HOLD)
    gate.answered(0)
    assert ask(gate, 1, SURE_HOLD, LONG) == (Trigger.STATE_CHANGE,)
    outcomes = [ask(gate, seq, UNSURE_HOLD, LONG) for seq in range(2, 6)]
    assert outcomes[:3] == [NotAsked.COOLDOWN] * 3
    assert Trigger.LOW_CONFIDENCE in outcomes[3]


def test_gate_in_cooldown_holds_back_a_moved_balance() -> None:
    """Only changes of position are excepted."""
    gate = Gate(RULES, FLAT)
    ask(gate, 0, UNSURE_HOLD)
    assert ask(gate, 1, account=an_account(balance_cents=4_000_000)) is NotAsked.COOLDOWN


def test_gate_remembers_a_position_change_of_a_bar_that_could_not_be_asked() -> None:
    """After an entry HOLD is often the only valid action for a while: the change is told when it can be."""
    gate = a_quiet_gate()
    assert ask(gate, 101, account=LONG, mask=FORCED) is NotAsked.FORCED
    assert ask(gate, 102, account=LONG, mask=FORCED) is NotAsked.FORCED
    assert ask(gate, 103, account=LONG, mask=0b001001) == (Trigger.STATE_CHANGE,)
    assert ask(gate, 104, account=LONG, mask=0b001001) is NotAsked.NO_TRIGGER


def test_gate_remembers_a_position_that_was_opened_and_closed_unasked() -> None:
    """Flat again is not the same as never in position."""
    gate = a_quiet_gate()
    ask(gate, 101, account=LONG, mask=FORCED)
    assert ask(gate, 102, account=an_account(trades_closed=1)) == (Trigger.STATE_CHANGE,)


@pytest.mark.parametrize(
    ("seq", "mask", "ready", "halted", "is_enabled", "expected"),
    [
        (500, FORCED, False, True, False, NotAsked.OFF),
        (500, FORCED, False, True, True, NotAsked.HALTED),
        (500, FORCED, False, False, True, NotAsked.NOT_READY),
        (500, FORCED, True, False, True, NotAsked.FORCED),
    ],
)
def test_gate_that_may_not_ask_names_the_first_reason(
    seq: int, mask: int, ready: bool, halted: bool, is_enabled: bool, expected: NotAsked
) -> None:
    """In the order of NotAsked, whatever triggers there are."""
    gate = a_quiet_gate(is_enabled=is_enabled)
    assert ask(gate, seq, Proposal(Action.HOLD, 0.1), LONG, mask, ready=ready, halted=halted) is expected


@pytest.mark.parametrize(
    ("switch", "proposal", "account", "seq"),
    [
        ("on_low_confidence", UNSURE_HOLD, FLAT, 101),
        ("on_entry", SURE_BUY, FLAT, 101),
        ("on_interval", SURE_HOLD, FLAT, 105),
        ("on_state_change", SURE_HOLD, LONG, 101),
    ],
)
def test_gate_with_a_trigger_off_does_not_ask_for_it(
    switch: str, proposal: Proposal, account: AccountView, seq: int
) -> None:
    """Each trigger has its switch; the others still work."""
    assert isinstance(ask(a_quiet_gate(), seq, proposal, account), tuple)
    changes: dict[str, Any] = {switch: False}
    gate = a_quiet_gate(**changes)
    assert ask(gate, seq, proposal, account) is NotAsked.NO_TRIGGER
    everything = ask(gate, 110, Proposal(Action.BUY, 0.1), an_account(balance_cents=1_000_000))
    assert isinstance(everything, tuple)
    assert len(everything) == 3


def test_gate_without_state_changes_keeps_its_cooldown_on_a_new_position() -> None:
    """The exception belongs to the trigger."""
    gate = Gate(replace(RULES, on_state_change=False), FLAT)
    ask(gate, 0, UNSURE_HOLD)
    assert ask(gate, 1, UNSURE_HOLD, LONG) is NotAsked.COOLDOWN


def test_gate_that_is_not_selective_asks_on_every_bar_that_may_be_asked() -> None:
    """`use_selective_querying: false` waits for no trigger and no cooldown; forced bars stay unasked."""
    gate = a_quiet_gate(is_selective=False)
    assert [ask(gate, seq) for seq in range(101, 104)] == [(), (), ()]
    assert ask(gate, 104, mask=FORCED) is NotAsked.FORCED


def test_gate_counts_questions_by_trigger() -> None:
    """A question with two triggers counts for both, and once in all."""
    gate = Gate(RULES, FLAT)
    ask(gate, 0, UNSURE_HOLD)
    gate.answered(0)
    ask(gate, 4, UNSURE_HOLD)
    ask(gate, 5, UNSURE_HOLD)
    assert gate.asked == 2
    assert gate.asked_by_trigger() == {
        Trigger.LOW_CONFIDENCE: 2,
        Trigger.ENTRY: 0,
        Trigger.INTERVAL: 1,
        Trigger.STATE_CHANGE: 0,
    }


def test_gate_at_constant_low_confidence_asks_a_quarter_of_the_bars() -> None:
    """A policy that is never sure is limited by the cooldown alone."""
    gate = Gate(RULES, FLAT)
    asked = 0
    for seq in range(1_000):
        if isinstance(ask(gate, seq, UNSURE_HOLD), tuple):
            asked += 1
            gate.answered(seq)
    assert asked == 250


@dataclass
class Bar:
    proposal: Proposal
    mask: int
    is_answered: bool


BARS = st.builds(
    Bar,
    proposal=st.builds(Proposal, st.sampled_from([Action.HOLD, Action.BUY, Action.SELL]), st.floats(0, 1)),
    mask=st.sampled_from([FREE, FREE, FREE, FORCED]),
    is_answered=st.booleans(),
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(BARS, min_size=200, max_size=200),
    st.lists(st.integers(25, 60), min_size=1, max_size=8),
    st.lists(st.tuples(st.integers(4_000_000, 6_000_000), st.floats(0, 1)), min_size=8, max_size=8),
    st.booleans(),
)
def test_gate_asks_at_most_35_percent_of_bars_with_few_position_changes(
    bars: list[Bar], gaps: list[int], results: list[tuple[int, float]], is_never_sure: bool
) -> None:
    """In any 100 bars with at most 4 changes of position, whatever is proposed, answered and earned."""
    changes = {sum(gaps[: i + 1]): results[i] for i in range(len(gaps))}
    gate = Gate(RULES, FLAT)
    account = FLAT
    asked: list[int] = []
    for seq, bar in enumerate(bars):
        if seq in changes:
            balance_cents, win_rate = changes[seq]
            is_closing = account.position_qty != 0
            account = replace(
                account,
                position_qty=0 if is_closing else 1,
                trades_closed=account.trades_closed + is_closing,
                balance_cents=balance_cents,
                win_rate=win_rate,
            )
        went = isinstance(ask(gate, seq, UNSURE_HOLD if is_never_sure else bar.proposal, account, bar.mask), tuple)
        asked.append(went)
        if went and bar.is_answered:
            gate.answered(seq)
    assert max(sum(asked[start : start + 100]) for start in range(101)) <= 35
