"""Bars made ready for training: features once, and per bar what the session's clock allows."""

import hashlib
from collections.abc import Sequence

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from trader.adapters.columns import BarColumns
from trader.domain.instruments import Instrument
from trader.domain.sessions import Calendar, Session
from trader.errors import InputError
from trader.kernels import layout, training
from trader.kernels.market import ROW_SIZE, WINDOW_BARS
from trader.schedule import Window, plan_session
from trader.training.market_rows import market_bars, market_rows, sessions_used

GAP_SESSIONS_MAX = 2
"""Sessions in a row that may be missing between two bars."""
_BASE, _FULL = 1, 2  # of market_batch.batch_rows: which vector has its windows


class TrainingTape(Struct, frozen=True, eq=False):
    """`bars` as the kernels read them. `starts` are the bars at which an episode may begin, in time order;
    `first_starts` the first of each session. `session_of` [T] are places in `session_dates`. `sha256` is over times,
    prices and volumes. Entries wait for every feature of the vector that `is_full` names (261 values, or 228)."""

    bars: training.Tape
    starts: NDArray[np.int64]
    first_starts: NDArray[np.int64]
    session_of: NDArray[np.int64]
    session_dates: tuple[str, ...]
    fullness: NDArray[np.uint8]
    is_full: bool
    sha256: str

    def __len__(self) -> int:
        return len(self.bars.atrs)

    @property
    def dates(self) -> tuple[str, str]:
        """The first and the last session."""
        return self.session_dates[0], self.session_dates[-1]

    def for_inputs(self, *, full: bool) -> "TrainingTape":
        """The same bars for a policy that reads the full vector, or the base one, which is ready earlier."""
        if full == self.is_full:
            return self
        bars = self.bars.bars.copy()
        flags = bars[:, layout.FLAGS]
        flags &= ~layout.ENTRIES_OPEN
        is_open = (flags & layout.IN_WINDOW != 0) & (self.fullness >= (_FULL if full else _BASE))
        flags |= np.where(is_open, layout.ENTRIES_OPEN, 0)
        starts, first_starts = _starts(flags, self.session_of)
        tape = self.bars._replace(bars=bars)
        return msgspec.structs.replace(self, bars=tape, starts=starts, first_starts=first_starts, is_full=full)


def make_tape(columns: BarColumns, calendar: Calendar, window: Window, instrument: Instrument) -> TrainingTape:
    """Prepare `columns`; InputError where bars lie outside sessions, days are missing, or nothing can be traded."""
    known, session_of = sessions_used(columns.ts_open_ns, calendar)
    sessions = [calendar.session(int(index)) for index in known]
    _refuse_gap(known, sessions)
    market = market_bars(columns, instrument, calendar)
    made = market_rows(market)
    flags = _flags(columns, session_of, sessions, window, is_full=made.fullness == _FULL)
    starts, first_starts = _starts(flags, session_of)
    bars = np.empty((len(columns), layout.BAR_SIZE), dtype=np.int64)
    bars[:, : layout.CLOSE + 1] = market.prices
    bars[:, layout.FLAGS] = flags
    bars[:, layout.OPENS_NS] = columns.ts_open_ns
    bars[:, layout.CLOSES_NS] = columns.ts_close_ns
    bars[:, layout.SESSION_NS] = np.array([session.open_ns for session in sessions], dtype=np.int64)[session_of]
    empty = np.zeros((WINDOW_BARS - 1, ROW_SIZE), dtype=np.float32)
    return TrainingTape(
        bars=training.Tape(
            bars=bars,
            atrs=made.atrs,
            window=np.concatenate([empty, made.rows[:, :ROW_SIZE]]).ravel(),
            context=made.rows[:, ROW_SIZE:].ravel(),
        ),
        starts=starts,
        first_starts=first_starts,
        session_of=session_of,
        session_dates=tuple(session.date for session in sessions),
        fullness=made.fullness,
        is_full=True,
        sha256=_digest(columns, bars[:, : layout.CLOSE + 1]),
    )


def _refuse_gap(known: NDArray[np.int64], sessions: Sequence[Session]) -> None:
    """A day or two may be missing from any vendor's files; more is a file of two histories."""
    missing = np.diff(known) - 1
    if (missing > GAP_SESSIONS_MAX).any():
        at = int(np.argmax(missing > GAP_SESSIONS_MAX))
        msg = (
            f"no bars for {missing[at]} sessions between {sessions[at].date} and {sessions[at + 1].date}: fill the "
            f"gap, or take one side of it with --to {sessions[at].date} or --from {sessions[at + 1].date}"
        )
        raise InputError(msg)


def _starts(flags: NDArray[np.int64], session_of: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    starts = np.flatnonzero((flags & layout.ENTRIES_OPEN != 0) & (flags & layout.LAST == 0))
    if not len(starts):
        msg = (
            f"no bar is left to trade at: {len(flags):,} bars were given, the features need about 1,000 before the "
            "first, and the entry window regular hours; give a longer file or wider --from and --to"
        )
        raise InputError(msg)
    return starts, starts[np.unique(session_of[starts], return_index=True)[1]]


def _digest(columns: BarColumns, prices: NDArray[np.int64]) -> str:
    digest = hashlib.sha256(columns.ts_open_ns.astype("<i8").tobytes())
    digest.update(prices.astype("<i8").tobytes())
    if columns.volume is not None:
        digest.update(columns.volume.astype("<i8").tobytes())
    return digest.hexdigest()


def _flags(
    columns: BarColumns,
    session_of: NDArray[np.int64],
    sessions: Sequence[Session],
    window: Window,
    *,
    is_full: NDArray[np.bool_],
) -> NDArray[np.int64]:
    """What clock, calendar and contract say of each bar; LAST alone looks one bar on, and ends episodes only."""
    plans = [plan_session(session, window) for session in sessions]
    entry_start, entry_end, flat_at = np.array(
        [(plan.entry_start_ns, plan.entry_end_ns, plan.flat_at_ns) for plan in plans], dtype=np.int64
    )[session_of].T
    halt_start = np.array([s.halts[0][0] if s.halts else 0 for s in sessions], dtype=np.int64)[session_of]
    opens, closes = columns.ts_open_ns, columns.ts_close_ns
    close_before = np.concatenate([opens[:1], closes[:-1]])
    in_window = (entry_start <= closes) & (closes < entry_end)
    conditions = {
        layout.ENTRIES_OPEN: in_window & is_full,
        layout.IN_WINDOW: in_window,
        layout.ENTRIES_OVER: closes >= entry_end,
        layout.LATE: ((close_before <= halt_start) & (halt_start < opens)) | (opens >= entry_end),
        layout.DUE_AT_OPEN: opens >= flat_at,
        layout.DUE_AT_CLOSE: closes >= flat_at,
        layout.ROLLED: np.diff(columns.symbol_index, prepend=columns.symbol_index[:1]) != 0,
        layout.FIRST: np.diff(session_of, prepend=-1) != 0,
        layout.LAST: np.diff(session_of, append=-1) != 0,
    }
    flags = np.zeros(len(columns), dtype=np.int64)
    for bit, condition in conditions.items():
        flags |= np.where(condition, bit, 0)
    return flags
