"""Every drawing stays inside its frame, whatever a run came to."""

import re

import pytest
from evaluation_rows import a_trade, daily_of, session_dates
from evaluations import a_calibration, a_run, an_evaluation
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from parsed import Parsed, outside

from trader.analysis.evaluation import RunName
from trader.page.calendar import calendar
from trader.page.columns import Column, Histogram, Marker, column_chart, histogram
from trader.page.curves import equity_chart, equity_curves, legend, underwater_chart, underwater_of
from trader.page.formats import number, usd
from trader.page.points import calibration_chart, excursion_chart, excursions_of

RESULTS = st.lists(st.floats(-5_000, 5_000), min_size=1, max_size=70)


@settings(max_examples=25)
@given(RESULTS)
def test_curves_stay_inside_the_frame_for_any_results(results):
    """One session, all losses, all equal: each is a drawing with finite places."""
    dates = session_dates(len(results))
    trades = tuple(a_trade(number, date, pnl) for number, (date, pnl) in enumerate(zip(dates, results, strict=True), 1))
    evaluation = an_evaluation(len(results), trades)
    curves = equity_curves(evaluation)

    page = Parsed(equity_chart(curves) + underwater_chart(curves.dates, underwater_of(evaluation.runs[0])))

    assert outside(page) == []
    assert set(page.svgs) == {"equity", "underwater"}


def test_curves_show_the_headline_baselines_and_both_bands():
    """The headline is drawn last, over the others; the legend names each."""
    curves = equity_curves(an_evaluation(60))

    assert [line.title for line in curves.lines] == ["RL only", "Buy and hold", "SMA cross", "Fused"]
    assert [area.title for area in curves.areas] == [
        "Random entries, 95 % of 200 seeds",
        "Resampled sessions of the headline, 95 % (block bootstrap)",
    ]
    assert Parsed(legend(curves)).text.startswith("FusedSMA cross")


def test_curves_leave_out_a_band_that_is_not_there():
    """Without random entries, and with too few sessions to resample, the lines stand alone."""
    evaluation = replace(an_evaluation(5), band=None)

    assert equity_curves(evaluation).areas == ()


def test_underwater_is_the_distance_below_the_highest_equity():
    """The start counts as a peak."""
    dates = session_dates(4)
    trades = tuple(a_trade(n, date, pnl) for n, (date, pnl) in enumerate(zip(dates, (-50, 80, 20, -60), strict=True)))
    run = replace(a_run(RunName.FUSED, "Fused", dates, 1), daily=daily_of(trades, dates))

    assert underwater_of(run) == (-50, 0, 0, -60)


@settings(max_examples=40)
@given(st.lists(st.floats(-9_000, 9_000), max_size=24))
def test_columns_stay_inside_the_frame_for_any_heights(heights):
    """No column at all included."""
    columns = [Column(name=str(index), value=value, told="t") for index, value in enumerate(heights)]

    page = Parsed(column_chart("c", "Columns", columns, usd, "axis"))

    assert outside(page) == []
    assert sum(tag == "rect" for tag, _ in page.svgs["c"]) == len(heights)


def bars_of(page: Parsed) -> list[tuple[float, float, int]]:
    """What a pointer over the bars reads: from, to, and how many."""
    told = [re.fullmatch(r"(\S+) to (\S+): (\d+)", text) for text in page.texts]
    return [(figure_of(one[1]), figure_of(one[2]), int(one[3])) for one in told if one]


def figure_of(text: str) -> float:
    """A written figure."""
    return float(text.replace("\N{MINUS SIGN}", "-"))


@settings(max_examples=60)
@given(st.lists(st.floats(-40, 40), max_size=60), st.none() | st.floats(-50, 50))
def test_a_histogram_counts_every_value_once_inside_its_frame(values, mean):
    """The bars' counts add up to the values, and no bar holds both gains and losses."""
    marker = None if mean is None else Marker(value=mean, name="mean")
    shown = Histogram(name="h", title="Values", axis="a", values=values, marker=marker, is_signed=True)

    page = Parsed(histogram(shown, number))

    assert outside(page) == []
    bars = bars_of(page)
    assert sum(count for _, _, count in bars) == len(values)
    assert not any(low < 0 < high for low, high, _ in bars)


def test_a_histogram_puts_a_value_into_the_bar_that_names_it():
    """Bars are closed below and open above; the last one holds its upper end."""
    shown = Histogram(name="h", title="V", axis="", values=[-1.0, 0.0, 0.05, 3.0], marker=None, is_signed=True)

    page = Parsed(histogram(shown, number))

    bars = [attributes["class"] for tag, attributes in page.svgs["h"] if tag == "rect"]
    assert bars == ["loss", "gain", "gain"]
    assert bars_of(page) == [(-1.0, -0.8, 1), (0.0, 0.2, 2), (2.8, 3.0, 1)]


@settings(max_examples=40)
@example([(1.5, 0.0, 0.0)])
@given(st.lists(st.tuples(st.floats(0, 500), st.floats(0, 500), st.floats(-900, 900)), max_size=30))
def test_excursions_stay_inside_the_frame_a_point_a_trade(trades):
    """However far a trade went."""
    rows = [a_trade(n, "2021-01-04", pnl, mae_points=mae, mfe_points=mfe) for n, (mae, mfe, pnl) in enumerate(trades)]

    page = Parsed(excursion_chart(excursions_of(rows, 20.0)))

    assert outside(page) == []
    assert sum(tag == "circle" for tag, _ in page.svgs["excursions"]) == len(trades)


def test_excursions_are_in_r_and_leave_out_trades_without_a_risk():
    """2.5 points of two contracts at 20 $ are half of 200 $ at risk."""
    known = a_trade(qty=2, mae_points=2.5, mfe_points=10.0)

    found = excursions_of([known, a_trade(2, r=None, risk_usd=0.0)], 20.0)

    assert [(one.number, one.mae_r, one.mfe_r) for one in found] == [(1, 0.5, 2.0)]


def test_calibration_draws_a_point_a_bin_inside_the_frame():
    """Each tells its bin."""
    page = Parsed(calibration_chart("c", "Confidence", a_calibration()))

    assert outside(page) == []
    assert page.text.count("confidence 0.") == 5
    assert "confidence 0.45: won 35.0 % of 12" in page.text


def test_the_random_band_is_drawn_between_its_outer_quantiles():
    """95 % of the seeds lie inside."""
    evaluation = an_evaluation(30)
    assert evaluation.band is not None

    band = equity_curves(evaluation).areas[0]

    assert band.low == tuple(row.q025 for row in evaluation.band.rows)
    assert band.high == tuple(row.q975 for row in evaluation.band.rows)


def test_a_week_that_begins_late_begins_under_its_day():
    """2021-01-07 was a Thursday."""
    dates = session_dates(8)[3:]
    trades = tuple(a_trade(n, date, 100.0 + n) for n, date in enumerate(dates))

    page = Parsed(calendar(daily_of(trades, dates)))

    assert page.tables["Jan 2021"][1:] == [["", "", "", "+100", "+101"], ["+102", "+103", "+104", "", ""]]


@pytest.mark.parametrize("sessions", [1, 5, 23])
def test_the_calendar_shows_every_session_on_its_weekday(sessions):
    """Five columns a week; what each day came to stands in its cell and in its title."""
    rows = an_evaluation(sessions).runs[0].daily

    page = Parsed(calendar(rows))

    assert page.tags.count("table") == len({row.session[:7] for row in rows})
    assert all(f"{number(row.pnl_usd, 0, signed=True)}" in page.text for row in rows)


def test_the_calendar_shades_by_the_largest_day_and_marks_days_without_trades():
    """A quiet day is a dot, not a zero."""
    dates = session_dates(4)
    trades = tuple(a_trade(n, date, pnl) for n, (date, pnl) in enumerate(zip(dates, (900, -80, 300), strict=False)))

    made = calendar(daily_of(trades, dates))

    assert re.findall(r'class="(up\d|down\d|even)" title="(\S+):', made) == [
        ("up4", dates[0]),
        ("down1", dates[1]),
        ("up3", dates[2]),
        ("even", dates[3]),
    ]
    assert "\N{MIDDLE DOT}" in Parsed(made).text
