"""Where the result comes from: curves, drawdowns, the calendar, and the trades cut in different ways."""

from collections.abc import Sequence

import numpy as np

from trader.analysis.drawdowns import deepest_drawdowns
from trader.analysis.evaluation import Evaluation
from trader.analysis.evaluation_parts import Slice
from trader.page.calendar import calendar
from trader.page.columns import Column as Bar
from trader.page.columns import Histogram, Marker, column_chart, histogram
from trader.page.curves import equity_chart, equity_curves, legend, underwater_chart, underwater_of
from trader.page.formats import NONE, count, in_r, number, pct, sentence, usd, words
from trader.page.markup import Markup, tag
from trader.page.points import excursion_chart, excursions_of
from trader.page.sheet import Row, figure, heads, or_none, pair, section, table, text, trio

_DRAWDOWNS_SHOWN = 8


def curves_section(evaluation: Evaluation) -> Markup:
    """Equity and underwater curves with their bands, and the list of drawdowns."""
    headline = evaluation.runs[0]
    curves = equity_curves(evaluation)
    readout = tag("output", id="curve-readout", aria_live="off")
    return section(
        evaluation.facts,
        "curves",
        "Equity",
        figure("Running net P&L after each session", equity_chart(curves), note=None),
        legend(curves),
        readout,
        figure("Under water: below the highest equity so far", underwater_chart(curves.dates, underwater_of(headline))),
        _drawdowns(evaluation),
        text(
            "The random band says where entries without skill would have gone with the same trades; the fan of "
            "resampled sessions says how far the headline's own days could have carried it in another order and mix."
        ),
    )


def _drawdowns(evaluation: Evaluation) -> Markup:
    daily = evaluation.runs[0].daily
    values = np.array([row.pnl_usd for row in daily], dtype=np.float64)
    found = deepest_drawdowns(values, [row.session for row in daily], _DRAWDOWNS_SHOWN)
    columns = heads("Deepest drawdowns", "Depth", "Peak", "Trough", "Recovered", "Sessions")
    rows = [
        Row(
            cells=(
                f"{rank}.",
                usd(one.depth, 0),
                one.peak or "the start",
                one.trough,
                one.recovered or "not yet",
                number(one.sessions, 0),
            )
        )
        for rank, one in enumerate(found, 1)
    ]
    return table(columns, rows, caption="Drawdowns at sessions' ends, the deepest first")


def calendar_section(evaluation: Evaluation) -> Markup:
    """P&L by session."""
    daily = evaluation.runs[0].daily
    up, down = sum(row.pnl_usd > 0 for row in daily), sum(row.pnl_usd < 0 for row in daily)
    sessions = f"{count(up, 'session')} up, {down:,} down, {len(daily) - up - down:,} even"
    told = f"{sessions}. Net dollars; a dot is a session without a trade."
    return section(evaluation.facts, "calendar", "P&L calendar", text(told), calendar(daily))


def trades_section(evaluation: Evaluation) -> Markup:
    """The distribution of trades: by hour, in R, and how far they went."""
    facts, headline = evaluation.facts, evaluation.headline
    excursions = excursions_of(headline.trades, facts.tick_value_usd / facts.tick)
    rs = [trade.r for trade in headline.trades if trade.r is not None]
    mean = evaluation.runs[0].statistics.expectancy_r.value
    marker = None if mean is None else Marker(value=mean, name=f"mean {in_r(mean)}")
    results = Histogram(
        name="r-multiples", title="Results in R", axis="Net result in R", values=rs, marker=marker, is_signed=True
    )
    return section(
        facts,
        "trades",
        "Trades",
        pair(
            figure("Net P&L by hour of the entry (ET)", _hours(headline.by_hour)),
            figure("Results in R", histogram(results, number)),
        ),
        pair(
            figure("How far trades went against and for them", excursion_chart(excursions)),
            _random_figure(evaluation),
        ),
        trio(
            slice_table("Side", headline.by_side),
            slice_table("Segment", headline.by_segment),
            slice_table("Exit", headline.by_exit),
        ),
    )


def slice_table(head: str, parts: Sequence[Slice], *, caption: str | None = None) -> Markup:
    """Trades cut by something: how many, how many won, and what they came to."""
    columns = heads(head, "Trades", "Won", "Net P&L", "Mean R")
    rows = [
        Row(
            cells=(
                words(part.key),
                number(part.trades, 0),
                pct(100 * part.wins / part.trades) if part.trades else NONE,
                usd(part.pnl_usd, 0),
                number(part.net_r / part.trades, 2, signed=True) if part.trades else NONE,
            )
        )
        for part in parts
    ]
    return table(columns, rows, caption=caption or f"Trades by {head.lower()}")


def _hours(parts: Sequence[Slice]) -> Markup:
    bars = [
        Bar(
            name=part.key,
            value=part.pnl_usd,
            told=f"{part.key}: {usd(part.pnl_usd, 0)} of {count(part.trades, 'trade')}",
        )
        for part in parts
    ]
    return column_chart("hours", "Net P&L by hour", bars, usd, "Hour of the entry, New York")


def _random_figure(evaluation: Evaluation) -> Markup:
    band, verdict = evaluation.band, evaluation.verdict
    title = "The headline among random entries"
    if band is None:
        return figure(title, text("No random entries were made: there was no trade to match."))
    mean = verdict.mean_daily_r
    marker = None if mean is None else Marker(value=mean, name=f"headline {or_none(number(mean, 3, signed=True))}")
    drawn = histogram(
        Histogram(
            name="random",
            title=title,
            axis="Mean net R a session, one value a seed",
            values=band.mean_daily_r,
            marker=marker,
            is_signed=False,
        ),
        number,
    )
    made = f"{band.fewest:,} to {band.most:,} trades a seed against {band.matched_trades:,}"
    return figure(title, drawn, note=f"{made}. {sentence(band.matching)}")
