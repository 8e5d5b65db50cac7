"""Bars put together for the price chart of a page: fewer, and never across two sessions."""

import numpy as np

from trader.adapters.columns import BarColumns
from trader.analysis.evaluation import EVALUATION_VERSION, Chart
from trader.domain.sessions import Calendar
from trader.domain.units import MINUTE_NS, SECOND_NS

CHART_MINUTES = 15


def chart_of(columns: BarColumns, calendar: Calendar, minutes: int = CHART_MINUTES) -> Chart:
    """`columns` in bars of at least `minutes`, anchored at each session's open; prices as they were, rolls included."""
    index = calendar.session_index(columns.ts_open_ns)
    known, place = np.unique(index, return_inverse=True)
    opens_ns = np.array([calendar.session(int(one)).open_ns for one in known], dtype=np.int64)[place]
    bucket = (columns.ts_open_ns - opens_ns) // (minutes * MINUTE_NS)
    is_first = (np.diff(index, prepend=-1) != 0) | (np.diff(bucket, prepend=-1) != 0)
    is_first |= np.diff(columns.symbol_index, prepend=-1) != 0
    starts = np.flatnonzero(is_first)
    ends = np.append(starts[1:], len(columns)) - 1
    opened_s = (opens_ns[starts] + bucket[starts] * minutes * MINUTE_NS) // SECOND_NS
    return Chart(
        version=EVALUATION_VERSION,
        minutes=minutes,
        symbols=columns.symbols,
        open_s=tuple(opened_s.tolist()),
        open=tuple(columns.open[starts].tolist()),
        high=tuple(np.maximum.reduceat(columns.high, starts).tolist()),
        low=tuple(np.minimum.reduceat(columns.low, starts).tolist()),
        close=tuple(columns.close[ends].tolist()),
        symbol_index=tuple(columns.symbol_index[starts].tolist()),
    )
