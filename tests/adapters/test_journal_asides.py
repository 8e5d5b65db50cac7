"""The advisor log beside the decision log: it may be lost, and never stops anything."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from line_builders import Drive
from line_fakes import Tee

from trader.adapters.journal import HEAD_FILE, LiveJournal, ReplayJournal
from trader.asides import aside_name
from trader.errors import InputError
from trader.ports import Journal
from trader.records import file_name

DAY, NEXT_DAY = "2023-03-15", "2023-03-16"


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder but the head."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != HEAD_FILE}


def write_two_days(journal: Journal) -> None:
    """Decisions on both days, words on the second."""
    journal.begin_file(DAY)
    journal.write(b"one\n")
    journal.begin_file(NEXT_DAY)
    journal.aside(b"said\n")
    journal.write(b"two\n")
    journal.aside(b"replied\n")
    journal.close("abc", 2)


TWO_DAYS = {
    file_name(DAY): b"one\n",
    file_name(NEXT_DAY): b"two\n",
    "advisor-2023-03-16.jsonl": b"said\nreplied\n",
}


def test_asides_of_a_replay_stand_beside_its_decisions(tmp_path: Path) -> None:
    """A file for each session in which anything was said, swapped in with the rest."""
    journal = ReplayJournal(tmp_path, "run")
    write_two_days(journal)

    assert contents(tmp_path / "run") == TWO_DAYS


def test_asides_of_a_live_run_stand_beside_its_decisions(tmp_path: Path) -> None:
    """The same files."""
    journal = LiveJournal(tmp_path, "run", 100)
    write_two_days(journal)

    assert journal.is_healthy
    assert contents(tmp_path / "run") == TWO_DAYS


def test_asides_of_another_session_go_to_its_own_file(tmp_path: Path) -> None:
    """Also when both sessions had some."""
    journal = ReplayJournal(tmp_path, "run")
    for day in (DAY, NEXT_DAY):
        journal.begin_file(day)
        journal.write(b"bar\n")
        journal.aside(day.encode() + b"\n")
    journal.close("abc", 2)

    asides = {day: (tmp_path / "run" / aside_name(day)).read_bytes() for day in (DAY, NEXT_DAY)}
    assert asides == {day: day.encode() + b"\n" for day in (DAY, NEXT_DAY)}


def test_aside_that_a_replay_cannot_write_ends_it_and_leaves_no_run(tmp_path: Path) -> None:
    """A replay can be repeated: half of what it should leave is worth nothing."""
    journal = ReplayJournal(tmp_path, "run")
    (tmp_path / "run.tmp" / aside_name(DAY)).symlink_to("/dev/full")
    journal.begin_file(DAY)

    with pytest.raises(InputError, match="No space left"):
        journal.aside(b"x" * 2_000_000 + b"\n")
    journal.discard()
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def hanging(tmp_path: Path) -> Iterator[LiveJournal]:
    """A live journal with room for eight lines whose disk hangs: its first file is a pipe that nobody reads."""
    journal = LiveJournal(tmp_path, "run", 8, close_patience_s=0.2)
    pipe = journal.path / file_name(DAY)
    os.mkfifo(pipe)
    journal.begin_file(DAY)
    journal.write(b"0\n")
    while journal.backlog:
        os.sched_yield()  # until the writer has it in hand; the test's timeout is the limit
    yield journal
    descriptor = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)  # lets the writer go on, and end
    journal.discard()
    os.close(descriptor)


def test_asides_are_the_first_to_go_where_the_writer_cannot_follow(hanging: LiveJournal) -> None:
    """From a queue that is half full on; the other half is for decisions, of which none is lost. Said once."""
    with structlog.testing.capture_logs() as said:
        for _ in range(20):
            hanging.aside(b"said\n")
        kept = hanging.backlog
        for _ in range(4):
            hanging.write(b"bar\n")

    assert (kept, hanging.backlog, hanging.is_healthy) == (4, 8, True)
    assert [(line["event"], line["log_level"]) for line in said] == [("advisor_log_has_holes", "warning")]


def test_asides_that_were_queued_are_still_written(hanging: LiveJournal, tmp_path: Path) -> None:
    """Those before the hole, in their order."""
    for number in range(10):
        hanging.aside(b"%d\n" % number)
    descriptor = os.open(tmp_path / "run" / file_name(DAY), os.O_RDONLY)
    hanging.close("abc", 1)
    os.close(descriptor)

    assert hanging.is_healthy
    assert (tmp_path / "run" / aside_name(DAY)).read_bytes() == b"0\n1\n2\n3\n"


class Talkative(Tee):
    """Says something beside every line."""

    def write(self, line: bytes) -> None:
        """The line, and a word."""
        super().write(line)
        self.aside(b"said\n")


def test_disk_that_refuses_asides_does_not_stop_trading(tmp_path: Path) -> None:
    """Every word is lost, which is said once; the entry is made, and every decision is on the disk."""
    journal = LiveJournal(tmp_path, "run", 10_000)
    drive = Drive(journal=Talkative(journal))
    for day in ("2023-03-14", DAY):
        (journal.path / aside_name(day)).symlink_to("/dev/full")
    with structlog.testing.capture_logs() as said:
        drive.warm("10:00")
        entered = drive.enter()
        drive.finish()

    assert (entered.account.position, journal.is_healthy) == (1, True)
    decisions = [path.read_bytes() for path in sorted(journal.path.glob("decisions-*.jsonl"))]
    assert b"".join(decisions) == b"".join(drive.journal.lines)
    assert [line["event"] for line in said if "advisor" in str(line["event"])] == ["advisor_log_has_holes"]
