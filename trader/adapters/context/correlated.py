"""Another market's bars beside the traded one's: its last close, and its move over 20 bars."""

from pathlib import Path

import numpy as np

from trader.adapters.columns import BarColumns, concatenate
from trader.adapters.files import ReadOptions, open_bars
from trader.advisor.prompt import SectionFacts
from trader.advisor.question import Question
from trader.domain.instruments import Instrument
from trader.domain.sessions import Calendar
from trader.domain.units import MINUTE_NS
from trader.errors import InputError

MOVE_BARS = 20
STALE_MINUTES = 15
"""How old the other market's last bar may be; older says more of a gap in the file than of the market."""


class CorrelatedMarket:
    """The section of a prompt that tells the other market as it stood when the question's bar closed.

    Of the bars only those are looked at that had closed by then. A move spans rolls of the contract by their offsets.
    With `anonymise` it tells the move in percent and no price.
    """

    def __init__(
        self, columns: BarColumns, market: Instrument, *, bar_minutes: int, sha256: str, anonymise: bool
    ) -> None:
        self._name = market.symbol
        self._span = f"over {MOVE_BARS} bars of {bar_minutes} min"
        self._anonymise = anonymise
        self._close_ns = columns.ts_close_ns
        self._closes = columns.close
        self._offsets = np.cumsum(columns.roll_offset)
        self.facts = SectionFacts(
            key="prompt.correlated_file",
            title=f"Correlated market ({market.name}):",
            identity=f"bars of {market.symbol} {sha256} anonymised {anonymise}",
            is_quoted=False,
            is_steady=False,
            tells_dates=not anonymise,
        )

    def lines(self, question: Question) -> tuple[str, ...]:
        """Such as `ES: 4012.25, +12.50 points (+0.31%) over 20 bars of 1 min`; nothing where the last bar is stale."""
        now_ns = question.ts_close_ns
        last = int(np.searchsorted(self._close_ns, now_ns, side="right")) - 1
        if last < 0 or now_ns - int(self._close_ns[last]) > STALE_MINUTES * MINUTE_NS:
            return ()
        close = float(self._closes[last])
        if last < MOVE_BARS:
            return () if self._anonymise else (f"{self._name}: {close:.2f}",)
        before = last - MOVE_BARS
        rolled = float(self._offsets[last] - self._offsets[before])
        points = close - float(self._closes[before]) - rolled
        share = points / (close - points)
        told = f"{share:+.2%}" if self._anonymise else f"{close:.2f}, {points:+.2f} points ({share:+.2%})"
        return (f"{self._name}: {told} {self._span}",)


def open_correlated(
    path: Path, *, market: Instrument, calendar: Calendar, anonymise: bool = False, options: ReadOptions | None = None
) -> CorrelatedMarket:
    """The other market from a file of bars or a folder of daily ones; InputError where it cannot be read.

    Without options, contracts that the file does not name are taken as one, or as adjusted already.
    """
    try:
        source = open_bars(path, market=market, calendar=calendar, options=options or ReadOptions(rolls="none"))
        parts = list(source.columns())
    except InputError as error:
        msg = f"prompt.correlated_file: {error}"
        raise InputError(msg) from error
    if not parts:
        msg = f"prompt.correlated_file: {path} has no bar of {market.symbol}; give a file of prompt.correlated_market"
        raise InputError(msg)
    return CorrelatedMarket(
        concatenate(parts), market, bar_minutes=source.facts.bar_minutes, sha256=source.sha256, anonymise=anonymise
    )
