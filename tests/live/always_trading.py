"""A strategy for tests: whenever it may enter it does, now on one side and now on the other, and it moves its stop.

With `quiet` it leaves the stop where it is, so that the target, or the clock, ends the trade.
"""

from trader.domain.actions import ENTRY_BITS, Action
from trader.domain.decisions import Proposal
from trader.outlook import Outlook

HELD = (Action.MOVE_TO_BE, Action.ENABLE_TRAIL, Action.DISABLE_TRAIL)


class AlwaysTrading:
    """Four trades of a kind after one another: left alone, break-even, trailing, and trailing switched on and off."""

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._entries = 0
        self._bars_held = 0

    def propose(self, outlook: Outlook) -> Proposal:
        """One of the valid actions, always sure of it."""
        mask = outlook.mask
        if mask & ENTRY_BITS:
            self._entries += 1
            self._bars_held = 0
            return Proposal(Action.BUY if self._entries % 2 else Action.SELL, 1.0)
        self._bars_held += 1
        kind = 0 if self._quiet else self._entries // 2 % 4
        wanted = (
            (),
            (Action.MOVE_TO_BE,),
            (Action.ENABLE_TRAIL,),
            (HELD[1 + self._bars_held // 2 % 2],),
        )[kind]
        return Proposal(next((each for each in wanted if mask >> each & 1), Action.HOLD), 1.0)
