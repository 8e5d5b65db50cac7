"""The commands of docs/evaluation.md, run as they stand there."""

import re
import shlex
import sys
from pathlib import Path

import pytest

from trader.cli import main

DOC = Path(__file__).resolve().parents[2] / "docs" / "evaluation.md"
COMMANDS = re.findall(r"^\$ trader (.*)$", DOC.read_text(encoding="utf-8"), re.MULTILINE)
OPTIONS = re.findall(r"^\| `(--[a-z-]+)[^|]*\|", DOC.read_text(encoding="utf-8"), re.MULTILINE)


def trader(*words: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run the command in this process; its exit code."""
    monkeypatch.setattr(sys, "argv", ["trader", *words])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def test_every_command_of_the_page_works(monkeypatch, tmp_path, capsys):
    """One after the other in an empty folder; ID is what the evaluation before has printed."""
    monkeypatch.chdir(tmp_path)
    identity = "ID"
    for command in COMMANDS:
        words = [word.replace("ID", identity) for word in shlex.split(command)]
        code = trader(*words, monkeypatch=monkeypatch)
        printed = capsys.readouterr()
        assert code == 0, f"{command}: {printed.err}"
        found = re.search(r"^Record: logs/evaluations/(\w+)$", printed.out, re.MULTILINE)
        identity = identity if found is None else found[1]
    assert len(COMMANDS) == 3
    assert list(tmp_path.rglob("report.html"))


def test_every_option_of_the_table_exists(monkeypatch, capsys):
    """As the help states it."""
    monkeypatch.setenv("COLUMNS", "200")
    assert trader("evaluate", "--help", monkeypatch=monkeypatch) == 0
    told = capsys.readouterr().out
    assert len(OPTIONS) > 8
    assert [option for option in OPTIONS if option not in told] == []
