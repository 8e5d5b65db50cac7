"""Strategies by name, module and file: what a user writes after `--strategy`."""

import re
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from strategies.flat import Flat
from strategies.random_entries import RandomEntries
from trader.adapters.strategy_loader import SHIPPED, load_strategy
from trader.errors import ConfigurationError

OWN = """from __future__ import annotations
from dataclasses import dataclass
from trader.domain.actions import Action
from trader.domain.decisions import Proposal
from {sibling} import NUMBER

@dataclass
class Own:
    seen: int = NUMBER

    def propose(self, outlook):
        return Proposal(Action.HOLD, 1.0)
"""


def write_own(folder: Path, name: str, sibling: str) -> Path:
    """A strategy of a user's, and the module beside it that it imports."""
    (folder / f"{sibling}.py").write_text("NUMBER = 7\n")
    path = folder / f"{name}.py"
    path.write_text(OWN.format(sibling=sibling))
    return path


@pytest.mark.parametrize("name", [name for name in SHIPPED if name != "ppo"])
def test_load_strategy_finds_the_shipped_ones(name: str) -> None:
    """By their short names, with the hash of their source."""
    strategy, digest = load_strategy(name, {})

    source = Path(sys.modules[type(strategy).__module__].__file__ or "")
    assert source.name == f"{name}.py"
    assert digest == sha256(source.read_bytes()).hexdigest()


def test_load_strategy_passes_its_options() -> None:
    """As keyword arguments: another seed is another strategy."""
    strategy, _ = load_strategy("random_entries", {"seed": 4, "rate": 1.0})

    assert isinstance(strategy, RandomEntries)
    with pytest.raises(ConfigurationError, match=r"'flat' does not take the options \{'seed': 4\}"):
        load_strategy("flat", {"seed": 4})


def test_load_strategy_takes_a_file_with_its_neighbours(tmp_path: Path) -> None:
    """A dataclass with annotations in text, and a module from the same folder, work as in `python own.py`."""
    before = list(sys.path)
    strategy, digest = load_strategy(str(write_own(tmp_path, "own", "beside_a_file")), {"seen": 3})

    assert (type(strategy).__name__, vars(strategy)) == ("Own", {"seen": 3})
    assert digest == sha256((tmp_path / "own.py").read_bytes()).hexdigest()
    assert sys.path == before


def test_load_strategy_file_called_like_a_module_is_the_file(tmp_path: Path) -> None:
    """`json.py` of a user's hides the library's from nobody."""
    strategy, _ = load_strategy(str(write_own(tmp_path, "json", "beside_json")), {})

    assert type(strategy).__name__ == "Own"
    assert hasattr(sys.modules["json"], "dumps")


def test_load_strategy_takes_a_module_of_the_folder_one_stands_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The installed command does not search it by itself."""
    write_own(tmp_path, "own_module", "beside_a_module")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry not in {"", str(tmp_path)}])

    strategy, _ = load_strategy("own_module", {})

    assert vars(strategy) == {"seen": 7}


def test_load_strategy_takes_a_module_by_its_dotted_name() -> None:
    """As Python spells it."""
    strategy, _ = load_strategy("strategies.flat", {})

    assert isinstance(strategy, Flat)


@pytest.mark.parametrize("name", ["nothing_like_it", ".flat", "a..b", "a/b", "strategies.nothing", "-"])
def test_load_strategy_unknown_name_lists_the_known(name: str) -> None:
    """Whatever is wrong with the name, the answer is the same."""
    with pytest.raises(ConfigurationError, match=rf"strategy '{re.escape(name)}' is not known; one of ppo, sma_cross"):
        load_strategy(name, {})


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("x = 1\n", "must define exactly one class with a method `propose`; found: none"),
        ("class A:\n    def propose(self, o): ...\nclass B(A): ...\n", "found: A, B"),
        ("class A:\n    def propose(self\n", r"own.py, line 2: '\(' was never closed"),
    ],
)
def test_load_strategy_file_that_is_none_says_why(tmp_path: Path, source: str, fault: str) -> None:
    """File and line, or what was found in it."""
    path = tmp_path / "own.py"
    path.write_text(source)

    with pytest.raises(ConfigurationError, match=fault):
        load_strategy(str(path), {})


def test_load_strategy_file_that_is_absent_is_named(tmp_path: Path) -> None:
    """Not looked for elsewhere."""
    with pytest.raises(ConfigurationError, match=r"own\.py does not exist"):
        load_strategy(str(tmp_path / "own.py"), {})


def test_backtest_of_a_module_in_the_current_folder_runs(tmp_path: Path) -> None:
    """Through the console script, which is what a user has."""
    write_own(tmp_path, "my_module", "beside_my_module")
    command = [Path(sys.executable).with_name("trader"), "backtest", "--bars", "sample", "--no-log", "--json"]

    done = subprocess.run(
        [*command, "--strategy", "my_module"], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert '"strategy":"my_module"' in done.stdout
