"""What was learned goes from run to run, and what was open is settled in the next."""

from collections.abc import Callable
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from learning_builders import BUY, FLAT, LEARNS, RULES, SCORES, SELL, TARGET, Choir, School, adaptive, advise
from msgspec.structs import replace

from trader.advisor.calibration import Calibration
from trader.advisor.hedge import HedgeState
from trader.advisor.question import Answer
from trader.domain.decisions import AdviceStatus
from trader.learning import Learned, Unsettled


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
