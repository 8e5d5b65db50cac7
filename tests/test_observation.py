"""The table of the observation: order, bounds and numbers as the specification lists them, and its page."""

import subprocess
import sys
from pathlib import Path

import pytest

from trader import observation
from trader.kernels.indicators import wilder
from trader.observation import BASE_SIZE, FEATURES, FULL_SIZE, INDEX, Clock, Group, first_full, settled

ROOT = Path(__file__).parents[1]

# Name, low and high of the window's row, oldest feature first.
ROW = [
    ("close", -5, 5),
    ("volume", -5, 5),
    ("sma_5", -5, 5),
    ("sma_20", -10, 10),
    ("rsi", -1, 1),
    ("macd", -5, 5),
    ("momentum", -5, 5),
    ("atr", -3, 3),
    ("session_sin", -1, 1),
    ("session_cos", -1, 1),
    ("rth_to_close", 0, 1),
]
# Everything after the window, by index from 220.
REST = [
    ("position", -1, 1),
    ("entry_distance", -10, 10),
    ("stop_distance", 0, 10),
    ("target_distance", 0, 20),
    ("bars_in_position", 0, 1),
    ("can_enter", 0, 1),
    ("can_manage", 0, 1),
    ("trailing", 0, 1),
    ("adx_slope", -1, 1),
    ("vwap_distance", -10, 10),
    ("volatility_regime", -3, 3),
    ("volume_regime", -3, 3),
    ("momentum_20", -5, 5),
    ("momentum_60", -5, 5),
    ("efficiency_ratio", 0, 1),
    ("spread_ratio", 0, 1),
    ("session_trend", -5, 5),
    ("market_regime", -1, 1),
    ("sma50_slope", -5, 5),
    ("sma200_slope", -5, 5),
    ("rsi_15min", -1, 1),
    ("rsi_60min", -1, 1),
    ("volume_ratio_5", -3, 3),
    ("volume_ratio_20", -3, 3),
    ("price_change_60min", -5, 5),
    ("level_distance", -10, 10),
    ("higher_high", 0, 1),
    ("lower_low", 0, 1),
    ("higher_low", 0, 1),
    ("lower_high", 0, 1),
    ("double_top", 0, 1),
    ("double_bottom", 0, 1),
    ("support_distance", -10, 10),
    ("resistance_distance", -10, 10),
    ("breakout", 0, 3),
    ("breakdown", 0, 3),
    ("unrealized_pnl", -5, 5),
    ("drawdown", 0, 1),
    ("consecutive_losses", 0, 1),
    ("recent_win_rate", 0, 1),
    ("mae_mfe_ratio", 0, 1),
]


def test_features_stand_in_the_order_of_the_schema_with_its_clips() -> None:
    """Twenty rows of eleven, oldest first, then the forty-one others: the contract of every bundle."""
    window = [(f"{name}_t-{lag}" if lag else f"{name}_t", a, b) for lag in range(19, -1, -1) for name, a, b in ROW]
    assert [(f.name, f.low, f.high) for f in FEATURES] == window + REST
    assert [f.index for f in FEATURES] == list(range(FULL_SIZE)) == list(INDEX.values())
    assert (BASE_SIZE, FULL_SIZE) == (228, 261)


def test_groups_cover_the_vector_in_unbroken_ranges() -> None:
    """Each group starts where the schema says."""
    starts = {group: min(f.index for f in FEATURES if f.group is group) for group in Group}
    assert starts == {
        Group.WINDOW: 0,
        Group.POSITION: 220,
        Group.MARKET: 228,
        Group.TIMEFRAME: 238,
        Group.PATTERN: 246,
        Group.RISK: 256,
    }
    assert [f.group for f in FEATURES] == sorted((f.group for f in FEATURES), key=list(Group).index)


def test_neutral_values_lie_inside_the_clips_and_are_zero_but_for_two() -> None:
    """0/0 is 0, and 0.5 for a win rate without trades and an excursion ratio without a trade."""
    assert {f.name: f.neutral for f in FEATURES if f.neutral} == {"recent_win_rate": 0.5, "mae_mfe_ratio": 0.5}
    assert all(f.low <= f.neutral <= f.high for f in FEATURES)


@pytest.mark.parametrize(
    ("name", "bar_minutes", "bars"),
    [
        ("atr_t", 1, 404),
        ("atr_t-19", 1, 423),
        ("sma200_slope", 1, 220),
        ("sma200_slope", 5, 220),
        ("rsi_60min", 1, 959),
        ("rsi_60min", 5, 191),
        ("rsi_60min", 7, 143),
        ("rsi_15min", 15, 15),
        ("vwap_distance", 5, 276),
        ("vwap_distance", 1, 1_380),
        ("drawdown", 1, 1),
    ],
)
def test_first_full_counts_bars_or_the_clock(name: str, bar_minutes: int, bars: int) -> None:
    """220 and 404 as specified, about 960 for the hourly RSI; only clock time depends on the bar's period."""
    assert FEATURES[INDEX[name]].first_full(bar_minutes) == bars


def test_first_full_of_a_vector_is_its_slowest_feature() -> None:
    """The base waits for the oldest row's ATR mean, the full one for a session seen whole."""
    assert first_full(BASE_SIZE, 1) == first_full(BASE_SIZE, 15) == 423
    assert (first_full(FULL_SIZE, 1), first_full(FULL_SIZE, 5)) == (1_380, 423)


def test_settled_is_never_before_full() -> None:
    """And the hourly RSI, which forgets slowest, takes five to six sessions."""
    for bar_minutes in (1, 3, 5, 15):
        assert all(f.settled(bar_minutes) >= f.first_full(bar_minutes) for f in FEATURES)
    assert settled(FULL_SIZE, 1) == FEATURES[INDEX["rsi_60min"]].settled(1) == 7_860
    assert settled(BASE_SIZE, 1) < 600


@pytest.mark.parametrize(("name", "period"), [("momentum_t", 14), ("volatility_regime", 195)])
def test_settled_average_is_within_a_thousandth_of_its_clip_of_another_five_clips_off(name: str, period: int) -> None:
    """By the kernel's own Wilder average, from the bar on at which it is full; a bar earlier it is not yet."""
    off = [5.0]
    for count in range(period + 1, FEATURES[INDEX[name]].settled(1)):
        off.append(wilder(off[-1], 0.0, count, period))
    assert off[-1] <= 1e-3 < off[-2]


def test_clock_time_features_are_those_of_the_specification() -> None:
    """Only the 15- and 60-minute ones and the two that are anchored at the session's open."""
    assert [f.index for f in FEATURES if f.clock in {Clock.MINUTES_15, Clock.MINUTES_60}] == [240, 241, 244]
    assert [f.index for f in FEATURES if f.clock is Clock.SESSION] == [229, 236]


def test_schema_hash_is_the_one_that_bundles_carry() -> None:
    """A change of the table refuses every bundle made before; whoever means it changes this line too."""
    assert observation.schema_hash() == "39a4ae747d9524065837419b8b3809f4dd583ccc8da31f4fbc76838687c1b4b7"


@pytest.mark.parametrize("page", ["observation.md"])
def test_generated_page_is_up_to_date(page: str) -> None:
    """`docs/` says what the code does: run scripts/make_docs.py after a change of the table."""
    assert (ROOT / "docs" / page).is_file()
    command = [sys.executable, str(ROOT / "scripts" / "make_docs.py"), "--check", page]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
