"""The vote of trend, VWAP and RSI."""

from typing import Any

import pytest
from builders import a_question
from hypothesis import given
from hypothesis import strategies as st

from trader.adapters.rules_advisor import RulesAdvisor
from trader.advisor.question import CONFIDENCE_STEPS, Question
from trader.domain.actions import Action
from trader.domain.decisions import Advice, AdviceStatus

UP = {"regime": 1, "adx": 30.0, "price": 12_010.0, "rsi": 60.0}
DOWN = {"regime": -1, "adx": 30.0, "price": 11_990.0, "rsi": 40.0}
LONG = {"position_qty": 1, "entry_price": 11_990.0, "stop_price": 11_975.0, "initial_risk_cents": 30_000}
SHORT = {"position_qty": -1, "entry_price": 12_010.0, "stop_price": 12_025.0, "initial_risk_cents": 30_000}
MAY_BE, MAY_TRAIL, MAY_UNTRAIL = 0b001001, 0b010001, 0b100001


def advise(**changes: Any) -> Advice:
    answer = RulesAdvisor().ask(a_question(**changes))
    assert answer.status is AdviceStatus.USED
    assert answer.advice is not None
    return answer.advice


@pytest.mark.parametrize(
    ("changes", "action"),
    [
        (UP, Action.BUY),
        (DOWN, Action.SELL),
        ({}, Action.HOLD),
        (UP | {"rsi": 50.0}, Action.BUY),
        (UP | {"rsi": 50.0, "price": 12_000.0}, Action.HOLD),
        (UP | {"rsi": 80.0}, Action.HOLD),
        (DOWN | {"rsi": 20.0}, Action.HOLD),
        (DOWN | {"mask": 0b000001}, Action.HOLD),
        (LONG | UP | {"unrealized_cents": 30_000, "mask": MAY_BE}, Action.MOVE_TO_BE),
        (LONG | UP | {"unrealized_cents": 29_999, "mask": MAY_BE}, Action.HOLD),
        (LONG | DOWN | {"unrealized_cents": 100, "mask": MAY_BE}, Action.MOVE_TO_BE),
        (LONG | DOWN | {"unrealized_cents": -100, "mask": MAY_BE}, Action.HOLD),
        (SHORT | DOWN | {"unrealized_cents": 30_000, "mask": MAY_BE}, Action.MOVE_TO_BE),
        (SHORT | UP | {"unrealized_cents": 100, "mask": MAY_BE}, Action.MOVE_TO_BE),
        (LONG | UP | {"mask": MAY_TRAIL}, Action.ENABLE_TRAIL),
        (SHORT | DOWN | {"mask": MAY_TRAIL}, Action.ENABLE_TRAIL),
        (LONG | DOWN | {"mask": MAY_TRAIL}, Action.HOLD),
        (LONG | UP | {"adx": 45.0, "mask": MAY_UNTRAIL}, Action.DISABLE_TRAIL),
        (SHORT | DOWN | {"adx": 45.0, "mask": MAY_UNTRAIL}, Action.DISABLE_TRAIL),
        (LONG | UP | {"adx": 39.9, "mask": MAY_UNTRAIL}, Action.HOLD),
        (LONG | UP | {"unrealized_cents": 30_000, "mask": MAY_TRAIL}, Action.ENABLE_TRAIL),
    ],
)
def test_ask_in_a_described_market_gives_the_documented_action(changes: dict[str, Any], action: Action) -> None:
    """Each sentence of the module's description, on both sides."""
    assert advise(**changes).action is action


@pytest.mark.parametrize(
    ("changes", "votes_for_it"),
    [
        ({"regime": 0, "adx": 20.0, "momentum": 5.0}, True),
        ({"regime": 0, "adx": 19.9, "momentum": 5.0}, False),
        ({"regime": 0, "adx": 20.0, "momentum": 4.9}, False),
        ({"regime": 1, "adx": 26.0, "momentum": -50.0}, True),
    ],
)
def test_ask_without_a_regime_lets_momentum_speak_for_the_trend(changes: dict[str, Any], votes_for_it: bool) -> None:
    """With RSI for longs and a price at VWAP the trend decides: half an ATR in 20 bars, ADX at least 20."""
    expected = Action.BUY if votes_for_it else Action.HOLD
    assert advise(**({"rsi": 60.0} | changes)).action is expected


@pytest.mark.parametrize(
    ("changes", "action"),
    [
        ({"price": 12_002.5}, Action.BUY),
        ({"price": 12_002.25}, Action.HOLD),
        ({"rsi": 55.0}, Action.BUY),
        ({"rsi": 54.9}, Action.HOLD),
        ({"rsi": 74.9}, Action.BUY),
        ({"rsi": 75.0}, Action.HOLD),
        ({"rsi": 25.0}, Action.BUY),
        ({"rsi": 25.1}, Action.HOLD),
        ({"rsi": 45.0, "price": 12_010.0}, Action.HOLD),
        ({"rsi": 45.1, "price": 12_010.0}, Action.BUY),
    ],
)
def test_ask_counts_a_vote_from_its_bound_on(changes: dict[str, Any], action: Action) -> None:
    """An uptrend needs one more vote: a quarter ATR (2.5 points) from VWAP, or RSI from 55 on but not from 75 on."""
    assert advise(**({"regime": 1, "adx": 30.0} | changes)).action is action


@pytest.mark.parametrize(
    ("changes", "confidence"),
    [
        (UP | {"adx": 20.0}, 819 / 1024),  # 0.8
        (UP | {"adx": 30.0}, 896 / 1024),  # 0.875
        (UP | {"adx": 60.0}, 973 / 1024),  # 0.95
        (UP | {"adx": 20.0, "rsi": 50.0}, 717 / 1024),  # 0.7
        ({}, 717 / 1024),  # nothing speaks: 0.7
        (UP | {"adx": 20.0, "rsi": 50.0, "price": 12_000.0}, 614 / 1024),  # one vote against holding: 0.6
    ],
)
def test_ask_states_its_agreement_as_confidence(changes: dict[str, Any], confidence: float) -> None:
    """0.5 + 0.1 a vote + up to 0.15 for strength."""
    assert advise(**changes).confidence == confidence


def test_ask_says_why_in_a_few_words() -> None:
    """The three votes."""
    assert advise(**UP).reason == "trend up, above VWAP, RSI for longs"
    assert advise(**DOWN).reason == "trend down, below VWAP, RSI for shorts"


@given(
    st.fixed_dictionaries(
        {
            "regime": st.sampled_from([-1, 0, 1]),
            "adx": st.floats(0, 100),
            "rsi": st.floats(0, 100),
            "price": st.floats(11_900, 12_100),
            "momentum": st.floats(-200, 200),
            "atr": st.floats(0.25, 100),
            "position_qty": st.sampled_from([-1, 0, 1]),
            "unrealized_cents": st.integers(-100_000, 100_000),
            "initial_risk_cents": st.integers(0, 50_000),
            "mask": st.integers(0, 31).map(lambda bits: bits << 1 | 1),
        }
    )
)
def test_ask_anything_gives_valid_short_advice(changes: dict[str, Any]) -> None:
    """Inside the mask, a probability on the 1/1024 grid, at most ten words; the same each time."""
    advice = advise(**changes)
    assert changes["mask"] >> advice.action & 1
    assert 0.5 <= advice.confidence <= 973 / 1024
    assert (advice.confidence * CONFIDENCE_STEPS).is_integer()
    assert 1 <= len(advice.reason.split()) <= 10
    assert advise(**changes) == advice


def test_ask_is_visible_at_its_own_bar() -> None:
    """An instant answer needs no later bar."""
    question: Question = a_question(seq=7)
    assert RulesAdvisor().ask(question).visible_from_bar == 7
