"""The commands as a user runs them: processes, exit codes, what they print and leave behind."""

import itertools
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from trader.adapters.files.bars import open_bars
from trader.adapters.files.resample import resample
from trader.domain.instruments import instrument
from trader.domain.sessions import Calendar
from trader.policy.bundle import EMBEDDED
from trader.samples import sample

ROOT = Path(__file__).resolve().parents[1]


def trader(*arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "trader", *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def canonical(folder: Path) -> list[str]:
    """The bytes of every bar's record in a run's folder."""
    lines = [line for file in sorted(folder.glob("decisions-*.jsonl")) for line in file.read_text().splitlines()]
    return [line[: line.index(',"x":{"mode"')] for line in lines if line.startswith('{"c":')]


@pytest.fixture(scope="module")
def sample_run(tmp_path_factory) -> dict:
    """The sample replayed by the averages' cross, its JSON report."""
    folder = tmp_path_factory.mktemp("logs")
    done = trader("backtest", "--bars", "sample", "--strategy", "sma_cross", "--log-dir", str(folder), "--json")
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def test_backtest_sample_reports_every_bar_and_labels_it_synthetic(sample_run):
    """One line a bar, all sessions, and the label that keeps anybody from believing it."""
    assert sample_run["run"]["bars"] == 22_727
    assert sample_run["run"]["sessions"] == 17
    assert sample_run["run"]["labels"] == ["synthetic_bars"]
    assert len(canonical(Path(sample_run["log"]))) == 22_727


def test_backtest_commissions_are_two_sides_a_trade(sample_run):
    """4.50 $ a round trip, nothing else."""
    assert sample_run["result"]["commissions_usd"] == 4.5 * sample_run["trades"]["trades"]


def test_verify_names_the_line_of_one_changed_byte(sample_run, tmp_path):
    """Intact at first; one digit changed in a copy is found in its line."""
    assert trader("verify", sample_run["log"]).returncode == 0
    copy = tmp_path / "run"
    copy.mkdir()
    for file in Path(sample_run["log"]).iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    damaged = sorted(copy.glob("decisions-*.jsonl"))[3]
    lines = damaged.read_bytes().split(b"\n")
    lines[99] = lines[99].replace(b'"rl_only"', b'"rl_0nly"')
    damaged.write_bytes(b"\n".join(lines))

    done = trader("verify", str(copy))

    assert done.returncode == 1
    assert f"{damaged.name}:100:" in done.stdout


def test_logs_table_and_json_show_the_same_bars(sample_run):
    """People and programs read the same selection."""
    table = trader("logs", sample_run["log"], "--orders")
    lines = trader("logs", sample_run["log"], "--orders", "--json").stdout.splitlines()

    assert table.returncode == 0
    assert all(json.loads(line)["c"]["orders"] for line in lines)
    assert len(lines) >= sample_run["trades"]["trades"]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--bars", "sample", "--set", "risk.max_consecutive_loses=3"), 78, "risk.max_consecutive_losses"),
        (("--bars", "sample", "--set", "fusion.llm_weight=1.5"), 78, "fusion.llm_weight"),
        (("--bars", "sample", "--strategy", "nobody"), 78, "sma_cross"),
        (("--bars", "missing.csv"), 66, "missing.csv"),
        (("--bars", "sample", "--layout", "excel"), 2, "layout"),
        (("--bars", "sample", "--bundle", "missing"), 78, "missing"),
        (("--bars", "sample", "--profile", "real"), 2, "paper"),
    ],
)
def test_backtest_wrong_input_ends_with_its_exit_code_and_the_remedy(arguments, code, says, tmp_path):
    """Each mistake has its code; the message names what would be right; nothing is left behind."""
    done = trader("backtest", *arguments, cwd=tmp_path)

    assert done.returncode == code
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_backtest_unknown_environment_key_is_an_error(tmp_path):
    """A misspelt variable is not ignored."""
    done = trader("backtest", "--bars", "sample", cwd=tmp_path, TRADER_FUSION__LLM_WEIGTH="0.5")

    assert done.returncode == 78
    assert "fusion.llm_weight" in done.stderr


def test_run_at_full_speed_decides_as_the_backtest_does(tmp_path):
    """The daemon and the backtest write the same canonical records, byte for byte."""
    common = ("--bars", "sample", "--strategy", "sma_cross", "--on-exhausted", "stop", "--to", "2019-11-27")
    own = ("--log-dir", str(tmp_path / "run"), "--set", f"state.dir={tmp_path / 'state'}")
    assert trader("run", *common, "--speed", "max", *own).returncode == 0
    assert trader("backtest", *common, "--log-dir", str(tmp_path / "replay")).returncode == 0
    (live,) = (tmp_path / "run").iterdir()
    (replay,) = (tmp_path / "replay").iterdir()

    assert canonical(live) == canonical(replay)
    assert len(canonical(live)) > 4_000


def test_run_sigterm_drains_closes_the_log_and_exits_0(tmp_path):
    """A service that is stopped leaves a log that proves itself whole."""
    command = [sys.executable, "-m", "trader", "run", "--bars", "sample", "--strategy", "flat", "--speed", "600"]
    command += ["--log-dir", str(tmp_path / "logs"), "--set", f"state.dir={tmp_path / 'state'}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["event"] == "warmed_up"
        started = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGTERM)
        said = [json.loads(line)["event"] for line in process.stdout]
    proof = (
        json.loads(trader("verify", started["log"], "--json").stdout) if any((tmp_path / "logs").iterdir()) else None
    )

    assert started["event"] == "started"
    assert process.returncode == 0
    assert said == ["draining", "stopped", "result"]
    assert proof is None or proof["status"] == "intact"


def test_run_kill_leaves_a_log_that_says_not_closed(tmp_path):
    """After kill -9 every line that is there holds, and the missing end is named."""
    command = [sys.executable, "-m", "trader", "run", "--bars", "sample", "--strategy", "flat", "--speed", "60000"]
    command += ["--log-dir", str(tmp_path / "logs"), "--set", f"state.dir={tmp_path / 'state'}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["event"] == "warmed_up"
        folder = Path(json.loads(process.stdout.readline())["log"])
        with subprocess.Popen(
            [sys.executable, "-m", "trader", "logs", str(folder), "--follow", "--json", "--limit", "20"],
            stdout=subprocess.PIPE,
            text=True,
        ) as follower:
            assert follower.stdout is not None
            followed = follower.stdout.readlines()
        process.kill()

    assert len(followed) == 20
    assert json.loads(trader("verify", str(folder), "--json").stdout)["status"] == "not_closed"


def test_readme_strategy_runs_from_its_file(tmp_path):
    """The example that people copy is run as they would run it."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (tmp_path / "pullback.py").write_text(blocks[0])

    done = trader("backtest", "--bars", "sample", "--strategy", "pullback.py", "--no-log", "--json", cwd=tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["run"]["strategy"] == "pullback.py"
    assert json.loads(done.stdout)["decisions"]["actions"]["BUY"] > 0


def test_backtest_strategy_with_two_classes_is_refused(tmp_path):
    """Which of the two was meant is not guessed."""
    (tmp_path / "two.py").write_text(
        textwrap.dedent(
            """
            class A:
                def propose(self, outlook): ...
            class B:
                def propose(self, outlook): ...
            """
        )
    )

    done = trader("backtest", "--bars", "sample", "--strategy", "two.py", "--no-log", cwd=tmp_path)

    assert done.returncode == 78
    assert "A, B" in done.stderr


def test_check_prints_what_is_in_force_and_refuses_a_bad_limit(tmp_path):
    """What would stop a start is found before one."""
    good = trader("check", "--set", "strategy.name=flat", "--json", cwd=tmp_path)
    bad = trader("check", "--set", "strategy.name=flat", "--set", "account.daily_limit_usd=0", cwd=tmp_path)

    assert good.returncode == 0
    assert json.loads(good.stdout)["strategy"] == "flat"
    assert bad.returncode == 78
    assert "account.daily_limit_usd" in bad.stderr


@pytest.fixture(scope="module")
def five_minutes(tmp_path_factory) -> Path:
    """The sample's first sessions as a file of five-minute bars."""
    calendar = Calendar.load()
    source = open_bars(Path(str(sample())), market=instrument("NQ"), calendar=calendar)
    path = tmp_path_factory.mktemp("bars") / "five.csv"
    with path.open("w") as file:
        file.write("time,open,high,low,close,volume\n")
        for columns in itertools.islice(resample(source.columns(), 5, calendar), 1):
            for bar in columns.to_bars():
                file.write(f"{bar.ts_open_ns // 10**9},{bar.open},{bar.high},{bar.low},{bar.close},{bar.volume}\n")
    return path


def test_backtest_model_of_another_bar_period_is_refused_with_the_remedy(five_minutes, tmp_path):
    """A model of one-minute bars does not trade five-minute bars by accident."""
    done = trader("backtest", "--bars", str(five_minutes), cwd=tmp_path)

    assert done.returncode == 78
    assert "--allow-mismatch" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_backtest_allowed_mismatch_runs_and_is_said(five_minutes, tmp_path):
    """With the remedy it runs to the last bar, and the report says so."""
    done = trader("backtest", "--bars", str(five_minutes), "--allow-mismatch", "--no-log", "--json", cwd=tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)["run"]
    assert "mismatch" in report["labels"]
    assert report["bars"] == len(five_minutes.read_text().splitlines()) - 1


def test_readme_figures_and_commands_name_what_exists():
    """Every `trader` command of the README is one of the program's."""
    commands = set(re.findall(r"^\$ (?:\.venv/bin/)?trader (\w+)", (ROOT / "README.md").read_text(), re.MULTILINE))

    assert commands >= {"backtest", "logs", "verify", "run", "check"}
    for command in commands:
        assert trader(command, "--help").returncode == 0


def test_docs_picture_shows_what_the_demo_prints():
    """The picture in the README is the program's output of today: `make docs` draws it again."""
    command = [sys.executable, str(ROOT / "scripts" / "make_docs.py"), "--check", "demo.svg"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


REAL_FILES = [
    ("firstrate_2023/NQ_1min_sample.csv", (), 14_714),
    ("continuous_2019_5m/NQ.csv", ("--rolls", str(ROOT / "tests/data/rolls_2019.csv"), "--allow-mismatch"), 70_002),
]


@pytest.mark.parametrize(("file", "options", "bars"), REAL_FILES, ids=["firstrate", "2019"])
def test_backtest_real_file_goes_from_first_to_last_bar_twice_the_same(shared_data, tmp_path, file, options, bars):
    """One line a bar; another hash seed changes no byte; the log proves itself."""
    runs = []
    for seed in ("1", "2"):
        command = ("backtest", "--bars", str(shared_data / file), *options, "--log-dir", str(tmp_path / seed), "--json")
        done = trader(*command, PYTHONHASHSEED=seed)
        assert (done.returncode, done.stderr) == (0, "")
        runs.append(Path(json.loads(done.stdout)["log"]))

    first, second = runs
    assert len(canonical(first)) == bars
    assert {path.name: path.read_bytes() for path in first.iterdir()} == {
        path.name: path.read_bytes() for path in second.iterdir()
    }
    assert trader("verify", str(first)).returncode == 0


def test_backtest_with_the_embedded_model_imports_no_training_and_no_vendor_library():
    """The command a user runs, model included, needs neither torch nor a broker's client."""
    script = textwrap.dedent(
        """
        import sys
        from trader.cli import main
        sys.argv = ["trader", "backtest", "--bars", "sample", "--to", "2019-11-25", "--no-log", "--json"]
        try:
            main()
        except SystemExit as end:
            assert not end.code, end.code
        foreign = ("torch", "transformers", "stable_baselines3", "sb3_contrib", "gymnasium", "ib_insync", "ib_async")
        sys.exit(",".join(name for name in foreign if name in sys.modules) or None)
        """
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["run"]["model"] == json.loads((EMBEDDED / "manifest.json").read_bytes())["name"]
