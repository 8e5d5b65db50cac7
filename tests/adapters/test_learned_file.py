"""What is kept from run to run, and what becomes of a file that is not to be trusted."""

import resource
import threading
from pathlib import Path

import pytest
import structlog

from trader.adapters.learned_file import LearnedFile
from trader.advisor.calibration import Calibration, CalibrationMode, CalibrationRules
from trader.advisor.hedge import HedgeState
from trader.learning import Learned

_RULES = CalibrationRules(mode=CalibrationMode.RELATIVE, legal_mass_min=0.2, learns=True)
LEARNED = Learned(
    calibration=Calibration(_RULES, 3.0).state(),
    weights=HedgeState(((-0.1, -2.3), (-0.30000000000000004, -1.5), (-1e-17, -40.0))),
    members=None,
)


@pytest.fixture
def kept(tmp_path: Path) -> LearnedFile:
    """The file of one advisor, in a folder that is not there yet."""
    return LearnedFile(tmp_path / "state", "phi3@1")


def assert_set_aside(kept: LearnedFile, body: bytes) -> None:
    """The file is refused, said to be, and still there under another name; the next one may be written."""
    with structlog.testing.capture_logs() as said:
        assert kept.read() is None
    assert [line["event"] for line in said] == ["learned_state_set_aside"]
    assert not kept.path.exists()
    assert kept.path.with_suffix(".unusable").read_bytes() == body
    kept.write(LEARNED)
    assert kept.read() == LEARNED


def test_learned_state_is_read_as_it_was_written(kept: LearnedFile) -> None:
    """To the last bit, with nothing beside the file; before the first write there is none."""
    assert kept.read() is None
    kept.write(Learned(calibration=None, weights=None, members=None))
    kept.write(LEARNED)
    assert LearnedFile(kept.path.parent, "phi3@1").read() == LEARNED
    assert list(kept.path.parent.iterdir()) == [kept.path]


def test_each_advisor_has_a_file_of_its_own(kept: LearnedFile) -> None:
    """Another revision has learned nothing yet."""
    kept.write(LEARNED)
    other = LearnedFile(kept.path.parent, "phi3@2")
    assert other.read() is None
    assert kept.read() == LEARNED


@pytest.mark.parametrize(
    ("written", "changed"),
    [
        (b'"version":1', b'"version":0'),
        (b'"version":1', b'"version":2'),
        (b'"advisor":"phi3@1"', b'"advisor":"phi3@2"'),
        (b"-2.3", b"-2.4"),
        (b'"rates":[{"wins":0.0,"count":0.0},', b'"rates":['),
    ],
    ids=["an older version", "a newer version", "another advisor", "another figure", "a figure less"],
)
def test_file_of_another_version_advisor_or_hand_is_set_aside(
    kept: LearnedFile, written: bytes, changed: bytes
) -> None:
    """Whatever its name says: what is gone on from is what a run has written."""
    kept.write(LEARNED)
    whole = kept.path.read_bytes()
    body = whole.replace(written, changed)
    assert body != whole
    kept.path.write_bytes(body)
    assert_set_aside(kept, body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"version":1}',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"version":1,"more":' + b"[" * 100_000,
        b'{"version":1,"advisor":"phi3@1","sha256":"","learned":{"calibration":7,"weights":null,"members":null}}',
    ],
    ids=["empty", "cut", "incomplete", "no text", "nested", "nested where nothing is expected", "of another shape"],
)
def test_damaged_file_is_set_aside(kept: LearnedFile, body: bytes) -> None:
    """A crash, a full disk, a hand."""
    kept.path.parent.mkdir()
    kept.path.write_bytes(body)
    assert_set_aside(kept, body)


def test_file_that_cannot_be_read_nor_moved_is_said_and_no_error(tmp_path: Path) -> None:
    """A file stands where the folder should be."""
    (tmp_path / "state").write_bytes(b"")
    kept = LearnedFile(tmp_path / "state", "phi3@1")
    with structlog.testing.capture_logs() as said:
        assert kept.read() is None
    assert [line["event"] for line in said] == ["learned_state_set_aside"]


def test_folder_that_cannot_be_written_is_said_and_no_error(tmp_path: Path) -> None:
    """Trading goes on, with what was learned in memory."""
    (tmp_path / "state").write_bytes(b"")
    kept = LearnedFile(tmp_path / "state", "phi3@1")
    with structlog.testing.capture_logs() as said:
        kept.write(LEARNED)
    assert [(line["event"], line["log_level"]) for line in said] == [("learned_state_not_kept", "error")]


def test_write_that_does_not_fit_leaves_the_file_whole(kept: LearnedFile) -> None:
    """The disk is full: what was there before is there still."""
    kept.write(LEARNED)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with structlog.testing.capture_logs() as said:
        resource.setrlimit(resource.RLIMIT_FSIZE, (8, limits[1]))
        try:
            kept.write(Learned(calibration=None, weights=None, members=None))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [line["event"] for line in said] == ["learned_state_not_kept"]
    assert kept.read() == LEARNED


def test_newest_is_kept_by_a_thread_of_its_own_that_ends_with_the_run(tmp_path: Path) -> None:
    """However fast sessions end, what was said last is in the file, and nothing is left running."""
    before = {thread.name for thread in threading.enumerate()}
    file = LearnedFile(tmp_path, "an advisor")
    for weight in range(1, 50):
        file.keep(Learned(calibration=None, weights=HedgeState(((weight / 50, 0.0),) * 3), members=None))
    file.close()
    file.close()
    last = file.read()
    assert last is not None
    assert last.weights == HedgeState(((49 / 50, 0.0),) * 3)
    assert {thread.name for thread in threading.enumerate()} == before
