"""Stretches of open market: a session is one, or two where a halt divides it."""

import numpy as np
from numpy.typing import NDArray

from trader.domain.sessions import Calendar

Times = NDArray[np.int64]


def open_stretches(instants_ns: Times, calendar: Calendar) -> tuple[Times, Times, Times]:
    """Session index, and start and end of the open stretch around each UTC instant, all of shape (n,).

    The index is -1 where the market is closed or the calendar does not reach; start and end are 0 there.
    """
    covered = (instants_ns >= calendar.first_ns) & (instants_ns < calendar.last_ns)
    index = np.full(len(instants_ns), -1, dtype=np.int64)
    index[covered] = calendar.session_index(instants_ns[covered])
    turns = np.concatenate(([0], np.flatnonzero(np.diff(index)) + 1)) if len(index) else np.empty(0, dtype=np.int64)
    lengths = np.diff(np.append(turns, len(index)))
    bounds = np.array([_bounds(i, calendar) for i in index[turns].tolist()], dtype=np.int64).reshape(-1, 4)
    opens, halts, resumes, closes = np.repeat(bounds, lengths, axis=0).T
    starts = np.where(instants_ns >= resumes, resumes, opens)
    return index, np.where(index < 0, 0, starts), np.where(instants_ns < halts, halts, closes)


def _bounds(index: int, calendar: Calendar) -> tuple[int, int, int, int]:
    """Open, start and end of the halt, close; without a halt it lies at the close. At most one halt a session."""
    if index < 0:
        return 0, 0, 0, 0
    session = calendar.session(index)
    halt_start, halt_end = session.halts[0] if session.halts else (session.close_ns, session.close_ns)
    return session.open_ns, halt_start, halt_end, session.close_ns
