"""The ratios of a trading report, each a pure function of plain numbers. None where a ratio has no meaning."""

import math
from collections.abc import Sequence

SESSIONS_PER_YEAR = 252
SHARPE_SESSIONS_MIN = 20
"""Fewer sessions say nothing about a daily ratio."""


def sharpe_daily(session_pnl: Sequence[float]) -> float | None:
    """Mean over sample standard deviation of the sessions' P&L, sessions without a trade included, times sqrt(252).

    Sharpe (1994), with a riskless return of zero: a futures account finances nothing. None below 20 sessions or where
    all sessions are equal. The unit of the P&L (cents, R) does not matter.
    """
    count = len(session_pnl)
    if count < SHARPE_SESSIONS_MIN:
        return None
    mean = math.fsum(session_pnl) / count
    variance = math.fsum((pnl - mean) ** 2 for pnl in session_pnl) / (count - 1)
    return mean / math.sqrt(variance) * math.sqrt(SESSIONS_PER_YEAR) if variance > 0 else None


def sortino_daily(session_pnl: Sequence[float]) -> float | None:
    """Mean over downside deviation of the sessions' P&L, times sqrt(252).

    Sortino & Price (1994) with a target of zero: the downside deviation is the root of the mean over ALL sessions of
    min(P&L, 0) squared. None below 20 sessions or where no session lost.
    """
    count = len(session_pnl)
    if count < SHARPE_SESSIONS_MIN:
        return None
    downside = math.sqrt(math.fsum(min(pnl, 0) ** 2 for pnl in session_pnl) / count)
    return math.fsum(session_pnl) / count / downside * math.sqrt(SESSIONS_PER_YEAR) if downside > 0 else None


def calmar(session_pnl: Sequence[float], max_drawdown: float) -> float | None:
    """Mean P&L of 252 sessions over the deepest drawdown in the same unit, > 0. None without sessions or drawdown.

    Young (1991); the account does not compound, so both are sums and no percentages.
    """
    if not session_pnl or max_drawdown <= 0:
        return None
    return math.fsum(session_pnl) / len(session_pnl) * SESSIONS_PER_YEAR / max_drawdown


def ratio(part: float, whole: float) -> float | None:
    """`part / whole`; None where `whole` is zero."""
    return part / whole if whole else None


def share_pct(part: int, whole: int) -> float | None:
    """`part` in percent of `whole`; None where `whole` is zero."""
    return 100 * part / whole if whole else None
