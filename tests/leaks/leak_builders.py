"""Bars of the synthetic market as a file that a strategy can read, and checks of strategies that read it."""

import contextlib
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np

from trader.adapters.columns import BarColumns, concatenate
from trader.adapters.files import BarSource, ReadOptions, open_bars
from trader.adapters.synthetic import SyntheticMarket, generate
from trader.app import BarsFacts
from trader.domain.instruments import instrument
from trader.domain.sessions import Calendar
from trader.leaks.findings import Report
from trader.leaks.lookahead import Question, check_lookahead
from trader.leaks.packed import Advances, Packed, pack
from trader.leaks.recursive import Asked, check_recursive
from trader.settings import load_settings

PLANTED = Path(__file__).parent / "planted"
BARS = "bars.csv"
NQ = instrument("NQ")


class Silent:
    """Nobody watches."""

    def advance(self, bars: int) -> None:
        """No matter."""


@contextlib.contextmanager
def silent(label: str, total: int) -> Iterator[Advances]:
    """A meter that shows nothing."""
    yield Silent()


def fresh_market(sessions: int, start: str) -> BarColumns:
    """One-minute bars without a roll, of which nobody keeps a copy in memory."""
    made = generate(5, start, sessions, calendar=Calendar.load(), market=SyntheticMarket(instrument=NQ, rolls=False))
    return concatenate(list(made))


@cache
def market(sessions: int) -> BarColumns:
    """The same from January 2019 on, kept."""
    return fresh_market(sessions, "2019-01-07")


def write_bars(columns: BarColumns, folder: Path) -> Path:
    """The bars as a CSV with seconds since 1970, in `folder`."""
    assert columns.volume is not None
    prices = (columns.open, columns.high, columns.low, columns.close)
    rows = zip(columns.ts_open_ns // 10**9, *prices, columns.volume, strict=True)
    text = "".join(f"{t},{o:.2f},{h:.2f},{low:.2f},{c:.2f},{v}\n" for t, o, h, low, c, v in rows)
    path = folder / BARS
    path.write_text("time,open,high,low,close,volume\n" + text)
    return path


def source_of(path: Path) -> BarSource:
    """The file, opened by the project's loader."""
    return open_bars(path, market=NQ, calendar=Calendar.load(), options=ReadOptions(rolls="none", stamp="open"))


def facts_of(source: BarSource) -> BarsFacts:
    """What a run is told of the file."""
    return BarsFacts(source=BARS, sha256=source.sha256, synthetic=True, bar_minutes=1, has_volume=True)


def plant(name: str, folder: Path) -> str:
    """Copy a planted strategy, and what it needs beside it, to where a user would have it."""
    for file in PLANTED.glob(f"*{name}.py"):
        shutil.copy(file, folder)
    return f"{name}.py"


def lookahead(
    strategy: str, bars: Path, *overrides: str, cuts: int = 6, elsewhere: bool = False, trusted: tuple[Path, ...] = ()
) -> Report:
    """The check as the command makes it, of a strategy that runs in the current folder."""
    source = source_of(bars)
    question = Question(
        settings=load_settings(environ={}, overrides=[f"strategy.name={strategy}", "advisor.backend=off", *overrides]),
        facts=facts_of(source),
        file=source.facts,
        cuts=cuts,
        seed=1,
        trusted=trusted,
        elsewhere=elsewhere,
    )
    return check_lookahead(question, pack(source.columns(), 1 << 30), silent)


def recursive(strategy: str, columns: BarColumns, *, runs: int = 2) -> Report:
    """The check of beginnings, on bars in memory."""
    asked = Asked(
        settings=load_settings(environ={}, overrides=[f"strategy.name={strategy}", "advisor.backend=off"]),
        facts=BarsFacts(source="synthetic", sha256="5" * 64, synthetic=True, bar_minutes=1, has_volume=True),
        runs=runs,
        seed=1,
    )
    return check_recursive(asked, packed(columns), silent)


def packed(columns: BarColumns) -> Packed:
    """All of the bars."""
    return pack([columns], len(columns))


def prices_of(columns: BarColumns) -> np.ndarray:
    """Open, high, low and close, shape (n, 4)."""
    return np.stack([columns.open, columns.high, columns.low, columns.close], axis=1)
