"""What a report says first of a model that advised: hindsight, batches, and answers that were missing."""

from pathlib import Path

import pytest
from line_builders import settings_with
from log_builders import NQ, START, a_record, write_run
from msgspec.structs import replace
from report_builders import count_bar, tally_of

from trader.advisors import AdvisorChoice, advising
from trader.analysis.figures import Label, facts_of, labels_of
from trader.analysis.table import SENTENCES, render
from trader.domain.decisions import AdviceStatus
from trader.errors import InputError
from trader.records import AdvisorRecord, StartRecord

MODEL = AdvisorRecord(
    backend="phi3",
    identity="phi3@1",
    is_batched=False,
    knowledge_until="2023-10-01",
    anonymised=False,
    fitted=None,
    fitted_until=None,
    learned=None,
)
REAL = replace(START, bars={**START.bars, "synthetic": False}, bundle=None)
BATCHED, FITTED, CONTAMINATED = Label.BATCHED_ADVICE, Label.FITTED_HERE, Label.CONTAMINATED


def advised(start: StartRecord = REAL, **changes: object) -> StartRecord:
    """The start of a run with that model."""
    return replace(start, advisor=replace(MODEL, **changes))


@pytest.mark.parametrize(
    ("start", "first_session", "labels"),
    [
        pytest.param(REAL, "2020-01-02", (), id="no model"),
        pytest.param(advised(), "2024-01-02", (), id="bars after everything that it learned"),
        pytest.param(advised(), "2023-10-01", (CONTAMINATED,), id="bars that it has read about"),
        pytest.param(advised(), None, (), id="no bar yet"),
        pytest.param(advised(knowledge_until=None), "2030-01-02", (CONTAMINATED,), id="nobody knows what it read"),
        pytest.param(advised(anonymised=True), "2020-01-02", (), id="it was not told which bars they are"),
        pytest.param(advised(is_batched=True), "2024-01-02", (BATCHED,), id="computed in batches"),
        pytest.param(advised(fitted_until="2024-01-02"), "2024-01-02", (FITTED,), id="fitted on the first session"),
        pytest.param(advised(fitted_until="2024-01-01"), "2024-01-02", (), id="fitted on what came before"),
        pytest.param(advised(fitted_until="2024-01-01"), None, (), id="fitted, and no bar yet"),
        pytest.param(
            advised(is_batched=True, fitted_until="2024-01-01"),
            "2020-01-02",
            (BATCHED, FITTED, CONTAMINATED),
            id="all of it",
        ),
        pytest.param(
            advised(replace(START, bundle=None)), "2020-01-02", (Label.SYNTHETIC_BARS,), id="bars that never were"
        ),
    ],
)
def test_labels_of_a_run_with_a_model(start: StartRecord, first_session: str | None, labels: tuple[Label, ...]) -> None:
    """By what the log's first record says of it, and the first session alone."""
    assert labels_of(facts_of(start), first_session, first_session) == labels


def head_of(start: StartRecord, status: AdviceStatus) -> list[str]:
    """The report's lines between its two rules, of one bar with one question."""
    tally = tally_of()
    count_bar(tally, 0)
    tally.asked(status)
    return render(tally.report(facts_of(start), accounts_used=1)).split("=" * 96 + "\n")[1].splitlines()


def test_report_begins_with_what_must_be_known_of_its_advice() -> None:
    """Before any figure; what the recording lacked is said beside the rest."""
    start = advised(is_batched=True, fitted_until="2023-01-10")
    assert head_of(start, AdviceStatus.MISSING)[3:] == [
        "The advice was computed in batches, beforehand: a live model's last digits can differ.",
        "IN-SAMPLE: the advisor's calibration was fitted on bars of this period, or later ones.",
        "CONTAMINATED: the advisor's model learned from texts of this period: it may remember it.",
        "INCOMPLETE ADVICE: the recording could not answer every question; see Advice, missing.",
    ]


@pytest.mark.parametrize("status", AdviceStatus)
def test_report_is_called_incomplete_where_nobody_answered(status: AdviceStatus) -> None:
    """A recording without the answer, a model that died; a late or an invalid answer is the model's own."""
    said = {AdviceStatus.MISSING: Label.MISSING_ADVICE, AdviceStatus.ERROR: Label.FAILED_ADVICE}
    told = [SENTENCES[label] for label in said.values() if SENTENCES[label] in head_of(REAL, status)]
    assert told == ([SENTENCES[said[status]]] if status in said else [])


def test_every_label_has_a_sentence() -> None:
    """None is printed bare, or forgotten."""
    assert set(SENTENCES) == set(Label)


def recorded(path: Path) -> AdvisorRecord | None:
    """What a run says of an advisor that it takes from that log."""
    settings = settings_with("advisor.backend=recorded", f"advisor.recorded_from={path}")
    return advising(settings, NQ, AdvisorChoice(is_patient=True)).record


def test_model_that_was_recorded_is_still_the_model(tmp_path: Path) -> None:
    """Its answers are no cleaner for coming out of a log: the same facts, and so the same labels."""
    model = replace(MODEL, is_batched=True, learned={"weights": None})
    days = [("2023-01-10", [a_record()]), ("2023-01-11", [a_record(1, session="2023-01-11")])]
    run = write_run(tmp_path / "run", days, start=replace(REAL, advisor=model))

    assert recorded(run) == model
    assert recorded(run / "decisions-2023-01-10.jsonl") == model


def test_model_of_a_later_file_is_that_of_its_run(tmp_path: Path) -> None:
    """A part of a log does not lose where it came from."""
    days = [("2023-01-10", [a_record()]), ("2023-01-11", [a_record(1, session="2023-01-11")])]
    run = write_run(tmp_path / "run", days, start=advised())

    assert recorded(run / "decisions-2023-01-11.jsonl") == MODEL


def test_model_of_a_part_without_its_first_file_is_unknown_and_refused(tmp_path: Path) -> None:
    """No report may leave out what it would have had to say."""
    days = [("2023-01-10", [a_record()]), ("2023-01-11", [a_record(1, session="2023-01-11")])]
    run = write_run(tmp_path / "run", days, start=advised())
    (run / "decisions-2023-01-10.jsonl").unlink()

    for path in (run, run / "decisions-2023-01-11.jsonl"):
        with pytest.raises(InputError, match="first file of this run"):
            recorded(path)


def test_rules_that_were_recorded_are_no_model(tmp_path: Path) -> None:
    """Nothing to say of them."""
    assert recorded(write_run(tmp_path / "run", [("2023-01-10", [a_record()])])) is None
