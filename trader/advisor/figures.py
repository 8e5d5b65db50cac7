"""The figures that a template may print, from a question: as they are, or without anything that dates them. Pure.

Anonymised: the time keeps its hour and loses its date; prices become an index on which the session's volume-weighted
average price is 100; momentum is in average true ranges; the open profit is scaled to an initial risk of $100. All
four together, since any one in points or dollars beside one in percent would give the price level away. What stays has
no date in it: the market's name, ADX, RSI, the distance from the VWAP, win rate, losses in a row, and the balance,
which is the account's own and stands on no chart. No contract's symbol is ever told.
"""

from msgspec import Struct

from trader.advisor.harmless import harmless
from trader.advisor.question import Question

CENTS = 100
RISK_OF_INDEX = 100.0

ANONYMOUS_NOTE = (
    "All figures are anonymised: prices are an index on which the volume-weighted average price of the session is 100, "
    "momentum is in average true ranges, and profit and loss are scaled to an initial risk of $100."
)


class Figures(Struct, frozen=True, kw_only=True, gc=False):
    """One field a name that a template may use, in the unit that it prints.

    `current_time` is New York's, `2023-03-15 10:31`; `vwap_distance` and `win_rate` are fractions, which `%` multiplies
    by 100; `momentum` is points over 20 bars; `unrealized_pnl` and `balance` are dollars.
    """

    market_name: str
    current_time: str
    current_price: float
    adx: float
    vwap_distance: float
    rsi: float
    momentum: float
    position_status: str
    unrealized_pnl: float
    win_rate: float
    consecutive_losses: int
    balance: float


def figures_of(question: Question) -> Figures:
    """The figures as they are."""
    return Figures(
        market_name=harmless(question.market_name),
        current_time=harmless(question.time_et),
        current_price=question.price,
        adx=question.adx,
        vwap_distance=question.vwap_distance,
        rsi=question.rsi,
        momentum=question.momentum,
        position_status=_position(question, 1.0),
        unrealized_pnl=question.unrealized_cents / CENTS,
        win_rate=question.win_rate,
        consecutive_losses=question.streak,
        balance=question.balance_cents / CENTS,
    )


def anonymous_figures_of(question: Question) -> Figures:
    """The figures without dates, price levels and whatever leads to them."""
    per_point = 100.0 / (question.vwap or question.price)
    risk = question.initial_risk_cents
    return Figures(
        market_name=harmless(question.market_name),
        current_time=harmless(question.time_et.rpartition(" ")[2]),
        current_price=question.price * per_point,
        adx=question.adx,
        vwap_distance=question.vwap_distance,
        rsi=question.rsi,
        momentum=question.momentum / question.atr if question.atr else 0.0,
        position_status=_position(question, per_point),
        unrealized_pnl=RISK_OF_INDEX * question.unrealized_cents / risk if risk else 0.0,
        win_rate=question.win_rate,
        consecutive_losses=question.streak,
        balance=question.balance_cents / CENTS,
    )


def _position(question: Question, per_point: float) -> str:
    """`FLAT`, or `LONG 1 @ 12000.25, stop 11985.00, trailing`; prices are multiplied by `per_point`."""
    if question.entry_price is None or question.stop_price is None:
        return "FLAT"
    side = "LONG" if question.position_qty > 0 else "SHORT"
    entry, stop = question.entry_price * per_point, question.stop_price * per_point
    trailing = ", trailing" if question.trailing else ""
    return f"{side} {abs(question.position_qty)} @ {entry:.2f}, stop {stop:.2f}{trailing}"
