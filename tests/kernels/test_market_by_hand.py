"""Market features whose value is known without a computation: published examples, and shapes drawn by hand."""

import numpy as np
import pytest
from numpy.typing import NDArray

from trader.kernels import indicators, market
from trader.observation import INDEX

# J. Welles Wilder's RSI as worked out in StockCharts' ChartSchool ("Relative Strength Index", cs-rsi.xls): closes of
# QQQQ and the RSI of 14 days from the 15th close on.
CHARTSCHOOL_CLOSES = [
    *(44.3389, 44.0902, 44.1497, 43.6124, 44.3278, 44.8264, 45.0955, 45.4245, 45.8433, 46.0826, 45.8931),
    *(46.0328, 45.6140, 46.2820, 46.2820, 46.0028, 46.0328, 46.4116, 46.2222, 45.6439, 46.2122, 46.2521),
    *(45.7137, 46.4515, 45.7835, 45.3548, 44.0288, 44.1783, 44.2181, 44.5672, 43.4205, 42.6628, 43.1314),
]
CHARTSCHOOL_RSI = [
    *(70.53, 66.32, 66.55, 69.41, 66.36, 57.97, 62.93, 63.26, 56.06, 62.38, 54.71, 50.42, 39.99, 41.46),
    *(41.87, 45.46, 37.30, 33.08, 37.77),
]

SESSION = (0, 1_380, 930, 1_320, 0, 0)


class _Chart:
    """Feeds one-minute bars of one session from its open; `obs` and `reading` are those of the newest bar."""

    def __init__(self, *, has_volume: bool = True, start: int = 0, session: tuple[int, ...] = SESSION) -> None:
        self.state, self.obs, self.reading = market.new_state(), market.new_obs(), np.zeros(market.READING_SIZE)
        self.has_volume = has_volume
        self.minute = start
        market.begin_session(self.state, *session)

    def bar(self, open_: float, high: float, low: float, close: float, volume: float = 100.0) -> None:
        market.step(
            self.state, self.obs, self.reading, self.minute, self.minute + 1,
            float(open_), float(high), float(low), float(close), float(volume), self.has_volume, 0.25,
        )  # fmt: skip
        self.minute += 1

    def at(self, *closes: float, spread: float = 2.0) -> None:
        for close in closes:
            self.bar(close, close + spread, close - spread, close)

    def __getitem__(self, name: str) -> float:
        return float(self.obs[INDEX[name]])


def test_rsi_of_the_published_example_matches_its_table() -> None:
    """Wilder's smoothing, to the two decimals that are printed."""
    chart = _Chart()
    found = []
    for close in CHARTSCHOOL_CLOSES:
        chart.at(round(close * 10_000))
        found.append(chart.reading[market.READING_RSI])
    assert found[14:] == pytest.approx(CHARTSCHOOL_RSI, abs=0.005)


@pytest.mark.parametrize(("step", "expected"), [(3.0, 1.0), (-3.0, -1.0), (0.0, 0.0)])
def test_straight_line_has_extreme_strength_and_efficiency(step: float, expected: float) -> None:
    """Only gains is an RSI of 100 and all of the path is progress; a dead market is 0 in both."""
    chart = _Chart()
    chart.at(*(60_000 + step * k for k in range(450)))
    assert chart["rsi_t"] == expected
    assert chart["efficiency_ratio"] == abs(expected)
    assert chart["market_regime"] == expected
    assert chart.reading[market.READING_ADX] == pytest.approx(100 * abs(expected))


def test_dead_market_divides_by_the_tick_floor() -> None:
    """Equal prices and equal volume for hours: every 0/0 is its neutral value and the ATR is one tick."""
    chart = _Chart(start=5)
    chart.at(*([60_000.0] * 500), spread=0.0)
    still = {"session_sin_t", "session_cos_t"}
    newest = {name: chart[name] for name in INDEX if name.endswith("_t") and name not in still}
    assert set(newest.values()) == {0.0}
    assert not chart.obs[228:256].any()
    assert chart.reading[market.READING_ATR] == 0.25


def test_mean_of_the_atr_keeps_no_trace_of_a_monstrous_bar() -> None:
    """Running sums of a billion of ticks and of one would; after a few hundred bars the sum is made anew."""
    chart = _Chart()
    chart.bar(10**13, 2 * 10**13, 10**13, 10**13)
    chart.bar(10**13, 2 * 10**13, 10**13, 10**13)
    for _ in range(1_600):
        chart.at(10**13, spread=0.0)
    assert chart["atr_t"] == 0.0


def test_line_of_one_slope_gives_the_moves_that_arithmetic_gives() -> None:
    """Two ticks a bar in bars of range four: true range 4, so ATR 4."""
    chart = _Chart()
    chart.at(*(60_000 + 2.0 * k for k in range(500)))
    assert chart["close_t"] == 0.5
    assert chart["sma_5_t"] == pytest.approx(2 * 2 / 4)
    assert chart["sma_20_t"] == pytest.approx(2 * 9.5 / 4)
    # An EMA of n lags a line by (n - 1) / 2 bars.
    assert chart["macd_t"] == pytest.approx(2 * (12.5 - 5.5) / 4)
    assert chart["momentum_t"] == pytest.approx(20 / (4 * 10**0.5))
    assert chart["momentum_60"] == pytest.approx(120 / (4 * 60**0.5))
    assert chart["atr_t"] == 0.0
    assert chart["sma50_slope"] == 5.0
    assert chart["breakout"] == 0.0
    assert chart["session_trend"] == 5.0
    chart = _Chart()
    chart.at(*(60_000 + 2.0 * k for k in range(25)))
    assert chart["session_trend"] == pytest.approx(48 / (4 * 5))


def test_window_grows_from_nothing() -> None:
    """After two bars the newest two rows are there and the other eighteen are zero."""
    chart = _Chart()
    chart.at(60_000, 60_008)
    assert not chart.obs[: 18 * 11].any()
    # Mean of the two closes is 4 below; true range of the second bar is 10, from the close before to the high.
    assert chart["sma_5_t"] == pytest.approx(4 / 10)
    assert chart["close_t"] == pytest.approx(8 / 10)
    assert chart["close_t-1"] == 0.0


def test_session_clock_runs_from_open_to_close() -> None:
    """A quarter of the session gone is the sine's peak; the regular session counts down from one."""
    chart = _Chart(start=344)
    chart.at(60_000)
    assert (chart["session_sin_t"], chart["session_cos_t"]) == pytest.approx((1.0, 0.0), abs=1e-7)
    for close_minute, expected in ((929, 0.0), (930, 1.0), (1_125, 0.5), (1_319, 1 / 390), (1_320, 0.0)):
        chart = _Chart(start=close_minute - 1)
        chart.at(60_000)
        assert chart["rth_to_close_t"] == pytest.approx(expected)


def test_vwap_weighs_by_volume_and_restarts_with_the_session() -> None:
    """Three contracts at 100 and one at 200 are 125; without volume the mean is 150; a new session forgets both."""
    for has_volume, expected in ((True, 60_125.0), (False, 60_150.0)):
        chart = _Chart(has_volume=has_volume)
        chart.bar(60_100, 60_100, 60_100, 60_100, 3)
        chart.bar(60_200, 60_200, 60_200, 60_200, 1)
        assert chart.reading[market.READING_VWAP] == expected * 0.25
        assert chart.reading[market.READING_VWAP_DISTANCE] == round((60_200 - expected) / expected, 6)
        market.begin_session(chart.state, *SESSION)
        chart.bar(60_300, 60_300, 60_300, 60_300, 1)
        assert chart.reading[market.READING_VWAP] == 60_300 * 0.25
        assert chart["vwap_distance"] == chart["session_trend"] == 0.0


def test_vwap_of_a_session_without_a_trade_is_the_close() -> None:
    """A volume of zero is real: 0/0 is no distance, and no price is invented."""
    chart = _Chart()
    chart.bar(60_000, 60_010, 59_990, 60_004, 0)
    assert chart["vwap_distance"] == 0.0
    assert chart.reading[market.READING_VWAP] == 60_004 * 0.25


def test_volume_ratios_meet_their_bounds() -> None:
    """Twice the mean is 1; any volume after none is the bound, none after any the floor, none after none 0."""
    chart = _Chart()
    for volumes, expected in (((50, 50, 50, 50, 50, 100), 1.0), ((0, 0, 0, 0, 0, 7), 3.0), ((9, 9, 0), -3.0)):
        chart = _Chart()
        for volume in volumes:
            chart.bar(60_000, 60_002, 59_998, 60_000, volume)
        assert chart["volume_ratio_5"] == expected
    chart = _Chart()
    for _ in range(9):
        chart.bar(60_000, 60_002, 59_998, 60_000, 0)
    assert chart["volume_ratio_5"] == chart["volume_ratio_20"] == chart["volume_regime"] == chart["volume_t"] == 0.0


def test_missing_volume_is_not_a_volume_of_zero() -> None:
    """A file without volume: the volume features rest at 0 whatever number stands in the column."""
    chart = _Chart(has_volume=False)
    for volume in (5, 0, 900, 3, 70):
        chart.bar(60_000, 60_002, 59_998, 60_000, volume)
        assert chart["volume_t"] == chart["volume_ratio_5"] == chart["volume_ratio_20"] == chart["volume_regime"] == 0.0


def test_z_score_of_one_odd_volume_among_sixty() -> None:
    """One value apart from 59 equal ones is sqrt(59) deviations away, and clipped at 5; the first is no score."""
    chart = _Chart()
    for _ in range(60):
        chart.bar(60_000, 60_002, 59_998, 60_000, 100)
        assert chart["volume_t"] == 0.0
    chart.bar(60_000, 60_002, 59_998, 60_000, 101)
    assert chart["volume_t"] == 5.0
    chart = _Chart()
    for volume in (100, 100, 100, 50):
        chart.bar(60_000, 60_002, 59_998, 60_000, volume)
    assert chart["volume_t"] == pytest.approx(-(3**0.5))


def test_corwin_schultz_of_a_pure_bounce_is_the_spread() -> None:
    """A price that stands still and trades at bid and ask: the estimate is (ask - bid) / mid, as its authors show."""
    bid, ask = 59_990.0, 60_010.0
    x = float(np.log(ask / bid))
    assert indicators.corwin_schultz(x, x, x) == pytest.approx((ask - bid) / 60_000, rel=1e-9)
    chart = _Chart()
    for _ in range(25):
        chart.bar(60_000, ask, bid, 60_000)
    # 20 ticks of 40.
    assert chart["spread_ratio"] == pytest.approx(0.5, rel=1e-6)


def test_corwin_schultz_of_a_trend_is_zero() -> None:
    """Two bars side by side in price span more than either: negative estimates are 0."""
    chart = _Chart()
    chart.at(*(60_000 + 30.0 * k for k in range(30)))
    assert chart["spread_ratio"] == 0.0


def _peak(level: float, base: float = 60_000.0, width: int = 5) -> list[float]:
    """Closes that rise to `level` and fall back to `base`."""
    up = np.linspace(base, level, width + 1)
    return [*up[:-1], *up[::-1]]


def test_swing_high_is_known_five_bars_later() -> None:
    """Nothing of a peak shows before its fifth later bar has closed."""
    chart = _Chart()
    chart.at(*np.linspace(60_000, 60_050, 6))
    for _ in range(4):
        chart.at(60_000)
        assert chart["resistance_distance"] == 0.0
    chart.at(60_000)
    atr_ticks = float(chart.state[market.ATR])
    assert chart["resistance_distance"] == pytest.approx(52 / atr_ticks)
    assert chart["support_distance"] == 0.0
    assert chart["level_distance"] == pytest.approx(-52 / atr_ticks)


@pytest.mark.parametrize(("after", "known"), [(60_050, True), (60_051, False)])
def test_swing_high_may_be_equalled_but_not_beaten_after(after: int, known: bool) -> None:
    """Of two equal highs the first is the swing: not below those after, above those before."""
    chart = _Chart()
    chart.at(*np.linspace(60_000, 60_050, 6), 60_000, after, 60_000, 60_000, 60_000)
    assert (chart["resistance_distance"] != 0.0) == known
    chart.at(60_000, 60_000)
    assert int(chart.state[market.HIGHS]) == 1


@pytest.mark.parametrize(("second", "names"), [(60_080, {"higher_high"}), (60_020, {"lower_high"}), (60_050, set())])
def test_second_swing_high_is_compared_with_the_first(second: int, names: set[str]) -> None:
    """Above, below, or the same: then neither."""
    chart = _Chart()
    chart.at(*_peak(60_050), *_peak(second), 60_000)
    assert int(chart.state[market.HIGHS]) == 2
    found = {name for name in ("higher_high", "lower_high", "higher_low", "lower_low") if chart[name]}
    assert found - {"higher_low", "lower_low"} == names


def _double(second: float, valley: float) -> _Chart:
    """Swing highs at 60,100 and `second`, a swing low at `valley` between them, up to the second's confirmation."""
    chart = _Chart()
    chart.at(*([60_000.0] * 30), spread=10.0)
    rise = np.linspace(60_000, 60_100, 6)
    chart.at(*rise, *np.linspace(60_090, valley, 8), *np.linspace(valley + 5, second, 8), spread=10.0)
    chart.at(*np.linspace(second - 10, second - 50, 5), spread=10.0)
    assert int(chart.state[market.HIGHS]) == 2
    return chart


def test_double_top_fires_at_confirmation_and_fades_over_sixty_bars() -> None:
    """1, then 59/60, half after thirty bars, 0 after sixty."""
    chart = _double(second=60_102.0, valley=60_020.0)
    values = [chart["double_top"]]
    for _ in range(61):
        chart.at(60_052.0, spread=10.0)
        values.append(chart["double_top"])
    assert values[0] == 1.0
    assert values[1] == pytest.approx(59 / 60)
    assert values[30] == pytest.approx(0.5)
    assert values[60] == values[61] == 0.0
    assert chart["double_bottom"] == 0.0


@pytest.mark.parametrize("second", [60_130.0, 60_070.0])
def test_double_top_needs_peaks_within_half_an_atr(second: float) -> None:
    """Thirty ticks apart at an ATR of about 25 are two peaks and no pattern."""
    assert _double(second, valley=60_020.0)["double_top"] == 0.0


@pytest.mark.parametrize(("valley", "expected"), [(60_090.0, 0.0), (60_040.0, 1.0)])
def test_double_top_needs_a_valley_an_atr_deep(valley: float, expected: float) -> None:
    """After a wild start the ATR is about 40: ten ticks are no valley, sixty are one."""
    chart = _Chart()
    chart.at(*([60_000.0] * 30), spread=100.0)
    chart.at(*np.linspace(60_050, 60_100, 6), *np.linspace(60_099, valley, 8), spread=0.0)
    chart.at(*np.linspace(valley + 1, 60_101, 8), *np.linspace(60_095, 60_050, 5), spread=0.0)
    assert (chart.state[market.HIGHS], chart.state[market.LOWS]) == (2.0, 1.0)
    assert 30 < chart.state[market.ATR] < 50
    assert chart["double_top"] == expected


@pytest.mark.parametrize(("sign", "name"), [(1.0, "double_top"), (-1.0, "double_bottom")])
@pytest.mark.parametrize(("depth", "expected"), [(44.0, 0.0), (75.0, 1.0)])
def test_double_pattern_measures_its_depth_from_the_nearer_of_the_two(
    sign: float, name: str, depth: float, expected: float
) -> None:
    """Twins 15 apart at an ATR of about 35: what lies an ATR from one of them only is not between both."""

    def line(start: float, stop: float, count: int) -> NDArray[np.float64]:
        return 60_000 + sign * np.linspace(start, stop, count)

    chart = _Chart()
    chart.at(*([60_000.0] * 30), spread=100.0)
    chart.at(*line(50, 100, 6), *line(95, 100 - depth, 8), *line(101 - depth, 85, 8), *line(80, 40, 5), spread=0.0)
    assert 31 < chart.state[market.ATR] < 43
    assert chart[name] == expected


@pytest.mark.parametrize(("sign", "name"), [(1, "double_top"), (-1, "double_bottom")])
def test_double_pattern_needs_a_swing_strictly_between(sign: int, name: str) -> None:
    """A bar that is both swing high and swing low is no valley of the pair that it begins."""
    chart = _Chart()

    def bar(open_: int, far: int, near: int, close: int) -> None:
        edges = sorted((60_000 + sign * far, 60_000 + sign * near))
        chart.bar(60_000 + sign * open_, edges[1], edges[0], 60_000 + sign * close)

    for _ in range(10):
        bar(0, 5, -5, 0)
    bar(0, 40, -100, 0)
    for k in range(10):
        bar(2 * k, 2 * k + 5, 2 * k - 5, 2 * k)
    bar(20, 41, 17, 22)
    for k in range(5):
        bar(23 + k, 28 + k, 18 + k, 23 + k)
    assert {chart.state[market.HIGHS], chart.state[market.LOWS]} == {1.0, 2.0}
    assert chart[name] == 0.0


def test_double_top_ends_with_the_next_swing_high_that_makes_none() -> None:
    """It is a statement about the last two highs, not about any two."""
    chart = _double(second=60_102.0, valley=60_020.0)
    chart.at(*_peak(60_300, 60_052, 6), spread=10.0)
    assert int(chart.state[market.HIGHS]) == 3
    assert chart["double_top"] == 0.0


def test_level_distance_prefers_the_level_below_of_two_equally_near() -> None:
    """Half way between a swing low and a swing high the sign is that of a level below."""
    chart = _Chart()
    chart.at(*np.linspace(60_000, 60_050, 6), *np.linspace(60_040, 60_000, 6), *np.linspace(60_002, 60_024, 6))
    assert (chart.state[market.LAST_HIGH], chart.state[market.LAST_LOW]) == (52.0, -2.0)
    chart.at(60_025)
    assert chart["level_distance"] == pytest.approx(27 / chart.state[market.ATR])


def test_level_distance_forgets_all_but_the_last_ten() -> None:
    """The eleventh swing high pushes the first out."""
    chart = _Chart()
    for k in range(11):
        chart.at(*_peak(60_500 + 10 * k))
    levels = sorted(chart.state[market.LEVEL_HIGHS : market.LEVEL_HIGHS + 10])
    assert levels == [502.0 + 10 * k for k in range(1, 11)]


def test_breakout_measures_beyond_the_twenty_bars_before() -> None:
    """A close 6 ticks over twenty highs, then one under twenty lows; the bar's own high is no obstacle."""
    chart = _Chart()
    chart.at(*([60_000.0] * 60))
    chart.bar(60_000, 60_030, 60_000, 60_008)
    assert chart["breakout"] == pytest.approx(6 / chart.state[market.ATR])
    assert chart["breakdown"] == 0.0
    chart.at(*([60_000.0] * 20))
    chart.at(59_990.0)
    assert chart["breakdown"] == pytest.approx(8 / chart.state[market.ATR])


def test_roll_leaves_the_observation_of_a_dead_market_dead() -> None:
    """The new contract trades 112 ticks higher and nothing happened; what people read shows the new prices."""
    chart = _Chart()
    chart.at(*([60_000.0] * 300))
    before: NDArray[np.float32] = chart.obs.copy()
    market.roll(chart.state, 112.0)
    chart.at(60_112.0)
    moved = {name for name, index in INDEX.items() if chart.obs[index] != before[index]}
    # The spread estimate is a share of the price, so it moves by the roll's share of it and no more.
    assert {name.partition("_t")[0] for name in moved} == {"session_sin", "session_cos", "spread_ratio"}
    assert chart["spread_ratio"] == pytest.approx(before[INDEX["spread_ratio"]], rel=0.002)
    assert chart.reading[market.READING_SMA_50] == chart.reading[market.READING_VWAP] == 60_112 * 0.25
