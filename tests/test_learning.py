"""What a run learns of its advisor, from what the market did afterwards: real outcomes on bars that a test moves."""

import pytest
from learning_builders import BUY, HOLD, LEARNS, RULES, SELL, TARGET, Choir, School, adaptive, advise
from msgspec.structs import replace

from trader.advisor.base_rate import RateState
from trader.advisor.calibration import Calibration
from trader.domain.actions import Action
from trader.learning import AdaptiveCosts, Thresholds


def test_calibration_learns_from_the_market_although_nobody_traded() -> None:
    """Both wanted to stand by; the market rose all the same, and BUY would have won."""
    calibration = Calibration(LEARNS, 3.0)
    school = School(calibration=calibration)
    school.bar()
    advise(calibration, 0)
    school.bar(TARGET)

    state = calibration.state()
    lost, won, none = RateState(0.0, 1.0), RateState(1.0, 1.0), RateState(0.0, 0.0)
    assert state.rates == (lost, won, lost, none, none, none)
    assert [one.won for one in state.calibrators] == [(), (True,), (), (), (), ()]
    assert state.pending == ()


def test_base_rates_learn_from_questions_that_nobody_answered() -> None:
    """What usually becomes of an action does not depend on the advisor."""
    calibration = Calibration(LEARNS, 3.0)
    school = School(calibration=calibration)
    school.bar()
    school.bar(-TARGET)

    assert calibration.state().rates[SELL] == RateState(1.0, 1.0)
    assert [one.won for one in calibration.state().calibrators] == [()] * 6


@pytest.mark.parametrize(
    ("move", "rl", "llm", "weight"),
    [
        pytest.param(TARGET, SELL, BUY, 6 / 13, id="the model was right: 0.3 to 0.35"),
        pytest.param(TARGET, BUY, SELL, 3 / 17, id="the strategy was right: 0.15 to 0.7"),
        pytest.param(-TARGET, SELL, HOLD, 3 / 17, id="standing by was wrong"),
        pytest.param(TARGET, BUY, BUY, 0.3, id="both said the same and won"),
        pytest.param(-TARGET, BUY, BUY, 0.3, id="both said the same and lost"),
        pytest.param(TARGET, SELL, None, 0.3, id="only the strategy spoke"),
        pytest.param(TARGET, Action.MOVE_TO_BE, BUY, 0.3, id="one said what could not be judged"),
    ],
)
def test_weight_moves_to_whose_choice_came_true(move: int, rl: Action, llm: Action | None, weight: float) -> None:
    """By the losses of a bar that has closed, a lost one halving an expert; without two verdicts it stays."""
    school = School(adaptive=adaptive())
    school.bar(rl=rl, llm=llm)
    school.bar(move, asks=False)

    assert school.weight() == pytest.approx(weight, rel=1e-12)


def test_weight_moves_in_the_regime_of_the_question_alone() -> None:
    """The regime in which it is settled is another."""
    school = School(adaptive=adaptive())
    school.bar(rl=SELL, llm=BUY, regime=-1)
    school.bar(TARGET, regime=0, asks=False)

    assert [school.weight(regime) for regime in (-1, 0, 1)] == pytest.approx([6 / 13, 0.3, 0.3], rel=1e-12)


def test_weight_is_never_above_its_cap() -> None:
    """The learner itself goes on: one lost outcome later it is still the better one."""
    school = School(adaptive=adaptive(weight_max=0.5))
    for _ in range(4):
        school.bar(TARGET, rl=SELL, llm=BUY)
    capped = school.weight()
    school.bar(-TARGET, rl=SELL, llm=BUY)
    school.bar(TARGET, asks=False)

    assert (capped, school.weight()) == (0.5, 0.5)


def test_weight_stays_where_the_answer_came_late() -> None:
    """Late for bar 0, used at bar 1, which asked nothing: nobody is judged by it."""
    school = School(adaptive=adaptive())
    school.bar(rl=SELL)
    school.bar(asks=False, llm=BUY)
    school.bar(TARGET, asks=False)

    assert school.weight() == pytest.approx(0.3, rel=1e-12)


def test_agreement_only_brings_back_the_share_that_is_handed_out() -> None:
    """With a share a far weight drifts home at each outcome: 6/13 and a tenth of the way to 0.3."""
    school = School(adaptive=adaptive())
    school.bar(rl=SELL, llm=BUY)
    school.bar(TARGET, asks=False)
    drifting = School(adaptive=adaptive(share=0.1))
    drifting.learner.restore(school.learner.learned())
    drifting.bar(rl=BUY, llm=BUY)
    drifting.bar(TARGET, asks=False)

    assert drifting.weight() == pytest.approx(0.9 * 6 / 13 + 0.1 * 0.3, rel=1e-12)


def test_end_settles_at_the_last_close() -> None:
    """Ten ticks up, no level reached: bought at +1, sold at +9, costs of 0.9 ticks paid: BUY has won."""
    school = School(adaptive=adaptive())
    school.bar(rl=SELL, llm=BUY)
    school.bar(10, asks=False)
    before = school.weight()
    school.learner.end()

    assert (before, school.weight()) == (pytest.approx(0.3, rel=1e-12), pytest.approx(6 / 13, rel=1e-12))


def test_end_leaves_nothing_to_be_settled_twice() -> None:
    """What the next session's market does has nothing to do with it, nor have answers that come after the end."""
    school = School(adaptive=adaptive())
    school.bar(rl=SELL, llm=BUY)
    school.bar(10, asks=False)
    school.learner.end()
    school.learner.advised(0, SELL)
    settled = school.weight()
    school.bar(-TARGET, asks=False)
    school.learner.end()

    assert school.weight() == settled


def test_rules_are_another_object_only_after_an_outcome() -> None:
    """What a bar's own close has settled counts on that bar; quiet bars cost nothing."""
    school = School(adaptive=adaptive())
    first = school.learner.rules(1)
    school.bar(rl=SELL, llm=BUY)
    school.bar(5, asks=False)
    quiet = school.learner.rules(1)
    school.bar(TARGET, rl=SELL, llm=BUY)

    assert quiet is first
    assert first == RULES
    assert school.learner.rules(1) != first
    assert school.learner.rules(0) == RULES


def test_rules_without_anything_learned_are_those_of_the_settings() -> None:
    """A calibration alone changes no rule."""
    assert School(calibration=Calibration(LEARNS, 3.0)).learner.rules(1) is RULES


def test_rules_have_the_thresholds_of_their_regime() -> None:
    """Fitted bounds beside the learned weight; a regime without them keeps those of the settings."""
    school = School(thresholds={-1: Thresholds(override_high=0.8, uncertain_below=0.4)}, adaptive=adaptive())
    fitted = replace(RULES, override_high=0.8, uncertain_below=0.4)

    assert [school.learner.rules(regime) for regime in (-1, 0)] == [
        replace(fitted, llm_weight=school.weight(-1)),
        replace(RULES, llm_weight=school.weight(0)),
    ]
    school.bar(rl=SELL, llm=BUY, regime=-1)
    school.bar(TARGET, asks=False)
    assert school.learner.rules(-1) == replace(fitted, llm_weight=school.weight(-1))


def test_costs_of_a_learned_weight_are_told_apart() -> None:
    """SELL lost, BUY won. The mix of 0.7 and 0.3 lost 0.7, that under a cap of 0.25 lost 0.75, SELL itself 1."""
    school = School(adaptive=adaptive(weight_max=0.25))
    assert school.learner.costs == AdaptiveCosts(outcomes=0, learned_loss=0.0, cap_cost=0.0, choice_cost=0.0)
    school.bar(rl=SELL, llm=BUY)
    school.learner.decided(0, SELL)
    school.bar(TARGET, rl=SELL)
    school.learner.decided(1, SELL)
    school.bar(TARGET, asks=False)

    costs = school.learner.costs
    assert costs is not None
    assert (costs.outcomes, costs.learned_loss) == (1, pytest.approx(0.7))
    assert (costs.cap_cost, costs.choice_cost) == (pytest.approx(0.05), pytest.approx(0.25))
    assert school.learner.weights == {-1: 0.25, 0: 0.25, 1: 0.25}


def test_costs_of_a_fixed_weight_are_none() -> None:
    """Nothing was learned that could have cost anything."""
    learner = School(calibration=Calibration(LEARNS, 3.0)).learner
    assert (learner.costs, learner.weights) == (None, None)


def test_ensemble_is_told_of_each_outcome() -> None:
    """Whether or not anybody was heard in time, once each."""
    choir = Choir()
    school = School(ensemble=choir)
    for move in (0, TARGET, 0, TARGET):
        school.bar(move, asks=not move, llm=BUY if school.seq == -1 else None)
    school.bar()
    school.bar(5, asks=False)
    school.learner.end()

    assert [(outcome.seq, outcome.won[:3]) for outcome in choir.outcomes] == [
        (0, (False, True, False)),
        (2, (False, True, False)),
        (4, (False, True, False)),
    ]
