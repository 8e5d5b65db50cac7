"""A run that is kept and interrupted goes on as if it had not been."""

import asyncio
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st
from line_builders import UNEXPLAINED
from live_builders import ALONE, Life, bars, lived

from trader.adapters.state.records import State

SEED = 3
Texts = tuple[bytes, ...]


class Whole:
    """A run that was never interrupted."""

    def __init__(self, overrides: tuple[str, ...]) -> None:
        with TemporaryDirectory() as folder:
            life = Life(Path(folder) / "state", overrides, seed=SEED)
            asyncio.run(life.live(bars()))
            self.lines: list[Texts] = life.lines()
            self.kept: State = lived(life.end())
            self.trades = life.parts.book.view().trades_closed


@cache
def whole(overrides: tuple[str, ...]) -> Whole:
    """The run of these settings."""
    return Whole(overrides)


def interrupted(overrides: tuple[str, ...], after: int, folder: Path) -> tuple[list[Texts], State]:
    """The same run, killed after so many bars and begun again; its lines, and what is kept of it in the end."""
    first = Life(folder / "first", overrides, seed=SEED)
    asyncio.run(first.live(bars()[:after]))
    left = first.killed(folder / "left")
    first.end()
    second = Life(left, overrides, seed=SEED)
    second.engine.warm_up(bars()[:after])
    asyncio.run(second.live(bars()[after:]))
    return first.lines() + second.lines(), lived(second.end())


@settings(UNEXPLAINED, max_examples=40)
@given(after=st.integers(0, len(bars()) - 1))
def test_run_interrupted_after_any_bar_goes_on_as_if_it_had_not_been(after: int) -> None:
    """Orders, fills, account and rules of every later bar are the same, and so is what is kept in the end."""
    with TemporaryDirectory() as folder:
        lines, kept = interrupted(ALONE, after, Path(folder))
    assert lines == whole(ALONE).lines
    assert kept == whole(ALONE).kept
