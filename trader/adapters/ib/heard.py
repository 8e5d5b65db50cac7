"""A bar as the broker has told it, and what has to be true of it before it is believed."""

import datetime
import math
from enum import StrEnum

from msgspec import Struct

from trader.adapters.ib.foreign import IbBar
from trader.domain.bars import Bar
from trader.domain.instruments import Instrument
from trader.domain.units import SECOND_NS
from trader.errors import InvariantError

_GRID_TOLERANCE = 1e-6


class Heard(Struct, frozen=True, gc=False):
    """Prices in points; `volume` in contracts, below 0 or nan where it was not told."""

    ts_open_ns: int
    open: float
    high: float
    low: float
    close: float
    volume: float


class Flaw(StrEnum):
    """Why a bar is not believed."""

    NOT_A_PRICE = "a price is missing or not above zero"
    OFF_TICK = "a price is not on the tick"
    UNORDERED = "high and low do not hold open and close"
    OFF_CLOCK = "it does not begin on a whole bar of the clock"


def heard(bar: IbBar) -> Heard:
    """The library's bar; its date is seconds since 1970 (formatDate 2), read by the library or not yet."""
    return Heard(_opened_ns(bar.date), bar.open, bar.high, bar.low, bar.close, bar.volume)


def flaw_of(bar: Heard, market: Instrument, bar_ns: int) -> Flaw | None:
    """What is wrong with a bar, if anything is."""
    prices = (bar.open, bar.high, bar.low, bar.close)
    if not all(math.isfinite(price) and price > 0 for price in prices):
        return Flaw.NOT_A_PRICE
    in_ticks = [price * market.ticks_per_point for price in prices]
    if any(abs(ticks - round(ticks)) > _GRID_TOLERANCE for ticks in in_ticks):
        return Flaw.OFF_TICK
    if not bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high:
        return Flaw.UNORDERED
    return Flaw.OFF_CLOCK if bar.ts_open_ns % bar_ns else None


def as_bar(bar: Heard, symbol: str, market: Instrument, bar_ns: int, roll_offset: float = 0.0) -> Bar:
    """A bar without flaw as the line knows it; prices are the doubles nearest to the decimal ones."""
    to_ticks, to_points = market.to_ticks, market.to_points
    return Bar(
        bar.ts_open_ns,
        bar.ts_open_ns + bar_ns,
        symbol,
        to_points(to_ticks(bar.open)),
        to_points(to_ticks(bar.high)),
        to_points(to_ticks(bar.low)),
        to_points(to_ticks(bar.close)),
        int(bar.volume) if bar.volume >= 0 else None,
        roll_offset,
    )


def _opened_ns(date: str | datetime.datetime | datetime.date) -> int:
    if isinstance(date, str):
        return int(date) * SECOND_NS
    if isinstance(date, datetime.datetime):
        return round(date.timestamp()) * SECOND_NS
    msg = f"a bar of a whole day ({date}) where one of minutes was asked for"
    raise InvariantError(msg)
