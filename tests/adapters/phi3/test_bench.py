"""The bench command on the tiny model."""

import json
import sys
from pathlib import Path

import pytest

from trader.commands import advisor_bench
from trader.errors import ConfigurationError
from trader.options import FileOptions


def test_bench_reports_what_was_measured_and_what_was_calculated(
    tiny_phi3: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each precision with its device, prompt length and percentiles; each card with its floors; and no mix of both."""
    files = FileOptions(overrides=[f"llm_model.name={tiny_phi3}", "llm_model.device=cpu"])
    advisor_bench.run(files, as_json=True, queries=5)
    report = json.loads(capsys.readouterr().out)
    assert [(row["quantization"], row["dtype"]) for row in report["measured"]] == [
        ("none", "float32"),
        ("int8", "float16"),
        ("int4", "float32"),
    ]
    for row in report["measured"]:
        assert row["device"] == "cpu"
        assert 0 < row["read_tokens"] < row["prompt_tokens"] < 1_500
        for times in (row["score"], row["generate_20"]):
            assert 0 < times["p50_ms"] <= times["p95_ms"] <= times["p99_ms"]
        assert row["score"]["runs"] == 5
    assert len(report["calculated"]) == 9


def test_bench_goes_on_without_what_cannot_be_had(
    tiny_phi3: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each precision that fails says why; where all do there is nothing to report."""
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)  # as where it is not installed
    files = FileOptions(overrides=[f"llm_model.name={tiny_phi3}", "llm_model.device=cpu"])
    advisor_bench.run(files, as_json=False, queries=1)
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("none float32 growing") for line in lines)
    for quantization in ("int8", "int4"):
        assert any(line.startswith(f"{quantization} with graphs off: not measured: ") for line in lines)
    absent = FileOptions(overrides=[f"llm_model.name={tiny_phi3 / 'absent'}"])
    with pytest.raises(ConfigurationError, match="there is no folder"):
        advisor_bench.run(absent, as_json=True, shape="configured", queries=1)
