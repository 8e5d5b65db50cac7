"""`trader check lookahead` and `trader check recursive` as a user runs them."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from leak_builders import market, plant, write_bars


def trader(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "trader", *arguments],
        cwd=cwd,
        env={**os.environ},
        capture_output=True,
        text=True,
        check=False,
    )


ROOT = Path(__file__).resolve().parents[2]
BARS = ("--bars", "bars.csv", "--stamp", "open")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A user's folder with two sessions of bars and a strategy that knows the next close."""
    write_bars(market(2), tmp_path)
    plant("next_close", tmp_path)
    return tmp_path


def test_check_lookahead_says_what_leaks_and_exits_1(folder: Path) -> None:
    """The bar, both decisions, the likely reason and the remedy, on standard output; nothing is written."""
    before = sorted(folder.iterdir())

    done = trader("check", "lookahead", *BARS, "--strategy", "next_close.py", "--runs", "8", cwd=folder)

    assert (done.returncode, done.stderr) == (1, "")
    said = done.stdout
    assert "LEAK: decisions depend on later bars" in said
    for row in ("what", "first at", "as they are", "with ", "differs", "horizon", "likely", "remedy"):
        assert f"\n  {row}" in said
    assert "shift(-1)" in said
    assert sorted(folder.iterdir()) == before


def test_check_commands_of_the_docs_exit_0_and_are_read_by_programs(folder: Path) -> None:
    """What a newcomer types first, on fewer bars; the report is one JSON object."""
    text = (ROOT / "docs" / "leaks.md").read_text()
    commands = re.findall(r"^\$ trader (check .*)$", text, re.MULTILINE)
    few = ("--limit", "8400", "--runs", "2", "--json")

    reports = []
    for command in commands:
        done = trader(*command.split(), *few, cwd=folder)
        assert (done.returncode, done.stderr) == (0, "")
        reports.append(json.loads(done.stdout))

    assert [(report["check"], report["bars"], report["runs"], report["seed"]) for report in reports] == [
        ("lookahead", 8_400, 2, 1),
        ("recursive", 8_400, 2, 1),
    ]
    assert [report["findings"] for report in reports] == [[], []]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("lookahead", *BARS, "--limit", "1000"), 66, "bars.csv has 1,000 bars in the range; a look-ahead check needs"),
        (("recursive", *BARS), 66, "a check of beginnings needs 8,361: 7,860 until the slowest feature has"),
        (("lookahead", *BARS, "--runs", "0"), 2, "--runs"),
        (("lookahead", *BARS, "--strategy", "nobody.py"), 78, "nobody.py does not exist"),
    ],
)
def test_check_of_leaks_with_wrong_input_ends_with_its_exit_code_and_the_remedy(
    arguments: tuple[str, ...], code: int, says: str, folder: Path
) -> None:
    """Too few bars, no such strategy, no such file: each is told from a leak."""
    done = trader("check", *arguments, cwd=folder)

    assert done.returncode == code
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
