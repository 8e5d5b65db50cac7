"""Bars made ready for training: features once, and per bar what the session's clock allows."""

import hashlib
from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from trader.adapters.columns import BarColumns
from trader.domain.instruments import Instrument
from trader.domain.sessions import Calendar, Session
from trader.domain.units import MINUTE_NS
from trader.errors import InputError
from trader.kernels import book as book_kernels
from trader.kernels import market, market_batch, training
from trader.schedule import Window, plan_session

_FULL = 2  # of market_batch.batch_rows: every feature of the full vector has its window


class TrainingTape(Struct, frozen=True, eq=False):
    """`bars` as the kernels read them. `starts` are the bars at which an episode may begin, in time order;
    `first_starts` the first of each session. `sha256` is over times, prices and volumes."""

    bars: training.Tape
    starts: NDArray[np.int64]
    first_starts: NDArray[np.int64]
    dates: tuple[str, str]
    sha256: str

    def typical_risk_cents(self, terms: book_kernels.Terms) -> int:
        """Median initial risk in cents of a trade of one contract that is entered at any bar of `starts`."""
        atrs = self.bars.atrs[self.starts]
        ticks = [book_kernels.stop_distance_ticks(terms, atr) for atr in atrs]
        return int(np.median(ticks) * terms[book_kernels.TICK_VALUE])


def make_tape(columns: BarColumns, calendar: Calendar, window: Window, instrument: Instrument) -> TrainingTape:
    """Prepare `columns`; InputError where bars lie outside sessions or no bar is left to begin at."""
    indexes = calendar.session_index(columns.ts_open_ns)
    if (indexes < 0).any():
        msg = f"{np.count_nonzero(indexes < 0)} bars lie outside every session; training takes validated bars only"
        raise InputError(msg)
    known, session_of = np.unique(indexes, return_inverse=True)
    sessions = [calendar.session(int(index)) for index in known]
    prices = _ticks(columns, instrument)
    rows, atrs, is_full = _features(columns, prices, session_of, sessions, instrument)
    flags = _flags(columns, session_of, sessions, window, is_full=is_full)
    can_start = (flags & training.ENTRIES_OPEN != 0) & (flags & training.LAST == 0)
    starts = np.flatnonzero(can_start)
    if not len(starts):
        msg = "no bar is left to begin an episode at: the features need about 1,000 bars, the window regular hours"
        raise InputError(msg)
    first_of_session = np.unique(session_of[starts], return_index=True)[1]
    return TrainingTape(
        bars=training.Tape(prices=prices, rows=rows, atrs=atrs, flags=flags),
        starts=starts,
        first_starts=starts[first_of_session],
        dates=(sessions[0].date, sessions[-1].date),
        sha256=_digest(columns, prices),
    )


def _ticks(columns: BarColumns, instrument: Instrument) -> NDArray[np.int64]:
    points = np.stack([columns.open, columns.high, columns.low, columns.close], axis=1)
    return np.rint(points * instrument.ticks_per_point).astype(np.int64)


def _digest(columns: BarColumns, prices: NDArray[np.int64]) -> str:
    digest = hashlib.sha256(columns.ts_open_ns.astype("<i8").tobytes())
    digest.update(prices.astype("<i8").tobytes())
    if columns.volume is not None:
        digest.update(columns.volume.astype("<i8").tobytes())
    return digest.hexdigest()


def _features(
    columns: BarColumns,
    prices: NDArray[np.int64],
    session_of: NDArray[np.int64],
    sessions: Sequence[Session],
    instrument: Instrument,
) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.bool_]]:
    count = len(columns)
    rows = np.empty((count, market.MARKET_SIZE), dtype=np.float32)
    atrs = np.empty(count)
    fullness = np.empty(count, dtype=np.uint8)
    volume = columns.volume
    market_batch.batch_rows(
        market.new_state(),
        market.new_obs(),
        columns.ts_open_ns // MINUTE_NS,
        columns.ts_close_ns // MINUTE_NS,
        prices.astype(np.float64),
        np.zeros(count) if volume is None else volume.astype(np.float64),
        volume is not None,
        session_of,
        np.array([_bounds(session) for session in sessions], dtype=np.int64),
        np.rint(columns.roll_offset * instrument.ticks_per_point),
        instrument.tick,
        rows,
        atrs,
        fullness,
    )
    return rows, atrs, fullness == _FULL


def _bounds(session: Session) -> tuple[int, ...]:
    halt = session.halts[0] if session.halts else (0, 0)
    times_ns = (session.open_ns, session.close_ns, session.rth_open_ns, session.rth_close_ns, *halt)
    return tuple(ns // MINUTE_NS for ns in times_ns)


def _flags(
    columns: BarColumns,
    session_of: NDArray[np.int64],
    sessions: Sequence[Session],
    window: Window,
    *,
    is_full: NDArray[np.bool_],
) -> NDArray[np.uint8]:
    plans = [plan_session(session, window) for session in sessions]
    entry_start, entry_end, flat_at = np.array(
        [(plan.entry_start_ns, plan.entry_end_ns, plan.flat_at_ns) for plan in plans], dtype=np.int64
    )[session_of].T
    halt_start = np.array([s.halts[0][0] if s.halts else 0 for s in sessions], dtype=np.int64)[session_of]
    opens, closes = columns.ts_open_ns, columns.ts_close_ns
    close_before = np.concatenate([opens[:1], closes[:-1]])
    rolled = np.diff(columns.symbol_index, prepend=columns.symbol_index[:1]) != 0
    conditions = {
        training.ENTRIES_OPEN: (entry_start <= closes) & (closes < entry_end) & is_full,
        training.ENTRIES_OVER: closes >= entry_end,
        training.DUE_AT_OPEN: opens >= flat_at,
        training.DUE_AT_CLOSE: closes >= flat_at,
        training.AFTER_HALT: (close_before <= halt_start) & (halt_start < opens),
        training.ROLLED: rolled,
        training.LAST: np.diff(session_of, append=-1) != 0,
    }
    flags = np.zeros(len(columns), dtype=np.uint8)
    for bit, condition in conditions.items():
        flags |= np.where(condition, bit, 0).astype(np.uint8)
    return flags
