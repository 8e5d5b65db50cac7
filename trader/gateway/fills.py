"""What a price or a bar does to resting orders: `kernels.matching`, the paper broker's fill rule, order by order.

An order that would close a long position (SELL) is matched as the stop or target of a long one, a BUY as that of a
short one. Orders of one OCA group and side are matched as one bracket: where a bar reaches both, the stop is booked.
"""

from collections.abc import Iterable

from msgspec import Struct

from trader.gateway.orders import STOP_KINDS, Kind, Resting
from trader.kernels import matching

FAR_TICKS = 1 << 40
"""A level that no price reaches, where a bracket has one leg only."""


class Costs(Struct, frozen=True, kw_only=True):
    """Ticks against a market or stop order, and ticks that must trade past a limit (0 touch, 1 through)."""

    slippage_ticks: int
    through_ticks: int


class Range(Struct, frozen=True, kw_only=True):
    """A bar in ticks; all four are equal for a single price. `is_rth` says that it lies in regular hours."""

    open: int
    high: int
    low: int
    close: int
    is_rth: bool


class Match(Struct, frozen=True, kw_only=True):
    """`order` fills at `price_ticks`; `at_open` says at the bar's open, not inside it."""

    order: Resting
    price_ticks: int
    at_open: bool


def market_match(order: Resting, price_ticks: int, costs: Costs) -> Match:
    """A market order meets a price: slippage is against it."""
    price = matching.market_price(int(order.side), price_ticks, costs.slippage_ticks)
    return Match(order=order, price_ticks=price, at_open=True)


def range_match(bracket: list[Resting], bar: Range, costs: Costs) -> Match | None:
    """What fills of `bracket` (active orders of one group and side) in a bar; a stop-limit may only be triggered."""
    held = -int(bracket[0].side)
    stop = _nearest(held, (each for each in bracket if each.level_ticks is not None and _is_awake(each, bar)))
    limit = _nearest_limit(held, bracket)
    if stop is None and limit is None:
        return None
    stop_ticks = -held * FAR_TICKS if stop is None or stop.level_ticks is None else stop.level_ticks
    limit_ticks = held * FAR_TICKS if limit is None or limit.limit_ticks is None else limit.limit_ticks
    outcome, price, _ = matching.exit_in_bar(
        held, bar.open, bar.high, bar.low, stop_ticks, limit_ticks, costs.slippage_ticks, costs.through_ticks
    )
    if outcome == matching.NO_EXIT:
        return None
    at_open = outcome != matching.AMBIGUOUS and matching.opens_beyond(
        held, bar.open, stop_ticks, limit_ticks, costs.through_ticks
    )
    if outcome == matching.TARGET:
        return None if limit is None else Match(order=limit, price_ticks=price, at_open=at_open)
    return None if stop is None else _stopped(stop, price, held, at_open=at_open)


def _stopped(stop: Resting, price: int, held: int, *, at_open: bool) -> Match | None:
    if stop.kind is Kind.STOP_LIMIT:
        stop.is_triggered = True  # from now on it is a limit order
        if stop.limit_ticks is not None and held * price < held * stop.limit_ticks:
            return None
    return Match(order=stop, price_ticks=price, at_open=at_open)


def trail(order: Resting, bar: Range, costs: Costs) -> Match | None:
    """Pull a trailing stop up after a bar; a close that has fallen through the new level fills it there."""
    if order.trail_ticks is None or not _is_awake(order, bar):
        return None
    held = -int(order.side)
    best = bar.high if held > 0 else bar.low
    order.trail_ticks = held * max(held * order.trail_ticks, held * best - order.trail_gap_ticks)
    if held * bar.close > held * order.trail_ticks:
        return None
    price = order.trail_ticks - held * costs.slippage_ticks
    return Match(order=order, price_ticks=price, at_open=False)


def beyond_match(children: list[Resting], entry: Match, costs: Costs, *, limit_holds: bool) -> Match | None:
    """A bracket begins to work at or past one of its own levels: that leg goes at the price the entry met.

    As the paper broker does it; but where `limit_holds` a limit order never fills worse than its limit.
    """
    held = int(entry.order.side)
    stop = _nearest(held, (each for each in children if each.level_ticks is not None))
    limit = _nearest_limit(held, children)
    stop_ticks = -held * FAR_TICKS if stop is None or stop.level_ticks is None else stop.level_ticks
    limit_ticks = held * FAR_TICKS if limit is None or limit.limit_ticks is None else limit.limit_ticks
    if not matching.is_beyond(held, entry.price_ticks, stop_ticks, limit_ticks):
        return None
    met = entry.price_ticks - (held * costs.slippage_ticks if entry.order.kind is not Kind.LIMIT else 0)
    price = matching.market_price(-held, met, costs.slippage_ticks)
    if stop is not None and held * entry.price_ticks <= held * stop_ticks:
        return Match(order=stop, price_ticks=price, at_open=entry.at_open)
    if limit is None:
        return None
    if limit_holds:
        price = held * max(held * price, held * limit_ticks)
    return Match(order=limit, price_ticks=price, at_open=entry.at_open)


def _is_awake(order: Resting, bar: Range) -> bool:
    """A simulated stop sleeps outside regular hours unless it was sent with outsideRth."""
    return bar.is_rth or order.spec.outside_rth


def _nearest(held: int, stops: Iterable[Resting]) -> Resting | None:
    return max(stops, key=lambda each: held * (each.level_ticks or 0), default=None)


def _nearest_limit(held: int, orders: list[Resting]) -> Resting | None:
    limits = (each for each in orders if each.kind not in STOP_KINDS or each.is_triggered)
    return min(limits, key=lambda each: held * (each.limit_ticks or 0), default=None)
