"""Bars for the price chart: fewer, and the same market."""

import numpy as np
import pytest
from evaluation_builders import columns

from trader.domain.sessions import Calendar
from trader.evaluation.chart import chart_of


@pytest.mark.parametrize("minutes", [15, 60, 240])
def test_chart_bars_hold_the_extremes_of_what_they_are_made_of(minutes):
    """Of each session apart: the first open, the last close, the highest and the lowest price."""
    source, calendar = columns(), Calendar.load()
    chart = chart_of(source, calendar, minutes)
    session_of = calendar.session_index(source.ts_open_ns)
    charted = calendar.session_index(np.array(chart.open_s) * 10**9)

    assert len(chart.open_s) <= len(source)
    for index in np.unique(session_of):
        bars, rows = np.flatnonzero(session_of == index), np.flatnonzero(charted == index)
        assert chart.open[rows[0]] == source.open[bars[0]]
        assert chart.close[rows[-1]] == source.close[bars[-1]]
        assert max(chart.high[row] for row in rows) == source.high[bars].max()
        assert min(chart.low[row] for row in rows) == source.low[bars].min()


def test_chart_bars_begin_on_the_grid_of_their_session():
    """Four hours from 18:00 New York; a session's last bar is shorter, not shared with the next session."""
    chart = chart_of(columns(), Calendar.load(), 240)
    opens_s = [Calendar.load().at(open_s * 10**9).open_ns // 10**9 for open_s in chart.open_s]

    assert {(open_s - first) % (4 * 3600) for open_s, first in zip(chart.open_s, opens_s, strict=True)} == {0}
    assert np.all(np.diff(chart.open_s) > 0)


def test_chart_names_the_contract_of_each_bar():
    """Both contracts of the roll, each from its own first bar on."""
    source = columns()
    chart = chart_of(source, Calendar.load(), 60)
    rolled_s = int(source.ts_open_ns[np.flatnonzero(np.diff(source.symbol_index))[0] + 1]) // 10**9

    assert chart.symbols == source.symbols
    assert [open_s >= rolled_s for open_s in chart.open_s] == [index == 1 for index in chart.symbol_index]


def test_bars_of_the_charts_own_length_stay_as_they_are():
    """Fifteen minutes in fifteen minutes."""
    source = columns()
    chart = chart_of(source, Calendar.load(), 15)

    assert chart.open_s == tuple((source.ts_open_ns // 10**9).tolist())
    assert chart.close == tuple(source.close.tolist())
