"""Columns over names, and histograms."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import pairwise

from msgspec import Struct

from trader.page.formats import number
from trader.page.frame import Frame, axis_title, drawing, x_axis, x_tick, y_axis
from trader.page.markup import Markup, joined, tag
from trader.page.scale import Scale, edges_over

_HALF = Frame(width=520, height=290, left=78, top=26, bottom=46)
_BARS_WANTED = 30
_ZERO = 1e-12
"""Sums of steps miss round figures by less."""


class Column(Struct, frozen=True, kw_only=True):
    """One column: its name below it, its height, and what a pointer over it reads."""

    name: str
    value: float
    told: str


class Marker(Struct, frozen=True, kw_only=True):
    """A vertical line through a histogram, with its name."""

    value: float
    name: str


class Histogram(Struct, frozen=True, kw_only=True):
    """Values to count, a place to mark, and whether their sign matters (green and red)."""

    name: str
    title: str
    axis: str
    values: Sequence[float]
    marker: Marker | None
    is_signed: bool


def column_chart(
    name: str, title: str, columns: Sequence[Column], form: Callable[[float, int], str], axis: str = ""
) -> Markup:
    """Columns up or down from zero, green above and red below."""
    frame = _HALF
    scale = frame.upward([column.value for column in columns])
    width = (frame.x_end - frame.left) / max(len(columns), 1)
    bars = [
        _bar(frame.left + (index + 0.14) * width, width * 0.72, scale.at(column.value), scale.at(0.0), column)
        for index, column in enumerate(columns)
    ]
    step = -(-len(columns) // 12) or 1
    labels = [
        x_tick(frame, frame.left + (index + 0.5) * width, column.name)
        for index, column in enumerate(columns)
        if index % step == 0
    ]
    told = "; ".join(column.told for column in columns) or "no values"
    return drawing(
        frame,
        name,
        title,
        f"{title}: {told}.",
        y_axis(frame, scale, form),
        *bars,
        *labels,
        axis_title(frame, axis),
        kind="half",
    )


def histogram(shown: Histogram, form: Callable[[float, int], str]) -> Markup:
    """How many of the values lie where; bars end on round figures, zero is a border of bars."""
    frame, marker = _HALF, shown.marker
    edges = edges_over([*shown.values, *([] if marker is None else [marker.value])], _BARS_WANTED)
    across = Scale(edges[0], edges[-1], frame.left, frame.x_end)
    counts = _counted(shown.values, edges)
    upward = frame.upward([float(count) for count in counts])
    bars = [
        tag(
            "rect",
            tag("title", f"{form(low, 3)} to {form(high, 3)}: {count:,}"),
            class_="plain" if not shown.is_signed else "loss" if high <= _ZERO else "gain",
            x=across.at(low) + 0.5,
            y=upward.at(count),
            width=max(across.at(high) - across.at(low) - 1, 0.5),
            height=upward.at(0.0) - upward.at(count),
        )
        for (low, high), count in zip(pairwise(edges), counts, strict=True)
        if count
    ]
    return drawing(
        frame,
        shown.name,
        shown.title,
        f"{shown.title} of {len(shown.values):,} values; the fullest bar holds {max(counts):,}.",
        y_axis(frame, upward, number, 4),
        *bars,
        x_axis(frame, across, form),
        None if marker is None else _marker(frame, across.at(marker.value), marker.name),
        axis_title(frame, shown.axis),
        kind="half",
    )


def _counted(values: Sequence[float], edges: Sequence[float]) -> list[int]:
    """How many values lie in [edge, next edge); the last bar holds its upper edge too."""
    counts = [0] * (len(edges) - 1)
    for value in values:
        counts[min(bisect_right(edges, value + _ZERO) - 1, len(counts) - 1)] += 1
    return counts


def _bar(x: float, width: float, y: float, zero: float, column: Column) -> Markup:
    return tag(
        "rect",
        tag("title", column.told),
        class_="gain" if column.value >= 0 else "loss",
        x=x,
        y=min(y, zero),
        width=width,
        height=abs(zero - y),
    )


def _marker(frame: Frame, x: float, name: str) -> Markup:
    """The line, and its name above the plot on the side with more room."""
    is_right = x > (frame.left + frame.x_end) / 2
    line = tag("line", class_="marker", x1=x, x2=x, y1=frame.top - 4, y2=frame.y_end)
    anchor = "end" if is_right else "start"
    label = tag("text", name, class_=f"mark {anchor}", x=x + (4 if is_right else -4), y=frame.top - 10)
    return joined([line, label])
