"""The market features a second time, the slow textbook way: pandas and NumPy over the whole history.

Shares nothing with the kernel. Contract rolls are removed by back-adjusting the prices; the kernel moves its state.
With `strict`, a value whose window is not full is NaN, which is where the table's `first_full` is checked against.
"""

import numpy as np
import pandas as pd
from market_bars import Columns
from numpy.typing import NDArray

Array = NDArray[np.float64]
S = pd.Series


class Oracle:
    """All market features of `bars`, by name."""

    def __init__(self, bars: Columns, *, strict: bool = False) -> None:
        self.bars = bars
        self.strict = strict
        later = bars.rolls[::-1].cumsum()[::-1]
        shift = np.append(later[1:], 0.0)
        adjusted = bars.prices + shift[:, None]
        self.open, self.high, self.low, self.close = (S(adjusted[:, k]) for k in range(4))
        self.previous = self.close.shift(1)
        self.true_range = np.maximum(self.high, self.previous) - np.minimum(self.low, self.previous)
        self.true_range[self.previous.isna()] = np.nan
        self.volumes = S(bars.volumes)
        self.atr = self.atr_of(14)
        self.adx, self.plus_di, self.minus_di = self._directional()
        self.swing_highs = self._swings(self.high.to_numpy())
        self.swing_lows = self._swings(-self.low.to_numpy(), -1)

    # -- windows ---------------------------------------------------------------------------------------------------

    def _periods(self, n: int) -> int:
        return n if self.strict else 1

    def mean(self, x: "S[float]", n: int) -> "S[float]":
        return x.rolling(n, min_periods=self._periods(n)).mean()

    def lag(self, x: "S[float]", n: int) -> "S[float]":
        """x[t-n]; before that the first value there is, or NaN if strict."""
        lagged = x.shift(n)
        first = x.first_valid_index()
        if self.strict or first is None:
            return lagged
        return lagged.where(np.arange(len(x)) >= first + n, x[first])

    def _smoothed(self, x: "S[float]", n: int, alpha: float) -> "S[float]":
        """Recursive average whose seed is the plain mean of the first n values that exist."""
        there = x.dropna()
        head = there.iloc[:n].expanding(min_periods=self._periods(n)).mean()
        tail = pd.concat([S([there.iloc[:n].mean()]), there.iloc[n:]]).ewm(alpha=alpha, adjust=False).mean().iloc[1:]
        return pd.concat([head, tail]).reindex(x.index)

    def wilder(self, x: "S[float]", n: int) -> "S[float]":
        return self._smoothed(x, n, 1 / n)

    def atr_of(self, n: int) -> "S[float]":
        atr = self.wilder(self.true_range, n)
        if not self.strict:
            atr[0] = self.high[0] - self.low[0]
        return atr.clip(lower=1.0)

    def rsi_of(self, close: "S[float]") -> "S[float]":
        """RSI14, 0..100, by 100 - 100 / (1 + RS)."""
        change = close.diff()
        gain = self.wilder(change.clip(lower=0), 14)
        loss = self.wilder((-change).clip(lower=0), 14)
        with np.errstate(divide="ignore", invalid="ignore"):
            rsi = 100 - 100 / (1 + gain.to_numpy() / loss.to_numpy())
        flat = (gain == 0) & (loss == 0)
        return S(rsi, index=close.index).where(~flat, 50.0)

    def _directional(self) -> "tuple[S[float], S[float], S[float]]":
        up, down = self.high.diff(), -self.low.diff()
        plus = up.where((up > down) & (up > 0), 0.0).where(up.notna())
        minus = down.where((down > up) & (down > 0), 0.0).where(down.notna())
        true_range = self.wilder(self.true_range, 14)
        with np.errstate(divide="ignore", invalid="ignore"):
            plus_di = (100 * self.wilder(plus, 14) / true_range).where(true_range != 0, 0.0)
            minus_di = (100 * self.wilder(minus, 14) / true_range).where(true_range != 0, 0.0)
            dx = (100 * (plus_di - minus_di).abs() / (plus_di + minus_di)).where(plus_di + minus_di != 0, 0.0)
        dx[:14] = np.nan
        return self.wilder(dx, 14), plus_di, minus_di

    # -- one method a feature, unclipped where a clip is stated ----------------------------------------------------

    def feature(self, name: str) -> Array:
        """The feature of that name at every bar, float64 [T]; a window's is named without its lag."""
        return np.asarray(getattr(self, f"_{name}")(), dtype=float)

    def _there(self, x: "S[float]") -> "S[float]":
        """Where nothing is known yet: the neutral 0, or NaN if strict."""
        return x if self.strict else x.fillna(0.0)

    def _close(self) -> "S[float]":
        return self._there(self.close.diff()) / self.atr

    def _volume(self) -> Array:
        if not self.bars.has_volume:
            return np.zeros(len(self.bars))
        logs = np.log(1 + self.bars.volumes)
        window = np.lib.stride_tricks.sliding_window_view(np.concatenate([np.full(59, np.nan), logs]), 60)
        same = np.nanmax(window, axis=1) == np.nanmin(window, axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            z = np.where(same, 0.0, (logs - np.nanmean(window, axis=1)) / np.nanstd(window, axis=1))
        if self.strict:
            z[:59] = np.nan
        return z

    def _sma_5(self) -> "S[float]":
        return (self.close - self.mean(self.close, 5)) / self.atr

    def _sma_20(self) -> "S[float]":
        return (self.close - self.mean(self.close, 20)) / self.atr

    def _rsi(self) -> "S[float]":
        return self._there((self.rsi_of(self.close) - 50) / 50)

    def _macd(self) -> "S[float]":
        return (self._smoothed(self.close, 12, 2 / 13) - self._smoothed(self.close, 26, 2 / 27)) / self.atr

    def _momentum(self, n: int = 10) -> "S[float]":
        return (self.close - self.lag(self.close, n)) / (self.atr * n**0.5)

    def _atr(self) -> "S[float]":
        return self._log2(self.atr, self.mean(self.atr, 390))

    def _elapsed(self) -> Array:
        session = self.bars.sessions[self.bars.session_of]
        return np.clip((self.bars.ts_close_min - session[:, 0]) / (session[:, 1] - session[:, 0]), 0, 1)

    def _session_sin(self) -> Array:
        return np.sin(2 * np.pi * self._elapsed())

    def _session_cos(self) -> Array:
        return np.cos(2 * np.pi * self._elapsed())

    def _rth_to_close(self) -> Array:
        left = np.zeros(len(self.bars))
        for t, (minute, s) in enumerate(zip(self.bars.ts_close_min, self.bars.session_of, strict=True)):
            rth_open, rth_close = self.bars.sessions[s, 2:4]
            if rth_open <= minute <= rth_close and rth_close > rth_open:
                left[t] = 1 - (minute - rth_open) / (rth_close - rth_open)
        return left

    def _adx_slope(self) -> "S[float]":
        return self._there((self.adx - self.lag(self.adx, 5)) / 25)

    def _vwap_distance(self) -> "S[float]":
        return (self.close - self.vwap()) / self.atr

    def _volatility_regime(self) -> "S[float]":
        return self._log2(self.atr, self.atr_of(195))

    def _volume_regime(self) -> "S[float]":
        return self._volume_ratio(self.mean(self.volumes, 20), 390, 0)

    def _momentum_20(self) -> "S[float]":
        return self._momentum(20)

    def _momentum_60(self) -> "S[float]":
        return self._momentum(60)

    def _efficiency_ratio(self) -> "S[float]":
        move = (self.close - self.lag(self.close, 20)).abs()
        path = self._there(self.close.diff().abs().rolling(20, min_periods=self._periods(20)).sum())
        return (move / path).where(path != 0, 0.0)

    def _spread_ratio(self) -> "S[float]":
        high, low = self.bars.prices[:, 1], self.bars.prices[:, 2]
        before_high, before_low = np.roll(high, 1) + self.bars.rolls, np.roll(low, 1) + self.bars.rolls
        own = np.log(high / low) ** 2
        beta = own + np.roll(own, 1)
        gamma = np.log(np.maximum(high, before_high) / np.minimum(low, before_low)) ** 2
        k = 3 - 2 * 2**0.5
        alpha = ((2 * beta) ** 0.5 - beta**0.5) / k - (gamma / k) ** 0.5
        spread = S(np.maximum(2 * (np.exp(alpha) - 1) / (1 + np.exp(alpha)), 0.0))
        spread[0] = np.nan
        return self._there(self.mean(spread, 20)) * self.bars.prices[:, 3] / 40

    def _session_trend(self) -> "S[float]":
        by_session = S(self.bars.session_of)
        first = self.open.groupby(by_session).transform("first")
        count = by_session.groupby(by_session).cumcount() + 1
        return (self.close - first) / (self.atr * np.sqrt(count))

    def _market_regime(self) -> "S[float]":
        side = np.sign(self.plus_di - self.minus_di).where(self.adx > 25, 0.0)
        return side.where(self.adx.notna()) if self.strict else side

    def _sma50_slope(self) -> "S[float]":
        sma = self.mean(self.close, 50)
        return (sma - self.lag(sma, 10)) / self.atr

    def _sma200_slope(self) -> "S[float]":
        sma = self.mean(self.close, 200)
        return (sma - self.lag(sma, 20)) / self.atr

    def _rsi_15min(self) -> "S[float]":
        return self._clock(15)["rsi"]

    def _rsi_60min(self) -> "S[float]":
        return self._clock(60)["rsi"]

    def _volume_ratio_5(self) -> "S[float]":
        return self._volume_ratio(self.volumes, 5, 1)

    def _volume_ratio_20(self) -> "S[float]":
        return self._volume_ratio(self.volumes, 20, 1)

    def _price_change_60min(self) -> "S[float]":
        return self._clock(60)["move"]

    def _higher_high(self) -> Array:
        return self._compare(self.swing_highs, 1)

    def _lower_low(self) -> Array:
        return self._compare(self.swing_lows, -1)

    def _higher_low(self) -> Array:
        return self._compare(self.swing_lows, 1)

    def _lower_high(self) -> Array:
        return self._compare(self.swing_highs, -1)

    def _double_top(self) -> Array:
        return self._double(self.swing_highs, self.swing_lows, 1)

    def _double_bottom(self) -> Array:
        return self._double(self.swing_lows, self.swing_highs, -1)

    def _support_distance(self) -> "S[float]":
        return self._since(self.swing_lows, 1) / self.atr

    def _resistance_distance(self) -> "S[float]":
        return self._since(self.swing_highs, -1) / self.atr

    def _breakout(self) -> "S[float]":
        return self._there(self.close - self.high.shift(1).rolling(20, min_periods=self._periods(20)).max()) / self.atr

    def _breakdown(self) -> "S[float]":
        return self._there(self.low.shift(1).rolling(20, min_periods=self._periods(20)).min() - self.close) / self.atr

    # -- what they are made of -------------------------------------------------------------------------------------

    def _log2(self, x: "S[float]", y: "S[float]") -> "S[float]":
        with np.errstate(divide="ignore", invalid="ignore"):
            value = np.log2(np.maximum(x / y, 2**-3))
        return value.where(~((x == 0) & (y == 0)), 0.0)

    def vwap(self) -> "S[float]":
        """Session VWAP in back-adjusted ticks; the close while nothing was traded."""
        typical = (self.high + self.low + self.close) / 3
        weight = self.volumes if self.bars.has_volume else S(np.ones(len(self.bars)))
        by_session = self.bars.session_of
        traded = weight.groupby(by_session).cumsum()
        with np.errstate(invalid="ignore"):
            return ((typical * weight).groupby(by_session).cumsum() / traded).where(traded > 0, self.close)

    def _volume_ratio(self, x: "S[float]", n: int, skip: int) -> "S[float]":
        if not self.bars.has_volume:
            return S(np.zeros(len(self.bars)))
        mean = self.mean(self.volumes.shift(skip), n)
        return self._there(self._log2(x, mean))

    # -- clock time ------------------------------------------------------------------------------------------------

    def _clock(self, period: int) -> pd.DataFrame:
        """RSI and move of closed time-frame bars, as known at each bar."""
        bars = self.bars
        edges: set[int] = set()
        for start, close, _, _, halt_start, halt_end in bars.sessions.tolist():
            edges |= {*range(start, close, period), close}
            edges |= {halt_start, halt_end} if halt_end else set()
        grid = np.array(sorted(edges))
        bucket = np.searchsorted(grid, bars.ts_open_min, side="right") - 1
        frame = pd.DataFrame({"bucket": bucket, "t": np.arange(len(bars)), "close": self.close})
        frame["high"], frame["low"] = self.high, self.low
        built = frame.groupby("bucket").agg(
            close=("close", "last"), high=("high", "max"), low=("low", "min"), last=("t", "last")
        )
        if bars.ts_open_min[0] != grid[bucket[0]]:
            built = built.iloc[1:]
        reached = bars.ts_close_min[built["last"]] >= grid[built.index.to_numpy() + 1]
        known = built["last"].to_numpy() + np.where(reached, 0, 1)
        built = built.reset_index(drop=True)
        before = built["close"].shift(1)
        true_range = (np.maximum(built["high"], before) - np.minimum(built["low"], before)).where(before.notna())
        rsi = (self.rsi_of(built["close"]) - 50) / 50
        move = built["close"].diff()
        move = self._there(move) / self.wilder(true_range, 14).clip(lower=1.0)
        out = pd.DataFrame({"rsi": self._there(rsi), "move": self._there(move)})
        newest = np.searchsorted(known, np.arange(len(bars)), side="right") - 1
        table = out.reindex(newest).reset_index(drop=True)
        return table if self.strict else table.fillna(0.0)

    # -- swings ----------------------------------------------------------------------------------------------------

    def _swings(self, x: Array, sign: int = 1) -> list[tuple[int, float]]:
        """(bar, level) of the peaks of x: above the 5 bars before, not below the 5 after."""
        return [
            (c, sign * x[c])
            for c in range(5, len(x) - 5)
            if x[c] > x[c - 5 : c].max() and x[c] >= x[c + 1 : c + 6].max()
        ]

    def _walk(self, swings: list[tuple[int, float]]) -> NDArray[np.int64]:
        """Number of swings known at each bar."""
        return np.searchsorted(np.array([c + 5 for c, _ in swings]), np.arange(len(self.bars)), side="right")

    def _blank(self) -> Array:
        """Zeros; NaN where no swing can be known yet, if strict."""
        out = np.zeros(len(self.bars))
        if self.strict:
            out[:10] = np.nan
        return out

    def _level_distance(self) -> "S[float]":
        out = self._blank()
        highs, lows = self._walk(self.swing_highs), self._walk(self.swing_lows)
        close = self.close.to_numpy()
        for t in range(len(out)):
            recent = (
                self.swing_highs[max(0, highs[t] - 10) : highs[t]] + self.swing_lows[max(0, lows[t] - 10) : lows[t]]
            )
            if recent:
                out[t] = min((close[t] - level for _, level in recent), key=lambda d: (abs(d), d < 0))
        return S(out) / self.atr

    def _compare(self, swings: list[tuple[int, float]], sign: int) -> Array:
        out = self._blank()
        for t, count in enumerate(self._walk(swings)):
            if count >= 2:
                out[t] = float(sign * (swings[count - 1][1] - swings[count - 2][1]) > 0)
        return out

    def _double(self, swings: list[tuple[int, float]], others: list[tuple[int, float]], sign: int) -> Array:
        out = self._blank()
        atr = self.atr.to_numpy()
        if self.strict:
            out[np.isnan(atr)] = np.nan
        for t, count in enumerate(self._walk(swings)):
            if count < 2:
                continue
            (first, a), (second, b) = swings[count - 2 : count]
            then = second + 5
            between = [sign * level for c, level in others if first < c < second] if t == then else []
            if t == then:
                lower = min(sign * a, sign * b)
                holds = abs(a - b) <= 0.5 * atr[t] and bool(between) and min(between) <= lower - atr[t]
            out[t] = max(0.0, 1 - (t - then) / 60) if holds else 0.0
        return out

    def _since(self, swings: list[tuple[int, float]], sign: int) -> Array:
        out = self._blank()
        for t, count in enumerate(self._walk(swings)):
            if count:
                out[t] = sign * (self.close[t] - swings[count - 1][1])
        return out
