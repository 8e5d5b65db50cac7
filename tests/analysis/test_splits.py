"""Splits that share nothing, by brute force, and how dates lie to those of training."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from trader.analysis.splits import (
    FoldPlan,
    Gap,
    Past,
    Relation,
    Sample,
    gap_for,
    relation,
    split_facts,
    walk_forward,
)
from trader.domain.sessions import Calendar
from trader.errors import UsageError

CALENDAR = Calendar.load()
FIRST = CALENDAR.index_from("2019-01-02")
DATES = [CALENDAR.session(index).date for index in range(FIRST, FIRST + 300)]
GAP = Gap(purge_sessions=6, embargo_sessions=5)
TRAINED = Sample(market="NQ", first_session="2019-01-02", last_session="2021-12-31", sha256="aa", is_synthetic=False)


PAST = Past(trained=TRAINED, chosen=None, gap=GAP)


def evaluated(first: str, last: str, **changes: object) -> Sample:
    """Other real NQ bars of these dates, unless changed."""
    return replace(TRAINED, first_session=first, last_session=last, sha256="bb", **changes)


def test_gap_of_one_minute_bars_holds_the_longest_look_back():
    """7,860 settled minutes are 5.7 sessions of 1,380; the session of the last outcome; a week."""
    assert gap_for(1) == Gap(purge_sessions=7, embargo_sessions=5)


def test_gap_of_fifteen_minute_bars_counts_their_minutes():
    """1,853 bars of 15 minutes are 20.1 sessions."""
    assert gap_for(15) == Gap(purge_sessions=22, embargo_sessions=5)


@given(
    train=st.integers(1, 120),
    test=st.integers(1, 60),
    purge=st.integers(0, 10),
    embargo=st.integers(0, 10),
    is_anchored=st.booleans(),
)
def test_folds_share_no_session_and_keep_the_gap(train: int, test: int, purge: int, embargo: int, is_anchored: bool):
    """By brute force over all folds: order, lengths, gap, tests that follow each other to the last session."""
    gap = Gap(purge_sessions=purge, embargo_sessions=embargo)
    plan = FoldPlan(train_sessions=train, test_sessions=test, folds=None, is_anchored=is_anchored, gap=gap)
    folds = walk_forward(DATES, plan)
    place = {date: index for index, date in enumerate(DATES)}
    tested = [date for fold in folds for date in fold.test]
    assert tested == DATES[-len(tested) :]
    assert len(DATES) - len(tested) - train - gap.sessions < test
    for fold in folds:
        assert len(fold.test) == test
        assert place[fold.test[0]] - place[fold.train[-1]] == gap.sessions + 1
        assert list(fold.train) == DATES[place[fold.train[0]] : place[fold.train[-1]] + 1]
        if is_anchored:
            assert fold.train[0] == DATES[0]
            assert len(fold.train) >= train
        else:
            assert len(fold.train) == train


def test_fewer_folds_are_the_last_ones():
    """The newest sessions are tested."""
    plan = FoldPlan(train_sessions=120, test_sessions=40, folds=None, is_anchored=False, gap=GAP)
    assert len(walk_forward(DATES, plan)) == 4
    assert walk_forward(DATES, replace(plan, folds=2)) == walk_forward(DATES, plan)[2:]


def test_a_single_fold_that_fits_exactly_is_made():
    """249 + 11 + 40 are all 300 sessions."""
    plan = FoldPlan(train_sessions=249, test_sessions=40, folds=None, is_anchored=False, gap=GAP)
    (fold,) = walk_forward(DATES, plan)
    assert (len(fold.train), len(fold.test)) == (249, 40)


@pytest.mark.parametrize(("train", "folds", "needed"), [(120, 5, 331), (290, None, 341), (120, 0, 171)])
def test_folds_that_do_not_fit_are_refused_with_what_they_need(train: int, folds: int | None, needed: int):
    """120 + 11 + 5 x 40; 290 + 11 + 40; and no folds at all is none that fits."""
    plan = FoldPlan(train_sessions=train, test_sessions=40, folds=folds, is_anchored=False, gap=GAP)
    with pytest.raises(UsageError, match=f"need {needed} sessions, here are 300"):
        walk_forward(DATES, plan)


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        pytest.param(evaluated("2019-06-26", "2019-07-05"), Relation.IN_SAMPLE, id="inside"),
        pytest.param(evaluated("2019-01-02", "2021-12-31"), Relation.IN_SAMPLE, id="the same dates, another file"),
        pytest.param(evaluated("2021-12-31", "2022-12-30"), Relation.OVERLAPS, id="one day in common"),
        pytest.param(evaluated("2018-01-02", "2019-01-02"), Relation.OVERLAPS, id="one day in common, the first"),
        pytest.param(evaluated("2018-01-02", "2023-12-29"), Relation.OVERLAPS, id="around"),
        pytest.param(evaluated("2022-01-03", "2022-12-30"), Relation.NEWER, id="newer"),
        pytest.param(evaluated("2015-10-01", "2018-12-31"), Relation.OLDER, id="older"),
        pytest.param(evaluated("2019-06-26", "2019-07-05", market="MNQ"), Relation.IN_SAMPLE, id="the micro contract"),
        pytest.param(evaluated("2019-06-26", "2019-07-05", market="ES"), Relation.UNRELATED, id="another index"),
        pytest.param(evaluated("2019-06-26", "2019-07-05", market="??"), Relation.UNRELATED, id="an unknown market"),
        pytest.param(
            evaluated("2019-06-26", "2019-07-05", is_synthetic=True), Relation.UNRELATED, id="synthetic bars"
        ),
        pytest.param(
            replace(TRAINED, market="ES", first_session="2030-01-02"), Relation.IN_SAMPLE, id="the very same bytes"
        ),
    ],
)  # fmt: skip
def test_relation_is_judged_by_instrument_and_dates(sample: Sample, expected: Relation):
    """And the sentence says on what was trained."""
    assert relation(TRAINED, sample) is expected
    facts = split_facts(PAST, sample, CALENDAR)
    assert facts.relation == expected.value
    assert facts.sentence.startswith("Trained on NQ of 2019-01-02 to 2021-12-31: ")


def test_only_sessions_that_training_saw_count_as_seen():
    """A relation that is new must be placed here."""
    assert {kind for kind in Relation if kind.is_seen} == {Relation.IN_SAMPLE, Relation.OVERLAPS}


@pytest.mark.parametrize(
    ("first", "last", "told"),
    [
        ("2022-01-03", "2022-12-30", "newer, 0 sessions between (purge and embargo ask for 11: the nearest"),
        ("2022-01-17", "2022-12-30", "newer, 10 sessions between (purge"),
        ("2022-01-18", "2022-12-30", "newer, 11 sessions between."),
        ("2018-01-02", "2018-12-28", "older, 1 session between (purge"),
        ("2018-01-02", "2018-11-30", "older, 20 sessions between; weaker evidence"),
    ],
)
def test_the_sentence_counts_the_sessions_between(first: str, last: str, told: str):
    """By the calendar, which trades a half day on 17 January; fewer than the gap is said to be too few."""
    assert told in split_facts(PAST, evaluated(first, last), CALENDAR).sentence


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        (evaluated("2022-01-03", "2022-12-30"), Relation.CHOSEN_ON),
        (evaluated("2022-12-30", "2023-12-29", market="MNQ"), Relation.CHOSEN_ON),
        (evaluated("2023-01-03", "2023-12-29"), Relation.NEWER),
        (evaluated("2021-12-31", "2022-12-30"), Relation.OVERLAPS),
        (evaluated("2022-01-03", "2022-12-30", is_synthetic=True), Relation.UNRELATED),
    ],
)
def test_dates_by_which_the_model_was_chosen_are_named_as_such(sample: Sample, expected: Relation):
    """Chosen on 2022; what was trained on comes first."""
    past = replace(PAST, chosen=replace(TRAINED, first_session="2022-01-03", last_session="2022-12-30", sha256="cc"))
    assert split_facts(past, sample, CALENDAR).relation == expected.value


def test_another_index_on_shared_dates_is_weak_evidence():
    """Indices move together; on other dates nothing is said."""
    assert "weak evidence" in split_facts(PAST, evaluated("2021-01-04", "2022-06-30", market="ES"), CALENDAR).sentence
    assert "weak" not in split_facts(PAST, evaluated("2022-01-03", "2022-06-30", market="ES"), CALENDAR).sentence


def test_another_index_that_shares_one_day_is_weak_evidence_too():
    """The last day of training, or the first."""
    for first, last in (("2021-12-31", "2022-06-30"), ("2018-01-02", "2019-01-02")):
        assert "weak evidence" in split_facts(PAST, evaluated(first, last, market="ES"), CALENDAR).sentence


def test_synthetic_bars_are_called_other_bars_and_not_another_market():
    """Of the same symbol, on the same dates."""
    found = split_facts(PAST, evaluated("2019-06-26", "2019-07-05", is_synthetic=True), CALENDAR)
    assert "other bars altogether, synthetic NQ of 2019-06-26 to 2019-07-05" in found.sentence


def test_without_training_nothing_was_seen():
    """A rule, or random weights."""
    assert split_facts(None, evaluated("2019-06-26", "2019-07-05"), CALENDAR).relation == "unrelated"
