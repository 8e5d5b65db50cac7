"""Bad input to the commands of training and evaluation, as it is typed: its exit code, a message that names file, field
and remedy, and a folder in which nothing has changed."""

import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from trader.adapters.columns import BarColumns, concatenate
from trader.adapters.synthetic import SyntheticMarket, generate
from trader.cli import main
from trader.domain.instruments import instrument
from trader.domain.sessions import Calendar
from trader.policy.bundle import EMBEDDED, MANIFEST_NAME, WEIGHTS_NAME


def rows_of(columns: BarColumns) -> list[str]:
    """Lines of a CSV with its header."""
    cells = (columns.ts_open_ns // 10**9, columns.open, columns.high, columns.low, columns.close, columns.volume)
    return ["time,open,high,low,close,volume\n", *(",".join(map(str, row)) + "\n" for row in zip(*cells, strict=True))]


def bundle(folder: Path, **changes: object) -> Path:
    """The embedded bundle with other words in its manifest."""
    shutil.copytree(EMBEDDED, folder)
    manifest = json.loads((folder / MANIFEST_NAME).read_text())
    (folder / MANIFEST_NAME).write_text(json.dumps(manifest | changes))
    return folder


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with bars, bundles, configurations and results, each wrong in its own way."""
    folder = tmp_path_factory.mktemp("given")
    market = SyntheticMarket(instrument=instrument("NQ"), rolls=False)
    lines = rows_of(concatenate(list(generate(3, "2019-01-07", 4, calendar=Calendar.load(), market=market))))
    (folder / "good.csv").write_text("".join(lines))
    later = rows_of(concatenate(list(generate(3, "2019-01-22", 2, calendar=Calendar.load(), market=market))))
    (folder / "gap.csv").write_text("".join(lines + later[1:]))
    (folder / "short.csv").write_text("".join(lines[:600]))
    (folder / "cut.csv").write_text("".join(lines[:3_000]) + lines[3_000][:17])
    bundle(folder / "other_phase", phase="phase-1")
    bundle(folder / "other_schema", schema_hash="0" * 64)
    bundle(folder / "other_bars", bar_minutes=5)
    weights = bundle(folder / "cut_weights") / WEIGHTS_NAME
    weights.write_bytes(weights.read_bytes()[:1_000])
    (folder / "range.yaml").write_text("ppo:\n  gamma: 1.5\n")
    (folder / "unknown.yaml").write_text("ppo:\n  gama: 0.9\n")
    (folder / "broken.yaml").write_text("ppo: [1, 2\n")
    (folder / "limit.yaml").write_text("risk:\n  max_trades_per_session: -3\n")
    (folder / "checkpoint.zip").write_bytes(b"PK\x03\x04" + bytes(200))
    (folder / "facts.yaml").write_text("name: mine\n")
    (folder / "evaluation").mkdir()
    (folder / "evaluation" / "evaluation.json").write_text('{"version": 1, "facts": {"strategy": ')
    (folder / "evaluation" / "report.html").write_text("yesterday's")
    return folder


def content_of(folder: Path) -> Mapping[Path, bytes]:
    """Every file and its bytes."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


HOW = "--stamp open --rolls none"
GOOD = f"--bars good.csv {HOW}"
SHORT = f"--bars short.csv {HOW}"

CASES = [
    (f"train --phase 1 {SHORT}", 66, ("the features need about 1,000 before",)),
    (f"train --phase 1 --bars gap.csv {HOW}", 66, ("between 2019-01-10 and 2019-01-22", "--to 2019-01-10")),
    (f"evaluate --model flat --bars gap.csv {HOW}", 66, ("no bars for 7 sessions", "fill the gap")),
    (f"train --phase 1 {GOOD} --name ../out", 2, ("--name ../out", "plain name")),
    (f"train --phase 1 --bars cut.csv {HOW}", 66, ("cut.csv, line 3001", "--on-bad-bar skip")),
    (f"train --phase 1 {GOOD} --config range.yaml", 78, ("range.yaml:2", "ppo.gamma = 1.5", "equal to 1")),
    (f"train --phase 1 {GOOD} --config unknown.yaml", 78, ("unknown.yaml:2", "did you mean ppo.gamma?")),
    (f"train --phase 1 {GOOD} --config broken.yaml", 78, ("broken.yaml:2", "not valid YAML")),
    (f"train --phase 1 {GOOD} --set ppo.gamma=2", 78, ("ppo.gamma = 2", "equal to 1")),
    (f"train --phase 3 {GOOD} --from-bundle other_phase", 78, ("other_phase", "phase-3 begins from phase-2")),
    (f"train --phase 2 {GOOD} --from-bundle other_schema", 78, ("other_schema/manifest.json", "train and export")),
    (f"train --phase 2 {GOOD} --from-bundle cut_weights", 78, ("cut_weights/weights.safetensors", "copy it again")),
    (f"train --phase 2 {GOOD}", 66, ("no finished bundle of phase-1", "--phase 1", "--from-bundle")),
    ("train --resume evaluation", 66, ("evaluation/run.json", "is no run of `trader train`", "runs/run-001")),
    (f"evaluate --model embedded --in-sample {SHORT}", 66, ("the features need about",)),
    (f"evaluate --model other_schema {GOOD}", 78, ("other_schema/manifest.json", "schema_hash")),
    (f"evaluate --model other_bars {GOOD}", 78, ("other_bars/manifest.json", "5-minute", "--allow-mismatch")),
    (f"evaluate --model flat {GOOD} --config limit.yaml", 78, ("limit.yaml:2", "max_trades_per_session = -3")),
    ("report evaluation", 66, ("evaluation/evaluation.json", "cut off", "trader evaluate")),
    ("export checkpoint.zip out --facts facts.yaml", 66, ("facts.yaml",)),
]


@pytest.mark.parametrize(("command", "code", "says"), CASES, ids=[case[0] for case in CASES])
def test_bad_input_ends_with_its_exit_code_and_the_remedy_and_changes_nothing(
    command: str,
    code: int,
    says: tuple[str, ...],
    given: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """On standard error, in one sentence; what was there stays as it was, to the byte."""
    before = content_of(given)
    monkeypatch.chdir(given)
    monkeypatch.setattr(sys, "argv", ["trader", *command.split()])

    with pytest.raises(SystemExit) as ended:
        main()

    told = capsys.readouterr()
    assert ended.value.code == code, told.err
    assert told.out == ""
    assert told.err.startswith("error: ")
    for part in says:
        assert part in told.err
    assert content_of(given) == before
