"""Values that depend on where the history begins are found; those that settle as the table says are not accused."""

import re
from pathlib import Path

import pytest
from leak_builders import PLANTED, market, packed, recursive

from trader.commands.warm import warm_kernels
from trader.errors import InputError
from trader.leaks import recursive as checking
from trader.leaks.findings import Kind
from trader.observation import FEATURES, FULL_SIZE, INDEX, Feature, settled
from trader.settings import load_settings

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module", autouse=True)
def _warm() -> None:
    """Every run begins as a copy of this process, its kernels included."""
    warm_kernels(load_settings(environ={}))


@pytest.mark.parametrize("name", ["mean_of_all", "every_nth_bar"])
def test_recursive_strategy_that_adds_up_from_its_first_bar_is_found(name: str) -> None:
    """Both answers at the first bar that differs, and how many do."""
    report = recursive(str(PLANTED / f"{name}.py"), market(7))

    (found,) = report.findings
    assert found.kind is Kind.START
    assert found.sides[0].did != found.sides[1].did
    assert found.bar is not None
    assert found.bar > settled(FULL_SIZE, 1)
    assert "adds up from its first bar" in found.reason


def test_recursive_random_entries_are_told_from_a_sequence_that_begins_with_the_history() -> None:
    """By design: the draws of the shipped baseline are counted from its first bar."""
    (found,) = recursive("random_entries", market(7)).findings

    assert "a sequence of random numbers" in found.reason


@pytest.mark.parametrize("name", ["sma_cross", "buy_and_hold", "flat", "ppo", "pullback.py"])
def test_recursive_honest_strategy_is_clean(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All 261 features, and the proposals of the shipped strategies, the embedded model and the README's."""
    monkeypatch.chdir(tmp_path)
    readme = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[0]
    Path("pullback.py").write_text(readme)

    report = recursive(name, market(7))

    assert report.findings == ()
    assert report.runs == 2
    assert (report.proposals > 0) == (name != "flat")


def test_recursive_feature_that_settles_later_than_its_table_says_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: called settled when their windows are full, two with a long memory are found, from that bar on."""
    table, early = checking._settled, {FEATURES[INDEX[name]] for name in ("rsi_15min", "rsi_60min")}

    def settled_early(feature: Feature, bar_minutes: int) -> int:
        return feature.first_full(bar_minutes) if feature in early else table(feature, bar_minutes)

    monkeypatch.setattr(checking, "_settled", settled_early)

    report = recursive("flat", market(7), runs=1)

    named = {found.differs[0]: found.what for found in report.findings}
    assert named.keys() == {feature.name for feature in early}
    assert all(f"after {feature.first_full(1)} bars" in named[feature.name] for feature in early)
    assert all(found.sides[0].did != found.sides[1].did for found in report.findings)


def test_recursive_of_too_few_bars_says_how_many_are_needed() -> None:
    """The slowest feature needs 7,860 bars at one minute, and something must be left to compare."""
    with pytest.raises(InputError, match=r"has 8,360 bars in the range; .* needs 8,361: 7,860 until"):
        recursive("flat", market(7).rows(0, 8_360))


def test_packed_bars_are_nobodys_records() -> None:
    """No run can find in its parent's memory what it was not given: the bars are bytes there."""
    bars = packed(market(1))

    assert {type(getattr(bars, name)) for name in bars.__struct_fields__} == {bytes, int}
    assert bars.at(0)[1] - bars.at(0)[0] == 60 * 10**9
