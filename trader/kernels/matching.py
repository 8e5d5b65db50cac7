"""What a bar does to resting orders: one fill rule for paper trading, backtest, training and the gateway simulator.

Prices are whole ticks. Both sides share one set of comparisons: a short position is mirrored by the sign of its side,
so that "adverse" is always down.
"""

from numba import njit

NO_EXIT, STOP, TARGET, AMBIGUOUS = 0, 1, 2, 3


@njit(cache=True)
def market_price(side: int, open_: int, slippage: int) -> int:
    """Fill price of a market order at a bar's open: `side` +1 buys, -1 sells; slippage is always against it."""
    return open_ + side * slippage


@njit(cache=True)
def is_beyond(side: int, fill: int, stop: int, target: int) -> bool:
    """Whether an entry filled at or past a level of the bracket that already rests (`side` of the position)."""
    return side * fill <= side * stop or side * fill >= side * target


@njit(cache=True)
def opens_beyond(side: int, open_: int, stop: int, target: int, target_through: int) -> bool:
    """Whether a bar opens at or through the stop, or through the target, of a position of `side`."""
    return side * open_ <= side * stop or side * open_ >= side * target + target_through


@njit(cache=True)
def exit_in_bar(
    side: int, open_: int, high: int, low: int, stop: int, target: int, slippage: int, target_through: int
) -> tuple[int, int, int]:
    """How the bracket of a position of `side` ends inside one bar: (outcome, price, optimistic price).

    Through the stop at the open: the open, slipped. Through the target at the open: the open. Stop inside the bar: the
    stop, slipped. Target inside the bar: the target, if traded `target_through` ticks past it (0 touch, 1 through).
    Both: the stop is booked (pessimistic) and the outcome is AMBIGUOUS; the optimistic price is then the target.
    """
    at_open = side * open_
    adverse = low if side > 0 else -high
    favourable = high if side > 0 else -low
    stop_level = side * stop
    target_level = side * target
    if opens_beyond(side, open_, stop, target, target_through):
        if at_open > stop_level:
            return TARGET, open_, open_
        price = side * (at_open - slippage)
        return STOP, price, price
    stopped = adverse <= stop_level
    reached = favourable >= target_level + target_through
    stop_price = side * (stop_level - slippage)
    if stopped and reached:
        return AMBIGUOUS, stop_price, target
    if stopped:
        return STOP, stop_price, stop_price
    if reached:
        return TARGET, target, target
    return NO_EXIT, 0, 0
