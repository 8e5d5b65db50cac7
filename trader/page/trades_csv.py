"""`trades.csv`: the trades in the columns and formats of NinjaTrader 8's Trades grid, as a US installation exports it.

Trade journals import that grid by its column names. Its conventions, checked against files that traders published:
times are the wall clock (here always New York's), `Profit` is net of commission, `MAE` and `MFE` are dollars of at
least zero, `ETD` (end trade drawdown) is MFE minus Profit, a negative amount stands in parentheses, and there are no
thousands separators.
"""

import csv
import io

from trader.analysis.evaluation import Evaluation, Facts
from trader.analysis.evaluation_parts import TradeRow
from trader.domain.instruments import contract_year_month
from trader.domain.orders import ExitReason
from trader.errors import InputError
from trader.page.formats import et, words

COLUMNS = (
    "Trade number",
    "Instrument",
    "Account",
    "Strategy",
    "Market pos.",
    "Qty",
    "Entry price",
    "Exit price",
    "Entry time",
    "Exit time",
    "Entry name",
    "Exit name",
    "Profit",
    "Cum. net profit",
    "Commission",
    "MAE",
    "MFE",
    "ETD",
    "Bars",
)
_EXITS = {
    ExitReason.STOP: "Stop loss",
    ExitReason.TARGET: "Profit target",
    ExitReason.TRAIL: "Trail stop",
    ExitReason.FORCED_CLOSE: "Exit on session close",
}
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def trades_csv(evaluation: Evaluation) -> str:
    """The headline's trades, one a row under `COLUMNS`; lines end in CR LF as in the original."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    cents = 0
    for trade in evaluation.headline.trades:
        cents += round(trade.pnl_usd * 100)
        writer.writerow(_row(evaluation.facts, trade, cents / 100))
    return text.getvalue()


def _row(facts: Facts, trade: TradeRow, running_usd: float) -> tuple[str | int, ...]:
    point_usd = facts.tick_value_usd / facts.tick * trade.qty
    mfe_usd = trade.mfe_points * point_usd
    return (
        trade.number,
        _harmless(contract_name(trade.symbol)),
        f"Account {trade.account}",
        _harmless(facts.strategy),
        trade.side.capitalize(),
        trade.qty,
        price(trade.entry, facts.tick),
        price(trade.exit, facts.tick),
        us_time(trade.opened_ns, trade.et_offset_s),
        us_time(trade.closed_ns, trade.et_offset_s),
        words(trade.method),
        _exit_name(trade.reason),
        us_money(trade.pnl_usd),
        us_money(running_usd),
        us_money(trade.commission_usd),
        us_money(trade.mae_points * point_usd),
        us_money(mfe_usd),
        us_money(mfe_usd - trade.pnl_usd),
        trade.bars,
    )


def contract_name(symbol: str) -> str:
    """`NQH21` as NinjaTrader writes it: `NQ 03-21`; what is no contract stays as it is."""
    try:
        year, month = contract_year_month(symbol)
    except InputError:
        return symbol
    return f"{symbol.rstrip('0123456789')[:-1]} {month:02d}-{year % 100:02d}"


def us_money(value: float) -> str:
    """`$12.50`, `($2448.00)`."""
    cents = round(value * 100)
    text = f"${abs(cents) / 100:.2f}"
    return f"({text})" if cents < 0 else text


def us_time(ts_ns: int, et_offset_s: int) -> str:
    """`9/22/2025 9:31:22 AM`, New York's wall clock."""
    clock = et(ts_ns, et_offset_s)
    half = "AM" if clock.hour < 12 else "PM"
    return f"{clock.month}/{clock.day}/{clock.year} {clock.hour % 12 or 12}:{clock:%M:%S} {half}"


def price(value: float, tick: float) -> str:
    """A price with the decimals of its tick, two for 0.25."""
    digits = len(f"{tick:.10f}".rstrip("0").partition(".")[2])
    return f"{value:.{digits}f}"


def _exit_name(reason: str) -> str:
    return _EXITS[ExitReason(reason)] if reason in _EXITS else words(reason)


def _harmless(text: str) -> str:
    """The text so that no spreadsheet takes it for a formula."""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text
