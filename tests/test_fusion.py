"""The fusion table, point by point: every expected value was written by hand for a weight of 0.3."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trader.advisor.question import Answer
from trader.domain.actions import ACTIONS, Action
from trader.domain.decisions import Advice, AdviceStatus, Decision, FusionMethod, Proposal
from trader.fusion import FusionRules, fuse

ALL_VALID = 0b111111
RULES = FusionRules(llm_weight=0.3, override_high=0.9, override_low=0.6, uncertain_below=0.5)

HOLD, BUY, SELL = Action.HOLD, Action.BUY, Action.SELL
BREAK_EVEN, TRAIL, UNTRAIL = Action.MOVE_TO_BE, Action.ENABLE_TRAIL, Action.DISABLE_TRAIL

POINTS = [
    # the same action: 1 - (1 - rl)(1 - llm)
    (BUY, 0.5, BUY, 0.5, "agreement", BUY, 0.75),
    (BUY, 0.6, BUY, 0.6, "agreement", BUY, 0.84),
    (BUY, 0.9, BUY, 0.9, "agreement", BUY, 0.99),
    (BUY, 0.5, BUY, 0.9, "agreement", BUY, 0.95),
    (HOLD, 0.34, HOLD, 0.5, "agreement", HOLD, 0.67),
    (SELL, 0.95, SELL, 0.4, "agreement", SELL, 0.97),
    (SELL, 0.4, SELL, 0.95, "agreement", SELL, 0.97),
    (HOLD, 1.0, HOLD, 0.2, "agreement", HOLD, 1.0),
    (BUY, 0.0, BUY, 0.0, "agreement", BUY, 0.0),
    (BREAK_EVEN, 0.3, BREAK_EVEN, 0.3, "agreement", BREAK_EVEN, 0.51),
    (TRAIL, 0.2, TRAIL, 0.6, "agreement", TRAIL, 0.68),
    (UNTRAIL, 0.7, UNTRAIL, 0.8, "agreement", UNTRAIL, 0.94),
    (BUY, 0.91, BUY, 0.59, "agreement", BUY, 0.9631),
    # the strategy above 0.9, the advisor below 0.6
    (BUY, 0.91, HOLD, 0.59, "rl_override", BUY, 0.91),
    (BUY, 0.95, SELL, 0.1, "rl_override", BUY, 0.95),
    (HOLD, 0.99, BUY, 0.5, "rl_override", HOLD, 0.99),
    (SELL, 1.0, BUY, 0.0, "rl_override", SELL, 1.0),
    (BUY, 0.9001, HOLD, 0.5999, "rl_override", BUY, 0.9001),
    (BREAK_EVEN, 0.93, HOLD, 0.55, "rl_override", BREAK_EVEN, 0.93),
    (BUY, 0.9, HOLD, 0.59, "weighted", BUY, 0.9),
    (BUY, 0.91, HOLD, 0.6, "weighted", BUY, 0.91),
    (BUY, 0.9, SELL, 0.6, "weighted", BUY, 0.9),
    # the advisor above 0.9, the strategy below 0.6
    (HOLD, 0.59, BUY, 0.91, "llm_override", BUY, 0.91),
    (BUY, 0.1, SELL, 0.95, "llm_override", SELL, 0.95),
    (BUY, 0.5, HOLD, 0.99, "llm_override", HOLD, 0.99),
    (SELL, 0.0, BUY, 1.0, "llm_override", BUY, 1.0),
    (HOLD, 0.5999, BUY, 0.9001, "llm_override", BUY, 0.9001),
    (BUY, 0.34, TRAIL, 0.92, "llm_override", TRAIL, 0.92),
    (HOLD, 0.4, UNTRAIL, 0.97, "llm_override", UNTRAIL, 0.97),
    (HOLD, 0.59, BUY, 0.9, "weighted", HOLD, 0.59),
    (HOLD, 0.6, BUY, 0.91, "weighted", HOLD, 0.6),
    (BUY, 0.6, SELL, 0.9, "weighted", BUY, 0.6),
    (BUY, 0.95, SELL, 0.99, "weighted", BUY, 0.95),
    (HOLD, 0.91, BUY, 0.91, "weighted", HOLD, 0.91),
    # both below 0.5
    (BUY, 0.49, SELL, 0.49, "uncertain_hold", HOLD, 0.49),
    (BUY, 0.4, HOLD, 0.3, "uncertain_hold", HOLD, 0.4),
    (HOLD, 0.3, BUY, 0.45, "uncertain_hold", HOLD, 0.45),
    (SELL, 0.0, BUY, 0.0, "uncertain_hold", HOLD, 0.0),
    (SELL, 0.4999, BUY, 0.4999, "uncertain_hold", HOLD, 0.4999),
    (BREAK_EVEN, 0.2, TRAIL, 0.1, "uncertain_hold", HOLD, 0.2),
    (BUY, 0.5, SELL, 0.49, "weighted", BUY, 0.5),
    (BUY, 0.49, SELL, 0.5, "weighted", BUY, 0.49),
    (BUY, 0.5, SELL, 0.5, "weighted", BUY, 0.5),
    # the larger of 0.7 rl and 0.3 llm
    (BUY, 0.3, SELL, 0.8, "weighted", SELL, 0.8),
    (BUY, 0.35, SELL, 0.8, "weighted", BUY, 0.35),
    (HOLD, 0.2, BUY, 0.5, "weighted", BUY, 0.5),
    (HOLD, 0.25, BUY, 0.5, "weighted", HOLD, 0.25),
    (HOLD, 0.38, BUY, 0.9, "weighted", BUY, 0.9),
    (HOLD, 0.39, BUY, 0.9, "weighted", HOLD, 0.39),
    (HOLD, 0.7, BUY, 0.7, "weighted", HOLD, 0.7),
    (BUY, 0.85, HOLD, 0.75, "weighted", BUY, 0.85),
    (SELL, 0.1, BREAK_EVEN, 0.6, "weighted", BREAK_EVEN, 0.6),
    (UNTRAIL, 0.05, TRAIL, 0.55, "weighted", TRAIL, 0.55),
    (BUY, 0.6, HOLD, 0.6, "weighted", BUY, 0.6),
    # ties are the strategy's
    (BUY, 0.3, SELL, 0.7, "weighted", BUY, 0.3),
    (BUY, 0.24, HOLD, 0.56, "weighted", BUY, 0.24),
    (HOLD, 0.36, SELL, 0.84, "weighted", HOLD, 0.36),
    # no advice
    (BUY, 0.34, None, 0.0, "rl_only", BUY, 0.34),
    (HOLD, 0.9, None, 0.0, "rl_only", HOLD, 0.9),
    (SELL, 0.6, None, 0.0, "rl_only", SELL, 0.6),
]


def advice(action: Action, confidence: float) -> Advice:
    return Advice(action=action, confidence=confidence, reason="")


def test_points_are_sixty() -> None:
    """The table keeps its size."""
    assert len(POINTS) == 60


@pytest.mark.parametrize(("rl_action", "rl", "llm_action", "llm", "method", "action", "confidence"), POINTS)
def test_fuse_at_a_point_gives_the_hand_written_decision(
    rl_action: Action, rl: float, llm_action: Action | None, llm: float, method: str, action: Action, confidence: float
) -> None:
    """Method, action and confidence are those of the table."""
    given_advice = None if llm_action is None else advice(llm_action, llm)
    decision = fuse(Proposal(rl_action, rl), given_advice, ALL_VALID, RULES)
    assert (decision.method, decision.action, decision.weight) == (FusionMethod(method), action, 0.3)
    assert decision.confidence == pytest.approx(confidence, abs=1e-12)


@pytest.mark.parametrize("status", sorted(set(AdviceStatus) - {AdviceStatus.USED, AdviceStatus.CACHED}))
def test_fuse_with_an_unusable_answer_keeps_the_proposal(status: AdviceStatus) -> None:
    """Late, invalid, masked, stale and the rest count as no advice, even where they name the same action."""
    answer = Answer(status=status, advice=advice(BUY, 0.99))
    decision = fuse(Proposal(BUY, 0.4), answer.usable, ALL_VALID, RULES)
    assert decision == Decision(FusionMethod.RL_ONLY, BUY, 0.4, 0.3)


@pytest.mark.parametrize("status", [AdviceStatus.USED, AdviceStatus.CACHED])
def test_fuse_with_a_usable_answer_compares_it(status: AdviceStatus) -> None:
    """Fresh and cached advice reach the table."""
    answer = Answer(status=status, advice=advice(BUY, 0.5))
    assert fuse(Proposal(BUY, 0.5), answer.usable, ALL_VALID, RULES).method is FusionMethod.AGREEMENT


@pytest.mark.parametrize(("llm_action", "llm"), [(HOLD, 0.8), (HOLD, 0.99), (BUY, 0.99), (SELL, 0.1)])
def test_fuse_of_a_forced_choice_is_the_proposal_alone(llm_action: Action, llm: float) -> None:
    """With one valid action there is nothing to agree on or to override."""
    decision = fuse(Proposal(HOLD, 1.0), advice(llm_action, llm), 0b000001, RULES)
    assert decision == Decision(FusionMethod.RL_ONLY, HOLD, 1.0, 0.3)


def test_fuse_with_advice_outside_the_mask_keeps_the_proposal() -> None:
    """An invalid action is never turned into another one."""
    decision = fuse(Proposal(HOLD, 0.4), advice(BREAK_EVEN, 0.99), 0b000111, RULES)
    assert decision == Decision(FusionMethod.RL_ONLY, HOLD, 0.4, 0.3)


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (
            FusionRules(llm_weight=0.5, override_high=0.9, override_low=0.6, uncertain_below=0.5),
            Decision(FusionMethod.WEIGHTED, SELL, 0.8, 0.5),
        ),
        (
            FusionRules(llm_weight=0.3, override_high=0.75, override_low=0.65, uncertain_below=0.5),
            Decision(FusionMethod.LLM_OVERRIDE, SELL, 0.8, 0.3),
        ),
        (
            FusionRules(llm_weight=0.3, override_high=0.9, override_low=0.6, uncertain_below=0.85),
            Decision(FusionMethod.UNCERTAIN_HOLD, HOLD, 0.8, 0.3),
        ),
        (
            FusionRules(llm_weight=0.0, override_high=0.9, override_low=0.6, uncertain_below=0.5),
            Decision(FusionMethod.WEIGHTED, BUY, 0.62, 0.0),
        ),
    ],
)
def test_fuse_under_other_rules_follows_them(rules: FusionRules, expected: Decision) -> None:
    """Weight and bounds are settings, each of which moves the same point elsewhere."""
    assert fuse(Proposal(BUY, 0.62), advice(SELL, 0.8), ALL_VALID, rules) == expected


@given(
    st.sampled_from(ACTIONS), st.floats(0, 1), st.sampled_from(ACTIONS), st.floats(0, 1), st.integers(0, 63), st.data()
)
def test_fuse_of_a_valid_proposal_stays_inside_the_mask(
    rl_action: Action, rl: float, llm_action: Action, llm: float, bits: int, data: st.DataObject
) -> None:
    """The fused action is HOLD, the proposal's or the valid advice's; its confidence is a probability."""
    mask = bits | 1 | 1 << rl_action
    given_advice = data.draw(st.sampled_from([None, advice(llm_action, llm)]))
    decision = fuse(Proposal(rl_action, rl), given_advice, mask, RULES)
    assert mask >> decision.action & 1
    assert decision.action in {HOLD, rl_action, llm_action}
    assert 0 <= decision.confidence <= 1
