"""What is written to a disk that takes only a part: a line leaves nothing of itself, a file leaves the one before."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import structlog

from trader.adapters.journal import LiveJournal
from trader.adapters.line_file import LineFile
from trader.adapters.state.running import RUNNING_FILE, RunningFile
from trader.adapters.whole_file import write_whole
from trader.records import file_name

DAY = "2023-03-15"


@contextmanager
def no_file_beyond(most_bytes: int) -> Iterator[None]:
    """The system writes as far as that, and then refuses."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_line_that_fits_in_part_leaves_nothing_of_itself(tmp_path: Path) -> None:
    """What a reader finds are whole lines."""
    file = LineFile(tmp_path / "lines")
    with no_file_beyond(7):
        file.append(b"one\n")
        with pytest.raises(OSError, match="File too large"):
            file.append(b"two, too long\n")
    file.close()
    assert (tmp_path / "lines").read_bytes() == b"one\n"


def test_file_whose_first_line_does_not_fit_is_gone(tmp_path: Path) -> None:
    """An empty one would say that a line was lost there."""
    file = LineFile(tmp_path / "lines")
    with no_file_beyond(7), pytest.raises(OSError, match="File too large"):
        file.append(b"one, too long\n")
    file.close()
    assert list(tmp_path.iterdir()) == []


def test_line_that_failed_is_not_written_when_there_is_room_again(tmp_path: Path) -> None:
    """Its order was denied because of it: a log that has it all the same would say another thing."""
    journal = LiveJournal(tmp_path, "run", 8)
    journal.begin_file(DAY)
    journal.write(b"one\n")
    assert journal.has_written(1, 10.0)
    with structlog.testing.capture_logs() as said, no_file_beyond(4):
        journal.write(b"two\n")
        assert not journal.has_written(2, 10.0)
    journal.discard()
    path = journal.path / file_name(DAY)
    assert [line["reason"] for line in said] == [f"{path}: File too large"]
    assert path.read_bytes() == b"one\n"


@pytest.mark.parametrize("taken", [0, 3])
def test_file_that_does_not_fit_leaves_the_one_before(tmp_path: Path, taken: int) -> None:
    """Whole, and without a remainder beside it."""
    write_whole(tmp_path / "file", b"before")
    with no_file_beyond(taken), pytest.raises(OSError, match="File too large"):
        write_whole(tmp_path / "file", b"afterwards")
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("file", b"before")]


def test_process_that_dies_before_the_end_leaves_the_one_before(tmp_path: Path) -> None:
    """What it had written of the new one is under another name."""
    write_whole(tmp_path / "file", b"before")
    (tmp_path / "file.part").write_bytes(b"after")
    assert (tmp_path / "file").read_bytes() == b"before"
    write_whole(tmp_path / "file", b"again")
    assert sorted(os.listdir(tmp_path)) == ["file"]


def test_run_that_cannot_be_marked_begins_all_the_same(tmp_path: Path) -> None:
    """Who guards a position does not end because a disk refuses a mark."""
    (tmp_path / RUNNING_FILE).mkdir()
    RunningFile(tmp_path).begin()
