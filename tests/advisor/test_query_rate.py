"""A policy that seldom changes its position asks at most at 35 % of bars, through the whole line and its cache."""

from pathlib import Path

import pytest
from line_builders import settings_with
from msgspec.structs import replace

from trader.adapters.replay import ReplayFeed
from trader.commands.common import facts_for_log, open_source
from trader.domain.decisions import NotAsked
from trader.domain.instruments import instrument
from trader.domain.sessions import Calendar
from trader.evaluation.query_rate import (
    ADVICE_WITHOUT_A_SAY,
    ALLOWED_SHARE,
    CHANGES_ALLOWED,
    CalmPolicy,
    QueryRate,
    query_rate,
)
from trader.options import BarOptions

SAMPLE = BarOptions(bars="sample", date_to="2019-11-29")
ROLLS_2019 = str(Path(__file__).parents[1] / "data" / "rolls_2019.csv")
REAL_FILES = {
    "firstrate": BarOptions(bars="firstrate_2023/NQ_1min_sample.csv"),
    "tradingview": BarOptions(bars="tradingview_2022_5m/NQ.csv", contract="NQM23"),
    "2019": BarOptions(bars="continuous_2019_5m/NQ.csv", rolls=ROLLS_2019, date_to="2019-06-28"),
}
CONFIDENCES = [0.34, 0.9]


def rate_of(bars: BarOptions, confidence: float) -> QueryRate:
    """A calm policy that trades nearly round the clock, and nobody has a say in what it does."""
    settings = settings_with("advisor.backend=rules", "execution.entry_window=all", *ADVICE_WITHOUT_A_SAY)
    source = open_source(bars, instrument("NQ"), Calendar.load())
    return query_rate(settings, facts_for_log(source, bars), ReplayFeed(source.columns()), CalmPolicy(confidence))


def assert_rate_is_bounded(rate: QueryRate) -> None:
    """Over all bars, over those that could be asked, and in each 100 bars."""
    assert rate.changes_in_stretch <= CHANGES_ALLOWED
    assert rate.advice_decided == 0
    assert 0 < rate.asked_share < rate.asked_share_of_open <= ALLOWED_SHARE
    assert 0 < rate.asked_in_calm_stretch == rate.asked_in_stretch <= 100 * ALLOWED_SHARE
    assert rate.asked + sum(rate.silent.values()) == rate.bars
    assert rate.model_calls + rate.cached == rate.asked


@pytest.mark.parametrize("confidence", CONFIDENCES)
def test_query_rate_of_a_calm_policy_on_the_sample_is_below_35_percent(confidence):
    """One that is never sure of itself is held back by the cooldown, one that is sure by the interval."""
    rate = rate_of(SAMPLE, confidence)
    assert_rate_is_bounded(rate)
    assert rate.silent[NotAsked.COOLDOWN] > 0
    assert (rate.silent[NotAsked.NO_TRIGGER] > 0) == (confidence > 0.7)


@pytest.mark.parametrize("confidence", CONFIDENCES)
@pytest.mark.parametrize("name", REAL_FILES)
def test_query_rate_of_a_calm_policy_on_real_bars_is_below_35_percent(shared_data, name, confidence):
    """The same on markets that were traded, one-minute and five-minute bars."""
    bars = REAL_FILES[name]
    assert_rate_is_bounded(rate_of(replace(bars, bars=str(shared_data / bars.bars)), confidence))
