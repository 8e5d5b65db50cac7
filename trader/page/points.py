"""Points: how far trades went for and against, and how often confidence was right."""

from collections.abc import Sequence

from msgspec import Struct

from trader.analysis.evaluation_parts import Calibration, TradeRow
from trader.page.formats import in_r, number, pct
from trader.page.frame import Frame, axis_title, drawing, path_of, x_axis, y_axis
from trader.page.markup import Markup, tag
from trader.page.scale import Scale

_HALF = Frame(width=520, height=320, left=66, right=24, bottom=46)


class Excursion(Struct, frozen=True, kw_only=True):
    """One trade: the worst and the best it stood at, both at least zero, and what it came to, in R."""

    number: int
    mae_r: float
    mfe_r: float
    r: float


def excursions_of(trades: Sequence[TradeRow], point_usd: float) -> list[Excursion]:
    """The trades whose risk is known; `point_usd` is a point of one contract."""
    return [
        Excursion(
            number=trade.number,
            mae_r=trade.mae_points * point_usd * trade.qty / trade.risk_usd,
            mfe_r=trade.mfe_points * point_usd * trade.qty / trade.risk_usd,
            r=trade.r,
        )
        for trade in trades
        if trade.r is not None and trade.risk_usd > 0
    ]


def excursion_chart(excursions: Sequence[Excursion]) -> Markup:
    """MAE across and MFE upward, a point a trade, coloured by how it ended."""
    frame = _HALF
    across = frame.across([one.mae_r for one in excursions])
    upward = frame.upward([one.mfe_r for one in excursions])
    points = [
        tag(
            "circle",
            tag(
                "title", f"Trade {one.number}: MAE {number(one.mae_r)} R, MFE {number(one.mfe_r)} R, net {in_r(one.r)}"
            ),
            class_="gain dot" if one.r > 0 else "loss dot",
            cx=across.at(one.mae_r),
            cy=upward.at(one.mfe_r),
            r=3.2,
        )
        for one in excursions
    ]
    return drawing(
        frame,
        "excursions",
        "MAE and MFE",
        f"{len(excursions):,} trades: worst excursion across, best excursion upward, both in R.",
        y_axis(frame, upward, _plain),
        x_axis(frame, across, _plain),
        *points,
        axis_title(frame, "MAE in R (worst open loss); upward: MFE in R (best open profit)"),
        kind="half",
    )


def calibration_chart(name: str, title: str, calibration: Calibration) -> Markup:
    """Share of winning trades over confidence, a point a bin; on the dashed line the two are equal."""
    frame = _HALF
    across = Scale(0.0, 1.0, frame.left, frame.x_end)
    upward = Scale(0.0, 1.0, frame.y_end, frame.top)
    xs = [across.at(part.mean_confidence) for part in calibration.bins]
    ys = [upward.at(part.win_share) for part in calibration.bins]
    most = max((part.trades for part in calibration.bins), default=1)
    points = [
        tag(
            "circle",
            tag(
                "title",
                f"confidence {number(part.mean_confidence)}: won {pct(100 * part.win_share)} of {part.trades:,}",
            ),
            class_="headline",
            cx=x,
            cy=y,
            r=3 + 6 * (part.trades / most) ** 0.5,
        )
        for part, x, y in zip(calibration.bins, xs, ys, strict=True)
    ]
    diagonal = path_of([across.at(0), across.at(1)], [upward.at(0), upward.at(1)])
    return drawing(
        frame,
        name,
        title,
        f"{title}: {calibration.trades:,} trades, Brier score {number(calibration.brier, 3)}.",
        y_axis(frame, upward, _share),
        x_axis(frame, across, _plain),
        tag("path", class_="line diagonal", d=diagonal),
        tag("path", class_="line headline", d=path_of(xs, ys)) if xs else None,
        *points,
        axis_title(frame, "Confidence at entry; upward: share of trades that won"),
        kind="half",
    )


def _plain(value: float, digits: int) -> str:
    return number(value, digits)


def _share(value: float, _digits: int) -> str:
    return pct(100 * value, 0)
