"""Measure after how many bars the start of the history no longer matters: the `settled` numbers of the table.

Histories that begin later, at evenly spread bars, are compared with one that began long before: a feature is settled
once the two stay within 1e-3 of its clip. Prints of each feature the number of bars that the slowest start took, the
table's, and how many starts took longer than that; exit 1 where any did.
Usage: python scripts/measure_settled.py [--bars FOLDER --from DATE --to DATE --market NQ] [--bar-minutes 1,5]
[--starts 400]
Without --bars it measures on the synthetic market.
"""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trader.adapters.columns import BarColumns, concatenate
from trader.adapters.files import ReadOptions, open_bars
from trader.adapters.files.resample import resample
from trader.adapters.synthetic import SyntheticMarket, generate
from trader.commands.progress import Progress
from trader.domain.instruments import Instrument, instrument
from trader.domain.sessions import Calendar
from trader.errors import InputError, TraderError
from trader.observation import BASE_SIZE, FEATURES, FULL_SIZE, ROW_SIZE, SESSION_MINUTES, Feature, settled
from trader.training.market_rows import MarketBars, market_bars, market_rows

NEWEST_ROW = 220 - ROW_SIZE
MEASURED: tuple[Feature, ...] = tuple(f for f in FEATURES if NEWEST_ROW <= f.index < 220 or BASE_SIZE <= f.index < 256)
CLIP = np.array([max(abs(feature.low), abs(feature.high)) for feature in MEASURED])
PARTS = 1_000
TIMES_SETTLED = 2
"""How long a start is followed, and how much earlier the long history begins: in numbers of the slowest feature."""
SYNTHETIC_BARS = 80_000


def settled_bars(bars: MarketBars, followed: int, starts: int) -> NDArray[np.int64]:
    """Bars until each of the 39 market features is settled, of starts spread evenly; shape (starts, 39).

    Each start is followed for `followed` bars, and as many lie before the first one. InputError where they do not fit.
    """
    if len(bars) <= 2 * followed:
        msg = f"{len(bars):,} bars are too few: {2 * followed + 1:,} are needed"
        raise InputError(msg)
    reference = market_rows(bars).rows
    bound = (CLIP / PARTS).astype(np.float32)
    measured = np.empty((starts, len(MEASURED)), dtype=np.int64)
    with Progress("starts", starts * followed) as progress:
        for k, start in enumerate(np.linspace(followed, len(bars) - followed, starts).astype(int)):
            rows = market_rows(bars.part(start, start + followed)).rows
            off = np.abs(rows - reference[start : start + followed]) >= bound
            measured[k] = np.where(off.any(axis=0), followed - off[::-1].argmax(axis=0), 0) + 1
            progress.advance(followed)
    return measured


def synthetic(market: Instrument, bar_minutes: int, calendar: Calendar) -> BarColumns:
    """Bars of the synthetic market."""
    made = SyntheticMarket(instrument=market, bar_minutes=bar_minutes)
    sessions = SYNTHETIC_BARS * bar_minutes // SESSION_MINUTES
    return concatenate(list(generate(11, "2016-01-04", sessions, calendar=calendar, market=made)))


def real(wanted: argparse.Namespace, market: Instrument, bar_minutes: int, calendar: Calendar) -> BarColumns:
    """The bars of a file or folder, made into longer ones."""
    options = ReadOptions(date_from=wanted.date_from, date_to=wanted.date_to)
    source = open_bars(wanted.bars, market=market, calendar=calendar, options=options)
    return concatenate(list(resample(source.columns(), bar_minutes, calendar)))


def table(measured: NDArray[np.int64], bar_minutes: int) -> tuple[list[str], bool]:
    """A line a feature, and whether each start kept to the table."""
    promised = np.array([feature.settled(bar_minutes) for feature in MEASURED])
    over = (measured > promised).sum(axis=0)
    lines = [f"{len(measured):,} starts, bars of {bar_minutes} min      slowest   table   starts over"]
    lines += [
        f"{feature.name:36} {worst:8,} {bars:7,} {count:8,}"
        for feature, worst, bars, count in zip(MEASURED, measured.max(axis=0), promised, over, strict=True)
    ]
    return lines, not over.any()


def main(arguments: Iterable[str]) -> int:
    """Print the table; 1 where a measured number exceeds the promised one."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--bars", type=Path)
    parser.add_argument("--from", dest="date_from")
    parser.add_argument("--to", dest="date_to")
    parser.add_argument("--market", default="NQ")
    parser.add_argument("--bar-minutes", default="1,5")
    parser.add_argument("--starts", type=int, default=400)
    wanted = parser.parse_args(list(arguments))
    market, calendar = instrument(wanted.market), Calendar.load()
    is_kept = True
    for bar_minutes in map(int, wanted.bar_minutes.split(",")):
        if wanted.bars is None:
            columns = synthetic(market, bar_minutes, calendar)
        else:
            columns = real(wanted, market, bar_minutes, calendar)
        followed = TIMES_SETTLED * settled(FULL_SIZE, bar_minutes)
        measured = settled_bars(market_bars(columns, market, calendar), followed, wanted.starts)
        lines, kept = table(measured, bar_minutes)
        sys.stdout.write("\n".join([*lines, "", ""]))
        is_kept = is_kept and kept
    return 0 if is_kept else 1


if __name__ == "__main__":
    try:
        raise SystemExit(main(sys.argv[1:]))
    except TraderError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(error.exit_code) from None
