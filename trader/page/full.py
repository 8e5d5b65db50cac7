"""Every figure of the headline run, in three small tables."""

from trader.analysis.evaluation import Evaluation
from trader.analysis.evaluation_parts import Statistics
from trader.page.formats import count, in_r, number, pct, usd
from trader.page.markup import Markup
from trader.page.sheet import Row, heads, or_none, section, table, trio


def figures_section(evaluation: Evaluation) -> Markup:
    """Result, risk and trades of the headline."""
    own = evaluation.runs[0].statistics
    return section(
        evaluation.facts,
        "figures",
        "All figures of the headline",
        trio(
            _listed("Result", _result(own)),
            _listed("Risk", _risk(own)),
            _listed("Trades", _trades(own)),
        ),
    )


def _result(own: Statistics) -> list[tuple[str, str]]:
    return [
        ("Net P&L", usd(own.total_usd.value)),
        ("Net R", in_r(own.total_r, 1)),
        ("Mean session", usd(own.mean_usd.value)),
        ("Best session", usd(own.best_session_usd)),
        ("Worst session", usd(own.worst_session_usd)),
        ("Commissions", usd(own.commissions_usd)),
        ("Slippage", usd(own.slippage_usd)),
        ("Costs in % of gross profit", pct(own.cost_share_pct)),
        ("Ambiguous bars at the target", usd(own.optimistic_usd)),
    ]


def _risk(own: Statistics) -> list[tuple[str, str]]:
    return [
        ("Sharpe ratio, a year", number(own.sharpe.value)),
        ("Sortino ratio, a year", number(own.sortino.value)),
        ("Calmar ratio", number(own.calmar)),
        ("Max drawdown, sessions' ends", usd(own.max_drawdown_usd)),
        ("Max drawdown, bars' closes", usd(own.deepest_usd)),
        ("Its length", count(own.drawdown_sessions, "session")),
        ("Its peak", or_none(own.drawdown_from)),
        ("Its trough", or_none(own.drawdown_trough)),
        ("Recovered", "not yet" if own.drawdown_to is None and own.max_drawdown_usd else or_none(own.drawdown_to)),
    ]


def _trades(own: Statistics) -> list[tuple[str, str]]:
    return [
        ("Trades", f"{own.trades:,} ({own.long_trades:,} long, {own.short_trades:,} short)"),
        ("Won", pct(own.win_rate_pct)),
        ("Average win", usd(own.average_win_usd)),
        ("Average loss", usd(own.average_loss_usd)),
        ("Profit factor", number(own.profit_factor.value)),
        ("Expectancy", in_r(own.expectancy_r.value, 3)),
        ("Average hold, minutes", number(own.average_hold_minutes, 1)),
        ("Time in market", pct(own.time_in_market_pct)),
        ("Median MAE, MFE", f"{number(own.mae_r)} R, {number(own.mfe_r)} R"),
    ]


def _listed(head: str, rows: list[tuple[str, str]]) -> Markup:
    columns = heads(head, "")
    return table(columns, [Row(cells=row) for row in rows], caption=head)
