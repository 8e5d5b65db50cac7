"""`trader verify`: what it is pointed at, what it says, how it exits."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from damaged_logs import FILES, NAMES, SEALER

from trader.analysis.verify import Status, describe, run_verify, verify
from trader.errors import InputError


def test_verify_one_file_starts_from_the_head_that_it_states(run: Path):
    """A middle file holds together by itself; that it is only a part is said."""
    report = verify(run / NAMES[1])
    assert (report.status, report.is_run, report.lines, report.bars) == (Status.NOT_CLOSED, False, 6, 4)
    assert verify(run / NAMES[2]).status is Status.INTACT


def test_verify_changed_byte_in_one_file_by_itself_is_found(run: Path):
    """The chain within the file needs no other."""
    path = run / NAMES[1]
    path.write_bytes(path.read_bytes().replace(b'"adx":21.5', b'"adx":31.5', 1))
    damage = verify(path).damage
    assert damage is not None
    assert damage.line == 2


def test_verify_folder_of_runs_takes_the_newest(run: Path):
    """`trader verify logs` is about the last run."""
    assert verify(run.parent).path == str(run)


def test_verify_nothing_there_says_what_to_name(tmp_path: Path):
    """A missing log is not an intact one."""
    with pytest.raises(InputError, match="no such file or folder"):
        verify(tmp_path / "nothing")


def outcomes(run: Path) -> Iterator[tuple[str, int]]:
    """Text and exit code of the intact, the unclosed and the damaged log."""
    for damage in (lambda lines: lines, lambda lines: lines[:-1], lambda lines: [*lines[:-2], lines[-1]]):
        (run / "head.json").unlink(missing_ok=True)
        (run / NAMES[2]).write_bytes(b"".join(damage(FILES[NAMES[2]])))
        out = io.StringIO()
        code = run_verify(run, as_json=False, out=out)
        yield out.getvalue(), code


def test_run_verify_says_intact_not_closed_or_damaged_and_exits_so(run: Path):
    """Only an intact, closed log is 0."""
    intact, unclosed, damaged = outcomes(run)
    head = SEALER.head
    assert intact == (f"intact: {run}: 12 bars in 17 lines of 3 files\nhead {head}\n", 0)
    assert unclosed == (
        f"not closed: {run}: 12 bars in 16 lines of 3 files hold, but have no end: later ones may be missing\n",
        1,
    )
    text, code = damaged
    assert code == 1
    assert text.startswith(f"DAMAGED (changed): {run / NAMES[2]}:5: ")
    assert text.endswith("\nproved before it: 11 bars in 15 lines of 3 files\n")


def test_run_verify_as_json_is_the_report(run: Path):
    """What a program reads is what was proved."""
    out = io.StringIO()
    assert run_verify(run, as_json=True, out=out) == 0
    assert json.loads(out.getvalue()) == msgspec.to_builtins(verify(run))


def test_describe_one_file_says_that_its_neighbours_were_not_checked(run: Path):
    """Half a proof must not look like a whole one."""
    assert "one file by itself" in describe(verify(run / NAMES[2]))
