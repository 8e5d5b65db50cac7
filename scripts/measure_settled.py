"""Measure after how many bars the start of the history no longer matters: the `settled` numbers of the table.

Histories of the synthetic market that begin later are compared with one that began long before: a feature is settled
once the two stay within 1e-3 of its clip. Prints the largest number of bars over all starts beside the table's; exit 1
where the table promises less. Usage: python scripts/measure_settled.py
"""

import sys

import numpy as np
from numpy.typing import NDArray

from trader.adapters.columns import concatenate
from trader.adapters.synthetic import SyntheticMarket, generate
from trader.domain.instruments import instrument
from trader.domain.sessions import Calendar
from trader.observation import BASE_SIZE, FEATURES, ROW_SIZE, Feature
from trader.training.market_rows import MarketBars, market_bars, market_rows

NEWEST_ROW = 220 - ROW_SIZE
MEASURED: tuple[Feature, ...] = tuple(f for f in FEATURES if NEWEST_ROW <= f.index < 220 or BASE_SIZE <= f.index < 256)
CLIP = np.array([max(abs(feature.low), abs(feature.high)) for feature in MEASURED])
PARTS = 1_000
LEAD_DAYS = 8
HORIZON_DAYS = 12
STARTS = 400


def settled_bars(bars: MarketBars, lead: int, horizon: int, starts: int) -> NDArray[np.int64]:
    """Bars until each of the 39 market features is settled, the worst of `starts` evenly spread starts; shape (39,)."""
    reference = market_rows(bars).rows
    worst = np.ones(len(MEASURED), dtype=np.int64)
    for start in np.linspace(lead, len(bars) - horizon, starts).astype(int):
        rows = market_rows(bars.part(start, start + horizon)).rows
        off = np.abs(rows - reference[start : start + horizon]) * PARTS >= CLIP
        last = np.where(off.any(axis=0), horizon - off[::-1].argmax(axis=0), 0)
        worst = np.maximum(worst, last + 1)
    return worst


def synthetic(bar_minutes: int, sessions: int) -> MarketBars:
    """A year or less of the synthetic market."""
    market = SyntheticMarket(instrument=instrument("NQ"), bar_minutes=bar_minutes)
    calendar = Calendar.load()
    parts = list(generate(11, "2022-01-03", sessions, calendar=calendar, market=market))
    return market_bars(concatenate(parts), market.instrument, calendar)


def main() -> int:
    """Print the table; 1 where a measured number exceeds the promised one."""
    measured = {}
    for bar_minutes, sessions in ((1, 60), (5, 250)):
        day = 1_380 // bar_minutes
        measured[bar_minutes] = settled_bars(
            synthetic(bar_minutes, sessions), LEAD_DAYS * day, HORIZON_DAYS * day, STARTS
        )
    exceeded = False
    sys.stdout.write("feature               1 min  table   5 min  table\n")
    for k, feature in enumerate(MEASURED):
        columns = [(int(measured[m][k]), feature.settled(m)) for m in (1, 5)]
        exceeded |= any(bars > promised for bars, promised in columns)
        sys.stdout.write(
            f"{feature.name:20}" + "".join(f" {bars:6} {promised:6} " for bars, promised in columns) + "\n"
        )
    return int(exceeded)


if __name__ == "__main__":
    sys.exit(main())
