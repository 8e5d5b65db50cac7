"""The ratios of a trading report, each a pure function of plain numbers. None where a ratio has no meaning."""

import math
from collections.abc import Sequence

SESSIONS_PER_YEAR = 252
SHARPE_SESSIONS_MIN = 20
"""Fewer sessions say nothing about a daily ratio."""


def sharpe_daily(session_pnl_cents: Sequence[int]) -> float | None:
    """Mean over sample standard deviation of the sessions' P&L, sessions without a trade included, times sqrt(252).

    Sharpe (1994), with a riskless return of zero: a futures account finances nothing. None below 20 sessions or where
    all sessions are equal.
    """
    count = len(session_pnl_cents)
    if count < SHARPE_SESSIONS_MIN:
        return None
    mean = math.fsum(session_pnl_cents) / count
    variance = math.fsum((pnl - mean) ** 2 for pnl in session_pnl_cents) / (count - 1)
    return mean / math.sqrt(variance) * math.sqrt(SESSIONS_PER_YEAR) if variance > 0 else None


def ratio(part: float, whole: float) -> float | None:
    """`part / whole`; None where `whole` is zero."""
    return part / whole if whole else None


def share_pct(part: int, whole: int) -> float | None:
    """`part` in percent of `whole`; None where `whole` is zero."""
    return 100 * part / whole if whole else None
