"""What a run learns of its advisor, from what the market did afterwards: real outcomes on bars that a test moves."""

import math
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest
from builders import MINUTE_NS, OPEN_NS, a_question, an_account
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from trader.advisor.base_rate import RateState
from trader.advisor.calibration import Calibration, CalibrationMode, CalibrationRules
from trader.advisor.hedge import ByRegime, HedgeRules, HedgeState
from trader.advisor.outcomes import Outcome, OutcomeTerms, OutcomeTracker
from trader.advisor.question import Answer, Scores
from trader.domain.actions import Action
from trader.domain.bars import Bar
from trader.domain.decisions import AdviceStatus, NotAsked, Proposal
from trader.domain.sessions import Calendar
from trader.fusion import FusionRules
from trader.learning import Adaptive, AdaptiveCosts, Learned, Learner, Thresholds, Unsettled
from trader.outlook import Outlook, Reading
from trader.pipeline import Look

BASE = 48_000  # ticks
NEVER_NS = 2**62
FLAT = 0b000111
HOLD, BUY, SELL = Action.HOLD, Action.BUY, Action.SELL
TARGET = 100
"""Ticks that take an entry's target, 60 ticks away, or its stop, 20 away."""
TERMS = OutcomeTerms(
    ticks_per_point=4,
    tick_value_cents=500,
    commission_side_cents=225,
    slippage_ticks=1,
    target_through_ticks=1,
    break_even_ticks=2,
    trail_atr=1.0,
)
RULES = FusionRules(llm_weight=0.3, override_high=0.9, override_low=0.6, uncertain_below=0.5)
LEARNS = CalibrationRules(mode=CalibrationMode.RELATIVE, legal_mass_min=0.2, learns=True)
SCORES = Scores((math.log(0.25), math.log(0.625), math.log(0.125), None, None, None), 0.9)
_SESSION = Calendar.load().on("2023-03-15")


def adaptive(*, learning_rate: float = math.log(2), share: float = 0.0, weight_max: float = 1.0) -> Adaptive:
    """From (0.7, 0.3) on, a lost outcome halves what an expert weighs."""
    rules = HedgeRules(start=(0.7, 0.3), learning_rate=learning_rate, share=share)
    return Adaptive(weights=ByRegime(rules), weight_max=weight_max)


def a_reading(regime: int) -> Reading:
    """A reading of which only the regime counts."""
    return Reading(18.0, 50.0, 2.5, 12_000.0, 0.0, 0.0, 12_000.0, 12_000.0, regime)


class School:
    """A learner, and a market that moves as the test says: each bar first settles, then asks."""

    def __init__(self, **parts: Any) -> None:
        self.learner = Learner(OutcomeTracker(TERMS), RULES, **parts)
        self.seq = -1
        self._level = BASE

    def bar(
        self, move: int = 0, *, rl: Action = HOLD, llm: Action | None = None, regime: int = 1, asks: bool = True
    ) -> None:
        """A bar that closes `move` ticks further, what both say at its close; `llm` None: no advice came in time."""
        start, self._level = self._level, self._level + move
        low, high = sorted((start, self._level))
        at_ns = OPEN_NS + self.seq * MINUTE_NS
        self.seq += 1
        prices = (ticks / 4 for ticks in (start, high + 1, low - 1, self._level))
        bar = Bar(at_ns, at_ns + MINUTE_NS, "NQM23", *prices, 100)
        assert _SESSION is not None
        outlook = Outlook(bar, _SESSION, np.zeros(0, np.float32), a_reading(regime), FLAT, True, an_account())
        look = Look(
            seq=self.seq,
            outlook=outlook,
            proposal=Proposal(rl, 0.8),
            forced=False,
            triggers=(),
            not_asked=None if asks else NotAsked.NO_TRIGGER,
            question=a_question(seq=self.seq) if asks else None,
            stop_trailed=False,
            close_ticks=self._level,
            stop_distance_ticks=20,
            target_distance_ticks=60,
        )
        self.learner.on_bar(look, 10.0, NEVER_NS)
        if llm is not None:
            self.learner.advised(self.seq, llm)

    @property
    def level(self) -> int:
        """Where the market stands."""
        return self._level

    def continue_at(self, level: int) -> None:
        """The market stands there, before the first bar."""
        self._level = level

    def weight(self, regime: int = 1) -> float:
        """The advisor's weight in that regime."""
        return self.learner.rules(regime).llm_weight


def advise(calibration: Calibration, seq: int) -> None:
    """A model advises BUY."""
    answer = calibration.advise(seq, FLAT, Answer(status=AdviceStatus.USED, scores=SCORES))
    assert answer.advice is not None
    assert answer.advice.action is BUY


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


class Choir:
    """Members that remember what they were told."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.restored: list[HedgeState] = []

    def settled(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)

    def state(self) -> HedgeState:
        return HedgeState(((0.0,), (0.0,), (0.0,)))

    def restore(self, state: HedgeState) -> None:
        self.restored.append(state)


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


def learned_school(make: Callable[[], dict[str, Any]]) -> tuple[School, Calibration]:
    """Forty lessons, one that is still open."""
    parts = make()
    calibration = parts["calibration"]
    school = School(**parts)
    for i in range(40):
        school.bar(TARGET if i % 3 else -TARGET, rl=SELL, llm=BUY, regime=i % 3 - 1)
        advise(calibration, school.seq)
    return school, calibration


def teach(school: School, calibration: Calibration, moves: list[int], begun: int = 0) -> None:
    """A lesson a bar; what is said depends on the bar's number in the whole."""
    for number, move in enumerate(moves, start=begun):
        school.bar(move, rl=SELL if number % 2 else BUY, llm=BUY if number % 3 else None, regime=number % 3 - 1)
        advise(calibration, school.seq)


def everything() -> dict[str, Any]:
    """All that can learn."""
    return {"calibration": Calibration(LEARNS, 3.0), "adaptive": adaptive(share=0.01), "ensemble": Choir()}


def test_learned_state_goes_through_json_and_back_exactly() -> None:
    """To the last bit, so that the next run's first bar decides as this one's next would."""
    school, calibration = learned_school(everything)
    kept = msgspec.json.decode(msgspec.json.encode(school.learner.learned()), type=Learned)
    parts = everything()
    other = School(**parts)
    before = other.learner.rules(1)
    other.learner.restore(kept)

    assert other.learner.learned() == kept == school.learner.learned()
    assert [other.weight(regime) for regime in (-1, 0, 1)] == [school.weight(regime) for regime in (-1, 0, 1)]
    assert other.learner.rules(1) != before
    assert parts["ensemble"].restored == [HedgeState(((0.0,), (0.0,), (0.0,)))]
    answer = Answer(status=AdviceStatus.USED, scores=SCORES)
    assert parts["calibration"].advise(99, FLAT, answer) == calibration.advise(99, FLAT, answer)


def test_learned_state_holds_no_advice_that_waits() -> None:
    """Its bars belong to a run that is over; this one's calibration still waits for them."""
    school, calibration = learned_school(everything)
    learned = school.learner.learned()

    assert learned.calibration is not None
    assert learned.calibration.pending == ()
    assert [one.seq for one in calibration.state().pending] == [39]


@settings(max_examples=50)
@given(moves=st.lists(st.sampled_from([0, 10, TARGET, -10, -TARGET]), min_size=2, max_size=40), data=st.data())
def test_run_that_is_cut_settles_in_the_next_what_was_open(moves: list[int], data: st.DataObject) -> None:
    """What it has learned and what it waits for, by way of JSON, come to what an uncut run learns."""
    cut = data.draw(st.integers(1, len(moves)))
    whole = School(**(parts := everything()))
    teach(whole, parts["calibration"], moves)

    first = School(**(parts := everything()))
    teach(first, parts["calibration"], moves[:cut])
    learned = msgspec.json.decode(msgspec.json.encode(first.learner.learned()), type=Learned)
    unsettled = msgspec.json.decode(msgspec.json.encode(first.learner.unsettled()), type=Unsettled)
    second = School(**(parts := everything()))
    second.continue_at(first.level)
    second.learner.restore(learned)
    second.learner.go_on(unsettled, bars=cut)
    teach(second, parts["calibration"], moves[cut:], begun=cut)

    assert second.learner.learned() == whole.learner.learned()
    was, is_ = whole.learner.unsettled(), second.learner.unsettled()
    assert was is not None
    assert is_ is not None
    assert [each.seq for each in is_.asked] == [each.seq - cut for each in was.asked]
    assert [each.seq for each in is_.pending] == [each.seq - cut for each in was.pending]


def test_run_that_waits_for_nothing_has_nothing_unsettled() -> None:
    """At the end of a session all is settled."""
    school, _ = learned_school(everything)
    school.learner.end()
    assert school.learner.unsettled() is None


def test_learned_state_of_parts_that_are_not_there_is_none_and_changes_nothing() -> None:
    """A run with a fixed weight leaves the kept weights of another alone."""
    school, _ = learned_school(everything)
    fixed = School(calibration=Calibration(LEARNS, 3.0))
    fixed.learner.restore(replace(school.learner.learned(), calibration=None))

    learned = fixed.learner.learned()
    assert (learned.weights, learned.members) == (None, None)
    assert learned.calibration == Calibration(LEARNS, 3.0).state()
    assert fixed.learner.rules(1) is RULES
