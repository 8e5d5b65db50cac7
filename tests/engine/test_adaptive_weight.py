"""A run whose advisor's weight follows what became of its advice: by the record, again, and out of the log."""

from functools import cache
from pathlib import Path

import pytest
from line_builders import Drive
from line_fakes import FakeAdvisor
from msgspec.structs import replace

from trader.domain.actions import Action
from trader.records import Canonical, file_name

ADAPTIVE = ("fusion.mode=adaptive", "fusion.llm_weight=0.3", "fusion.adaptive.share=0.0")
HALVES = (*ADAPTIVE, "fusion.adaptive.learning_rate=0.6931471805599453")
"""A lost outcome halves what an expert weighs."""
TARGET_POINTS = 22.5
TICK = 0.25


def risen(advisor: FakeAdvisor | None, *overrides: str) -> Drive:
    """A strategy that holds while the market rises, ten ticks a bar, nine for a BUY; then nothing moves."""
    drive = Drive(*overrides, advisor=advisor).warm("10:00")
    drive.climb(25)
    for _ in range(70):
        drive.bar()
    return drive


def a_buyer() -> FakeAdvisor:
    """Advises BUY whatever happens."""
    advisor = FakeAdvisor()
    advisor.action = Action.BUY
    return advisor


@cache
def learned() -> Drive:
    """The run that most tests look at."""
    return risen(a_buyer(), "advisor.backend=rules", *HALVES)


def outcome_of(records: list[Canonical], asked: int) -> tuple[int, bool] | None:
    """At which record the BUY of record `asked` has ended, and whether it has won; by the bars alone.

    In this market SELL never wins, so that the strategy's HOLD has won where BUY has not.
    """
    fill = records[asked + 1].bar.o + TICK
    for i in range(asked + 1, min(asked + 31, len(records))):
        if records[i].bar.l <= fill - TARGET_POINTS / 3:
            return i, False
        if records[i].bar.h > fill + TARGET_POINTS:
            return i, True
        if i == asked + 30:
            return i, records[i].bar.c - TICK - fill > 4.5 / 20
    return None


def test_weight_in_the_record_is_the_learned_one_on_every_bar() -> None:
    """Also where nobody was asked; from the bar on at which the outcome is known, in the regime of the question."""
    records = learned().records()
    asked = [i for i, record in enumerate(records) if record.llm is not None]
    ended = [(i, outcome_of(records, i)) for i in asked]
    due = sorted((end[0], end[1], records[i].features.regime) for i, end in ended if end is not None)
    odds = {-1: 3 / 7, 0: 3 / 7, 1: 3 / 7}
    for i, record in enumerate(records):
        for at, won, regime in due:
            if at == i:
                odds[regime] *= 2 if won else 0.5
        own = odds[record.features.regime]
        assert record.fusion.weight == pytest.approx(min(own / (1 + own), 0.5), abs=1e-6), i

    weights = {round(record.fusion.weight, 3) for record in records if record.llm is None}
    assert {won for _, won, _ in due} == {True, False}
    assert weights >= {0.3, 0.462, 0.5}
    assert not any(record.account.trades or record.account.position for record in records)


def test_costs_of_the_weight_are_counted_by_what_was_decided() -> None:
    """HOLD was decided throughout, and lost wherever BUY has won; the three parts of its loss make up the whole."""
    records = learned().records()
    ended = [outcome_of(records, i) for i, record in enumerate(records) if record.llm is not None]
    won = [end[1] for end in ended if end is not None]
    learner = learned().parts.learner
    assert learner is not None
    costs = learner.costs
    assert costs is not None
    assert costs.outcomes == len(won)
    assert costs.learned_loss + costs.cap_cost + costs.choice_cost == pytest.approx(sum(won))


def test_weight_of_a_fixed_run_is_that_of_the_settings() -> None:
    """The control: without `adaptive` nothing moves."""
    fixed = risen(a_buyer(), "advisor.backend=rules", "fusion.llm_weight=0.3")

    assert {record.fusion.weight for record in fixed.records()} == {0.3}


def test_run_that_learns_writes_the_same_bytes_again() -> None:
    """What is learned comes from bars and answers, and from nothing of the process."""
    again = risen(a_buyer(), "advisor.backend=rules", *HALVES)

    assert again.journal.files == learned().journal.files


def test_run_that_learns_is_replayed_by_its_log(tmp_path: Path) -> None:
    """Recorded advice, nothing but the log: every record is the same, weights included."""
    first = risen(a_buyer(), "advisor.backend=rules", *HALVES)
    first.finish()
    for session, lines in first.journal.files.items():
        (tmp_path / file_name(session)).write_bytes(b"".join(lines))
    replayed = risen(None, "advisor.backend=recorded", f"advisor.recorded_from={tmp_path}", *HALVES)

    named = [replace(record, ids=record.ids) for record in first.records()]
    own = [replace(record, ids=named[0].ids) for record in replayed.records()]
    assert own == named
    assert len({record.fusion.weight for record in own}) > 3


def test_session_that_ends_settles_what_it_has_asked() -> None:
    """The advice of a session's last bars is judged at its last close: with the next session's first bar it counts."""
    drive = Drive("advisor.backend=rules", *HALVES, "execution.entry_window=all", advisor=a_buyer()).warm("10:00")
    drive.climb(12)
    before = drive.records()[-1]
    assert any(record.llm is not None for record in drive.records()[-6:])
    drive.next_session()
    after = drive.bar()

    assert (before.fusion.weight, after.fusion.weight) == (0.3, pytest.approx(6 / 13, abs=1e-6))
