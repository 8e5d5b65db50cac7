"""The published page and schema of the decision log, held against the records and against lines that a run wrote."""

import copy
import inspect
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from log_builders import NO_ADVICE, a_record, write_run
from msgspec import Struct
from msgspec.structs import replace

from trader import records
from trader.analysis.log import Kind, open_log
from trader.analysis.recount import report_from_log
from trader.analysis.verify import Status, verify
from trader.domain.actions import Side
from trader.domain.instruments import instrument
from trader.domain.orders import Amend, AmendCause, Bracket, Cancel, ExitReason, Flatten
from trader.record_parts import order_record

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
SCRIPTS = ROOT / "scripts"
PAGE = (DOCS / "decision-log.md").read_text(encoding="utf-8")
SCHEMA = json.loads((DOCS / "decision-log.schema.json").read_text(encoding="utf-8"))
RECORDS = {name: kind for name, kind in inspect.getmembers(records, inspect.isclass) if issubclass(kind, Struct)}
del RECORDS["Struct"], RECORDS["Line"]


def run_python(*arguments: str) -> subprocess.CompletedProcess[str]:
    """This interpreter in the repository's root."""
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


@pytest.fixture(scope="module")
def real_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The log and the JSON report of a backtest of the embedded sample."""
    root = tmp_path_factory.mktemp("logs")
    done = run_python(
        "-m", "trader", "backtest", "--bars", "sample", "--strategy", "random_entries",
        "--log-dir", str(root), "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    return Path(report["log"]), report


@pytest.fixture(scope="module")
def validator() -> Any:
    """The published schema, itself checked."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    return jsonschema.Draft202012Validator(SCHEMA)


@pytest.mark.parametrize("page", ["decision-log.md", "decision-log.schema.json"])
def test_page_of_the_log_is_up_to_date(page: str):
    """`docs/` says what the records say: run scripts/make_docs.py after a change of them."""
    done = run_python(str(SCRIPTS / "make_docs.py"), "--check", page)
    assert done.returncode == 0, done.stdout + done.stderr


def test_schema_has_every_record_and_describes_every_field():
    """A field that is added to a record without a meaning is found here."""
    definitions = SCHEMA["$defs"]
    assert set(definitions) == set(RECORDS)
    for name, kind in RECORDS.items():
        fields = {field.encode_name for field in msgspec.structs.fields(kind)}
        described = {field for field, schema in definitions[name]["properties"].items() if schema["description"]}
        assert described == fields, name


def test_schema_accepts_the_lines_of_a_real_run(real_run: tuple[Path, dict[str, Any]], validator: Any):
    """Every line that is not a quiet bar, and one in ten of those."""
    checked = dict.fromkeys(Kind, 0)
    for entry in open_log(real_run[0]).entries():
        line = json.loads(entry.raw)
        bar = line.get("c")
        if bar is None or bar["fills"] or bar["orders"] or bar["risk"]["vetoes"] or bar["seq"] % 10 == 0:
            validator.validate(line)
            checked[entry.kind] += 1
    assert checked[Kind.START] == checked[Kind.END] == 1
    assert checked[Kind.CONTINUE] > 1
    assert checked[Kind.BAR] > 400


def test_schema_accepts_every_kind_of_order_that_the_recorder_writes(tmp_path: Path, validator: Any):
    """A cancelled entry is rare in a backtest, and a line of the log all the same."""
    market = instrument("NQ")
    bracket = Bracket(
        order_ref="NQH23-1",
        side=Side.BUY,
        qty=1,
        stop_distance_ticks=20,
        target_distance_ticks=60,
        stop_ticks=47_980,
        target_ticks=48_060,
    )
    amend = Amend(order_ref="NQH23-1", cause=AmendCause.TRAIL, stop_ticks=47_990, target_ticks=48_060)
    flatten = Flatten(order_ref="NQH23-1", side=Side.SELL, qty=1, reason=ExitReason.FLAT_AT)
    orders = tuple(order_record(order, market) for order in (bracket, amend, flatten, Cancel(order_ref="NQH23-1")))
    run = write_run(tmp_path / "run", [("2023-01-10", [replace(a_record(), orders=orders)])])

    validator.validate(json.loads((run / "decisions-2023-01-10.jsonl").read_bytes().splitlines()[1]))


def test_page_names_where_every_part_of_a_line_stands():
    """No heading is empty: each part has the name under which a line holds it."""
    assert "### \n" not in PAGE
    assert "### `llm`" in PAGE


def broken_lines(line: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A good line of a bar, each time with one thing wrong."""
    changes = [
        lambda it: it.pop("hash"),
        lambda it: it.pop("x"),
        lambda it: it.pop("c"),
        lambda it: it.update(e={"kind": "pause", "from_bar": 1, "detail": {}}),
        lambda it: it.update(more=1),
        lambda it: it.update(hash="00"),
        lambda it: it["x"].pop("sha256"),
        lambda it: it["c"].update(more=1),
        lambda it: it["c"].pop("risk"),
        lambda it: it["c"]["rl"].update(action="CLOSE"),
        lambda it: it["c"]["fusion"].update(method="vote"),
        lambda it: it["c"]["risk"].update(vetoes=["bad_mood"]),
        lambda it: it["c"]["llm"].update(status="asleep"),
        lambda it: it["c"]["query"].update(skipped_because="tired"),
        lambda it: it["c"]["bar"].update(c="15000.25"),
        lambda it: it["c"]["account"].update(position=None),
    ]
    for change in changes:
        broken = copy.deepcopy(line)
        change(broken)
        yield broken


def test_schema_refuses_a_line_with_anything_wrong(tmp_path: Path, validator: Any):
    """Missing and unknown keys, words outside the closed sets, wrong types."""
    run = write_run(tmp_path / "run", [("2023-01-10", [replace(a_record(), llm=NO_ADVICE)])])
    line = json.loads((run / "decisions-2023-01-10.jsonl").read_bytes().splitlines()[1])
    assert validator.is_valid(line)
    assert [validator.is_valid(broken) for broken in broken_lines(line)] == [False] * 16


def test_page_example_of_the_chain_proves_a_real_run(real_run: tuple[Path, dict[str, Any]], tmp_path: Path):
    """The reader's own twelve lines of Python come to the head that `verify` states, and find a changed byte."""
    snippet = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert snippet is not None
    run = tmp_path / "run"
    shutil.copytree(real_run[0], run)
    done = run_python("-c", snippet[1], str(run))
    assert (done.returncode, done.stdout.strip()) == (0, verify(run).head)
    file = sorted(run.glob("decisions-*.jsonl"))[1]
    lines = file.read_bytes().splitlines(keepends=True)
    lines[6] = lines[6].replace(b'"seq":', b'"seq":9', 1)
    file.write_bytes(b"".join(lines))
    done = run_python("-c", snippet[1], str(run))
    assert (done.returncode, done.stderr.strip()) == (1, f"{file.name}:7 does not follow")


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
def test_page_examples_for_jq_run_on_a_real_run(real_run: tuple[Path, dict[str, Any]]):
    """One line a closed trade, from the files themselves."""
    example = re.search(r"^    jq -c '([^']*)' logs/\*/decisions-\*\.jsonl$", PAGE, re.MULTILINE)
    assert example is not None
    files = [str(file) for file in sorted(real_run[0].glob("decisions-*.jsonl"))]
    command = [str(shutil.which("jq")), "-c", example[1], *files]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    pnl = [json.loads(line)[2] for line in done.stdout.splitlines()]
    assert len(pnl) == real_run[1]["trades"]["trades"] > 0
    assert sum(pnl) == pytest.approx(real_run[1]["result"]["net_pnl_usd"], abs=1e-6)


def test_verify_of_a_real_run_is_intact(real_run: tuple[Path, dict[str, Any]]):
    """The recorder's lines, the journal's files and its head prove themselves."""
    report = verify(real_run[0])
    assert (report.status, report.damage, report.is_head_known) == (Status.INTACT, None, True)
    assert report.bars == real_run[1]["run"]["bars"]


def test_recount_of_a_real_run_equals_the_engines_report(real_run: tuple[Path, dict[str, Any]]):
    """What the engine counted while it ran, the log says too, but for what no log knows."""
    recounted = json.loads(msgspec.json.encode(report_from_log(real_run[0])))
    counted = {part: dict(figures) for part, figures in real_run[1].items() if part in recounted}
    for unknown in ("bars_per_s", "skipped_bars"):
        del recounted["run"][unknown], counted["run"][unknown]
    assert recounted == counted
