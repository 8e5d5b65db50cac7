"""Figures are written one way everywhere."""

import datetime

import pytest

from trader.page import formats

AT_NS = int(datetime.datetime(2022, 3, 14, 13, 31, tzinfo=datetime.UTC).timestamp()) * 10**9


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (formats.usd(-1234.5), "\N{MINUS SIGN}$1,234.50"),
        (formats.usd(1234.5, 0, signed=True), "+$1,234"),
        (formats.usd(None), "\N{EN DASH}"),
        (formats.usd(-0.004), "$0.00"),
        (formats.number(0.0, 1, signed=True), "0.0"),
        (formats.number(float("nan")), "\N{EN DASH}"),
        (formats.number(-0.5, 2, signed=True), "\N{MINUS SIGN}0.50"),
        (formats.in_r(0.125, 3), "+0.125 R"),
        (formats.in_r(None), "\N{EN DASH}"),
        (formats.pct(12.34), "12.3 %"),
        (formats.pct(None), "\N{EN DASH}"),
        (formats.between("1", "2"), "1 to 2"),
        (formats.between("1", "\N{EN DASH}"), "\N{EN DASH}"),
        (formats.count(1, "trade"), "1 trade"),
        (formats.count(1200, "entry", "entries"), "1,200 entries"),
        (formats.words("rl_only"), "RL only"),
        (formats.words("max_trades"), "Max trades"),
        (formats.sentence("as it is"), "As it is."),
        (formats.sentence(""), ""),
        (formats.month("2022-03-04"), "Mar 2022"),
        (formats.et_text(AT_NS, -4 * 3600), "2022-03-14 09:31"),
    ],
)
def test_each_kind_of_figure_has_one_form(written, text):
    """A dash stands for no figure, a rounded zero has no sign."""
    assert written == text
