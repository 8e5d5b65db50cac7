"""Every trade as a row of a table; a click shows it in the price chart."""

from trader.analysis.evaluation import Evaluation
from trader.analysis.evaluation_parts import TradeRow
from trader.page.formats import NONE, count, et_text, number, usd, words
from trader.page.markup import Markup, joined, tag
from trader.page.sheet import section, sign, text

ROWS_SHOWN = 1000
_HEADS = (
    ("No.", True),
    ("Opened (ET)", False),
    ("Closed", False),
    ("Side", False),
    ("Entry", True),
    ("Exit", True),
    ("Stop", True),
    ("Target", True),
    ("Net P&L", True),
    ("R", True),
    ("MAE, points", True),
    ("MFE, points", True),
    ("Exit by", False),
    ("Fusion", False),
    ("RL", True),
    ("Advice", True),
)


def trade_list_section(evaluation: Evaluation) -> Markup:
    """All trades, folded up."""
    trades = evaluation.headline.trades
    shown = trades[:ROWS_SHOWN]
    head = tag("tr", joined(tag("th", name, scope="col", class_="fig" if is_fig else None) for name, is_fig in _HEADS))
    inner = tag("table", tag("caption", "Trades of the headline"), tag("thead", head), tag("tbody", *map(_row, shown)))
    first = f", the first {ROWS_SHOWN:,} of them; trades.csv has all" if len(trades) > ROWS_SHOWN else ""
    summary = tag("summary", f"{count(len(trades), 'trade')}{first}")
    return section(
        evaluation.facts,
        "list",
        "Trade list",
        text("A star marks a bar that reached stop and target both. Choose a row to see the trade in the price chart."),
        tag("details", summary, tag("div", inner, class_="scroll")),
    )


def _row(trade: TradeRow) -> Markup:
    cells = (
        et_text(trade.opened_ns, trade.et_offset_s),
        et_text(trade.closed_ns, trade.et_offset_s)[11:],
        trade.side,
        number(trade.entry),
        number(trade.exit),
        number(trade.stop),
        number(trade.target),
        usd(trade.pnl_usd),
        number(trade.r, 2, signed=True),
        number(trade.mae_points),
        number(trade.mfe_points),
        words(trade.reason) + ("*" if trade.is_ambiguous else ""),
        words(trade.method) + (", changed" if trade.changed else ""),
        number(trade.rl_confidence),
        NONE if trade.advice_confidence is None else number(trade.advice_confidence),
    )
    styled = zip(_HEADS[1:], cells, strict=True)
    tds = [tag("td", cell, class_=_style(name, trade, is_figure=is_figure)) for (name, is_figure), cell in styled]
    first = tag("th", f"{trade.number:,}", scope="row", class_="fig")
    return tag("tr", first, *tds, data_trade=trade.number, tabindex=0)


def _style(head: str, trade: TradeRow, *, is_figure: bool) -> str | None:
    if not is_figure:
        return None
    tone = sign(trade.pnl_usd) if head in {"Net P&L", "R"} else None
    return f"fig {tone}" if tone else "fig"
