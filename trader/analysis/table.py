"""A run's report as the text that a trader reads in a terminal, at most 100 columns wide; no colour codes."""

from collections.abc import Mapping
from itertools import zip_longest

from trader.analysis.figures import DecisionFigures, Label, Report, ResultFigures, RunFigures, TradeFigures

WIDTH = 96
_LEFT_WIDTH = 50
_LABEL_WIDTH = 17
_VALUE_WIDTH = 11
_RULE_WIDTH = 18

SENTENCES = {
    Label.SYNTHETIC_BARS: "SYNTHETIC DATA, made by a program: it says nothing about real markets.",
    Label.SYNTHETIC_TRAINING: "The model was trained on synthetic bars only: nothing suggests that it earns money.",
    Label.UNTRAINED: "The model is UNTRAINED: its weights are random numbers.",
    Label.IN_SAMPLE: "IN-SAMPLE: the model was trained on bars of this period. It has seen what it is asked here.",
    Label.MISMATCH: "MISMATCH, allowed by configuration: the model was made for other bars.",
    Label.CONTAMINATED: "CONTAMINATED: the advisor's model learned from texts of this period: it may remember it.",
    Label.BATCHED_ADVICE: "The advice was computed in batches, beforehand: a live model's last digits can differ.",
    Label.FITTED_HERE: "IN-SAMPLE: the advisor's calibration was fitted on bars of this period, or later ones.",
    Label.MISSING_ADVICE: "INCOMPLETE ADVICE: the recording could not answer every question; see Advice, missing.",
    Label.FAILED_ADVICE: "INCOMPLETE ADVICE: the advisor failed, the strategy decided alone; see Advice, error.",
    Label.NOT_CLOSED: "NOT CLOSED: the run has no end, the figures go as far as its log does.",
}


def render(report: Report) -> str:
    """The whole report as lines, each ended by a newline."""
    run, decisions = report.run, report.decisions
    blocks = [
        _head(run),
        _side_by_side(["Result", *_result(report.result, run.sessions)], ["Trades", *_trades(report.trades)]),
        _ambiguous(report.result),
        _side_by_side(["Exits", *_nonzero(report.trades.exits)], ["Decided", *_nonzero(decisions.actions)]),
        _side_by_side(["Advice", *_advice(decisions, run.bars)], ["Fusion", *_nonzero(decisions.methods)]),
        _vetoes(decisions),
    ]
    return "\n".join("".join(f"{line.rstrip()}\n" for line in block) for block in blocks)


def _head(run: RunFigures) -> list[str]:
    rule = "=" * WIDTH
    title = " · ".join(part for part in (run.market, run.strategy, run.model, run.source) if part)
    period = f"{run.first_session} to {run.last_session}, " if run.first_session else ""
    speed = "" if run.bars_per_s is None else f", {run.bars_per_s:,.0f} bars/s"
    lines = [rule, title, f"{period}{_sessions(run.sessions)}, {run.bars:,} bars{speed}"]
    lines.append(f"accounts used: {run.accounts_used}" + _renewed(run.accounts_used))
    if run.skipped_bars:
        lines.append(f"bad bars skipped: {run.skipped_bars:,}")
    for label in run.labels:
        lines.append(SENTENCES[label])
        if label is Label.MISMATCH:
            lines += [f"  - {mismatch}" for mismatch in run.mismatches]
    return [*lines, rule]


def _renewed(accounts_used: int) -> str:
    return f" ({accounts_used - 1} exhausted and renewed)" if accounts_used > 1 else ""


def _result(result: ResultFigures, sessions: int) -> list[str]:
    rows = [
        _figure("net P&L", result.net_pnl_usd, "$"),
        _figure("", result.net_pnl_points, "points"),
        _figure("", result.net_pnl_r, "R"),
        _figure("max drawdown", result.max_drawdown_usd, "$"),
        _row("daily Sharpe", _number(result.sharpe_daily_annualised), f"({_sessions(sessions)})"),
        _figure("commissions", result.commissions_usd, "$"),
        _figure("slippage", result.slippage_usd, "$"),
    ]
    return [*rows, _figure("open position", result.open_pnl_usd, "$")] if result.open_pnl_usd else rows


def _trades(trades: TradeFigures) -> list[str]:
    return [
        _row("trades", f"{trades.trades:,}"),
        _row("long, short", f"{trades.long_trades:,}, {trades.short_trades:,}"),
        _figure("win rate", trades.win_rate_pct, "%", 1),
        _row("won, lost, even", f"{trades.wins:,}, {trades.losses:,}, {trades.scratches:,}"),
        _figure("profit factor", trades.profit_factor),
        _figure("average win", trades.average_win_usd, "$"),
        _figure("average loss", trades.average_loss_usd, "$"),
        _figure("expectancy", trades.expectancy_r, "R a trade"),
        _figure("average hold", trades.average_hold_minutes, "minutes", 1),
    ]


def _ambiguous(result: ResultFigures) -> list[str]:
    between = f"[{result.pessimistic_pnl_usd:,.2f}, {result.optimistic_pnl_usd:,.2f}]"
    return [f"Ambiguous bars: {result.ambiguous_bars:,}; P&L [pessimistic, optimistic] = {between} $"]


def _advice(decisions: DecisionFigures, bars: int) -> list[str]:
    asked = decisions.advice_asked
    share = f"({100 * asked / bars:.1f} % of bars)" if bars else ""
    became = {f"  {name}": count for name, count in decisions.advice.items()}
    counts = _nonzero(became) if asked else []
    return [_row("asked", f"{asked:,}", share), _row("usable", f"{decisions.advice_used:,}"), *counts]


def _vetoes(decisions: DecisionFigures) -> list[str]:
    shares = decisions.veto_window_share_pct
    rows = [
        f"  {rule:<{_RULE_WIDTH}}{count:>18,}{_number(shares[rule], 1):>28} %"
        for rule, count in decisions.vetoes.items()
        if count or shares[rule]
    ]
    header = f"  {'':<{_RULE_WIDTH}}{'decisions blocked':>18}{'share of window in force':>30}"
    return ["Vetoes", *([header, *rows] if rows else ["  none"])]


def _nonzero(counts: Mapping[str, int]) -> list[str]:
    return [_row(name, f"{count:,}") for name, count in counts.items() if count] or ["  none"]


def _sessions(count: int) -> str:
    return f"{count:,} session{'' if count == 1 else 's'}"


def _figure(label: str, value: float | None, unit: str = "", digits: int = 2) -> str:
    return _row(label, _number(value, digits), "" if value is None else unit)


def _row(label: str, value: str, unit: str = "") -> str:
    return f"  {label:<{_LABEL_WIDTH}}{value:>{_VALUE_WIDTH}} {unit}"


def _number(value: float | None, digits: int = 2) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def _side_by_side(left: list[str], right: list[str]) -> list[str]:
    return [f"{one:<{_LEFT_WIDTH}}{other}" for one, other in zip_longest(left, right, fillvalue="")]
