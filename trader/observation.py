"""The observation: 261 numbers a bar, schema `obs-v1`, and the one table that says what each of them is.

Index, schema hash, documentation page and tests come from `FEATURES`; the numbers come from `trader.kernels.market` and
`trader.kernels.account_features`. A policy eats the first 228 ("base") or all 261 ("full").
May import msgspec and the standard library's pure parts.
"""

import hashlib
import json
import math
from enum import StrEnum
from functools import cache

from msgspec import Struct

SCHEMA = "obs-v1"
BASE_SIZE = 228
FULL_SIZE = 261
WINDOW_BARS = 20
ROW_SIZE = 11

CLOSED_BARS = 15
"""Closed 15- or 60-minute bars until their RSI and ATR are full: 14 changes need 15 closes."""

SESSION_MINUTES = 23 * 60

TERMS = (
    "ATRn: Wilder's average (1978) of n true ranges, from the second bar on, at least one tick; the first bar's is its "
    "range.",
    "RSI14, +DI14, -DI14, ADX14: Wilder's. ADX averages the DX of full directional averages, so it is 0 before bar 15.",
    "SMAn: mean of the last n closes. EMAn: weight 2 / (n + 1), begun with the mean of the first n closes.",
    "Until a window is full a mean uses what there is, Wilder's averages included, and a difference over n bars "
    "reaches back to the first bar.",
    "0/0 is the neutral value, x/0 the clip bound on the side of x; the argument of log2 is at least 2^-3.",
    "Without volume the volume features are 0 and VWAP weighs bars equally.",
    "A 15- or 60-minute bar starts on the grid from the session's open or at a halt's end, ends on the grid, at a "
    "halt's start or the session's close, takes the bars that open inside it, and is closed by the bar that reaches "
    "its end or the first later one. The one in which the history begins counts only if seen from its start.",
    "Swing high: a high above the 5 bars before and not below the 5 after, known 5 bars later (low: the mirror). A "
    "feature of a swing that is not known yet is 0.",
    "Session: the CME Globex equity day of the calendar; RTH: 09:30 ET to the cash market's close. Bars are marked at "
    "their close.",
)
"""What the formulas' words mean; part of the schema's hash."""


class Group(StrEnum):
    """The parts of the vector, in its order."""

    WINDOW = "window"
    POSITION = "position"
    MARKET = "market"
    TIMEFRAME = "timeframe"
    PATTERN = "pattern"
    RISK = "risk"


class Clock(StrEnum):
    """What a feature's window counts: bars, or time by the session's clock."""

    BARS = "bars"
    MINUTES_15 = "15 min"
    MINUTES_60 = "60 min"
    SESSION = "session"


_CLOCK_MINUTES = {Clock.MINUTES_15: 15, Clock.MINUTES_60: 60}


class Feature(Struct, frozen=True, kw_only=True):
    """One number of the vector. `low` and `high` are its clip; `neutral` is its value where it would be 0/0.

    `full_bars` bars make its window full, and `clock` says what else must be complete: 15 closed bars of a higher time
    frame, or a session seen from its open. After `settled_bars` plus `settled_minutes` of clock time the start of the
    history moves the value by less than 1e-3 of its clip, as `_START_CLIPS` says; 0 where the value has no memory.
    """

    index: int
    name: str
    group: Group
    formula: str
    low: float
    high: float
    neutral: float
    full_bars: int
    clock: Clock
    settled_bars: int
    settled_minutes: int

    def first_full(self, bar_minutes: int) -> int:
        """Bars until the window is full, wherever in a session the history begins and no bar is missing."""
        match self.clock:
            case Clock.BARS:
                return self.full_bars
            case Clock.SESSION:
                return max(self.full_bars, _bars_in(SESSION_MINUTES, bar_minutes))
            case Clock.MINUTES_15 | Clock.MINUTES_60:
                # The time-frame bar in which the history begins is left out unless it was seen from its start.
                bars = _bars_in(_CLOCK_MINUTES[self.clock], bar_minutes)
                return max(self.full_bars, bars - 1 + CLOSED_BARS * bars)

    def settled(self, bar_minutes: int) -> int:
        """Bars until the start of the history no longer matters; never fewer than `first_full`."""
        return max(self.first_full(bar_minutes), self.settled_bars + _bars_in(self.settled_minutes, bar_minutes))


def first_full(size: int, bar_minutes: int) -> int:
    """Bars until each of the first `size` features is full at the latest; the kernel's `is_full` says it exactly."""
    return max(feature.first_full(bar_minutes) for feature in FEATURES[:size])


def settled(size: int, bar_minutes: int) -> int:
    """Bars of history after which each of the first `size` features is settled: the longest look-back."""
    return max(feature.settled(bar_minutes) for feature in FEATURES[:size])


@cache
def schema_hash() -> str:
    """sha256 of the canonical table: schema, terms, and of each feature index, name, formula, clip, neutral, window."""
    rows = [
        [f.index, f.name, f.formula, float(f.low), float(f.high), float(f.neutral), f.full_bars, f.clock.value]
        for f in FEATURES
    ]
    text = json.dumps([SCHEMA, TERMS, rows], ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _bars_in(minutes: int, bar_minutes: int) -> int:
    return -(-minutes // bar_minutes)


class _Definition(Struct, frozen=True):
    """A feature before it has an index."""

    name: str
    formula: str
    low: float
    high: float
    full_bars: int
    settled_bars: int = 0
    clock: Clock = Clock.BARS
    settled_minutes: int = 0
    neutral: float = 0.0


_START_CLIPS = 5
"""By how many of its clips the start may move a value at the moment when the average in it is first full.

An average of n values keeps 1 - 1/n of its start with each new one, so from here on arithmetic says when 1e-3 of the
clip is left. The number itself depends on how much livelier the market was at the start than at the bar in question:
1 or so on nearly all of NQ's one-minute bars of 2015 to 2022, 3.7 at most (March 2020, prices locked at their limit).
No number is enough for every market: while prices stand still nothing is forgotten.

Where a threshold, a swing or two averages on each other rule out such a bound, the table holds the slowest start on the
same bars, of 197,602, and a tenth, in tens; mirror images (highs, lows) share theirs. `scripts/measure_settled.py`
measures both kinds.
"""


def _faded(period: int) -> int:
    """Bars until Wilder's average of `period` changes has left its start behind; a change needs the bar before."""
    return 1 + period + math.ceil(math.log(_START_CLIPS * 1_000) / -math.log1p(-1 / period))


_ATR_14 = _faded(14)
_ATR_195 = _faded(195)
_RSI = 250
_EMAS = 180
_ADX_SLOPE = 280
_REGIME = 310
_LEVELS = 620
_TWO_SWINGS = 240
_TWINS = 350
_SWING = 280


def _faded_minutes(frame_minutes: int) -> int:
    """The same for bars of a higher time frame; the one in which the history begins does not count."""
    return frame_minutes * (1 + _ATR_14)


_ROW = (
    _Definition("close", "(close - previous close) / ATR14", -5, 5, 15, settled_bars=_ATR_14),
    _Definition("volume", "z-score of log1p(volume) over 60 bars, population deviation", -5, 5, 60),
    _Definition("sma_5", "(close - SMA5) / ATR14", -5, 5, 15, settled_bars=_ATR_14),
    _Definition("sma_20", "(close - SMA20) / ATR14", -10, 10, 20, settled_bars=_ATR_14),
    _Definition("rsi", "(RSI14 - 50) / 50", -1, 1, 15, settled_bars=_RSI),
    _Definition("macd", "(EMA12 - EMA26) / ATR14", -5, 5, 26, settled_bars=_EMAS),
    _Definition("momentum", "(close - close[t-10]) / (ATR14 sqrt 10)", -5, 5, 15, settled_bars=_ATR_14),
    _Definition("atr", "log2(ATR14 / mean of ATR14 over 390 bars)", -3, 3, 404, settled_bars=390 + _ATR_14),
    _Definition("session_sin", "sin(2 pi x fraction of the session elapsed at the bar's close)", -1, 1, 1),
    _Definition("session_cos", "cos(2 pi x fraction of the session elapsed at the bar's close)", -1, 1, 1),
    _Definition("rth_to_close", "fraction of RTH that remains at the bar's close; 0 outside RTH", 0, 1, 1),
)

_POSITION = (
    _Definition("position", "sign of the position: -1, 0, 1", -1, 1, 1),
    _Definition(
        "entry_distance", "(close - entry) x sign of the position / ATR14; 0 flat", -10, 10, 15, settled_bars=_ATR_14
    ),
    _Definition(
        "stop_distance",
        "distance from the close to the stop / ATR14; 0 flat, 10 without a stop",
        0,
        10,
        15,
        settled_bars=_ATR_14,
    ),
    _Definition(
        "target_distance",
        "distance from the close to the target / ATR14; 0 flat, 20 without",
        0,
        20,
        15,
        settled_bars=_ATR_14,
    ),
    _Definition("bars_in_position", "bars in position / 390", 0, 1, 1),
    _Definition("can_enter", "1 if BUY and SELL are valid now", 0, 1, 1),
    _Definition("can_manage", "1 if any of MOVE_TO_BE, ENABLE_TRAIL, DISABLE_TRAIL is valid now", 0, 1, 1),
    _Definition("trailing", "1 while the trail is on", 0, 1, 1),
)

_MARKET = (
    _Definition("adx_slope", "(ADX14 - ADX14[t-5]) / 25", -1, 1, 33, settled_bars=_ADX_SLOPE),
    _Definition(
        "vwap_distance",
        "(close - session VWAP of (high + low + close) / 3) / ATR14",
        -10, 10, 15, clock=Clock.SESSION, settled_bars=_ATR_14,
    ),
    _Definition("volatility_regime", "log2(ATR14 / ATR195)", -3, 3, 196, settled_bars=_ATR_195),
    _Definition("volume_regime", "log2(mean volume of 20 bars / mean volume of 390)", -3, 3, 390),
    _Definition("momentum_20", "(close - close[t-20]) / (ATR14 sqrt 20)", -5, 5, 21, settled_bars=_ATR_14),
    _Definition("momentum_60", "(close - close[t-60]) / (ATR14 sqrt 60)", -5, 5, 61, settled_bars=_ATR_14),
    _Definition("efficiency_ratio", "|close - close[t-20]| / sum of the 20 absolute changes (Kaufman)", 0, 1, 21),
    _Definition(
        "spread_ratio",
        "mean over 20 bars of the two-bar high-low spread (Corwin and Schultz 2012, no overnight correction, "
        "negatives to 0) x close / tick / 40",
        0, 1, 21,
    ),
    _Definition(
        "session_trend",
        "(close - session open) / (ATR14 sqrt(bars since the open, from 1))",
        -5, 5, 15, clock=Clock.SESSION, settled_bars=_ATR_14,
    ),
    _Definition("market_regime", "sign(+DI14 - -DI14) if ADX14 > 25, else 0", -1, 1, 28, settled_bars=_REGIME),
)  # fmt: skip

_TIMEFRAME = (
    _Definition("sma50_slope", "(SMA50 - SMA50[t-10]) / ATR14", -5, 5, 60, settled_bars=_ATR_14),
    _Definition("sma200_slope", "(SMA200 - SMA200[t-20]) / ATR14", -5, 5, 220),
    _Definition(
        "rsi_15min", "(RSI14 of closed 15-minute bars - 50) / 50", -1, 1, 1,
        clock=Clock.MINUTES_15, settled_minutes=_faded_minutes(15),
    ),
    _Definition(
        "rsi_60min", "(RSI14 of closed 60-minute bars - 50) / 50", -1, 1, 1,
        clock=Clock.MINUTES_60, settled_minutes=_faded_minutes(60),
    ),
    _Definition("volume_ratio_5", "log2(volume / mean volume of the 5 bars before)", -3, 3, 6),
    _Definition("volume_ratio_20", "log2(volume / mean volume of the 20 bars before)", -3, 3, 21),
    _Definition(
        "price_change_60min",
        "(last closed hourly close - the one before) / ATR14 of closed 60-minute bars",
        -5, 5, 1, clock=Clock.MINUTES_60, settled_minutes=_faded_minutes(60),
    ),
    _Definition(
        "level_distance",
        "(close - nearest of the last 10 confirmed swing highs and 10 lows) / ATR14; of two equally near the lower",
        -10, 10, 15, settled_bars=_LEVELS,
    ),
)  # fmt: skip

_PATTERN = (
    _Definition("higher_high", "1 if the last swing high is above the previous", 0, 1, 11, settled_bars=_TWO_SWINGS),
    _Definition("lower_low", "1 if the last swing low is below the previous", 0, 1, 11, settled_bars=_TWO_SWINGS),
    _Definition("higher_low", "1 if the last swing low is above the previous", 0, 1, 11, settled_bars=_TWO_SWINGS),
    _Definition("lower_high", "1 if the last swing high is below the previous", 0, 1, 11, settled_bars=_TWO_SWINGS),
    _Definition(
        "double_top",
        "1 - bars since confirmation / 60 if the last two swing highs are within 0.5 ATR14 with a swing low at least "
        "1 ATR14 below both between them, ATR14 at confirmation",
        0, 1, 15, settled_bars=_TWINS,
    ),
    _Definition(
        "double_bottom",
        "1 - bars since confirmation / 60 if the last two swing lows are within 0.5 ATR14 with a swing high at least "
        "1 ATR14 above both between them, ATR14 at confirmation",
        0, 1, 15, settled_bars=_TWINS,
    ),
    _Definition("support_distance", "(close - last swing low) / ATR14", -10, 10, 15, settled_bars=_SWING),
    _Definition("resistance_distance", "(last swing high - close) / ATR14", -10, 10, 15, settled_bars=_SWING),
    _Definition("breakout", "(close - highest high of the 20 bars before) / ATR14", 0, 3, 21, settled_bars=_ATR_14),
    _Definition("breakdown", "(lowest low of the 20 bars before - close) / ATR14", 0, 3, 21, settled_bars=_ATR_14),
)  # fmt: skip

_RISK = (
    _Definition("unrealized_pnl", "unrealised P&L / initial risk; 0 flat", -5, 5, 1),
    _Definition("drawdown", "(equity peak - equity) / trailing limit", 0, 1, 1),
    _Definition("consecutive_losses", "losses in a row / 5", 0, 1, 1),
    _Definition("recent_win_rate", "share of winners in the last 10 closed trades", 0, 1, 1, neutral=0.5),
    _Definition("mae_mfe_ratio", "MAE / (MAE + MFE) of the open trade", 0, 1, 1, neutral=0.5),
)


def _lagged(definition: _Definition, lag: int) -> tuple[Group, _Definition]:
    """A row's feature at bar t-lag: written when that bar closed, so it is full and settled `lag` bars later."""
    return Group.WINDOW, _Definition(
        name=f"{definition.name}_t-{lag}" if lag else f"{definition.name}_t",
        formula=f"{definition.formula}, of bar t-{lag}" if lag else definition.formula,
        low=definition.low,
        high=definition.high,
        full_bars=definition.full_bars + lag,
        settled_bars=definition.settled_bars + lag,
        neutral=definition.neutral,
    )


def _table() -> tuple[Feature, ...]:
    defined = [_lagged(d, lag) for lag in range(WINDOW_BARS - 1, -1, -1) for d in _ROW]
    for group, part in (
        (Group.POSITION, _POSITION),
        (Group.MARKET, _MARKET),
        (Group.TIMEFRAME, _TIMEFRAME),
        (Group.PATTERN, _PATTERN),
        (Group.RISK, _RISK),
    ):
        defined += [(group, d) for d in part]
    return tuple(
        Feature(
            index=index,
            name=d.name,
            group=group,
            formula=d.formula,
            low=d.low,
            high=d.high,
            neutral=d.neutral,
            full_bars=d.full_bars,
            clock=d.clock,
            settled_bars=d.settled_bars,
            settled_minutes=d.settled_minutes,
        )
        for index, (group, d) in enumerate(defined)
    )


FEATURES: tuple[Feature, ...] = _table()
INDEX: dict[str, int] = {feature.name: feature.index for feature in FEATURES}
