"""What becomes of a model's numbers: the order of the steps, the edges, and that nothing has seen its own outcome."""

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from trader.advisor.base_rate import BaseRates
from trader.advisor.batch_correction import BatchCorrection
from trader.advisor.calibration import (
    PENDING_MAX,
    Calibration,
    CalibrationMode,
    CalibrationRules,
    CalibrationState,
    choice,
)
from trader.advisor.outcomes import Outcome
from trader.advisor.question import Answer, Scores
from trader.domain.actions import ACTIONS, Action
from trader.domain.decisions import Advice, AdviceStatus

FLAT = 0b000111
RELATIVE = CalibrationRules(mode=CalibrationMode.RELATIVE, legal_mass_min=0.2, learns=True)


def a_calibration(**changes: object) -> Calibration:
    """With a target three times as far as the stop: an entry's base rate begins at 1/4."""
    return Calibration(replace(RELATIVE, **changes), target_multiple=3.0)


def scored(hold: float, buy: float, sell: float, legal_mass: float = 0.9) -> Answer:
    """A model's probabilities of the three labels that are valid when flat."""
    logs = tuple(math.log(p) if p > 0 else -math.inf for p in (hold, buy, sell))
    return Answer(
        status=AdviceStatus.USED,
        scores=Scores((*logs, None, None, None), legal_mass),
        prompt_sha256="f" * 64,
        visible_from_bar=7,
    )


def written(action: Action, confidence: float) -> Answer:
    """A generated reply."""
    advice = Advice(action=action, confidence=confidence, verbal=confidence, reason="the trend is strong")
    return Answer(status=AdviceStatus.USED, advice=advice, visible_from_bar=7)


def an_outcome(seq: int, *winners: Action, mask: int = FLAT) -> Outcome:
    won = tuple(action in winners if mask >> action & 1 else None for action in ACTIONS)
    return Outcome(seq=seq, regime=0, mask=mask, net_cents=(None,) * 6, won=won)


def test_first_scores_become_advice_by_the_stated_steps():
    """Nothing learned: the largest label; half its number, half the base rate of 1/4; relative to that base rate."""
    advice = a_calibration().advise(7, FLAT, scored(0.2, 0.6, 0.2)).usable
    assert advice.action is Action.BUY
    assert advice.raw == pytest.approx(0.6)
    assert advice.base_rate == 0.25
    assert advice.calibrated == pytest.approx(0.5 * 0.6 + 0.5 * 0.25)
    odds = advice.calibrated / (1 - advice.calibrated) * 3
    assert advice.confidence == pytest.approx(odds / (1 + odds))
    assert (advice.legal_mass, advice.verbal, advice.reason) == (0.9, None, "")


def test_confidence_is_what_the_mode_says():
    """PROBABILITY gives the calibrated number, OFF the model's own."""
    answer = scored(0.2, 0.6, 0.2)
    assert a_calibration(mode=CalibrationMode.PROBABILITY).advise(7, FLAT, answer).advice.confidence == (
        pytest.approx(0.425)
    )
    assert a_calibration(mode=CalibrationMode.OFF).advise(7, FLAT, answer).advice.confidence == pytest.approx(0.6)


def test_number_at_the_base_rate_is_no_better_than_usual():
    """Relative confidence is exactly a half there, and rises and falls with the number."""
    relative = [a_calibration().advise(7, FLAT, written(Action.BUY, p)).advice.confidence for p in (0.1, 0.25, 0.5)]
    assert relative[1] == pytest.approx(0.5)
    assert relative[0] < 0.5 < relative[2]


def test_answer_keeps_all_but_its_advice():
    """Status, scores, prompt and the bar that may use it."""
    answer = scored(0.2, 0.6, 0.2)
    made = a_calibration().advise(7, FLAT, answer)
    assert replace(made, advice=None) == answer


def test_too_little_legal_mass_is_no_advice():
    """0.19 of the probability on valid labels: invalid, nothing to use, nothing learned; 0.2 is enough."""
    calibration = a_calibration()
    untaught = calibration.state()
    answer = calibration.advise(7, FLAT, scored(0.2, 0.6, 0.2, legal_mass=0.19))
    assert (answer.status, answer.advice, answer.visible_from_bar) == (AdviceStatus.INVALID, None, None)
    assert "0.190" in answer.error
    assert calibration.state() == untaught
    assert a_calibration().advise(7, FLAT, scored(0.2, 0.6, 0.2, legal_mass=0.2)).usable is not None
    assert a_calibration().advise(7, FLAT, scored(0.2, 0.6, 0.2, legal_mass=math.nan)).usable is None


def test_written_confidence_is_calibrated_in_place_of_labels():
    """The reason stays; the written number is recorded, and counts as the raw one."""
    advice = a_calibration().advise(7, FLAT, written(Action.SELL, 0.9)).usable
    assert (advice.action, advice.reason, advice.verbal, advice.raw) == (Action.SELL, "the trend is strong", 0.9, 0.9)
    assert advice.calibrated == pytest.approx(0.575)
    off = a_calibration(mode=CalibrationMode.OFF).advise(7, FLAT, written(Action.SELL, 0.9)).usable
    assert off.confidence == 0.9


@pytest.mark.parametrize(
    "answer",
    [
        Answer(status=AdviceStatus.ERROR, error="no"),
        Answer(status=AdviceStatus.MISSING),
        Answer(status=AdviceStatus.USED, advice=Advice(action=Action.BUY, confidence=0.7, reason="a rule")),
        written(Action.MOVE_TO_BE, 0.7),
    ],
    ids=["error", "missing", "no number of a model", "outside the mask"],
)
def test_what_is_no_models_valid_answer_is_returned_as_it_came(answer: Answer):
    """And is not waited for."""
    calibration = a_calibration()
    assert calibration.advise(7, FLAT, answer) is answer
    assert calibration.state().pending == ()


def test_label_that_a_model_always_favours_is_corrected():
    """BUY at 0.6 whatever is asked says nothing after a while, and SELL at 0.2 in place of 0.1 says something."""
    calibration = a_calibration(mode=CalibrationMode.OFF)
    first = calibration.advise(0, FLAT, scored(0.3, 0.6, 0.1)).advice
    for seq in range(1, 2_000):
        last = calibration.advise(seq, FLAT, scored(0.3, 0.6, 0.1)).advice
    assert (first.action, first.confidence) == (Action.BUY, pytest.approx(0.6))
    assert last.confidence == pytest.approx(1 / 3, abs=0.005)
    unusual = calibration.advise(2_000, FLAT, scored(0.3, 0.5, 0.2)).advice
    assert (unusual.action, unusual.raw) == (Action.SELL, pytest.approx(0.2))


def test_correction_uses_the_answers_before_and_shrinks_to_uniform():
    """The first answer is as the model gave it; the second by 20 parts uniform and one part the first."""
    correction = BatchCorrection()
    logs = tuple(math.log(p) for p in (0.3, 0.6, 0.1)) + (None,) * 3
    assert correction.corrected(FLAT, logs)[:3] == pytest.approx((0.3, 0.6, 0.1))
    correction.learn(FLAT, logs)
    odds = [p / math.exp((20 * math.log(1 / 3) + math.log(p)) / 21) for p in (0.3, 0.6, 0.1)]
    assert correction.corrected(FLAT, logs)[:3] == pytest.approx([one / sum(odds) for one in odds])
    assert correction.corrected(0b000011, (*logs[:2], None, None, None, None))[:2] == pytest.approx((1 / 3, 2 / 3))


def test_correction_follows_a_model_that_changes():
    """After 3,000 answers of another bias the new one is taken out, not the mean of both."""
    correction = BatchCorrection()
    old, new = ((*(math.log(p) for p in shares), None, None, None) for shares in ((0.3, 0.6, 0.1), (0.1, 0.3, 0.6)))
    for logs in (old, new):
        for _ in range(3_000):
            correction.learn(FLAT, logs)
    assert correction.corrected(FLAT, new)[:3] == pytest.approx((1 / 3, 1 / 3, 1 / 3), abs=0.04)


def test_label_that_a_model_never_gives_is_taken_as_one_in_ten_million():
    """Impossible every time is nothing new the next time; one that was likely until now is out of the question."""
    correction = BatchCorrection()
    never_sell = (math.log(0.5), math.log(0.5), -math.inf, None, None, None)
    assert correction.corrected(FLAT, never_sell)[Action.SELL] < 1e-6
    for _ in range(5_000):
        correction.learn(FLAT, never_sell)
    assert correction.corrected(FLAT, never_sell)[Action.SELL] == pytest.approx(1 / 3, abs=0.01)


@given(st.lists(st.tuples(*[st.one_of(st.just(-math.inf), st.floats(-1e6, 0))] * 3), min_size=1, max_size=30))
def test_corrected_probabilities_are_probabilities_whatever_a_model_says(answers):
    """Also with labels that it thinks impossible: finite, in sum one, nothing for what is not valid."""
    correction = BatchCorrection()
    for answer in answers:
        probabilities = correction.corrected(FLAT, (*answer, None, None, None))
        correction.learn(FLAT, (*answer, None, None, None))
        assert all(0.0 <= p <= 1.0 for p in probabilities[:3])
        assert math.fsum(probabilities[:3]) == pytest.approx(1.0)
        assert probabilities[3:] == (None, None, None)


def test_impossible_label_is_survived():
    """A probability of 0, whose logarithm is minus infinity: advice all the same, with finite numbers."""
    advice = a_calibration().advise(7, FLAT, scored(0.0, 1.0, 0.0)).usable
    assert advice.action is Action.BUY
    assert advice.raw == 1.0
    assert 0.5 < advice.confidence < 1.0


@pytest.mark.parametrize(
    ("probabilities", "action"),
    [
        ((0.2, 0.5, 0.3), Action.BUY),
        ((0.4, 0.4, 0.2), Action.HOLD),
        ((0.3996, 0.3998, 0.2006), Action.HOLD),  # 409.2 and 409.4 of 1024
        ((0.3998, 0.4002, 0.2), Action.BUY),  # 409.4 and 409.8
        ((0.2, 0.4, 0.4), Action.HOLD),
        ((0.2, None, 0.8), Action.SELL),
    ],
)
def test_largest_label_is_chosen_and_ties_go_to_hold(probabilities: tuple[float | None, ...], action: Action):
    """Numbers that round to the same 1/1024 are a tie, whoever shares it."""
    assert choice((*probabilities, None, None, None)) is action


def test_calibrator_learns_the_advised_action_and_base_rates_learn_all():
    """BUY is advised 40 times and wins never; SELL wins each time and is never advised."""
    calibration = a_calibration()
    for seq in range(40):
        calibration.advise(seq, FLAT, written(Action.BUY, 0.8))
        calibration.settle(an_outcome(seq, Action.SELL))
    buy = calibration.advise(50, FLAT, written(Action.BUY, 0.8)).advice
    sell = calibration.advise(51, FLAT, written(Action.SELL, 0.8)).advice
    assert buy.calibrated < 0.1
    assert buy.base_rate == pytest.approx(20 * 0.25 / 60, rel=0.01)
    assert sell.base_rate == pytest.approx((20 * 0.25 + 40) / 60, rel=0.01)
    assert sell.calibrated == pytest.approx((0.8 + sell.base_rate) / 2)


def test_advice_is_learned_from_once_and_by_its_own_number():
    """The number that stood at the time of the question, not what a later question made of it; settled twice, once."""
    calibration = a_calibration()
    calibration.advise(1, FLAT, written(Action.BUY, 0.9))
    calibration.advise(2, FLAT, written(Action.BUY, 0.3))
    calibration.settle(an_outcome(1, Action.BUY))
    calibration.settle(an_outcome(1, Action.BUY))
    kept = calibration.state()
    assert (kept.calibrators[Action.BUY].numbers, kept.calibrators[Action.BUY].won) == ((0.9,), (True,))
    assert [one.seq for one in kept.pending] == [2]


def test_entry_that_could_not_be_filled_teaches_nothing():
    """Its outcome is nobody's."""
    calibration = a_calibration()
    calibration.advise(1, FLAT, written(Action.BUY, 0.9))
    untaught = a_calibration().state()
    calibration.settle(replace(an_outcome(1), won=(None,) * 6))
    assert calibration.state() == untaught


def test_calibration_that_does_not_learn_stays_as_it_is():
    """What was fitted before is applied to every answer alike."""
    calibration = a_calibration(learns=False)
    first = calibration.advise(0, FLAT, scored(0.3, 0.6, 0.1)).advice
    for seq in range(1, 60):
        calibration.advise(seq, FLAT, scored(0.3, 0.6, 0.1))
        calibration.settle(an_outcome(seq, Action.SELL))
    assert calibration.advise(99, FLAT, scored(0.3, 0.6, 0.1)).advice == first


def test_advice_that_is_never_settled_is_forgotten():
    """No more than PENDING_MAX wait; the oldest go first."""
    calibration = a_calibration()
    for seq in range(PENDING_MAX + 10):
        calibration.advise(seq, FLAT, written(Action.BUY, 0.9))
    pending = calibration.state().pending
    assert len(pending) == PENDING_MAX
    assert pending[0].seq == 10


def test_base_rate_begins_at_its_prior_and_forgets_slowly():
    """Entries at 1 in 1 + 3, others at a half; after 20,000 outcomes of each kind the last 5,000 or so count."""
    rates = BaseRates(target_multiple=3.0)
    assert [rates.rate(action) for action in ACTIONS] == [0.5, 0.25, 0.25, 0.5, 0.5, 0.5]
    for seq in range(40_000):
        rates.update(Action.BUY, won=seq < 20_000)
    assert rates.rate(Action.BUY) < math.exp(-4) + 0.002
    assert rates.rate(Action.BUY) > 0.0


ANSWERS = st.one_of(
    st.tuples(st.floats(0.01, 1), st.floats(0.01, 1), st.floats(0.01, 1)).map(
        lambda parts: scored(*(part / sum(parts) for part in parts))
    ),
    st.tuples(st.sampled_from([Action.HOLD, Action.BUY, Action.SELL]), st.floats(0, 1)).map(
        lambda pair: written(*pair)
    ),
)


@given(st.lists(st.tuples(ANSWERS, st.sampled_from(ACTIONS[:3])), max_size=45), st.integers(0, 44), st.integers(0, 4))
def test_restored_calibration_goes_on_to_the_same_advice(steps, at, late_by):
    """Kept as JSON between any two questions, with outcomes on their way: the same to the last bit."""
    calibration = other = a_calibration()
    for seq, (answer, _) in enumerate(steps):
        for one in {id(calibration): calibration, id(other): other}.values():
            if seq >= late_by:
                one.settle(an_outcome(seq - late_by, steps[seq - late_by][1]))
        advice = calibration.advise(seq, FLAT, answer).advice
        if other is not calibration:
            assert other.advise(seq, FLAT, answer).advice == advice
        assert 0.0 < advice.calibrated < 1.0
        assert 0.0 < advice.confidence < 1.0
        if seq == at:
            other = a_calibration()
            other.restore(msgspec.json.decode(msgspec.json.encode(calibration.state()), type=CalibrationState))
    assert other.state() == calibration.state()
