"""Net P&L by session, and what a series of sessions comes to. A session without a trade is a zero, never left out."""

from collections.abc import Sequence

from msgspec import Struct

from trader.analysis.drawdowns import Drawdown, Floats, deepest_drawdowns
from trader.analysis.metrics import calmar, sharpe_daily, sortino_daily


class DailyFigures(Struct, frozen=True, kw_only=True):
    """What a series of sessions came to, in the sessions' unit (USD or R). The ratios are annualised by 252 sessions.

    `deviation` is the sample standard deviation, `drawdown` the deepest. None stands for a figure without a meaning.
    """

    sessions: int
    total: float
    mean: float | None
    deviation: float | None
    sharpe: float | None
    sortino: float | None
    calmar: float | None
    drawdown: Drawdown | None


def daily_figures(values: Floats, dates: Sequence[str]) -> DailyFigures:
    """The figures of `values`, net P&L of shape (sessions,) in USD or R; `dates` are the sessions', in order."""
    listed = values.tolist()
    deepest = next(iter(deepest_drawdowns(values, dates, 1)), None)
    return DailyFigures(
        sessions=len(listed),
        total=float(values.sum()),
        mean=float(values.mean()) if listed else None,
        deviation=float(values.std(ddof=1)) if len(listed) > 1 else None,
        sharpe=sharpe_daily(listed),
        sortino=sortino_daily(listed),
        calmar=None if deepest is None else calmar(listed, deepest.depth),
        drawdown=deepest,
    )
