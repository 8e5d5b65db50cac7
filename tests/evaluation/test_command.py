"""`trader evaluate` as a user meets it: what it prints, what it leaves behind, and how it refuses."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from bundle_builders import a_bundle
from evaluation_builders import columns
from msgspec.structs import replace

from trader.adapters.columns import BarColumns
from trader.analysis.evaluation import Claim, read_chart, read_evaluation
from trader.clock_text import utc_text
from trader.commands import evaluate
from trader.domain.sessions import Calendar
from trader.errors import BundleError, ConfigurationError, InputError, TraderError, UsageError
from trader.observation import schema_hash
from trader.options import BarOptions, EvaluateOptions, FileOptions
from trader.policy.manifest import Label, Span
from trader.policy.untrained import untrained_manifest

ROOT = Path(__file__).resolve().parents[2]


def write_csv(path: Path, bars: BarColumns) -> Path:
    """Bars as a file of one contract, times in UTC."""
    lines = ["time,open,high,low,close,volume"]
    lines += [
        f"{utc_text(bar.ts_open_ns)},{bar.open},{bar.high},{bar.low},{bar.close},{bar.volume}" for bar in bars.to_bars()
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """A folder with `bars.csv`, eight sessions that nobody calls synthetic, and `seen`, a bundle trained on them."""
    folder = tmp_path_factory.mktemp("files")
    one_contract = columns(8)
    write_csv(folder / "bars.csv", one_contract)
    manifest = untrained_manifest(hidden=(8,), schema_hash="", calendar_sha256="")
    trained = Span(description="bars", sha256="a" * 64, first_session="2022-02-01", last_session="2022-03-31")
    provenance = replace(manifest.provenance, label=Label.IN_SAMPLE, training=trained)
    fitting = {"schema_hash": schema_hash(), "calendar_sha256": Calendar.load().sha256, "bar_minutes": 15}
    a_bundle(folder / "seen", market="NQ", provenance=provenance, **fitting)
    newer = replace(provenance, training=replace(trained, first_session="2021-01-04", last_session="2021-12-31"))
    a_bundle(folder / "unseen", market="NQ", provenance=newer, seed=1, **fitting)
    a_bundle(folder / "other_bars", market="NQ", provenance=newer, **{**fitting, "bar_minutes": 1})
    return folder


def run(files: Path, out: Path, *models: str, bars: str = "bars.csv", **changes: object) -> None:
    """The command on `bars` of the folder, its state beside its output."""
    named = [str(files / model) if (files / model).exists() else model for model in models]
    wanted = replace(EvaluateOptions(model=named, seeds=2, out=out), **changes)
    options = BarOptions(bars=bars if bars == "sample" else str(files / bars), tz="UTC", rolls="none")
    if bars == "sample":
        options = BarOptions(bars=bars)
    settings = FileOptions(overrides=[f"state.dir={out.parent / 'state'}", "advisor.backend=rules"])
    evaluate.run(wanted, options, settings, as_json=False)


def left_behind(folder: Path) -> set[str]:
    """Every file below, by its path from there."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_strategy_is_evaluated_on_the_sample(files, tmp_path, capsys):
    """The claim is the first thing that is said, the record and the way to the page the last."""
    run(files, tmp_path / "out", "sma_cross", bars="sample", episodes=4)

    printed = capsys.readouterr().out
    lines = printed.splitlines()
    record = read_evaluation(tmp_path / "out")
    assert lines[1].startswith("ENGINEERING RUN: the bars were made by a program")
    assert lines[-1] == f"Page:   trader report {tmp_path / 'out'}"
    assert "TOO SHORT: 4 sessions prove nothing" in printed
    assert "Trials on these dates: 1." in printed
    assert max(map(len, lines)) <= 100 or str(tmp_path) in max(lines, key=len)
    assert (record.facts.sessions, record.facts.claim) == (4, Claim.ENGINEERING_RUN)
    assert record.facts.command.startswith("trader evaluate --model sma_cross --episodes 4 --seeds 2 --bars sample")
    assert len(read_chart(tmp_path / "out").open_s) > 4 * 80


def test_dates_of_the_training_are_refused_and_nothing_is_written(files, tmp_path):
    """Exit 78 says which dates, and both ways out."""
    with pytest.raises(ConfigurationError, match=r"2022-02-01 to 2022-03-31.*--from and --to.*--in-sample") as error:
        run(files, tmp_path / "out", "seen")

    assert error.value.exit_code == 78
    assert left_behind(tmp_path) == set()


def test_dates_of_the_training_are_labelled_where_they_are_wanted(files, tmp_path, capsys):
    """The page's first word, its claim and its split."""
    run(files, tmp_path / "out", "seen", in_sample=True)

    record = read_evaluation(tmp_path / "out")
    assert capsys.readouterr().out.splitlines()[1].startswith("IN-SAMPLE: ")
    assert (record.facts.claim, record.split.relation) == (Claim.IN_SAMPLE, "in_sample")
    assert "in_sample" in record.facts.labels
    assert record.facts.bundle is not None
    assert record.facts.bundle.training_last_session == "2022-03-31"


def test_the_same_command_gives_the_same_bytes(files, tmp_path):
    """Both files, twice, from the same state."""
    for name in ("one", "two"):
        run(files, tmp_path / name, "unseen")

    for file in ("evaluation.json", "chart.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    assert left_behind(tmp_path / "one") == {"evaluation.json", "chart.json"}


def test_newer_bars_are_said_to_be_newer(files, tmp_path):
    """The split stands in the record; eight sessions are no evidence all the same."""
    run(files, tmp_path / "out", "unseen", seeds=0)

    record = read_evaluation(tmp_path / "out")
    assert record.split.relation == "newer"
    assert "too few sessions" in record.facts.claim_reason


@pytest.mark.parametrize(
    ("models", "changes", "error", "exit_code", "message"),
    [
        (["unseen", "seen"], {}, UsageError, 2, "several models need --walk-forward"),
        (["unseen", "seen"], {"walk_forward": "train=2,test=1"}, ConfigurationError, 78, "--in-sample"),
        (["unseen"], {"walk_forward": "train=2"}, UsageError, 2, "train=120,test=40"),
        (["unseen"], {"walk_forward": "train=200,test=50"}, UsageError, 2, "here are 8"),
        (["unseen"], {"episodes": 3}, InputError, 66, "the features need about"),
        (["nowhere"], {}, BundleError, 78, "nowhere"),
        (["my_idea.py"], {}, ConfigurationError, 78, "my_idea.py does not exist"),
        (["other_bars"], {}, BundleError, 78, "--allow-mismatch"),
        (["unseen"], {"bars": "missing.csv"}, InputError, 66, "missing.csv does not exist"),
        (["unseen"], {"market": "XX"}, ConfigurationError, 78, "XX"),
    ],
)
def test_what_cannot_be_evaluated_is_refused_and_nothing_is_written(
    models, changes, error, exit_code, message, files, tmp_path
):
    """By name, with its exit code: no record, no chart, no trial."""
    with pytest.raises(error, match=message) as refusal:
        run(files, tmp_path / "out", *models, **changes)

    assert refusal.value.exit_code == exit_code
    assert left_behind(tmp_path) == set()


def test_accounts_are_renewed_whatever_the_configuration_says():
    """An evaluation that ends with its first account would be of its first weeks."""
    stopping = FileOptions(overrides=["account.on_exhausted=stop"])
    for files in (FileOptions(), stopping):
        wanted = EvaluateOptions(model=["flat"])
        assert evaluate.settings_for(wanted, "flat", files).account.on_exhausted == "renew"


def test_an_output_that_cannot_be_written_is_refused_and_stays(files, tmp_path):
    """A file stands where the folder should be."""
    (tmp_path / "out").write_text("mine")
    with pytest.raises(InputError, match="choose another folder with --out"):
        run(files, tmp_path / "out", "unseen", seeds=0)
    assert (tmp_path / "out").read_text() == "mine"


def test_an_earlier_record_survives_a_refusal(files, tmp_path):
    """What was written before is still there, to the byte."""
    run(files, tmp_path / "out", "unseen", seeds=0)
    before = (tmp_path / "out" / "evaluation.json").read_bytes()
    with pytest.raises(TraderError):
        run(files, tmp_path / "out", "seen")
    assert (tmp_path / "out" / "evaluation.json").read_bytes() == before


def test_the_process_prints_json_without_torch(files, tmp_path):
    """As a program calls it: exit 0, one object, and nothing of the training's libraries."""
    code = (
        "import sys; from trader.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "heavy = {'torch', 'stable_baselines3', 'gymnasium', 'matplotlib'} & set(sys.modules)\n"
        "sys.exit(f'{heavy} imported' if heavy else 0)"
    )
    words = ["evaluate", "--model", str(files / "unseen"), "--bars", str(files / "bars.csv"), "--tz", "UTC"]
    words += ["--rolls", "none", "--seeds", "0", "--set", f"state.dir={tmp_path / 'state'}", "--json"]
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert told["folder"] == f"logs/evaluations/{told['facts']['evaluation_id']}"
    assert read_evaluation(tmp_path / told["folder"]).facts.evaluation_id == told["facts"]["evaluation_id"]
    assert set(told["runs"]) >= {"fused", "rl_only", "flat"}
