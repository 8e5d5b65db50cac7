"""From what was seen of a run to its statistics, its daily rows and its trades as the record states them."""

import math
from collections.abc import Iterable, Sequence
from statistics import median

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from trader.analysis.bootstrap import Daily, Interval, Intervals, intervals
from trader.analysis.daily import DailyFigures, daily_figures
from trader.analysis.evaluation_parts import DailyRow, Estimate, Statistics
from trader.analysis.metrics import share_pct
from trader.domain.instruments import Instrument
from trader.domain.orders import ExitReason
from trader.evaluation.runs import Made
from trader.evaluation.witness import SessionMarks, Trade

Floats = NDArray[np.float64]


class Costs(Struct, frozen=True, kw_only=True):
    """What a contract's execution costs: ticks of slippage, and of a forced close; cents a tick."""

    slippage_ticks: int
    forced_slippage_ticks: int
    tick_value_cents: int

    def slippage_cents(self, trade: Trade) -> int:
        """Slippage of entry and exit: a target is a resting limit order and does not slip."""
        match trade.reason:
            case ExitReason.TARGET:
                exit_ticks = 0
            case ExitReason.FORCED_CLOSE:
                exit_ticks = self.forced_slippage_ticks
            case _:
                exit_ticks = self.slippage_ticks
        return (self.slippage_ticks + exit_ticks) * self.tick_value_cents * trade.qty

    def of(self, trade: Trade) -> int:
        """Commissions and slippage in cents."""
        return trade.commission_cents + self.slippage_cents(trade)


class Measured(Struct, frozen=True, kw_only=True):
    """One run's figures: `daily_r` and `daily_usd` have shape (sessions,) and stand beside `rows`."""

    statistics: Statistics
    rows: tuple[DailyRow, ...]
    daily_r: Floats
    daily_usd: Floats


def costs_of(made: Made, market: Instrument) -> Costs:
    """What execution costs under the run's own settings."""
    execution = made.settings.execution
    return Costs(
        slippage_ticks=execution.slippage_ticks,
        forced_slippage_ticks=execution.slippage_ticks * execution.forced_close_slippage_factor,
        tick_value_cents=market.tick_value_cents,
    )


def measure(made: Made, market: Instrument, seed: int) -> Measured:
    """The statistics of a run, its intervals from bootstrap resamples by `seed`."""
    costs = costs_of(made, market)
    trades, sessions = made.witness.trades, made.witness.sessions
    rows = daily_rows(trades, sessions, costs)
    daily_usd = np.array([row.pnl_usd for row in rows])
    daily_r = np.array([row.pnl_r for row in rows])
    by_session = _by_session(trades, sessions)
    found = intervals(
        Daily(
            pnl_usd=daily_usd,
            pnl_r=daily_r,
            won_usd=np.array([_sum_usd(t.pnl_cents for t in ended if t.pnl_cents > 0) for ended in by_session]),
            lost_usd=np.array([_sum_usd(-t.pnl_cents for t in ended if t.pnl_cents < 0) for ended in by_session]),
            risked=np.array([sum(t.risk_cents > 0 for t in ended) for ended in by_session], dtype=np.int64),
        ),
        seed,
    )
    in_usd = daily_figures(daily_usd, [row.session for row in rows])
    return Measured(
        statistics=_statistics(made, costs, in_usd, found, (daily_r, daily_usd)),
        rows=rows,
        daily_r=daily_r,
        daily_usd=daily_usd,
    )


def daily_rows(trades: Sequence[Trade], sessions: Sequence[SessionMarks], costs: Costs) -> tuple[DailyRow, ...]:
    """One row a session, its trades those that were opened in it: a position never outlives its session."""
    rows = []
    equity_cents = 0
    for marks, ended in zip(sessions, _by_session(trades, sessions), strict=True):
        pnl_cents = sum(trade.pnl_cents for trade in ended)
        equity_cents += pnl_cents
        rows.append(
            DailyRow(
                session=marks.session.date,
                trades=len(ended),
                pnl_usd=pnl_cents / 100,
                pnl_r=math.fsum(r for trade in ended if (r := r_of(trade)) is not None),
                costs_usd=sum(costs.of(trade) for trade in ended) / 100,
                equity_usd=equity_cents / 100,
                low_usd=min(marks.low_cents, equity_cents) / 100,
            )
        )
    return tuple(rows)


def r_of(trade: Trade) -> float | None:
    """The net result in units of the initial risk; None where there was none."""
    return trade.pnl_cents / trade.risk_cents if trade.risk_cents > 0 else None


def _by_session(trades: Sequence[Trade], sessions: Sequence[SessionMarks]) -> list[list[Trade]]:
    ended: dict[str, list[Trade]] = {marks.session.date: [] for marks in sessions}
    for trade in trades:
        ended[trade.session.date].append(trade)
    return list(ended.values())


def _statistics(
    made: Made, costs: Costs, daily: DailyFigures, found: Intervals, days: tuple[Floats, Floats]
) -> Statistics:
    witness, report = made.witness, made.report
    trades, figures = witness.trades, report.trades
    daily_r, daily_usd = days
    down = daily.drawdown
    cost_cents = sum(costs.of(trade) for trade in trades)
    gross_won_cents = sum(max(trade.pnl_cents + costs.of(trade), 0) for trade in trades)
    return Statistics(
        sessions=daily.sessions,
        trades=figures.trades,
        long_trades=figures.long_trades,
        short_trades=figures.short_trades,
        total_usd=_estimate(report.result.net_pnl_usd, found.total_usd),
        mean_usd=_estimate(daily.mean, found.mean_usd),
        total_r=report.result.net_pnl_r,
        mean_r=_estimate(float(daily_r.mean()) if len(daily_r) else None, found.mean_r),
        sharpe=_estimate(daily.sharpe, found.sharpe),
        sortino=_estimate(daily.sortino, found.sortino),
        calmar=daily.calmar,
        max_drawdown_usd=0.0 if down is None else down.depth,
        drawdown_range_usd=_estimate(0.0 if down is None else down.depth, found.drawdown_usd),
        drawdown_sessions=0 if down is None else down.sessions,
        drawdown_from=None if down is None else down.peak,
        drawdown_trough=None if down is None else down.trough,
        drawdown_to=None if down is None else down.recovered,
        deepest_usd=report.result.max_drawdown_usd,
        profit_factor=_estimate(figures.profit_factor, found.profit_factor),
        expectancy_r=_estimate(figures.expectancy_r, found.expectancy_r),
        win_rate_pct=figures.win_rate_pct,
        average_win_usd=figures.average_win_usd,
        average_loss_usd=figures.average_loss_usd,
        best_session_usd=float(daily_usd.max()) if len(daily_usd) else None,
        worst_session_usd=float(daily_usd.min()) if len(daily_usd) else None,
        time_in_market_pct=share_pct(
            sum(marks.held_window_bars for marks in witness.sessions),
            sum(marks.window_bars for marks in witness.sessions),
        ),
        average_hold_minutes=figures.average_hold_minutes,
        commissions_usd=report.result.commissions_usd,
        slippage_usd=sum(costs.slippage_cents(trade) for trade in trades) / 100,
        costs_usd=cost_cents / 100,
        cost_share_pct=share_pct(cost_cents, gross_won_cents),
        mae_r=_median_r([(trade.mae_ticks, trade) for trade in trades], costs),
        mfe_r=_median_r([(trade.mfe_ticks, trade) for trade in trades], costs),
        optimistic_usd=report.result.optimistic_pnl_usd,
        ambiguous_bars=report.result.ambiguous_bars,
    )


def _median_r(excursions: Sequence[tuple[int, Trade]], costs: Costs) -> float | None:
    in_r = [
        ticks * costs.tick_value_cents * trade.qty / trade.risk_cents
        for ticks, trade in excursions
        if trade.risk_cents > 0
    ]
    return median(in_r) if in_r else None


def _estimate(value: float | None, interval: Interval | None) -> Estimate:
    if interval is None:
        return Estimate(value=value, low=None, high=None)
    return Estimate(value=value, low=interval.low, high=interval.high)


def _sum_usd(cents: Iterable[int]) -> float:
    return sum(cents) / 100
