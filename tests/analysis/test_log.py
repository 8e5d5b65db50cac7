"""Finding and reading decision logs, whole ones and such as still grow."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from log_builders import a_record, log_files, weekdays, write_files, write_run

from trader.analysis.log import Kind, Tail, open_log
from trader.errors import InputError, LogDamagedError
from trader.records import Canonical, ContinueRecord, EndRecord, StartRecord

FIRST, SECOND = weekdays(2)
DAYS = [(FIRST, [a_record(0, session=FIRST)]), (SECOND, [a_record(1, session=SECOND), a_record(2, session=SECOND)])]


def written_at(run: Path, seconds: int) -> Path:
    """The run, as if its files had been written then."""
    for file in run.iterdir():
        os.utime(file, (seconds, seconds))
    return run


def test_entries_of_a_run_come_in_order_with_their_place_and_records(tmp_path: Path):
    """Two files are one log: each line knows where it stands and what it holds."""
    entries = list(open_log(write_run(tmp_path / "run", DAYS)).entries())
    assert [(entry.path.name, entry.number, entry.kind) for entry in entries] == [
        ("decisions-2023-01-02.jsonl", 1, Kind.START),
        ("decisions-2023-01-02.jsonl", 2, Kind.BAR),
        ("decisions-2023-01-03.jsonl", 1, Kind.CONTINUE),
        ("decisions-2023-01-03.jsonl", 2, Kind.BAR),
        ("decisions-2023-01-03.jsonl", 3, Kind.BAR),
        ("decisions-2023-01-03.jsonl", 4, Kind.END),
    ]
    records = [entry.record() for entry in entries]
    assert [type(record) for record in records] == [
        StartRecord, Canonical, ContinueRecord, Canonical, Canonical, EndRecord,
    ]  # fmt: skip
    assert entries[4].bar() == a_record(2, session=SECOND)


def test_open_log_of_a_file_reads_that_file_only(tmp_path: Path):
    """A person may name one session."""
    run = write_run(tmp_path / "run", DAYS)
    assert sum(1 for _ in open_log(run / "decisions-2023-01-03.jsonl").entries()) == 4


def test_open_log_of_all_runs_takes_the_newest_finished_one(tmp_path: Path):
    """A replay that is not finished, or about to be replaced, is not what a person means by the last run."""
    written_at(write_run(tmp_path / "z-older", DAYS), 1_000)
    newest = written_at(write_run(tmp_path / "a-newest", DAYS), 2_000)
    written_at(write_run(tmp_path / "b.tmp", DAYS), 3_000)
    written_at(write_run(tmp_path / "b.old", DAYS), 3_000)
    (tmp_path / "empty").mkdir()
    assert open_log(tmp_path).path == newest


def test_open_log_of_an_unfinished_replay_by_name_reads_it(tmp_path: Path):
    """Who names it wants it."""
    assert sum(1 for _ in open_log(write_run(tmp_path / "b.tmp", DAYS)).entries()) == 6


def test_open_log_without_a_log_says_how_one_is_made(tmp_path: Path):
    """An empty folder is no error of the reader's, but there is nothing to read."""
    with pytest.raises(InputError, match="trader backtest --log-dir"):
        open_log(tmp_path)


def test_open_log_of_nothing_says_what_may_be_named(tmp_path: Path):
    """A mistyped path."""
    with pytest.raises(InputError, match="no such file or folder; name a run's folder"):
        open_log(tmp_path / "log")


@pytest.mark.parametrize(
    "line",
    [
        b"not JSON\n",
        b'{"x":{},"hash":"00"}\n',
        b'{"c":{},"e":{},"x":{},"hash":"00"}\n',
        b'{"c":{},"x":{},"hash":"00","more":1}\n',
        b'{"c":{},"x":{}}\n',
        b"[" * 100_000 + b"\n",
        b"\n",
    ],
)
def test_entries_of_a_foreign_line_name_file_line_and_remedy(tmp_path: Path, line: bytes):
    """What is no line of a decision log is not passed over."""
    files, _ = log_files(DAYS)
    files["decisions-2023-01-02.jsonl"].insert(1, line)
    run = write_files(tmp_path / "run", files)
    with pytest.raises(LogDamagedError, match=r"decisions-2023-01-02\.jsonl:2: .*trader verify") as caught:
        list(open_log(run).entries())
    assert caught.value.exit_code == 1


def test_bar_of_a_record_with_a_missing_field_names_file_and_line(tmp_path: Path):
    """The line is whole, its content is not of version 1."""
    files, _ = log_files(DAYS)
    name = "decisions-2023-01-02.jsonl"
    files[name][1] = files[name][1].replace(b'"seq":0,', b"")
    entries = list(open_log(write_files(tmp_path / "run", files)).entries())
    with pytest.raises(LogDamagedError, match=r"2023-01-02\.jsonl:2: .*`seq`"):
        entries[1].bar()
    with pytest.raises(LogDamagedError, match=r"2023-01-02\.jsonl:2: .*`seq`"):
        entries[1].record()


def test_text_of_a_line_that_is_no_utf8_names_file_and_line(tmp_path: Path):
    """A byte of a name went wrong: neither text nor record is made of it."""
    files, _ = log_files(DAYS)
    name = "decisions-2023-01-02.jsonl"
    files[name][1] = files[name][1].replace(b"NQH23", b"NQH\xff3")
    entry = list(open_log(write_files(tmp_path / "run", files)).entries())[1]
    for read in (entry.text, entry.bar, entry.record):
        with pytest.raises(LogDamagedError, match=r"2023-01-02\.jsonl:2: .*utf-8"):
            read()


def test_entries_leave_out_a_last_line_that_is_still_being_written(tmp_path: Path):
    """A live log may be read at any moment."""
    files, _ = log_files(DAYS)
    files["decisions-2023-01-03.jsonl"][3] = files["decisions-2023-01-03.jsonl"][3][:-20]
    assert sum(1 for _ in open_log(write_files(tmp_path / "run", files)).entries()) == 5


def test_entries_of_a_torn_line_inside_a_run_are_an_error(tmp_path: Path):
    """A file that another one follows was finished: half a line in it is damage."""
    files, _ = log_files(DAYS)
    files["decisions-2023-01-02.jsonl"][1] = files["decisions-2023-01-02.jsonl"][1][:-20]
    with pytest.raises(LogDamagedError, match=r"2023-01-02\.jsonl:2: "):
        list(open_log(write_files(tmp_path / "run", files)).entries())


def test_tail_of_a_growing_run_gives_each_line_once_over_files(tmp_path: Path):
    """Lines, halves of lines and new files arrive between two looks."""
    files, _ = log_files(DAYS)
    first, second = files.values()
    run = write_files(tmp_path / "run", {"decisions-2023-01-02.jsonl": [first[0], first[1][:30]]})
    with Tail(open_log(run)) as tail:
        looks = [[entry.kind for entry in tail.fresh()], [entry.kind for entry in tail.fresh()]]
        with (run / "decisions-2023-01-02.jsonl").open("ab") as file:
            file.write(first[1][30:])
        (run / "decisions-2023-01-03.jsonl").write_bytes(b"".join(second[:2]))
        looks.append([entry.kind for entry in tail.fresh()])
        assert not tail.ended
        with (run / "decisions-2023-01-03.jsonl").open("ab") as file:
            file.write(b"".join(second[2:]))
        looks.append([entry.kind for entry in tail.fresh()])
    assert looks == [[Kind.START], [], [Kind.BAR, Kind.CONTINUE, Kind.BAR], [Kind.BAR, Kind.END]]
    assert tail.ended


def test_reading_imports_in_a_fresh_process_stay_light():
    """`trader logs` and `trader verify` start at once: no NumPy, no pandas, no rich."""
    code = (
        "import sys; import trader.analysis.logs, trader.analysis.verify; "
        "print(sorted({'numpy', 'pandas', 'numba', 'rich', 'asyncio'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
