"""The same bars give the same bytes: again, in other chunks, in another process, with the same advice from a log."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from line_builders import record_of
from msgspec.structs import replace
from replays import digest_of, files_of, two_weeks, write_log

from trader.analysis.verify import Status, verify
from trader.records import Canonical

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "transformers", "stable_baselines3", "sb3_contrib", "gymnasium", "ib_insync", "ib_async", "pandas")


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with trades, advice, vetoes, a roll and a second account."""
    return write_log(tmp_path_factory.mktemp("log"), two_weeks())


def records_in(folder: Path) -> list[Canonical]:
    """The records of all bars of a run."""
    files = files_of(folder)
    lines = [line for name in sorted(files) if name.endswith(".jsonl") for line in files[name].splitlines()]
    return [record_of(line) for line in lines if line.startswith(b'{"c":')]


def test_replay_has_everything_that_could_differ(log: Path) -> None:
    """The comparison below is worth something: the run trades, asks, vetoes, rolls and begins a second account."""
    records = records_in(log)

    reasons = {fill.reason for record in records for fill in record.fills}
    assert reasons >= {None, "stop", "target", "break_even", "trail"}
    assert {record.fusion.method for record in records} >= {"rl_only", "agreement", "weighted", "rl_override"}
    assert {record.risk.verdict for record in records} == {"idle", "approved", "vetoed"}
    assert {record.bar.symbol for record in records} == {"NQM19", "NQU19"}
    assert records[-1].account.account == 2


def test_replay_again_writes_the_same_bytes(log: Path, tmp_path: Path) -> None:
    """Whole folders, names included."""
    assert files_of(write_log(tmp_path, two_weeks()).parent) == files_of(log.parent)


@pytest.mark.parametrize("chunk_bars", [1, 7, 100_000])
def test_replay_in_other_chunks_writes_the_same_bytes(log: Path, tmp_path: Path, chunk_bars: int) -> None:
    """How many bars arrive together is nobody's business but the feed's."""
    assert files_of(write_log(tmp_path, two_weeks(), chunk_bars=chunk_bars).parent) == files_of(log.parent)


def in_another_process(code: list[str], hash_seed: str) -> str:
    """What a fresh interpreter prints."""
    environ = {
        **os.environ,
        "PYTHONHASHSEED": hash_seed,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]),
    }
    command = [sys.executable, *code]
    done = subprocess.run(command, env=environ, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("hash_seed", ["0", "4242"])
def test_replay_in_another_process_writes_the_same_bytes(log: Path, tmp_path: Path, hash_seed: str) -> None:
    """Neither the order of sets nor anything else of a process reaches the log."""
    digest = in_another_process(["tests/replays.py", str(tmp_path)], hash_seed)

    assert digest == digest_of(log.parent)


def test_replay_imports_nothing_heavy(tmp_path: Path) -> None:
    """A backtest needs neither the training's libraries, nor a language model's, nor a broker's, nor pandas."""
    code = (
        "import sys; from pathlib import Path; from replays import two_weeks, write_log;"
        f"write_log(Path({str(tmp_path)!r}), two_weeks());"
        f"print(sorted(set({HEAVY!r}) & set(sys.modules)))"
    )

    assert in_another_process(["-c", code], "0") == "[]\n"


def test_replay_of_other_settings_is_another_run(log: Path, tmp_path: Path) -> None:
    """The run's id is the hash of its inputs: what decides otherwise is not written over it."""
    other = write_log(tmp_path, two_weeks(), "risk.max_trades_per_session=3")

    assert other.name != log.name


@pytest.mark.parametrize("latency_ms", [0, 1_000_000])
def test_recorded_advice_replays_to_the_same_records(tmp_path: Path, latency_ms: int) -> None:
    """Answers out of the log instead of the rules: every `c` is the same but for who is named as advisor.

    With a latency of more than a bar the answers are late: visible at a later bar, or stale.
    """
    latency = f"advisor.assumed_latency_ms={latency_ms}"
    first = write_log(tmp_path / "first", two_weeks(), latency)
    advice = ("advisor.backend=recorded", f"advisor.recorded_from={first}")
    replayed = records_in(write_log(tmp_path / "second", two_weeks(), latency, *advice))

    named = [replace(record, ids=replace(record.ids, advisor="rules")) for record in replayed]
    statuses = {record.llm.status for record in replayed if record.llm is not None}
    assert statuses >= ({"late", "used", "stale"} if latency_ms else {"used"})
    assert replayed[0].ids.advisor == f"recorded:{first.name}"
    assert named == records_in(first)


def test_replay_without_advice_decides_otherwise(log: Path, tmp_path: Path) -> None:
    """The control to the test above: the advice in this log does matter."""
    alone = records_in(write_log(tmp_path, two_weeks(), "advisor.backend=off"))

    assert [record.fusion.action for record in alone] != [record.fusion.action for record in records_in(log)]


def test_replay_verifies(log: Path) -> None:
    """The chain holds from the first line to the head beside the files."""
    report = verify(log)

    assert (report.status, report.damage, report.is_head_known) == (Status.INTACT, None, True)
    assert (report.files, report.bars) == (7, len(two_weeks()))
