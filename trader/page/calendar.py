"""P&L by session as months of weeks, each day with its figure."""

import datetime
from collections.abc import Sequence
from itertools import groupby

from trader.analysis.evaluation_parts import DailyRow
from trader.page.formats import count, in_r, month, number, usd
from trader.page.markup import Markup, joined, tag

_SHADES = (0.1, 0.3, 0.6)
"""Borders of the four shades, as shares of the largest day."""
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri")


def calendar(daily: Sequence[DailyRow]) -> Markup:
    """A table a month, the weeks its rows; days without a session are empty."""
    largest = max((abs(row.pnl_usd) for row in daily), default=0.0)
    months = groupby(daily, key=lambda row: row.session[:7])
    return tag("div", joined(_month(list(rows), largest) for _, rows in months), class_="calendar")


def _month(rows: list[DailyRow], largest: float) -> Markup:
    weeks = groupby(rows, key=lambda row: _date(row).isocalendar()[:2])
    total = sum(row.pnl_usd for row in rows)
    head = tag(
        "caption", tag("span", month(rows[0].session)), tag("b", usd(total, 0, signed=True), class_=_sign(total))
    )
    days = tag("tr", joined(tag("th", day, scope="col") for day in _WEEKDAYS))
    body = joined(_week(list(week), largest) for _, week in weeks)
    return tag("table", head, tag("thead", days), tag("tbody", body), class_="month")


def _week(rows: list[DailyRow], largest: float) -> Markup:
    by_day = {_date(row).weekday(): row for row in rows}
    return tag("tr", joined(_day(by_day.get(day), largest) for day in range(len(_WEEKDAYS))))


def _day(row: DailyRow | None, largest: float) -> Markup:
    if row is None:
        return tag("td")
    told = f"{row.session}: {usd(row.pnl_usd, signed=True)}, {in_r(row.pnl_r)}, {count(row.trades, 'trade')}"
    shown = number(row.pnl_usd, 0, signed=True) if row.trades or row.pnl_usd else "\N{MIDDLE DOT}"
    return tag("td", shown, class_=_shade(row.pnl_usd, largest), title=told)


def _shade(pnl_usd: float, largest: float) -> str:
    if not pnl_usd:
        return "even"
    depth = 1 + sum(abs(pnl_usd) > share * largest for share in _SHADES)
    return f"{'up' if pnl_usd > 0 else 'down'}{depth}"


def _sign(value: float) -> str:
    return "pos" if value > 0 else "neg" if value < 0 else ""


def _date(row: DailyRow) -> datetime.date:
    return datetime.date.fromisoformat(row.session)
