"""A language model in the line: a tiny Phi-3 in its worker process, then the recording of what it said."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from trader.analysis.log import open_log
from trader.asides import AsideLine

LAST = "2019-11-26"
WITHOUT_TORCH = """
import sys
from trader.cli import main
try:
    main()
finally:
    heavy = sorted({"torch", "transformers", "accelerate", "bitsandbytes", "aiohttp"} & set(sys.modules))
    assert not heavy, heavy
"""


def trader(*arguments: str) -> str:
    """Run a command in a process that must never load the model's libraries itself; its output."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def options(model: Path) -> list[str]:
    named = {
        "llm_model.name": model,
        "llm_model.quantization": "none",
        "llm_model.device": "cpu",
        "advisor.legal_mass_min": 0.001,  # a model of random weights holds little, and how little moves with its words
        "fusion.mode": "adaptive",
    }
    return ["--advisor", "phi3", *(part for key, value in named.items() for part in ("--set", f"{key}={value}"))]


def decided(folder: Path) -> list[dict[str, Any]]:
    """The canonical records, but for the hashes that name the advisor."""
    records = [json.loads(line.raw)["c"] for line in open_log(folder).entries() if line.raw.startswith(b'{"c"')]
    for record in records:
        del record["ids"]
    return records


def run_in(root: Path) -> Path:
    (folder,) = root.iterdir()
    return folder


@pytest.fixture(scope="module")
def advised(tiny_phi3: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The log of a backtest whose advisor is the model."""
    root = tmp_path_factory.mktemp("advised")
    trader("backtest", "--bars", "sample", "--to", LAST, "--log-dir", str(root), *options(tiny_phi3))
    return run_in(root)


def test_recording_of_a_model_decides_as_the_model_did(advised: Path, tmp_path: Path) -> None:
    """Same records, learned weights included, without torch or model; what the model may know is still said."""
    recorded = ("--advisor", "recorded", "--set", f"advisor.recorded_from={advised}", "--set", "fusion.mode=adaptive")
    trader("backtest", "--bars", "sample", "--to", LAST, "--log-dir", str(tmp_path), *recorded)
    first, again = decided(advised), decided(run_in(tmp_path))

    assert again == first
    answers = [record["llm"] for record in first if record["llm"] is not None]
    assert len(answers) > 20
    assert {answer["status"] for answer in answers} <= {"used", "cached"}
    assert len({answer["confidence"] for answer in answers}) > 10
    assert len({record["fusion"]["weight"] for record in first}) > 1


def test_advisor_log_holds_every_exchange_whole(advised: Path) -> None:
    """Under the hashes of the decision log: prompt, probabilities that sum to 1, result, latency."""
    lines = [line for path in advised.glob("advisor-*.jsonl") for line in path.read_bytes().splitlines()]
    exchanges = [json.loads(line)["exchange"] for line in lines]
    fresh = [record for record in decided(advised) if record["llm"] is not None and not record["llm"]["from_cache"]]

    assert [exchange["prompt_sha256"] for exchange in sorted(exchanges, key=lambda one: one["seq"])] == [
        record["llm"]["prompt_sha256"] for record in fresh
    ]
    for exchange in exchanges:
        assert sum(exchange["probabilities"].values()) == pytest.approx(1.0)
        assert list(exchange["probabilities"]) == exchange["valid"]
        assert [role for role, _ in exchange["messages"]] == ["system", "user"]
        assert exchange["messages"][1][1].endswith("Valid now: " + ", ".join(exchange["valid"]))
        assert exchange["latency_ms"] > 0
    assert set(exchanges[0]) == set(AsideLine.__annotations__["exchange"].__args__[0].__struct_fields__)


def test_daemon_asks_the_model_in_time_and_leaves_no_process(tiny_phi3: Path, tmp_path: Path) -> None:
    """Bars as they come, a deadline on each answer; what was learned is kept for the next run."""
    state = tmp_path / "state"
    done = trader(
        "run", "--bars", "sample", "--to", "2019-11-25", "--speed", "max", "--log-dir", str(tmp_path / "logs"),
        "--set", f"state.dir={state}", "--set", "advisor.deadline_ms=5000", *options(tiny_phi3),
    )  # fmt: skip
    events = [json.loads(line) for line in done.splitlines()]

    assert {event["event"] for event in events} >= {"started", "stopped", "advisor"}
    figures = next(event for event in events if event["event"] == "advisor")
    assert figures["model_calls"] > 10
    assert figures["latency_ms"]["p99"] > 0
    assert next(event["advisor_ended"] for event in events if event["event"] == "stopped") is True
    answers = [record["llm"] for record in decided(run_in(tmp_path / "logs")) if record["llm"] is not None]
    assert len(answers) > 10
    assert {answer["status"] for answer in answers} <= {"used", "cached", "late", "stale"}
    (kept,) = state.glob("advisor-*.json")
    assert json.loads(kept.read_bytes())["learned"]["weights"] is not None
    left = subprocess.run(["/usr/bin/env", "pgrep", "-f", str(tiny_phi3)], capture_output=True, text=True, check=False)
    assert left.stdout == ""


def test_model_that_is_not_there_stops_the_run_or_leaves_the_strategy_alone(tmp_path: Path) -> None:
    """As configured: exit 78 that names the folder and the remedy, or every question an error and a loud word."""
    arguments = ["backtest", "--bars", "sample", "--to", "2019-11-25", "--log-dir", str(tmp_path)]
    missing = options(tmp_path / "no-model")
    refused = subprocess.run(
        [sys.executable, "-m", "trader", *arguments, *missing], capture_output=True, text=True, check=False
    )
    assert refused.returncode == 78
    assert "no-model" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not any(tmp_path.iterdir())

    said = trader(*arguments, *missing, "--set", "advisor.on_unavailable=rl_only", "--set", "advisor.breaker_errors=0")
    assert "no-model" in said
    statuses = {record["llm"]["status"] for record in decided(run_in(tmp_path)) if record["llm"] is not None}
    assert statuses == {"error"}
