"""Strategies that know later bars, planted as users write them, are all found; honest ones are not accused."""

import re
import runpy
from collections.abc import Callable
from pathlib import Path

import pandas  # noqa: F401 -- imported once here instead of once in every run
import pytest
from leak_builders import fresh_market, lookahead, plant, write_bars

from trader.commands.warm import warm_kernels
from trader.errors import InputError, StrategyError
from trader.leaks.findings import Finding, Kind
from trader.settings import load_settings

ROOT = Path(__file__).resolve().parents[2]


COUNT = 1_700

HEADER = """import csv, os
from pathlib import Path
from trader.domain.actions import Action
from trader.domain.decisions import Proposal
"""

READS_FILES = (
    HEADER
    + """
class Reads:
    def __init__(self):
        self._days = Path("days.csv").read_text()
        self._parameters = Path("parameters.json").read_text()
    def propose(self, outlook):
        return Proposal(Action.HOLD, 0.8)
"""
)

USES_THE_PAST = (
    HEADER
    + """
class Past:
    def __init__(self):
        with open("bars.csv") as file:
            self._closes = {int(row["time"]): float(row["close"]) for row in csv.DictReader(file)}
    def propose(self, outlook):
        before = self._closes.get(outlook.bar.ts_open_ns // 10**9 - 300, outlook.bar.close)
        can = outlook.mask >> Action.BUY & 1
        return Proposal(Action.BUY if can and outlook.bar.close > before + 2 else Action.HOLD, 0.8)
"""
)

FAILS_AT_THE_END = (
    HEADER
    + f"COUNT = {COUNT}"
    + """
class Index:
    def __init__(self):
        with open("bars.csv") as file:
            self._closes = [row["close"] for row in csv.DictReader(file)]
        self._at = -1
    def propose(self, outlook):
        self._at += 1
        if self._at + 12 < COUNT:
            self._closes[self._at + 12]
        can = outlook.mask >> Action.BUY & 1
        return Proposal(Action.BUY if can and self._at % 20 == 0 else Action.HOLD, 0.8)
"""
)

BROKEN = (
    HEADER
    + """
class Broken:
    def __init__(self):
        self._at = -1
    def propose(self, outlook):
        self._at += 1
        if self._at == 7:
            1 / 0
        return Proposal(Action.HOLD, 0.8)
"""
)


def load_prepare(path: Path) -> Callable[[Path, str], None]:
    """The function of a user's script that makes his signals."""
    return runpy.run_path(str(path))["prepare"]


@pytest.fixture(scope="module", autouse=True)
def _warm() -> None:
    """Every run begins as a copy of this process, its kernels included."""
    warm_kernels(load_settings(environ={}))


@pytest.fixture
def bars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A session and an evening in the file that a strategy reads, in the folder that it runs in."""
    monkeypatch.chdir(tmp_path)
    return write_bars(fresh_market(2, "2019-02-04").rows(0, COUNT), tmp_path)


def only(findings: tuple[Finding, ...]) -> Finding:
    """The one finding."""
    assert len(findings) == 1, findings
    return findings[0]


@pytest.mark.parametrize(
    ("name", "likely"),
    [
        ("next_close", "reads bars.csv itself, and values of the next bars"),
        ("centred_mean", "reads bars.csv itself"),
        ("whole_file_scaler", "reads bars.csv itself"),
        ("close_of_the_day", "reads bars.csv itself"),
        ("hour_not_closed", "reads bars.csv itself"),
        ("fitted_side", "reads bars.csv itself"),
        ("garbage_collector", "the program's memory (gc, frames"),
        ("frames", "the program's memory (gc, frames"),
    ],
)
def test_lookahead_strategy_that_knows_later_bars_is_found(name: str, likely: str, bars: Path) -> None:
    """The finding names the bar, both decisions and how it came to know."""
    report = lookahead(plant(name, bars.parent), bars)

    found = only(report.findings)
    assert found.kind is Kind.FUTURE
    assert likely in found.reason
    assert found.bar is not None
    assert found.sides[0].did != found.sides[1].did
    assert any(part.startswith("rl.") for part in found.differs)
    assert not any(part.startswith("features.") for part in found.differs)


@pytest.mark.parametrize("name", ["memory_of_runs", "cache_on_disk", "unseeded"])
def test_lookahead_strategy_that_decides_otherwise_the_second_time_is_found(name: str, bars: Path) -> None:
    """What a run leaves behind tells the next one of the future, whatever the bars."""
    found = lookahead(plant(name, bars.parent), bars).findings[0]

    assert found.kind is Kind.REPEAT
    assert found.sides[0].did != found.sides[1].did


@pytest.mark.parametrize("name", ["wall_clock", "order_of_a_set"])
def test_lookahead_strategy_that_decides_otherwise_elsewhere_is_found(name: str, bars: Path) -> None:
    """Another day, another process: a result that nobody can repeat."""
    found = only(lookahead(plant(name, bars.parent), bars, cuts=1, elsewhere=True).findings)

    assert found.kind is Kind.ELSEWHERE
    assert found.differs[0] == "rl.confidence"


def test_lookahead_signals_prepared_from_the_whole_file_cannot_be_altered_and_are_said_to_be(bars: Path) -> None:
    """Rows by bar, made by a script: nothing shows whether they knew, so the check does not call them clean."""
    name = plant("prepared_signals", bars.parent)
    load_prepare(bars.parent / name)(bars, "signals.csv")

    found = only(lookahead(name, bars, cuts=1).findings)

    assert found.kind is Kind.OUTSIDE
    assert found.what.endswith("signals.csv, which has dates of the bars' own time")


def test_lookahead_file_that_is_trusted_or_without_dates_is_noted(bars: Path) -> None:
    """A calendar that was known beforehand is the user's word; a file of parameters tells no future."""
    (bars.parent / "days.csv").write_text("2019-02-05,announcement\n")
    (bars.parent / "parameters.json").write_text('{"atr": 1.5}')
    (bars.parent / "reads.py").write_text(READS_FILES)

    untrusted = lookahead("reads.py", bars, cuts=1)
    trusted = lookahead("reads.py", bars, cuts=1, trusted=(Path("days.csv"),))

    assert only(untrusted.findings).kind is Kind.OUTSIDE
    assert trusted.findings == ()
    assert [note.partition(str(bars.parent) + "/")[2] for note in trusted.notes[1:]] == [
        "days.csv is trusted: nothing in it was altered",
        "parameters.json, which was not altered: what it says is taken as known beforehand",
    ]


def test_lookahead_strategy_that_opens_the_bars_but_uses_no_later_row_is_clean(bars: Path) -> None:
    """Reading is no crime: what it does with later rows counts."""
    (bars.parent / "past.py").write_text(USES_THE_PAST)

    report = lookahead("past.py", bars)

    assert report.findings == ()
    assert report.proposals > 10


def test_lookahead_strategy_that_fails_where_the_future_is_another_is_found(bars: Path) -> None:
    """An index past the end of what is there is a leak too, whatever the strategy would have said."""
    (bars.parent / "index.py").write_text(FAILS_AT_THE_END)

    found = only(lookahead("index.py", bars).findings)

    assert found.kind is Kind.FUTURE
    assert "no decision: strategy 'index.py' at bar" in found.sides[1].did
    assert "IndexError" in found.sides[1].did


@pytest.mark.parametrize("name", ["sma_cross", "random_entries", "buy_and_hold", "flat", "ppo", "pullback.py"])
def test_lookahead_honest_strategy_is_clean(name: str, bars: Path) -> None:
    """The shipped ones, the embedded model, and the one that people copy from the README."""
    readme = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[0]
    (bars.parent / "pullback.py").write_text(readme)

    report = lookahead(name, bars, "advisor.backend=rules", elsewhere=name == "pullback.py")

    assert report.findings == ()
    assert report.runs == 6
    assert (report.proposals > 0) == (name != "flat")
    assert len(report.notes) == (name == "flat")


def test_lookahead_of_too_few_bars_says_how_many_are_needed(bars: Path) -> None:
    """Before features are full there is no decision that could leak."""
    lines = bars.read_text().splitlines(keepends=True)
    bars.write_text("".join(lines[:1_201]))

    with pytest.raises(InputError, match=r"bars.csv has 1,200 bars in the range; .* needs 1,580: .*; give more bars"):
        lookahead("flat", bars)


def test_lookahead_strategy_that_fails_on_the_plain_bars_is_an_error_not_a_finding(bars: Path) -> None:
    """Nothing can be said of decisions that were never made."""
    (bars.parent / "broken.py").write_text(BROKEN)

    with pytest.raises(StrategyError, match=r"strategy 'broken\.py' at bar 7 failed: ZeroDivisionError"):
        lookahead("broken.py", bars)


def test_lookahead_strategy_that_ends_the_process_is_an_error(bars: Path) -> None:
    """Even one that leaves without a word."""
    (bars.parent / "leaves.py").write_text(BROKEN.replace("1 / 0", "os._exit(3)"))

    with pytest.raises(StrategyError, match=r"ended its process \(exit code 3\)"):
        lookahead("leaves.py", bars)
