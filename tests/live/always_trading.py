"""A strategy for tests: whenever it may enter it does, now on one side and now on the other, and it moves its stop.

With `quiet` it leaves the stop where it is, so that the target, or the clock, ends the trade.
"""

from trader.domain.actions import ENTRY_BITS, Action
from trader.domain.decisions import Proposal
from trader.outlook import Outlook

LEFT_ALONE, BREAK_EVEN, TRAILING, NOW_AND_THEN = range(4)


class AlwaysTrading:
    """One kind of trade after the other: left alone, to break-even, then trailing, then trailing on and off."""

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._entries = 0
        self._bars_held = 0

    def propose(self, outlook: Outlook) -> Proposal:
        """One of the valid actions, always sure of it."""
        if outlook.mask & ENTRY_BITS:
            self._entries += 1
            self._bars_held = 0
            return Proposal(Action.BUY if self._entries % 2 else Action.SELL, 1.0)
        self._bars_held += 1
        kind = LEFT_ALONE if self._quiet else self._entries // 2 % 4
        wanted = []
        if kind != LEFT_ALONE:
            wanted.append(Action.MOVE_TO_BE)
        if kind == TRAILING or (kind == NOW_AND_THEN and self._bars_held // 2 % 2):
            wanted.append(Action.ENABLE_TRAIL)
        if kind == NOW_AND_THEN:
            wanted.append(Action.DISABLE_TRAIL)
        return Proposal(next((each for each in wanted if outlook.mask >> each & 1), Action.HOLD), 1.0)
