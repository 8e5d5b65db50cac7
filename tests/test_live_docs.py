"""docs/live.md: the session that it shows works as it stands there, and what it names exists."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from daemon_runs import PATIENCE_S, Daemon, environment

from trader.cli import app
from trader.domain.alerts import AlertKind
from trader.settings.keys import marks_by_key, section_keys

DOC = Path(__file__).resolve().parents[1] / "docs" / "live.md"
TEXT = DOC.read_text("utf-8")


def trader(*arguments: str, folder: Path) -> "subprocess.Popen[str]":
    """The command, in a folder of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "trader", *arguments],
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_live_docs_session_works_as_it_stands_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gateway, daemon, and what is said to it; only the port is a free one."""
    monkeypatch.chdir(tmp_path)
    section = TEXT[TEXT.index("## Try it without an account") : TEXT.index("## Set up TWS")]
    commands = [shlex.split(line)[2:] for line in re.findall(r"^\$ .*$", section, re.MULTILINE)]
    assert [command[0] for command in commands[:2]] == ["gateway-sim", "run"]
    written = re.search(r"```yaml\n(.*?)```", section, re.DOTALL)
    assert written is not None
    playing = ["0" if word == "4002" else word for word in commands[0]]
    with trader(*playing, folder=tmp_path) as gateway:
        try:
            assert gateway.stdout is not None
            port = gateway.stdout.readline().partition(";")[0].rpartition(":")[2]
            (tmp_path / "try.yaml").write_text(written[1].replace("4002", port))
            with trader(*commands[1], folder=tmp_path) as process:
                try:
                    run = Daemon(process, tmp_path)
                    run.until("started")
                    run.when(lambda status: status.bars >= 1)
                    for command in commands[2:]:
                        assert not app(command, standalone_mode=False)
                    assert run.end()[0] == 0
                finally:
                    process.kill()
            gateway.terminate()
            found = json.loads(gateway.communicate(timeout=PATIENCE_S)[0])
        finally:
            gateway.kill()
    assert (found["duplicates"], found["orphans"], found["wrong_sides"]) == ([], [], [])
    assert [line["event"] for line in run.lines][:1] == ["connecting"]


def test_live_docs_name_what_exists() -> None:
    """Every key, alert and link of the page is there, and every alert is on it."""
    keys = set(re.findall(r"(?:`|--set )((?:ib|state|guard|risk)\.[a-z_.]*[a-z_])", TEXT)) - {"state.db", "state.lock"}
    assert len(keys) > 8
    assert keys <= set(marks_by_key()) | section_keys()
    assert set(AlertKind) <= set(re.findall(r"`([a-z_]+)`", TEXT))
    for link in re.findall(r"\]\(([^)]+)\)", TEXT):
        assert (DOC.parent / link).exists(), link


@pytest.mark.parametrize("command", re.findall(r"^trader run .*$", TEXT, re.MULTILINE))
def test_live_docs_commands_of_the_first_paper_day_are_understood(command: str, tmp_path: Path) -> None:
    """They come as far as the gateway that is not there."""
    (tmp_path / "mine.yaml").write_text("ib:\n  account: DU1234567\n  port: 1\n")
    with trader(*shlex.split(command)[1:], folder=tmp_path) as process:
        try:
            run = Daemon(process, tmp_path)
            assert "nothing listens there" in run.until("link_state")["why"]
            assert run.end() == (0, "")
        finally:
            process.kill()
