"""The frame of a drawing: an SVG with title and description, axes, grid, ticks. Colours come from the page's style."""

from collections.abc import Callable, Sequence

from msgspec import Struct

from trader.page.formats import month
from trader.page.markup import Markup, joined, short, tag
from trader.page.scale import Scale, digits_for, scale_over, ticks

_MONTH_STEPS = (1, 2, 3, 6, 12, 24)
_MONTHS_SHOWN = 13
_DATES_SHOWN = 8
_FEW_SESSIONS = 45


class Frame(Struct, frozen=True, kw_only=True):
    """A drawing area in a viewBox of `width` by `height`; the margins hold the tick labels."""

    width: float = 940
    height: float = 300
    left: float = 84
    right: float = 14
    top: float = 12
    bottom: float = 30

    @property
    def x_end(self) -> float:
        """The right edge of the plot."""
        return self.width - self.right

    @property
    def y_end(self) -> float:
        """The lower edge of the plot."""
        return self.height - self.bottom

    def across(self, values: Sequence[float], *, with_zero: bool = True) -> Scale:
        """A scale from the left edge to the right one that holds the values."""
        return scale_over(values, self.left, self.x_end, with_zero=with_zero)

    def upward(self, values: Sequence[float], *, with_zero: bool = True) -> Scale:
        """A scale from the lower edge to the upper one that holds the values."""
        return scale_over(values, self.y_end, self.top, with_zero=with_zero)


def drawing(frame: Frame, name: str, title: str, described: str, *parts: Markup | None, kind: str = "wide") -> Markup:
    """An SVG that a screen reader can tell: `name` is unique on the page, `described` says what is seen."""
    return tag(
        "svg",
        tag("title", title, id=f"{name}-title"),
        tag("desc", described, id=f"{name}-desc"),
        *parts,
        id=name,
        class_=kind,
        viewBox=f"0 0 {short(frame.width)} {short(frame.height)}",
        role="img",
        aria_labelledby=f"{name}-title {name}-desc",
    )


def y_axis(frame: Frame, scale: Scale, form: Callable[[float, int], str], wanted: int = 5) -> Markup:
    """Grid lines with their values at the left; zero is drawn stronger. `form` gets a value and its decimals."""
    values = ticks(scale.low, scale.high, wanted)
    digits = digits_for(values)
    return joined(_y_tick(frame, scale.at(value), form(value, digits), is_zero=not value) for value in values)


def _y_tick(frame: Frame, y: float, label: str, *, is_zero: bool) -> Markup:
    line = tag("line", class_="zero" if is_zero else "grid", x1=frame.left, x2=frame.x_end, y1=y, y2=y)
    return joined([line, tag("text", label, class_="tick end", x=frame.left - 8, y=y + 4)])


def x_axis(frame: Frame, scale: Scale, form: Callable[[float, int], str], wanted: int = 6) -> Markup:
    """Ticks below the plot for a scale of figures."""
    values = ticks(scale.low, scale.high, wanted)
    digits = digits_for(values)
    return joined(x_tick(frame, scale.at(value), form(value, digits)) for value in values)


def x_tick(frame: Frame, x: float, label: str) -> Markup:
    """A short stroke below the plot and its label."""
    stroke = tag("line", class_="stroke", x1=x, x2=x, y1=frame.y_end, y2=frame.y_end + 4)
    return joined([stroke, tag("text", label, class_="tick middle", x=x, y=frame.y_end + 18)])


def axis_title(frame: Frame, text: str) -> Markup:
    """What the horizontal axis shows, below its ticks; the frame's lower margin has to hold it."""
    return tag("text", text, class_="axis middle", x=(frame.left + frame.x_end) / 2, y=frame.height - 4)


def session_places(frame: Frame, count: int) -> list[float]:
    """The x of each of `count` sessions; a single one stands in the middle."""
    if count == 1:
        return [(frame.left + frame.x_end) / 2]
    scale = Scale(0, max(count - 1, 1), frame.left, frame.x_end)
    return [scale.at(index) for index in range(count)]


def session_axis(frame: Frame, dates: Sequence[str]) -> Markup:
    """Months below the plot, or dates where sessions are few; labels keep their distance."""
    places = session_places(frame, len(dates))
    if len(dates) <= _FEW_SESSIONS:
        step = -(-len(dates) // _DATES_SHOWN)
        chosen = [(index, dates[index][5:]) for index in range(0, len(dates), step or 1)]
    else:
        chosen = _month_starts(dates)
    kept = [(places[index], label) for index, label in chosen]
    return joined(
        x_tick(frame, x, label) for x, label in kept if frame.left + 16 <= x <= frame.x_end - 20 or len(dates) == 1
    )


def _month_starts(dates: Sequence[str]) -> list[tuple[int, str]]:
    months = [date[:7] for date in dates]
    starts = [index for index in range(1, len(months)) if months[index] != months[index - 1]]
    step = next((step for step in _MONTH_STEPS if len(starts) <= step * _MONTHS_SHOWN), _MONTH_STEPS[-1])
    kept = [index for index in starts if (int(months[index][:4]) * 12 + int(months[index][5:]) - 1) % step == 0]
    return [(index, month(dates[index])) for index in kept]


def path_of(xs: Sequence[float], ys: Sequence[float]) -> str:
    """The points as an SVG path."""
    return "M" + "L".join(f"{short(x)} {short(y)}" for x, y in zip(xs, ys, strict=True)) if xs else ""


def area_between(xs: Sequence[float], upper: Sequence[float], lower: Sequence[float]) -> str:
    """A closed SVG path between two curves over the same places."""
    if not xs:
        return ""
    return f"{path_of(xs, upper)}L{path_of(list(reversed(xs)), list(reversed(lower)))[1:]}Z"
