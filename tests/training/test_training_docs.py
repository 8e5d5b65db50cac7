"""The commands of docs/training.md, run in their order; trainings are made tiny."""

import json
import re
import shlex
from pathlib import Path

from lesson_builders import TINY

from trader.cli import app
from trader.training.plan import load_plan

DOC = Path(__file__).resolve().parents[2] / "docs" / "training.md"
CONFIG = DOC.parents[1] / "config" / "train.yaml"


def blocks_of(text: str) -> list[list[str]]:
    """The commands of each block that is run."""
    blocks = re.findall(r"```console\n(.*?)```", text, flags=re.DOTALL)
    return [[line.removeprefix("$ ") for line in block.splitlines() if line.startswith("$ ")] for block in blocks]


def test_training_docs_commands_run_as_they_stand_there(tmp_path, monkeypatch, capsys):
    """Train, export, backtest, measure: each ends well, and the model that was trained is the one that trades."""
    monkeypatch.chdir(tmp_path)
    commands = [shlex.split(command) for block in blocks_of(DOC.read_text("utf-8")) for command in block]
    assert [command[1] for command in commands] == ["train", "export", "backtest", "bench"]
    tiny = [part for override in (*TINY, "curriculum.quick_steps=1024") for part in ("--set", override)]
    for command in commands:
        app([*command[1:], *(tiny if command[1] == "train" else [])], standalone_mode=False)
    manifest = json.loads((tmp_path / "models" / "first" / "manifest.json").read_text())
    assert (manifest["phase"], manifest["actions"], manifest["provenance"]["label"]) == ("phase-1", 3, "synthetic")
    shown = capsys.readouterr().out
    assert "nq-phase-1-seed-1" in shown
    for figure in ("env_steps_per_s", "train_steps_per_s_per_core", "sb3_default_steps_per_s_per_core"):
        value = re.search(rf"^{figure} +(\d+)$", shown, flags=re.MULTILINE)
        assert value is not None
        assert int(value[1]) > 0


def test_training_docs_name_what_exists():
    """Every key and every file that the page names is there."""
    text = DOC.read_text("utf-8")
    plan = load_plan().model_dump()
    keys = set(re.findall(r"`(run|ppo|curriculum|normaliser|rewards|evaluation|watch)\.(\w+)", text))
    assert len(keys) > 8
    for section, key in keys:
        assert key in plan[section], f"{section}.{key}"
    for link in re.findall(r"\]\(([^)]+)\)", text):
        assert (DOC.parent / link).exists(), link


def test_train_yaml_says_the_reason_of_every_key():
    """A key without a word about it is a riddle."""
    lines = [line for line in CONFIG.read_text("utf-8").splitlines() if re.match(r" +\w+:", line)]
    assert len(lines) > 30
    assert [line for line in lines if not re.search(r"# .{10,}", line)] == []
