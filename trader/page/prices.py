"""The price chart: bars and trades as the compact JSON that the page's script draws, and the frame around it."""

import datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct

from trader.analysis.evaluation import Chart, Evaluation
from trader.analysis.evaluation_parts import TradeRow
from trader.domain.units import SECOND_NS
from trader.page.formats import count
from trader.page.markup import Markup, tag
from trader.page.sheet import section, text

_NEW_YORK = "America/New_York"
_RANGES = (("all", "All"), ("month", "Month"), ("week", "Week"), ("day", "Day"))


class DrawnTrade(Struct, frozen=True, array_like=True):
    """A trade as the script gets it; seconds are of New York's wall clock, as if it were UTC."""

    number: int
    opened_s: int
    closed_s: int
    direction: int
    entry: float
    exit: float
    stop: float
    target: float
    pnl_usd: float
    r: float | None
    reason: str


class DrawnBars(Struct, frozen=True):
    """Bars as the script gets them: `starts` are differences of wall-clock seconds, prices whole ticks.

    `symbol_from` says at which bar each of `symbols` begins to be drawn, in order.
    """

    minutes: int
    tick: float
    starts: list[int]
    open: list[int]
    high: list[int]
    low: list[int]
    close: list[int]
    symbol_from: list[tuple[int, str]]
    trades: list[DrawnTrade]


def drawn_bars(evaluation: Evaluation, chart: Chart) -> DrawnBars:
    """The chart's bars and the headline's trades, small."""
    tick = evaluation.facts.tick
    clock = wall_clock_s(chart.open_s)
    columns = [[round(price / tick) for price in column] for column in (chart.open, chart.high, chart.low, chart.close)]
    return DrawnBars(
        minutes=chart.minutes,
        tick=tick,
        starts=[*clock[:1], *(after - before for before, after in pairwise(clock))],
        open=columns[0],
        high=columns[1],
        low=columns[2],
        close=columns[3],
        symbol_from=_symbols(chart),
        trades=[_drawn(trade) for trade in evaluation.headline.trades],
    )


def wall_clock_s(utc_s: tuple[int, ...]) -> list[int]:
    """UTC seconds as seconds of New York's wall clock; the offset is looked up once an hour."""
    zone = ZoneInfo(_NEW_YORK)
    offsets: dict[int, int] = {}
    shifted = []
    for second in utc_s:
        hour = second // 3600
        if hour not in offsets:
            delta = datetime.datetime.fromtimestamp(hour * 3600, zone).utcoffset() or datetime.timedelta()
            offsets[hour] = int(delta.total_seconds())
        shifted.append(second + offsets[hour])
    return shifted


def prices_section(evaluation: Evaluation, chart: Chart) -> Markup:
    """The frame that the script fills, its buttons, and the bars as JSON."""
    facts = evaluation.facts
    payload = msgspec.json.encode(drawn_bars(evaluation, chart)).decode()
    ranges = [tag("button", label, type="button", data_range=name) for name, label in _RANGES]
    steps = [
        tag("button", label, type="button", data_step=step)
        for step, label in ((-1, "Previous trade"), (1, "Next trade"))
    ]
    bars = f"{count(len(chart.open_s), 'bar')} of {chart.minutes} minutes"
    told = (
        f"{bars}, New York time, prices of the contract in force. Turn the wheel or pinch to zoom, drag to move. A box "
        "spans a trade from entry to exit: red as far as its stop, green as far as its target; the line goes from the "
        "entry's price to the exit's."
    )
    return section(
        facts,
        "prices",
        "Prices and trades",
        text(told),
        tag("div", tag("span", *ranges, class_="group"), tag("span", *steps, class_="group"), class_="controls"),
        tag("output", id="price-readout", aria_live="off"),
        tag("div", id="price-chart", role="img", aria_label="Price chart with entries, stops, targets and exits"),
        tag("noscript", text("The price chart needs JavaScript; everything else on this page does not.")),
        json_block("price-data", payload),
        tag(
            "p",
            "Chart: TradingView Lightweight Charts\N{TRADE MARK SIGN}, Copyright (c) 2023 TradingView, Inc. ",
            tag("a", "https://www.tradingview.com/", href="https://www.tradingview.com/", rel="noreferrer"),
            " Apache License 2.0.",
            class_="note",
        ),
    )


def json_block(name: str, payload: str) -> Markup:
    """JSON for the page's script; nothing in it can end the element or begin another."""
    safe = payload.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return tag("script", Markup(safe), type="application/json", id=name)


def _symbols(chart: Chart) -> list[tuple[int, str]]:
    indices = chart.symbol_index
    starts = [at for at in range(len(indices)) if at == 0 or indices[at] != indices[at - 1]]
    return [(at, chart.symbols[indices[at]]) for at in starts]


def _drawn(trade: TradeRow) -> DrawnTrade:
    return DrawnTrade(
        trade.number,
        trade.opened_ns // SECOND_NS + trade.et_offset_s,
        trade.closed_ns // SECOND_NS + trade.et_offset_s,
        1 if trade.side == "long" else -1,
        trade.entry,
        trade.exit,
        trade.stop,
        trade.target,
        trade.pnl_usd,
        trade.r,
        trade.reason,
    )
