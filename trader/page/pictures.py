"""PNG pictures of an evaluation for a README. Needs the extra `report` (matplotlib); the page itself does not.

Of real bars only equity curves are drawn: nothing that prices could be rebuilt from.
"""

from collections.abc import Callable
from io import BytesIO

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from trader.analysis.evaluation import Evaluation
from trader.page.curves import Curves, equity_curves, underwater_of
from trader.page.formats import count, number, usd

_BLUE, _GREY, _RED, _GREEN = "#1f5fbf", "#8a949e", "#c4402f", "#17805a"
_DPI = 160
_TICKS_WANTED = 8
_BINS = 40


def pictures(evaluation: Evaluation) -> dict[str, bytes]:
    """File names and PNG bytes: `equity.png`, and `r-multiples.png` where the bars are synthetic."""
    drawn = {"equity.png": _png(_equity(evaluation))}
    if evaluation.facts.is_synthetic:
        drawn["r-multiples.png"] = _png(_results(evaluation))
    return drawn


def _equity(evaluation: Evaluation) -> Figure:
    curves = equity_curves(evaluation)
    figure = Figure(figsize=(9.6, 5.4), dpi=_DPI, layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    _draw_curves(upper, curves)
    places = range(len(curves.dates))
    lower.fill_between(places, underwater_of(evaluation.runs[0]), 0, color=_RED, alpha=0.4, linewidth=0.8)
    lower.set_ylabel("under water")
    for axes in (upper, lower):
        _dress(axes, lambda value: usd(value, 0))
    step = max(len(curves.dates) // _TICKS_WANTED, 1)
    lower.set_xticks(list(places)[::step], list(curves.dates)[::step], rotation=20, ha="right")
    _title(figure, evaluation)
    return figure


def _draw_curves(axes: Axes, curves: Curves) -> None:
    for area in curves.areas:
        is_random = "random" in area.style
        axes.fill_between(
            range(len(area.low)),
            area.low,
            area.high,
            color=_GREY if is_random else _BLUE,
            alpha=0.3 if is_random else 0.12,
            linewidth=0,
            label=area.title,
        )
    headline = curves.lines[-1]
    axes.plot(range(len(headline.values)), headline.values, color=_BLUE, linewidth=1.8, label=headline.title)
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_ylabel("running net P&L")
    axes.legend(frameon=False, fontsize=8, loc="upper left")


def _results(evaluation: Evaluation) -> Figure:
    results = [trade.r for trade in evaluation.headline.trades if trade.r is not None]
    figure = Figure(figsize=(9.6, 4.2), dpi=_DPI, layout="constrained")
    axes = figure.subplots()
    axes.hist(
        [[r for r in results if r <= 0], [r for r in results if r > 0]], bins=_BINS, stacked=True, color=[_RED, _GREEN]
    )
    axes.set_xlabel(f"net result of {count(len(results), 'trade')} in R")
    axes.set_ylabel("trades")
    _dress(axes, lambda value: number(value, 0))
    _title(figure, evaluation)
    return figure


def _dress(axes: Axes, form: Callable[[float], str]) -> None:
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: form(value)))
    axes.grid(visible=True, axis="y", color="#dfe2e5", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _title(figure: Figure, evaluation: Evaluation) -> None:
    """The claim stands on every picture."""
    facts = evaluation.facts
    labels = "".join(f", {label.replace('_', ' ')}" for label in facts.labels)
    figure.suptitle(
        f"{facts.market} {facts.first_session} to {facts.last_session}: {facts.claim.value}{labels}", fontsize=11
    )


def _png(figure: Figure) -> bytes:
    """The same bytes for the same figure: no version, no date."""
    target = BytesIO()
    figure.savefig(target, format="png", metadata={"Software": None})
    return target.getvalue()
