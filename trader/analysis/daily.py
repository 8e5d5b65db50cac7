"""Net P&L by session, and what a series of sessions comes to. A session without a trade is a zero, never left out."""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from trader.analysis.metrics import calmar, sharpe_daily, sortino_daily
from trader.errors import InvariantError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Drawdown(Struct, frozen=True, kw_only=True):
    """The deepest fall of cumulative P&L below its peak, judged at sessions' ends; the peak before the first is 0.

    `depth` > 0, in the unit of the sessions. `sessions` are counted from the peak to the recovery, or to the last
    session where there is none. `peak` is the last session at the peak (None: the start), `trough` the deepest one,
    `recovered` the first at or above the peak again (None: not yet); all are dates.
    """

    depth: float
    sessions: int
    peak: str | None
    trough: str
    recovered: str | None


class DailyFigures(Struct, frozen=True, kw_only=True):
    """What a series of sessions came to, in the sessions' unit (USD or R). The ratios are annualised by 252 sessions.

    `deviation` is the sample standard deviation. `drawdown` is the deepest one, `longest_drawdown_sessions` the
    length of the longest, which may be another. None stands for a figure without a meaning.
    """

    sessions: int
    sessions_traded: int
    total: float
    mean: float | None
    deviation: float | None
    sharpe: float | None
    sortino: float | None
    calmar: float | None
    drawdown: Drawdown | None
    longest_drawdown_sessions: int


def daily_figures(values: Floats, dates: Sequence[str], sessions_traded: int) -> DailyFigures:
    """The figures of `values`, net P&L of shape (sessions,) in USD or R, with the sessions' dates in order.

    `sessions_traded` cannot be seen in the values: a traded session may come to zero.
    """
    if values.shape != (len(dates),):
        msg = f"{len(dates)} dates were given for daily values of shape {values.shape}"
        raise InvariantError(msg)
    listed = values.tolist()
    deepest = max_drawdown(values, dates)
    return DailyFigures(
        sessions=len(listed),
        sessions_traded=sessions_traded,
        total=float(values.sum()),
        mean=float(values.mean()) if listed else None,
        deviation=float(values.std(ddof=1)) if len(listed) > 1 else None,
        sharpe=sharpe_daily(listed),
        sortino=sortino_daily(listed),
        calmar=None if deepest is None else calmar(listed, deepest.depth),
        drawdown=deepest,
        longest_drawdown_sessions=longest_drawdown_sessions(values),
    )


def daily_sums(amounts: NDArray[np.int64] | Floats, session: Ints, sessions: int) -> Floats:
    """Sum per session, shape (sessions,), of trades' `amounts`; `session` is each trade's index into the sessions."""
    return np.bincount(session, weights=amounts, minlength=sessions).astype(np.float64)


def session_of(closed_ns: Ints, opens_ns: Ints) -> Ints:
    """Index of the session to which each moment belongs: the last one that opened at or before it, shape kept.

    `opens_ns` are the sessions' opens in order. So an exit at the very close of a session still belongs to it.
    InvariantError where a moment lies before the first open.
    """
    index = np.searchsorted(opens_ns, closed_ns, side="right") - 1
    if len(index) and index.min() < 0:
        msg = f"a trade that closed at {int(closed_ns.min())} ns lies before the first session"
        raise InvariantError(msg)
    return index


def underwater(values: Floats) -> Floats:
    """How far cumulative P&L lies below its peak at each session's end, <= 0, same shape; the peak starts at 0."""
    equity = np.cumsum(values, axis=-1)
    return equity - np.maximum(np.maximum.accumulate(equity, axis=-1), 0.0)


def max_drawdown(values: Floats, dates: Sequence[str]) -> Drawdown | None:
    """The deepest drawdown of daily `values`, the first of equals; None where cumulative P&L never falls."""
    below = underwater(values)
    if not len(below) or below.min() >= 0:
        return None
    trough = int(np.argmin(below))
    at_peak = np.flatnonzero(below[:trough] >= 0)
    peak = int(at_peak[-1]) if len(at_peak) else -1
    after = np.flatnonzero(below[trough:] >= 0)
    end = trough + int(after[0]) if len(after) else len(below) - 1
    return Drawdown(
        depth=-float(below[trough]),
        sessions=end - peak,
        peak=dates[peak] if peak >= 0 else None,
        trough=dates[trough],
        recovered=dates[end] if len(after) else None,
    )


def longest_drawdown_sessions(values: Floats) -> int:
    """Sessions of the longest time from a peak to its recovery, or to the last session; 0 without a drawdown."""
    below = underwater(values) < 0
    edges = np.flatnonzero(np.diff(np.concatenate(([False], below, [False])).astype(np.int8)))
    starts, ends = edges[::2], edges[1::2]
    if not len(starts):
        return 0
    recovered = ends < len(below)  # the session of the recovery counts
    return int((ends - starts + recovered).max())
