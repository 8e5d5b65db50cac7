"""A recording made with the tiny model serves a backtest that has neither torch nor a model."""

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import msgspec
import pytest

from trader.adapters.recording_file import Head, is_recording, read_recording
from trader.commands import advisor_prefill
from trader.errors import UsageError
from trader.options import BarOptions, FileOptions, PrefillOptions, ShortOptions

BARS = BarOptions(bars="sample", date_to="2019-11-25")
TOLD = (
    "advisor.legal_mass_min=0",
    "fusion.llm_weight=0.6",
    "fusion.query_interval=12",
    "advisor.triggers.low_confidence=false",
    "advisor.triggers.entry=false",
)
"""Few questions: the tiny model is slow enough."""


def prefill(model: Path, out: Path, *overrides: str, backend: str = "phi3", complete: bool = True) -> int:
    """The command, in this process."""
    files = FileOptions(
        overrides=[f"llm_model.name={model}", "llm_model.quantization=none", "llm_model.device=cpu", *TOLD, *overrides]
    )
    wanted = PrefillOptions(out=out, passes=1, batch=32, complete=complete)
    return advisor_prefill.run(BARS, files, ShortOptions(advisor=backend), wanted, as_json=True)


def backtest(recording: Path, log_dir: Path) -> dict[str, object]:
    """`trader backtest --advisor recorded` in a process of its own, which must not import torch."""
    script = textwrap.dedent(
        """
        import sys
        from trader.cli import main
        sys.argv = ["trader", *sys.argv[1:]]
        try:
            main()
        except SystemExit as end:
            assert not end.code, end.code
        sys.exit(",".join(name for name in ("torch", "transformers") if name in sys.modules) or None)
        """
    )
    told = [part for override in TOLD for part in ("--set", override)]
    options = ("--bars", "sample", "--to", "2019-11-25", "--advisor", "recorded", "--log-dir", str(log_dir), "--json")
    command = ("backtest", *options, "--set", f"advisor.recorded_from={recording}", *told)
    done = subprocess.run([sys.executable, "-c", script, *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_recording_of_the_tiny_model_answers_a_whole_backtest_without_torch(
    tiny_phi3: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Batched scores, none missing after the replay that completes it; the advice is heard, and marked."""
    out = tmp_path / "r.jsonl"
    assert prefill(tiny_phi3, out) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["missing_left"] == 0
    head = msgspec.convert(document["head"], Head)
    assert (head.backend, head.mode, head.batched, head.model) == ("phi3", "score", True, tiny_phi3.name)
    assert head.identity == f"phi3 {tiny_phi3.name} none score prompt={head.prompt}"
    assert head.answered_by.endswith(":none:float32:cpu:growing")
    assert is_recording(out)
    assert len(read_recording(out).answers) == document["answers"] > 20
    advice = backtest(out, tmp_path / "logs")["decisions"]["advice"]
    assert advice["missing"] == 0
    assert advice["used"] > 10


def test_recording_of_written_replies_is_not_batched(
    tiny_phi3: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In mode generate the model writes a line a question, and the recording holds the lines."""
    told = ("advisor.mode=generate", "llm_model.max_new_tokens=25", "advisor.triggers.interval=false")
    assert prefill(tiny_phi3, tmp_path / "r.jsonl", *told, complete=False) == 0
    recording = read_recording(tmp_path / "r.jsonl")
    assert (recording.head.mode, recording.head.batched) == ("generate", False)
    assert recording.answers
    assert all(isinstance(answer, str) and answer.count("|") == 2 for answer in recording.answers.values())


def test_prefill_of_an_advisor_without_a_model_is_refused(tmp_path: Path) -> None:
    """Rules need no recording."""
    with pytest.raises(UsageError, match=r"rules is no language model.*--advisor phi3"):
        prefill(tmp_path, tmp_path / "r.jsonl", backend="rules")
