"""The trials file: what is counted, what survives a cut, what is said of damage."""

import multiprocessing
from pathlib import Path

import pytest
from msgspec.structs import replace

from trader.analysis.trials import Occasion, Scope, Trial, overlapping_trials, read_trials, record_trial
from trader.errors import InputError

YEAR = Scope(market="NQ", first_session="2022-01-03", last_session="2022-12-30", is_synthetic=False)


def a_trial(subject: str = "b1", config: str = "c1", sharpe: float | None = 0.05) -> Trial:
    """An evaluation over a year."""
    return Trial(
        made_utc="2026-01-01T00:00:00Z",
        occasion=Occasion.EVALUATION,
        subject=subject,
        config=config,
        sharpe_session=sharpe,
        sessions=250,
    )


def append_many(folder: Path, subject: str) -> None:
    """Fifty trials, as one of several processes."""
    for number in range(50):
        record_trial(folder, YEAR, a_trial(subject, str(number)))


def test_a_folder_without_a_file_has_no_trials(tmp_path: Path):
    """Reading makes nothing."""
    assert read_trials(tmp_path / "state", YEAR).distinct == ()
    assert overlapping_trials(tmp_path / "state", YEAR) == 0
    assert not (tmp_path / "state").exists()


def test_trials_are_appended_and_read_back_in_order(tmp_path: Path):
    """Two bundles and a second configuration of the first: three."""
    kept = [a_trial(), a_trial("b2", sharpe=-0.1), a_trial("b1", "c2", None)]
    for trial in kept:
        found = record_trial(tmp_path / "state", YEAR, trial)
    assert found == read_trials(tmp_path / "state", YEAR)
    assert found.distinct == tuple(kept)
    assert found.sharpes_session == (0.05, -0.1, None)
    assert found.path.name == "trials-NQ-2022-01-03-2022-12-30.jsonl"


def test_the_same_bundle_and_configuration_is_one_trial_however_often_it_is_evaluated(tmp_path: Path):
    """The last one counts; every line stays in the file."""
    record_trial(tmp_path, YEAR, a_trial(sharpe=0.05))
    found = record_trial(tmp_path, YEAR, a_trial(sharpe=0.06))
    assert found.sharpes_session == (0.06,)
    assert len(found.path.read_bytes().splitlines()) == 2


def test_a_line_that_was_cut_off_is_reported_and_hides_no_other(tmp_path: Path):
    """A crash inside the second line, then another evaluation."""
    path = record_trial(tmp_path, YEAR, a_trial("b1")).path
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:40])
    assert read_trials(tmp_path, YEAR).damaged_lines == (2,)
    found = record_trial(tmp_path, YEAR, a_trial("b3"))
    assert [trial.subject for trial in found.distinct] == ["b1", "b3"]
    assert found.damaged_lines == (2,)
    assert "line 2" in found.notes()[0]
    assert record_trial(tmp_path / "other", YEAR, a_trial()).notes() == ()


@pytest.mark.parametrize("junk", [b"\xff\xfe\n", b"[]\n", b'{"made_utc": 3}\n', b"[" * 5_000 + b"\n"])
def test_a_line_that_is_no_trial_is_reported(tmp_path: Path, junk: bytes):
    """Whatever it is."""
    path = record_trial(tmp_path, YEAR, a_trial()).path
    path.write_bytes(junk + path.read_bytes())
    found = read_trials(tmp_path, YEAR)
    assert (found.damaged_lines, len(found.distinct)) == ((1,), 1)


def test_the_micro_contract_is_the_same_instrument(tmp_path: Path):
    """Who has tried MNQ has tried NQ; ES is another, and synthetic bars are no market at all."""
    record_trial(tmp_path, YEAR, a_trial("b1"))
    found = record_trial(tmp_path, replace(YEAR, market="MNQ"), a_trial("b2"))
    assert len(found.distinct) == 2
    assert read_trials(tmp_path, replace(YEAR, market="ES")).distinct == ()
    assert read_trials(tmp_path, replace(YEAR, is_synthetic=True)).distinct == ()


def test_trials_on_overlapping_dates_are_counted_apart(tmp_path: Path):
    """Half a year inside, one day in common at either end; the years before and after, ES and synthetic bars do not."""
    record_trial(tmp_path, replace(YEAR, first_session="2022-06-01"), a_trial("b1"))
    record_trial(tmp_path, replace(YEAR, first_session="2021-01-04", last_session="2022-01-03"), a_trial("b2"))
    record_trial(tmp_path, replace(YEAR, first_session="2022-12-30", last_session="2023-12-29"), a_trial("b7"))
    record_trial(tmp_path, replace(YEAR, first_session="2021-01-04", last_session="2021-12-31"), a_trial("b3"))
    record_trial(tmp_path, replace(YEAR, first_session="2023-01-03", last_session="2023-12-29"), a_trial("b8"))
    record_trial(tmp_path, replace(YEAR, market="ES", last_session="2022-12-29"), a_trial("b4"))
    record_trial(tmp_path, replace(YEAR, is_synthetic=True, last_session="2022-12-29"), a_trial("b5"))
    record_trial(tmp_path, YEAR, a_trial("b6"))
    (tmp_path / "trials-NQ-notes.jsonl").write_text("no trials file")
    assert overlapping_trials(tmp_path, YEAR) == 3


def test_evaluations_at_the_same_time_lose_no_line(tmp_path: Path):
    """Three processes, fifty trials each."""
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        pool.starmap(append_many, [(tmp_path, subject) for subject in ("b1", "b2", "b3")])
    found = read_trials(tmp_path, YEAR)
    assert (len(found.distinct), found.damaged_lines) == (150, ())


def test_a_folder_that_cannot_be_made_is_an_input_error(tmp_path: Path):
    """A file stands where the folder should be."""
    (tmp_path / "state").write_text("")
    with pytest.raises(InputError, match=r"state\.dir"):
        record_trial(tmp_path / "state", YEAR, a_trial())
    with pytest.raises(InputError, match="cannot be read"):
        read_trials(tmp_path / "state", YEAR)
