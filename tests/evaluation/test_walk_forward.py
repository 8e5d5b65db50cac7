"""Models chosen on a window and tested on the next: by hand, with eight sessions a window's worth of numbers."""

import numpy as np
import pytest
from msgspec.structs import replace

from trader.analysis.splits import FoldPlan, Gap
from trader.errors import UsageError
from trader.evaluation.walk_forward import Candidate, parse_plan, walk

PLAN = FoldPlan(
    train_sessions=2, test_sessions=2, folds=2, is_anchored=False, gap=Gap(purge_sessions=1, embargo_sessions=0)
)
DATES = tuple(f"2022-01-{day:02d}" for day in range(3, 10))


def a_candidate(name: str, *r: float) -> Candidate:
    """Seven sessions, a dollar an R times ten."""
    return Candidate(
        name=name, subject=f"sha-{name}", seed=None, sessions=DATES, daily_r=np.array(r), daily_usd=10 * np.array(r)
    )


EARLY = a_candidate("early", 2, 2, 9, -1, -1, -3, -1)
LATE = a_candidate("late", 0, 0, 9, 1, 3, 5, 1)
EVEN = a_candidate("even", 1, 1, 9, 0, 0, 0, 0)


def test_each_fold_picks_by_the_window_before_and_tests_all():
    """Train on 3 and 4, test on 6 and 7; train on 5 and 6, test on 8 and 9: the gap of one session is in neither."""
    walked = walk([EARLY, LATE, EVEN], PLAN).record

    first, second = walked.folds
    assert (first.train_first, first.train_last, first.test_first, first.test_last) == (
        "2022-01-03",
        "2022-01-04",
        "2022-01-06",
        "2022-01-07",
    )
    assert [(seed.train_mean_r, seed.test_mean_r, seed.test_total_usd, seed.is_picked) for seed in first.seeds] == [
        (2.0, -1.0, -20.0, True),
        (0.0, 2.0, 40.0, False),
        (1.0, 0.0, 0.0, False),
    ]
    assert [(seed.train_mean_r, seed.is_picked) for seed in second.seeds] == [(4.0, False), (5.0, True), (4.5, False)]


def test_the_median_over_seeds_is_the_headline_and_the_spread_is_shown():
    """Not the picked one and never the best: medians 0 and 0, tests from -2 to 3."""
    walked = walk([EARLY, LATE, EVEN], PLAN).record

    assert [(fold.median_r, fold.low_r, fold.high_r) for fold in walked.folds] == [(0.0, -1.0, 2.0), (0.0, -2.0, 3.0)]
    assert (walked.median_r, walked.low_r, walked.high_r, walked.purge_sessions) == (0.0, -2.0, 3.0, 1)
    assert "median +0.000 R a session over 2 test windows and 3 models (from -2.000 to +3.000)" in walked.sentence
    assert "picked on the window before: +1.000 R" in walked.sentence  # -1 and 3


def test_one_model_is_walked_forward_without_a_choice():
    """Its windows, and no word of a pick."""
    walked = walk([LATE], PLAN).record

    assert [fold.median_r for fold in walked.folds] == [2.0, 3.0]
    assert "picked" not in walked.sentence
    assert "1 model (" in walked.sentence


def test_folds_that_do_not_fit_are_refused_with_what_is_needed():
    """Three of them need nine sessions."""
    with pytest.raises(UsageError, match="need 9 sessions, here are 7"):
        walk([LATE], replace(PLAN, folds=3))


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("train=120,test=40", (120, 40, None, False, None)),
        ("test=5, train=10, folds=3", (10, 5, 3, False, None)),
        ("train=10,test=5,anchored", (10, 5, None, True, None)),
        ("train=10,test=5,steps=50000", (10, 5, None, False, 50_000)),
    ],
)
def test_a_plan_is_read_from_the_command_line(text, numbers):
    """In any order; the gap is that of the bars."""
    plan = parse_plan(text, 1)

    dates = plan.dates
    assert (dates.train_sessions, dates.test_sessions, dates.folds, dates.is_anchored, plan.steps) == numbers
    assert dates.gap.sessions > 5


@pytest.mark.parametrize(
    "text", ["", "train=10", "test=10", "train=0,test=5", "train=a,test=5", "train=1,train=2,test=5", "anchored", "x=1"]
)
def test_a_plan_that_cannot_be_read_says_what_it_may_be(text):
    """The text, and an example."""
    with pytest.raises(UsageError, match=r"--walk-forward .*train=120,test=40"):
        parse_plan(text, 1)
