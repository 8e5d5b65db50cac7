"""Bars as columns for the tests of the market kernel: real files, seeded random walks, and the two callers."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trader.domain.sessions import MINUTE_NS, Calendar
from trader.kernels import market, market_batch

# The four rolls of the 2019 file: opening time of the new contract's first bar, new minus old price in points.
ROLLS_2019 = {
    "2019-03-07 16:30": 28.25,
    "2019-06-16 18:00": 24.25,
    "2019-09-12 16:30": 18.50,
    "2019-12-12 16:30": 27.50,
}


@dataclass(frozen=True)
class Columns:
    """T bars: times in minutes since 1970 UTC, prices [T, 4] in ticks, sessions [S, 6] as the kernel takes them."""

    ts_open_min: NDArray[np.int64]
    ts_close_min: NDArray[np.int64]
    prices: NDArray[np.float64]
    volumes: NDArray[np.float64]
    has_volume: bool
    session_of: NDArray[np.int64]
    sessions: NDArray[np.int64]
    rolls: NDArray[np.float64]
    tick: float = 0.25

    def __len__(self) -> int:
        return len(self.ts_open_min)

    def part(self, start: int, stop: int) -> "Columns":
        """The bars [start, stop) as a history of their own; a roll at its first bar is of no consequence."""
        cut = slice(start, stop)
        return replace(
            self,
            ts_open_min=self.ts_open_min[cut],
            ts_close_min=self.ts_close_min[cut],
            prices=self.prices[cut],
            volumes=self.volumes[cut],
            session_of=self.session_of[cut],
            rolls=self.rolls[cut],
        )


def _sessions(ts_open_min: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    calendar = Calendar.load()
    indices = calendar.session_index(ts_open_min * MINUTE_NS)
    assert indices.min() >= 0, "a bar lies outside every session"
    used, session_of = np.unique(indices, return_inverse=True)
    bounds = []
    for index in used:
        session = calendar.session(int(index))
        halt = session.halts[0] if session.halts else (0, 0)
        times = (session.open_ns, session.close_ns, session.rth_open_ns, session.rth_close_ns, *halt)
        bounds.append([t // MINUTE_NS for t in times])
    return session_of.astype(np.int64), np.array(bounds, dtype=np.int64)


def columns(
    ts_open_min: NDArray[np.int64],
    bar_minutes: int,
    prices: NDArray[np.float64],
    volumes: NDArray[np.float64] | None,
    rolls: NDArray[np.float64] | None = None,
) -> Columns:
    """Bars with their sessions by the calendar."""
    session_of, sessions = _sessions(ts_open_min)
    return Columns(
        ts_open_min=ts_open_min,
        ts_close_min=ts_open_min + bar_minutes,
        prices=prices,
        volumes=np.zeros(len(ts_open_min)) if volumes is None else volumes,
        has_volume=volumes is not None,
        session_of=session_of,
        sessions=sessions,
        rolls=np.zeros(len(ts_open_min)) if rolls is None else rolls,
    )


def _minutes(stamps: "pd.Series[pd.Timestamp]", zone: str) -> NDArray[np.int64]:
    utc = stamps.dt.tz_localize(zone).dt.tz_convert("UTC").dt.tz_localize(None)
    return utc.astype("datetime64[s]").astype(np.int64).to_numpy() // 60


def firstrate_2023(shared_data: Path) -> Columns:
    """Two weeks of one-minute bars with volume."""
    table = pd.read_csv(shared_data / "firstrate_2023" / "NQ_1min_sample.csv", parse_dates=["timestamp"])
    prices = np.rint(table[["open", "high", "low", "close"]].to_numpy() * 4)
    return columns(_minutes(table["timestamp"], "America/New_York"), 1, prices, table["volume"].to_numpy(float))


def continuous_2019(shared_data: Path) -> Columns:
    """A year of five-minute bars without volume, with the halt and with four rolls, three of them inside a session."""
    table = pd.read_csv(shared_data / "continuous_2019_5m" / "NQ.csv", parse_dates=["DT"])
    ts_open_min = _minutes(table["DT"], "America/Los_Angeles")
    at = _minutes(pd.Series(pd.to_datetime(list(ROLLS_2019))), "America/New_York")
    rolls = np.zeros(len(table))
    rolls[np.searchsorted(ts_open_min, at)] = np.array(list(ROLLS_2019.values())) * 4
    return columns(ts_open_min, 5, np.rint(table[["O", "H", "L", "C"]].to_numpy() * 4), None, rolls)


def tradingview_2022(shared_data: Path) -> Columns:
    """Five-minute bars of an illiquid contract: hours, at first days, without a bar."""
    table = pd.read_csv(shared_data / "tradingview_2022_5m" / "NQ.csv")
    prices = np.rint(table[["open", "high", "low", "close"]].to_numpy() * 4)
    return columns(table["time"].to_numpy() // 60, 5, prices, table["Volume"].to_numpy(float))


def random_bars(seed: int, count: int, bar_minutes: int, *, volume: bool = True) -> Columns:
    """A walk on the tick grid with missing bars, dead stretches, jumps, zero volumes, halts and rolls."""
    rng = np.random.default_rng(seed)
    calendar = Calendar.load()
    start = int(calendar.session_index(np.array([1_560_000_000 * 10**9 + 86_400 * 10**9 * 2]))[0])
    grid: list[int] = []
    while len(grid) < 2 * count:
        session = calendar.session(start)
        for minute in range(session.open_ns // MINUTE_NS, session.close_ns // MINUTE_NS, bar_minutes):
            halted = any(a // MINUTE_NS <= minute < b // MINUTE_NS for a, b in session.halts)
            if not halted:
                grid.append(minute)
        start += 1
    # Missing bars come alone and in stretches of up to five hours.
    kept = rng.random(len(grid)) > 0.05
    for at in rng.integers(0, len(grid), len(grid) // 400):
        kept[at : at + int(rng.integers(1, 300 // bar_minutes))] = False
    ts_open_min = np.array(grid, dtype=np.int64)[kept][:count]
    count = len(ts_open_min)
    moves = rng.standard_t(3, count) * 6 * np.exp(0.8 * np.sin(np.arange(count) / 200))
    for at in rng.integers(0, count, 6):
        moves[at : at + 40] = 0.0
    rolls = np.where(rng.random(count) < 4 / count, rng.integers(-150, 150, count), 0).astype(float)
    opens = np.rint(28_000 + np.cumsum(moves) + np.cumsum(rolls))
    closes = opens + np.rint(moves * rng.random(count))
    still = moves == 0.0
    up = np.where(still, 0, rng.integers(0, 12, count))
    down = np.where(still, 0, rng.integers(0, 12, count))
    prices = np.stack([opens, np.maximum(opens, closes) + up, np.minimum(opens, closes) - down, closes], axis=1)
    volumes = np.where(still, 700, rng.lognormal(5, 1.2, count).astype(np.int64) * (rng.random(count) > 0.03))
    return columns(ts_open_min, bar_minutes, prices, volumes.astype(float) if volume else None, rolls)


def run(bars: Columns) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Observations [T, 261] and readings [T, 9] by the batch caller."""
    observations = np.empty((len(bars), market.OBS_SIZE), dtype=np.float32)
    readings = np.empty((len(bars), market.READING_SIZE))
    market_batch.batch(
        market.new_state(),
        market.new_obs(),
        bars.ts_open_min,
        bars.ts_close_min,
        bars.prices,
        bars.volumes,
        bars.has_volume,
        bars.session_of,
        bars.sessions,
        bars.rolls,
        bars.tick,
        observations,
        readings,
    )
    return observations, readings


def run_rows(bars: Columns) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.uint8]]:
    """Rows [T, 39], ATR in ticks [T] and fullness [T] by the batch caller for training."""
    rows = np.empty((len(bars), market.MARKET_SIZE), dtype=np.float32)
    atrs = np.empty(len(bars))
    fullness = np.empty(len(bars), dtype=np.uint8)
    market_batch.batch_rows(
        market.new_state(),
        market.new_obs(),
        bars.ts_open_min,
        bars.ts_close_min,
        bars.prices,
        bars.volumes,
        bars.has_volume,
        bars.session_of,
        bars.sessions,
        bars.rolls,
        bars.tick,
        rows,
        atrs,
        fullness,
    )
    return rows, atrs, fullness


def stream(bars: Columns) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """What `run` returns, by single calls from Python, as the engine does."""
    state, obs, reading = market.new_state(), market.new_obs(), np.zeros(market.READING_SIZE)
    observations, readings, session = [], [], -1
    for t in range(len(bars)):
        if bars.session_of[t] != session:
            session = int(bars.session_of[t])
            market.begin_session(state, *bars.sessions[session].tolist())
        if bars.rolls[t]:
            market.roll(state, bars.rolls[t])
        market.step(
            state,
            obs,
            reading,
            int(bars.ts_open_min[t]),
            int(bars.ts_close_min[t]),
            *bars.prices[t].tolist(),
            float(bars.volumes[t]),
            bars.has_volume,
            bars.tick,
        )
        observations.append(obs.copy())
        readings.append(reading.copy())
    return np.array(observations), np.array(readings)
