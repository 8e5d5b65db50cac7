"""A small replay of the synthetic market with everything in it, written as a decision log: the same on every call.

`python tests/replays.py FOLDER` writes one, for tests that need another process; `--golden` writes the golden journal
again, deliberately, after a change of what decides or of what is logged.
"""

import asyncio
import gzip
import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from trader.adapters.columns import concatenate
from trader.adapters.memory_feed import MemoryFeed
from trader.adapters.synthetic import SyntheticMarket, generate
from trader.app import BarsFacts, LogChoice, assemble
from trader.domain.bars import Bar
from trader.domain.instruments import instrument
from trader.domain.sessions import Calendar
from trader.settings import Settings, load_settings

GOLDEN = Path(__file__).parent / "golden"
FACTS = BarsFacts(source="synthetic", sha256="5" * 64, synthetic=True, bar_minutes=15, has_volume=True)
SEED = 11
BUSY = (
    "strategy.name=random_entries",
    "strategy.options={seed: 35, rate: 0.4}",
    "execution.entry_window=all",
    "account.daily_limit_usd=1500",
    "risk.max_cost_share=0.2",
    "fusion.llm_weight=0.6",
)
"""Many entries at random, advice by the rules with a weight that counts, an account that is exhausted in time."""


def busy_settings(*overrides: str) -> Settings:
    """The settings of the replay, changed by `overrides`."""
    return load_settings(environ={}, overrides=[*BUSY, *overrides])


def synthetic_bars(start: str, sessions: int, bar_minutes: int = 15) -> list[Bar]:
    """Bars of the synthetic market, contracts and rolls included."""
    market = SyntheticMarket(instrument=instrument("NQ"), bar_minutes=bar_minutes)
    parts = list(generate(SEED, start, sessions, calendar=Calendar.load(), market=market))
    return list(concatenate(parts).to_bars())


def write_log(root: Path, bars: Sequence[Bar], *overrides: str, chunk_bars: int = 64) -> Path:
    """Replay `bars` into a decision log below `root`; returns the run's folder."""
    run = assemble(busy_settings(*overrides), FACTS, log=LogChoice(root=root))
    run.engine.controls.reconciled()
    asyncio.run(run.engine.run(MemoryFeed(bars, chunk_bars)))
    assert run.log_path is not None
    return run.log_path


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file below `folder`, by its path from there."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def digest_of(folder: Path) -> str:
    """One hash over names and bytes of every file below `folder`."""
    return sha256(repr(sorted(files_of(folder).items())).encode()).hexdigest()


def two_weeks() -> list[Bar]:
    """Seven sessions with a roll in them; the features are ready after four and a half."""
    return synthetic_bars("2019-06-13", 7)


def write_golden_log(root: Path) -> Path:
    """The run of the golden journal: six sessions around a half day, trades of most kinds, a renewed account."""
    return write_log(
        root, synthetic_bars("2019-06-27", 6), "strategy.options={seed: 19, rate: 0.4}", "fusion.llm_weight=0.3"
    )


def write_golden() -> None:
    """Replace the golden journal."""
    root = GOLDEN / "part"
    folder = write_golden_log(root)
    for old in GOLDEN.glob("*.gz"):
        old.unlink()
    for name, content in files_of(folder).items():
        (GOLDEN / f"{name}.gz").write_bytes(gzip.compress(content, mtime=0))
    for path in sorted(root.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    root.rmdir()


def main() -> None:
    """The command line that the module's docstring describes."""
    if sys.argv[1:] == ["--golden"]:
        write_golden()
        return
    folder = write_log(Path(sys.argv[1]), two_weeks())
    sys.stdout.write(digest_of(folder.parent))


if __name__ == "__main__":
    main()
