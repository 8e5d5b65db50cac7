"""The page of the advisor: its commands run, and what it names exists."""

import re
import shlex
from pathlib import Path

import pytest

from trader.cli import app
from trader.domain.decisions import AdviceStatus
from trader.settings.keys import marks_by_key, section_keys

DOC = Path(__file__).resolve().parents[1] / "docs" / "advisor.md"
TEXT = DOC.read_text("utf-8")


def test_advisor_docs_commands_run_as_they_stand_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those that need no model: ask, backtest, read the log with its reasons."""
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```console\n(.*?)```", TEXT, flags=re.DOTALL)
    commands = [shlex.split(line[2:]) for block in blocks for line in block.splitlines() if line.startswith("$ ")]
    assert [command[1] for command in commands] == ["advisor", "advisor", "backtest", "backtest", "logs"]
    for command in commands:
        code = app(command[1:], standalone_mode=False)
        assert not code
    shown = capsys.readouterr().out
    assert "Valid now: HOLD, BUY, SELL" in shown
    assert "weight of the advisor at the end" in shown
    assert shown.count("        advice: ") >= 1


def test_advisor_docs_name_what_exists() -> None:
    """Every key, status and link of the page is there."""
    known = set(marks_by_key()) | section_keys()
    keys = set(re.findall(r"(?:`|--set )((?:advisor|llm_model|prompt|fusion|state)\.[a-z_.]*[a-z_])", TEXT))
    assert len(keys) > 15
    assert keys <= known, keys - known
    told = set(re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", TEXT, flags=re.MULTILINE))
    statuses = {name for cell in told for name in re.findall(r"\w+", cell)}
    assert {status.value for status in AdviceStatus} <= statuses
    for link in re.findall(r"\]\(([^)]+)\)", TEXT):
        assert (DOC.parent / link).exists(), link
