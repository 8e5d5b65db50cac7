"""`trader train` as a user runs it: killed, stopped, gone on with, side by side, and refused."""

import asyncio
import io
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from lesson_builders import TINY
from line_builders import settings_with
from training_builders import CALENDAR, some_bars

from trader.adapters.replay import ReplayFeed
from trader.analysis.figures import DecisionFigures, facts_of
from trader.app import BarsFacts, assemble
from trader.commands import export as export_command
from trader.commands import train as command
from trader.commands.train_engine import fusion_figures
from trader.commands.train_run import read_run
from trader.commands.train_side_by_side import SideBySide
from trader.errors import (
    BundleError,
    ConfigurationError,
    InputError,
    SeedsFailedError,
    TrainingInterruptedError,
    UsageError,
)
from trader.observation import schema_hash
from trader.options import BarOptions, ExportOptions, FileOptions, TrainOptions
from trader.policy.untrained import random_bundle
from trader.settings import Settings

DATES = ("2019-11-20", "2019-11-27")
VALIDATION = ("2019-12-02", "2019-12-04")
BARS = BarOptions(bars="synthetic", date_from=DATES[0], date_to=DATES[1])
LATER = {"validate_from": VALIDATION[0], "validate_to": VALIDATION[1]}
PHASES = (1, 2, 3)


def settings(folder: Path, *overrides: str) -> tuple[str, ...]:
    return (*TINY, f"run.dir={folder}", "curriculum.quick_steps=1024", "evaluation.engine_sessions=1", *overrides)


def train(folder: Path, *overrides: str, bars: BarOptions = BARS, **options: object) -> Path:
    """Train in this process; returns the run's folder."""
    wanted = TrainOptions(**({"quick": True, "seed": [1], "name": "run"} | options))
    files = FileOptions(overrides=list(settings(folder, *overrides)))
    command.run(wanted, bars, files, as_json=False)
    return folder / str(wanted.name)


def begun(arguments: list[str], stop: Callable[[subprocess.Popen[str]], None], lines: int) -> tuple[int, str]:
    """Start the command, wait for so many lines of progress, do `stop`; exit code and what it said afterwards."""
    code = [sys.executable, "-m", "trader", "train", *arguments]
    with subprocess.Popen(code, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        assert process.stderr is not None
        for _ in range(lines):
            assert process.stderr.readline().startswith('{"training":')
        stop(process)
        said = process.stderr.read()
    return process.returncode, said


def files_of(run: Path, phase: int) -> dict[str, bytes]:
    """What a phase of seed 1 has left, but for what is stamped with a time."""
    folder = run / f"phase-{phase}-seed-1"
    names = ("bundle/weights.safetensors", "bundle/manifest.json", "critic.safetensors", "curve.jsonl", "training.json")
    return {name: (folder / name).read_bytes().replace(str(run).encode(), b"RUN") for name in names}


def test_train_that_is_killed_and_stopped_ends_as_one_that_was_not(tmp_path, capsys):
    """kill -9 in phase 1, SIGINT in phase 2: gone on with each time, to the same bits in all three phases."""
    whole = train(tmp_path / "a", phase="all", **LATER)
    arguments = ["--quick", "--seed", "1", "--name", "run", "--bars", "synthetic", "--from", DATES[0], "--to", DATES[1]]
    arguments += ["--validate-from", VALIDATION[0], "--validate-to", VALIDATION[1]]
    for override in settings(tmp_path / "b"):
        arguments += ["--set", override]
    cut = tmp_path / "b" / "run"
    code, _ = begun(arguments, lambda process: process.kill(), lines=5)
    assert code == -signal.SIGKILL
    assert not (cut / "phase-1-seed-1" / "bundle").exists() or not (cut / "phase-2-seed-1").exists()
    code, said = begun(["--resume", str(cut)], lambda process: process.send_signal(signal.SIGINT), lines=9)
    assert code == 130
    assert "stopping after this update" in said
    assert f"everything is saved: go on with `trader train --resume {cut}`" in said
    capsys.readouterr()
    command.run(TrainOptions(resume=str(cut)), BarOptions(bars=""), FileOptions(), as_json=True)
    for phase in PHASES:
        assert files_of(whole, phase) == files_of(cut, phase), phase
    document = json.loads(capsys.readouterr().out)
    assert document["chosen"]["seed"] == 1
    assert [record["phase"] for record in document["records"]] == [1, 2, 3]


def test_train_side_by_side_is_train_one_after_the_other(tmp_path, capsys):
    """Each seed is as if it were alone, and each is shown."""
    one = train(tmp_path / "one", phase="1", seed=[1, 2])
    two = train(tmp_path / "two", "run.processes=2", phase="1", seed=[1, 2])
    for seed in (1, 2):
        weights = f"phase-1-seed-{seed}/bundle/weights.safetensors"
        assert (one / weights).read_bytes() == (two / weights).read_bytes()
    shown = [json.loads(line)["training"] for line in capsys.readouterr().err.splitlines() if line.startswith("{")]
    assert shown.count("phase-1 seed 2") == 16


def test_seed_that_fails_is_named_with_what_it_said(tmp_path):
    """The exit code is that of the first one; a seed that was not begun before a stop does not begin."""
    side_by_side = SideBySide(tmp_path / "absent", 2, lambda _line: None)
    with pytest.raises(SeedsFailedError, match=r"seed 4: .*absent.*is no run of `trader train`") as caught:
        side_by_side.train([4])
    assert caught.value.exit_code == 66
    side_by_side.stop(signal.SIGINT)
    side_by_side.train([5, 6])


def test_export_of_a_run_writes_the_bundle_of_its_median_seed(tmp_path, capsys):
    """What was chosen, and why, is said; the bundle is the run's own."""
    run = train(tmp_path, phase="1", seed=[1, 2, 3], **LATER)
    found = {}
    for seed in (1, 2, 3):
        record = json.loads((run / f"phase-1-seed-{seed}" / "training.json").read_text())
        kept = next(entry for entry in record["evaluations"] if entry["steps"] == record["kept_steps"])
        found[seed] = kept["daily_net_r"]
    median = sorted(found, key=lambda seed: found[seed])[1]
    assert f"median seed {median}: trader export" in capsys.readouterr().out
    export_command.run(run, tmp_path / "model", ExportOptions())
    assert f"seed {median}, the median of 1, 2, 3" in capsys.readouterr().out
    weights = (tmp_path / "model" / "weights.safetensors").read_bytes()
    assert weights == (run / f"phase-1-seed-{median}" / "bundle" / "weights.safetensors").read_bytes()
    note = json.loads((tmp_path / "model" / "manifest.json").read_text())["provenance"]["note"]
    assert note.startswith(f"Chosen as seed {median}, the median of 1, 2, 3")
    export_command.run(run, tmp_path / "other", ExportOptions(seed=1))
    manifest = json.loads((tmp_path / "other" / "manifest.json").read_text())
    assert (manifest["provenance"]["seed"], manifest["provenance"]["label"]) == (1, "synthetic")
    assert manifest["provenance"]["evaluation"]["bars"]["first_session"] == VALIDATION[0]
    bars = manifest["provenance"]["training"], manifest["provenance"]["evaluation"]["bars"]
    assert bars[0]["seed"] != bars[1]["seed"]


def test_train_phase_two_takes_the_newest_bundle_of_phase_one_or_the_named_one(tmp_path):
    """Of all runs in the folder; the record says which it was."""
    named = train(tmp_path, phase="1", name="first") / "phase-1-seed-1" / "bundle"
    newest = train(tmp_path, phase="1", name="second") / "phase-1-seed-1" / "bundle"
    for name, from_bundle, source in (("third", None, newest), ("fourth", named, named)):
        run = train(tmp_path, phase="2", name=name, from_bundle=from_bundle)
        record = json.loads((run / "phase-2-seed-1" / "training.json").read_text())
        assert record["source"] == str(source)
        assert record["had_critic"]
    kept = read_run(tmp_path / "fourth")
    assert kept.options.from_bundle == named
    assert kept.bars == BARS


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"bars": BarOptions(bars="")}, UsageError, "name the bars to learn from"),
        ({"bars": BarOptions(bars="synthetic")}, UsageError, "needs --from and --to"),
        ({"validate_from": "2019-12-02"}, UsageError, "belong together"),
        ({"validate_from": "2019-11-27", "validate_to": "2019-12-02"}, UsageError, "validation after training"),
        ({"phase": "1", "from_bundle": Path("x")}, UsageError, "phase 1 begins from nothing"),
        ({"phase": "2"}, InputError, r"no finished bundle of phase-1.*--phase 1"),
        ({"phase": "2", "from_bundle": Path("absent")}, BundleError, r"absent.*cannot be read"),
    ],
)
def test_train_that_cannot_begin_says_why_and_trains_nothing(tmp_path, changes, error, said):
    """A contradiction is found before the first step."""
    with pytest.raises(error, match=said):
        train(tmp_path, **({"phase": "1"} | changes))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("override", ["ppo.gamma=2", "risk.max_cost_share=7", "nothing=1"])
def test_train_with_a_value_out_of_range_is_refused_and_overwrites_nothing(tmp_path, override):
    """Of train.yaml or of the trader's own files: --set takes both."""
    with pytest.raises(ConfigurationError, match=override.partition("=")[0].replace(".", r"\.")):
        train(tmp_path, override, phase="1")
    assert not list(tmp_path.rglob("*.snapshot"))


def test_train_into_a_run_that_is_there_is_refused_and_its_files_stay(tmp_path):
    """A name is taken once; without one the next number is taken."""
    run = train(tmp_path, phase="1")
    files = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    with pytest.raises(UsageError, match=r"is there already; go on with --resume"):
        train(tmp_path, phase="1")
    assert files == {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    for number in (1, 2):
        command.run(
            TrainOptions(phase="1", quick=True, seed=[1]),
            BARS,
            FileOptions(overrides=list(settings(tmp_path))),
            as_json=False,
        )
        assert (tmp_path / f"run-{number:03d}" / "run.json").exists()


def test_fusion_figures_are_those_of_a_run_with_the_rules_advisor(tmp_path):
    """Names of the board, shares of decisions that had a choice, and the advisor's own count of questions."""
    bundle = random_bundle(
        tmp_path / "model", hidden=(16, 8), schema_hash=schema_hash(), calendar_sha256=CALENDAR.sha256
    )
    facts = BarsFacts(source="synthetic", sha256="", synthetic=True, bar_minutes=1, has_volume=True)
    figures = fusion_figures(settings_with("advisor.backend=off"), bundle, some_bars(), facts)
    same = ("strategy.name=ppo", "advisor.backend=rules", f"policy.bundle={json.dumps(str(bundle))}")
    decisions = decisions_of(settings_with(*same), facts)
    assert figures.keys() == {
        "llm/total_queries",
        "llm/avg_latency_ms",
        "llm/error_rate",
        "llm/cache_hit_rate",
        "fusion/agreement_pct",
        "fusion/rl_only_pct",
        "fusion/risk_veto_pct",
        "confidence/llm_avg",
    }
    assert figures["llm/total_queries"] == decisions.advice_asked > 20
    assert figures["llm/error_rate"] == 0
    assert figures["llm/cache_hit_rate"] == pytest.approx(decisions.advice["cached"] / decisions.advice_asked)
    agreed = decisions.methods["agreement"]
    assert figures["fusion/agreement_pct"] == pytest.approx(100 * agreed / decisions.advice_used)
    choices = decisions.advice_used / (1 - figures["fusion/rl_only_pct"] / 100)
    assert choices == pytest.approx(round(choices))
    assert choices < len(some_bars()) / 2
    vetoed = figures["fusion/risk_veto_pct"] * choices / 100
    assert max(decisions.vetoes.values()) - 0.5 <= vetoed <= sum(decisions.vetoes.values()) + 0.5
    assert vetoed > 1
    assert 0.5 <= figures["confidence/llm_avg"] <= 1
    assert 0 < figures["llm/avg_latency_ms"] < 50


def decisions_of(wanted: Settings, facts: BarsFacts) -> DecisionFigures:
    """What the engine's own report counts in the same run."""
    made = assemble(wanted, facts, log=None)
    made.engine.controls.reconciled()
    asyncio.run(made.engine.run(ReplayFeed([some_bars()])))
    return made.tally.report(facts_of(made.start), accounts_used=1).decisions


def test_run_file_reads_back_as_it_was(tmp_path):
    """Everything that a run is made of goes through its file."""
    run = train(tmp_path, phase="1")
    kept = read_run(run)
    assert kept.checked_plan().run.seeds == [1]
    assert kept.phases == (1,)
    again = msgspec.json.decode((run / "run.json").read_bytes())
    assert again["plan"]["ppo"]["envs"] == 8


@pytest.mark.parametrize(
    ("options", "bars", "files"),
    [
        ({"quick": True}, {}, {}),
        ({"validate_from": "2019-12-02"}, {}, {}),
        ({}, {"bars": "sample"}, {}),
        ({}, {"date_to": "2019-12-02"}, {}),
        ({}, {}, {"overrides": ["ppo.epochs=3"]}),
        ({}, {}, {"profile": "live"}),
    ],
)
def test_train_that_goes_on_takes_no_other_options(tmp_path, options, bars, files):
    """They would not be heeded: a run keeps its own."""
    with pytest.raises(UsageError, match=r"--resume takes --seed and --json only"):
        command.run(
            TrainOptions(resume=str(tmp_path), **options),
            BarOptions(**({"bars": ""} | bars)),
            FileOptions(**files),
            as_json=False,
        )


def test_train_that_goes_on_with_what_is_no_run_is_refused(tmp_path):
    """A folder that was mistyped."""
    with pytest.raises(InputError, match=r"absent.*run\.json: is no run of `trader train`.*such as runs/run-001"):
        command.run(TrainOptions(resume=str(tmp_path / "absent")), BarOptions(bars=""), FileOptions(), as_json=False)


def test_train_that_goes_on_under_other_settings_is_refused(tmp_path, monkeypatch):
    """Another account is another market to learn in, even where nobody meant it."""
    run = train(tmp_path, phase="1")
    monkeypatch.setenv("TRADER_ACCOUNT__TRAILING_LIMIT_USD", "1200")
    with pytest.raises(ConfigurationError, match="differs from that of this run: a file or a TRADER_ variable"):
        command.run(TrainOptions(resume=str(run), seed=[2]), BarOptions(bars=""), FileOptions(), as_json=False)
    assert not (run / "phase-1-seed-2").exists()


def test_train_learns_under_the_account_of_its_own_configuration(tmp_path):
    """The user's own file decides limits and costs; the run says so."""
    own = tmp_path / "own.yaml"
    own.write_text("account:\n  trailing_limit_usd: 900\n")
    wanted = TrainOptions(phase="1", quick=True, seed=[1], name="run")
    files = FileOptions(config=own, overrides=list(settings(tmp_path / "own")))
    command.run(wanted, BARS, files, as_json=False)
    default = train(tmp_path / "default", phase="1")
    curves = [(run / "phase-1-seed-1" / "curve.jsonl").read_bytes() for run in (tmp_path / "own" / "run", default)]
    assert curves[0] != curves[1]
    assert read_run(tmp_path / "own" / "run").settings().account.trailing_limit_usd == 900


class Impatient(io.StringIO):
    """A standard error at which somebody presses Ctrl-C twice, once the fourth update is shown."""

    def write(self, text: str) -> int:
        written = super().write(text)
        if text.startswith("{") and self.getvalue().count('{"training"') == 4:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
        return written


def test_train_that_is_stopped_twice_ends_at_once_and_keeps_its_last_snapshot(tmp_path, monkeypatch):
    """No further update is waited for; the message says how to go on, and that comes to the same weights."""
    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(sys, "stderr", Impatient())
    with pytest.raises(TrainingInterruptedError, match=r"stopped at once.*trader train --resume .*/run`") as caught:
        train(tmp_path, phase="1")
    assert caught.value.exit_code == 130
    assert signal.getsignal(signal.SIGINT) is before
    cut = tmp_path / "run"
    kept = sorted(path.name for path in (cut / "phase-1-seed-1" / "snapshot").iterdir())
    assert kept == ["000000000000.snapshot", "000000000256.snapshot"]
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    command.run(TrainOptions(resume=str(cut)), BarOptions(bars=""), FileOptions(), as_json=False)
    whole = train(tmp_path / "whole", phase="1")
    assert files_of(whole, 1) == files_of(cut, 1)
