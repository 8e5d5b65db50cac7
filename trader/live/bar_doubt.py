"""Which came first, where one bar has reached both stop and target? A broker knows; a gateway in lockstep does not.

It matches whole bars, as a backtest does, so that what it fills is in as much doubt as a backtest's fill, and the
decision log says so alike.
"""

from collections.abc import Callable

from msgspec.structs import replace

from trader.adapters.ib.heard import Heard
from trader.book import Book
from trader.domain.instruments import Instrument
from trader.domain.orders import ExitReason, Fill

AT_A_STOP = frozenset({ExitReason.STOP, ExitReason.BREAK_EVEN, ExitReason.TRAIL})


class BarDoubt:
    """`bar` is the one that has just traded, `through_ticks` how far a price has to trade past a target to fill it."""

    def __init__(self, bar: Callable[[], Heard | None], book: Book, market: Instrument, through_ticks: int) -> None:
        self._bar = bar
        self._book = book
        self._market = market
        self._through_ticks = through_ticks

    def __call__(self, fill: Fill) -> Fill:
        """The fill, before it is booked, with the price that the target would have given where the bar reached it too.

        What filled at the bar's open came before all the rest of it.
        """
        bar = self._bar()
        if bar is None or fill.reason not in AT_A_STOP or fill.ts_ns <= bar.ts_open_ns:
            return fill
        held, target_ticks = -fill.side, self._book.view().target_ticks
        best_ticks = self._market.to_ticks(bar.high if held > 0 else bar.low)
        if held * best_ticks < held * target_ticks + self._through_ticks:
            return fill
        return replace(fill, optimistic_ticks=target_ticks)
