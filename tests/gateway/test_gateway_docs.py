"""docs/gateway.md: its command listens, its program trades, its script of faults is one, its verbs are all there."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from trader.cli import app
from trader.gateway.faults import Verb, read_faults

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "gateway.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    """The first one of a language."""
    found = re.search(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)
    assert found is not None
    return found.group(1)


def test_the_command_listens_and_the_program_buys(tmp_path: Path) -> None:
    """As they stand there, on a free port; the ledger holds the bracket, the last line what a script has done."""
    command, said = block("console").removeprefix("$ trader ").splitlines()
    arguments = command.replace("4002", "0").split()
    ledger, script = tmp_path / "ledger.jsonl", tmp_path / "script.yaml"
    script.write_text("- {do: error, bar: 0, code: 2106}\n- {do: lose, nth: 9}\n")
    whole = [sys.executable, "-m", "trader", *arguments, "--ledger", str(ledger), "--faults", str(script)]
    with subprocess.Popen(whole, stdout=subprocess.PIPE, text=True) as gateway:
        try:
            assert gateway.stdout is not None
            listening = gateway.stdout.readline()
            port = listening.split(";")[0].rpartition(":")[2]
            program = subprocess.run(
                [sys.executable, "-c", block("python")],
                env={**os.environ, "GATEWAY_PORT": port},
                capture_output=True,
                text=True,
                timeout=60,
                check=True,
            )
        finally:
            gateway.send_signal(signal.SIGTERM)
        found = json.loads(gateway.stdout.read())
    assert listening == f"{said}\n".replace("4002", port)
    assert program.stdout.startswith("bought at ")
    assert (found["orders"], found["executions"], found["position"]) == (3, 1, 1)
    assert found["fired"] == {"error": 1}
    events = [json.loads(line)["event"] for line in ledger.read_text().splitlines()]
    assert sorted(set(events)) == ["executed", "link", "placed"]


def test_the_script_is_one(tmp_path: Path) -> None:
    """Five faults."""
    script = tmp_path / "script.yaml"
    script.write_text(block("yaml"))
    assert len(read_faults(script)) == 5


def test_every_verb_and_no_other_is_described() -> None:
    """The table of faults is complete."""
    rows = re.findall(
        r"^\| ((?:`\w+` ?)+)(?:with `message` )?\|",
        TEXT.partition("## What can go wrong")[2].partition("## The ledger")[0],
        re.MULTILINE,
    )
    assert {verb for row in rows for verb in re.findall(r"`(\w+)`", row)} == set(Verb)


@pytest.mark.parametrize("option", sorted(set(re.findall(r"`(--[a-z-]+)", TEXT))))
def test_every_option_that_is_named_exists(option: str) -> None:
    """Of the command."""
    command = typer.main.get_command(app).commands["gateway-sim"]  # type: ignore[attr-defined]
    assert option in {name for each in command.params for name in each.opts}


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (["--speed", "fast"], 2, "--speed is"),
        (["--history", "900000"], 66, "900000"),
        (["--faults", "/nowhere.yaml"], 66, "--faults /nowhere.yaml"),
    ],
)
def test_a_wrong_option_is_named(arguments: list[str], code: int, why: str) -> None:
    """On standard error, with its exit code."""
    whole = [sys.executable, "-m", "trader", "gateway-sim", "--bars", "sample", "--port", "0", *arguments]
    done = subprocess.run(whole, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, why in done.stderr) == (code, True)
