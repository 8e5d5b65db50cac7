"""Decision logs on their way to the disk: whole files, a swap at the end, and a disk that refuses or hangs."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from line_builders import Drive
from line_fakes import Tee

from trader.adapters.journal import HEAD_FILE, LiveJournal, ReplayJournal
from trader.domain.actions import Action
from trader.errors import InputError, InvariantError
from trader.ports import Journal
from trader.records import file_name

DAY, NEXT_DAY = "2023-03-15", "2023-03-16"
LONG_LINE = b"x" * 2_000_000 + b"\n"


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def write_two_days(journal: Journal) -> None:
    """Three lines over two sessions, and the end."""
    journal.begin_file(DAY)
    journal.write(b"one\n")
    journal.write(b"two\n")
    journal.begin_file(NEXT_DAY)
    journal.write(b"three\n")
    journal.close("abc", 3)


def assert_two_days(folder: Path) -> None:
    """What `write_two_days` leaves."""
    files = contents(folder)
    assert {name: files[name] for name in files if name != HEAD_FILE} == {
        file_name(DAY): b"one\ntwo\n",
        file_name(NEXT_DAY): b"three\n",
    }
    assert json.loads(files[HEAD_FILE]) == {"lines": 3, "hash": "abc"}


class TestReplayJournal:
    """Written in the caller's thread, seen only when whole."""

    def test_close_swaps_the_whole_run_in(self, tmp_path: Path) -> None:
        """A file a session and the head, and nothing else."""
        journal = ReplayJournal(tmp_path, "run")
        write_two_days(journal)

        assert_two_days(journal.path)
        assert [path.name for path in tmp_path.iterdir()] == ["run"]

    def test_unfinished_run_is_only_a_part(self, tmp_path: Path) -> None:
        """Until it is closed there is no run of that name; what a crash leaves says that it is a part."""
        journal = ReplayJournal(tmp_path, "run")
        journal.begin_file(DAY)
        journal.write(b"one\n")

        assert [path.name for path in tmp_path.iterdir()] == ["run.tmp"]
        journal.discard()

    def test_close_replaces_an_equal_earlier_run(self, tmp_path: Path) -> None:
        """The id is the hash of the inputs: the later run stands, with no file of the earlier."""
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "stale.jsonl").write_bytes(b"old")
        (tmp_path / "run.old").mkdir()
        write_two_days(ReplayJournal(tmp_path, "run"))

        assert_two_days(tmp_path / "run")
        assert [path.name for path in tmp_path.iterdir()] == ["run"]

    def test_earlier_run_stands_until_the_new_one_is_whole(self, tmp_path: Path) -> None:
        """A crash in the middle takes nothing away."""
        write_two_days(ReplayJournal(tmp_path, "run"))
        journal = ReplayJournal(tmp_path, "run")
        journal.begin_file(DAY)

        assert_two_days(tmp_path / "run")
        journal.discard()

    def test_next_run_clears_what_a_crash_left(self, tmp_path: Path) -> None:
        """A part of an earlier life is not continued."""
        crashed = ReplayJournal(tmp_path, "run")
        crashed.begin_file("2023-03-10")
        write_two_days(ReplayJournal(tmp_path, "run"))

        assert_two_days(tmp_path / "run")
        crashed.discard()

    def test_discard_leaves_nothing(self, tmp_path: Path) -> None:
        """A replay that failed is as if it had not been."""
        journal = ReplayJournal(tmp_path, "run")
        journal.begin_file(DAY)
        journal.write(b"one\n")
        journal.discard()

        assert list(tmp_path.iterdir()) == []

    def test_folder_that_cannot_be_made_names_the_remedy(self, tmp_path: Path) -> None:
        """A file stands where the folder should be."""
        (tmp_path / "logs").write_bytes(b"")

        with pytest.raises(InputError, match=r"logs.*--log-dir"):
            ReplayJournal(tmp_path / "logs", "run")

    def test_full_disk_ends_the_replay_and_leaves_no_run(self, tmp_path: Path) -> None:
        """The write that no longer fits says so; discarding afterwards is quiet."""
        journal = ReplayJournal(tmp_path, "run")
        (tmp_path / "run.tmp" / file_name(DAY)).symlink_to("/dev/full")
        journal.begin_file(DAY)

        with pytest.raises(InputError, match="No space left"):
            journal.write(LONG_LINE)
        journal.discard()

        assert list(tmp_path.iterdir()) == []

    def test_disk_that_is_full_at_the_end_swaps_nothing_in(self, tmp_path: Path) -> None:
        """What was still in the buffer did not fit: no run."""
        journal = ReplayJournal(tmp_path, "run")
        (tmp_path / "run.tmp" / file_name(DAY)).symlink_to("/dev/full")
        journal.begin_file(DAY)
        journal.write(b"one\n")

        with pytest.raises(InputError, match="No space left"):
            journal.close("abc", 1)
        assert not (tmp_path / "run").exists()

    def test_line_before_any_file_is_an_error(self, tmp_path: Path) -> None:
        """The logbook begins a file first."""
        with pytest.raises(InvariantError, match="before its file"):
            ReplayJournal(tmp_path, "run").write(b"one\n")


class TestLiveJournal:
    """Written by one thread; the loop never waits, and says when something is lost."""

    @pytest.fixture
    def journal(self, tmp_path: Path) -> Iterator[LiveJournal]:
        """A journal with room for eight lines."""
        journal = LiveJournal(tmp_path, "run", 8, close_patience_s=0.2)
        yield journal
        journal.discard()

    @pytest.fixture
    def hanging(self, journal: LiveJournal) -> Iterator[Path]:
        """A disk that hangs: the session's file is a pipe that nobody reads."""
        pipe = journal.path / file_name(DAY)
        os.mkfifo(pipe)
        yield pipe
        descriptor = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)  # lets the writer go on, and end
        journal.discard()
        os.close(descriptor)

    def test_close_leaves_every_line_and_the_head(self, tmp_path: Path) -> None:
        """A file a session, in order."""
        journal = LiveJournal(tmp_path, "run", 8)
        write_two_days(journal)

        assert journal.is_healthy
        assert_two_days(tmp_path / "run")

    def test_line_counts_as_written_once_it_stands_in_its_file(self, journal: LiveJournal) -> None:
        """Whoever names it in another file waits for that; a line that has not come is waited for in vain."""
        journal.begin_file(DAY)
        journal.write(b"one\n")
        assert journal.has_written(1, 10.0)
        assert contents(journal.path) == {file_name(DAY): b"one\n"}
        assert not journal.has_written(2, 0.0)

    def test_line_that_is_lost_is_not_waited_for(self, journal: LiveJournal) -> None:
        """The disk has refused it: the wait ends at once, however long it might be."""
        (journal.path / file_name(DAY)).mkdir()
        journal.begin_file(DAY)
        journal.write(b"one\n")
        assert not journal.has_written(1, 1e6)

    def test_run_of_that_name_is_not_written_over(self, tmp_path: Path) -> None:
        """A live run is a process's life: its folder is its own."""
        (tmp_path / "run").mkdir()

        with pytest.raises(InputError, match="File exists"):
            LiveJournal(tmp_path, "run", 8)

    def test_write_to_a_disk_that_hangs_returns_and_in_the_end_says_so(
        self, journal: LiveJournal, hanging: Path
    ) -> None:
        """Nine lines fit into hand and queue; the next is lost, and no write has waited."""
        assert hanging.exists()
        journal.begin_file(DAY)
        for _ in range(8):
            journal.write(b"line\n")
        healthy_with_room = journal.is_healthy
        for _ in range(2):
            journal.write(b"line\n")

        assert (healthy_with_room, journal.is_healthy) == (True, False)

    def test_close_does_not_wait_for_a_disk_that_hangs(self, journal: LiveJournal, hanging: Path) -> None:
        """The end of a run has its patience, and then it is over; no head vouches for what was not written."""
        journal.begin_file(DAY)
        journal.write(b"line\n")
        journal.close("abc", 1)

        assert not journal.is_healthy
        assert {path.name for path in journal.path.iterdir()} == {hanging.name}

    def test_lines_before_a_lost_one_are_still_written(self, journal: LiveJournal, hanging: Path) -> None:
        """What was queued before the queue was full holds together; nothing after the hole is written."""
        journal.begin_file(DAY)
        for number in range(12):
            journal.write(b"%d\n" % number)
        descriptor = os.open(hanging, os.O_RDONLY)
        journal.write(b"too late\n")
        journal.discard()
        written = os.read(descriptor, 1_000)
        os.close(descriptor)

        numbers = written.decode().split()
        assert numbers == [str(number) for number in range(len(numbers))]
        assert 8 <= len(numbers) <= 9

    def test_lines_after_a_lost_one_are_not_written(self, journal: LiveJournal, hanging: Path) -> None:
        """The disk takes the first line, refuses the second, and would take the others: the chain ends at the first."""
        (journal.path / file_name(NEXT_DAY)).symlink_to("/dev/full")
        for day in (DAY, NEXT_DAY, "2023-03-17", "2023-03-17"):
            journal.begin_file(day)
            journal.write(b"line\n")
        descriptor = os.open(hanging, os.O_RDONLY)
        journal.discard()
        written = os.read(descriptor, 1_000)
        os.close(descriptor)

        assert (written, journal.is_healthy) == (b"line\n", False)
        assert not (journal.path / file_name("2023-03-17")).exists()

    def test_full_disk_makes_it_unhealthy(self, journal: LiveJournal) -> None:
        """The first line that does not fit ends it, without an error in anybody's face."""
        (journal.path / file_name(DAY)).symlink_to("/dev/full")
        journal.begin_file(DAY)
        journal.write(b"line\n")
        journal.close("abc", 1)

        assert not journal.is_healthy
        assert not (journal.path / HEAD_FILE).exists()

    def test_removed_folder_makes_it_unhealthy(self, journal: LiveJournal) -> None:
        """Somebody has cleaned up while the daemon ran."""
        shutil.rmtree(journal.path)
        journal.begin_file(DAY)
        journal.write(b"line\n")
        journal.close("abc", 1)

        assert not journal.is_healthy

    def test_head_that_cannot_be_kept_makes_it_unhealthy(self, journal: LiveJournal) -> None:
        """The last step counts too."""
        journal.begin_file(DAY)
        (journal.path / f"{HEAD_FILE}.part").mkdir()
        journal.close("abc", 0)

        assert not journal.is_healthy

    def test_engine_with_a_full_disk_enters_no_more_and_keeps_its_stop(self, tmp_path: Path) -> None:
        """Entries stop, protection goes on: break-even is moved and the stop ends the trade."""
        journal = LiveJournal(tmp_path, "run", 10_000)
        (journal.path / file_name(NEXT_DAY)).symlink_to("/dev/full")
        drive = Drive(journal=Tee(journal)).warm("10:00")
        entered = drive.enter()
        journal.begin_file(NEXT_DAY)  # the disk fills up
        drive.bar()
        while journal.is_healthy:
            os.sched_yield()  # the writer's turn; the test's timeout is the limit

        drive.bar(close=15)
        moved = drive.bar(Action.MOVE_TO_BE)
        stopped = drive.stop_out()
        after = drive.bar()

        assert (entered.account.position, journal.is_healthy, moved.risk.verdict) == (1, False, "approved")
        assert [fill.reason for fill in stopped.fills] == ["break_even"]
        assert after.rl.mask == (1, 0, 0, 0, 0, 0)
        journal.discard()
