"""Equity over sessions with its bands, and how far it lies under water."""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from trader.analysis.bootstrap import equity_band
from trader.analysis.drawdowns import underwater
from trader.analysis.evaluation import Evaluation, RunName, RunRecord
from trader.page.formats import number, titled, usd
from trader.page.frame import Frame, area_between, drawing, path_of, session_axis, session_places, y_axis
from trader.page.markup import Markup, joined, tag
from trader.page.scale import Scale

_SEED = 1
"""Of the bootstrap's fan; the intervals in the tables have their own."""
_BESIDE = (RunName.RL_ONLY, RunName.BUY_AND_HOLD, RunName.SMA_CROSS)


class Line(Struct, frozen=True, kw_only=True):
    """A curve: its style, its name, and a value in dollars a session."""

    style: str
    title: str
    values: tuple[float, ...]


class Area(Struct, frozen=True, kw_only=True):
    """A band between two curves."""

    style: str
    title: str
    low: tuple[float, ...]
    high: tuple[float, ...]


class Curves(Struct, frozen=True, kw_only=True):
    """What the equity chart shows; all curves have a value for each of `dates`."""

    dates: tuple[str, ...]
    areas: tuple[Area, ...]
    lines: tuple[Line, ...]

    def levels(self) -> list[float]:
        """Every value, for the scale."""
        areas = [value for area in self.areas for value in (*area.low, *area.high)]
        return areas + [value for line in self.lines for value in line.values]


def equity_curves(evaluation: Evaluation) -> Curves:
    """Headline, baselines, the random band and the bootstrap's fan, as far as there are any."""
    headline = evaluation.runs[0]
    return Curves(
        dates=tuple(row.session for row in headline.daily),
        areas=tuple(area for area in (_random_area(evaluation), _bootstrap_area(headline)) if area),
        lines=(
            *(_line(run) for run in evaluation.runs if run.name in _BESIDE and len(run.daily) == len(headline.daily)),
            Line(style="headline", title=titled(headline.title), values=equity_of(headline)),
        ),
    )


def underwater_of(run: RunRecord) -> tuple[float, ...]:
    """Dollars below the highest running P&L so far, at most zero, a value a session."""
    return tuple(underwater(_daily(run)).tolist())


def equity_of(run: RunRecord) -> tuple[float, ...]:
    """Running P&L after each session in dollars."""
    return tuple(row.equity_usd for row in run.daily)


def equity_chart(curves: Curves) -> Markup:
    """Running P&L in dollars over sessions."""
    frame = Frame(height=360)
    scale = frame.upward(curves.levels())
    xs = session_places(frame, len(curves.dates))
    areas = [
        tag("path", class_=area.style, d=area_between(xs, _ys(scale, area.high), _ys(scale, area.low)))
        for area in curves.areas
    ]
    lines = [tag("path", class_=f"line {line.style}", d=path_of(xs, _ys(scale, line.values))) for line in curves.lines]
    if len(xs) == 1:
        lines = [tag("circle", class_=line.style, cx=xs[0], cy=scale.at(line.values[0]), r=4) for line in curves.lines]
    last = curves.lines[-1]
    ends = f"ends at {usd(last.values[-1], 0)}" if last.values else "has no session"
    return drawing(
        frame,
        "equity",
        "Equity curve",
        f"Running net P&L over {number(len(curves.dates), 0)} sessions; {last.title} {ends}.",
        *areas,
        y_axis(frame, scale, usd),
        *lines,
        session_axis(frame, curves.dates),
    )


def underwater_chart(dates: Sequence[str], values: Sequence[float]) -> Markup:
    """Distance below the highest equity so far, in dollars."""
    frame = Frame(height=170)
    scale = frame.upward(values)
    xs = session_places(frame, len(dates))
    zero = [scale.at(0.0)] * len(xs)
    deepest = min(values, default=0.0)
    return drawing(
        frame,
        "underwater",
        "Underwater curve",
        f"Distance below the highest equity so far; at its deepest {usd(deepest, 0)}.",
        y_axis(frame, scale, usd, 3),
        tag("path", class_="under", d=area_between(xs, zero, _ys(scale, values))),
        session_axis(frame, dates),
    )


def legend(curves: Curves) -> Markup:
    """What each line and band is."""
    entries = [(line.style, line.title) for line in reversed(curves.lines)]
    entries += [(area.style, area.title) for area in curves.areas]
    return tag(
        "ul", joined(tag("li", tag("span", class_=f"key {style}"), title) for style, title in entries), class_="legend"
    )


def _ys(scale: Scale, values: Sequence[float]) -> list[float]:
    return [scale.at(value) for value in values]


def _line(run: RunRecord) -> Line:
    return Line(style=f"beside {run.name.value.replace('_', '-')}", title=titled(run.title), values=equity_of(run))


def _random_area(evaluation: Evaluation) -> Area | None:
    band = evaluation.band
    if band is None or len(band.rows) != len(evaluation.runs[0].daily):
        return None
    title = f"Random entries, 95 % of {band.seeds} seeds"
    low, high = tuple(row.q025 for row in band.rows), tuple(row.q975 for row in band.rows)
    return Area(style="band random", title=title, low=low, high=high)


def _bootstrap_area(run: RunRecord) -> Area | None:
    fan = equity_band(_daily(run), _SEED)
    if fan is None:
        return None
    title = "Resampled sessions of the headline, 95 % (block bootstrap)"
    return Area(style="band resampled", title=title, low=fan.low, high=fan.high)


def _daily(run: RunRecord) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array([row.pnl_usd for row in run.daily], dtype=np.float64)
