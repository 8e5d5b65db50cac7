"""A strategy for the disk's campaign: it enters at set minutes, and moves its stop as soon as it may."""

from trader.domain.actions import Action
from trader.domain.decisions import Proposal
from trader.domain.units import MINUTE_NS
from trader.outlook import Outlook

ENTRIES = {34: Action.BUY, 46: Action.SELL, 50: Action.BUY}
"""By the minute of the hour at which a bar closes; each on three bars, so that a refused one is tried again."""
TRIES = 3
MOVES = (Action.MOVE_TO_BE, Action.ENABLE_TRAIL)


class ByTheMinute:
    """Without a memory: what it wants follows from the time and from what may be done."""

    def propose(self, outlook: Outlook) -> Proposal:
        """One of the valid actions."""
        minute = outlook.bar.ts_close_ns // MINUTE_NS % 60
        wanted = [action for at, action in ENTRIES.items() if at <= minute < at + TRIES]
        wanted += MOVES
        return Proposal(next((each for each in wanted if outlook.mask >> each & 1), Action.HOLD), 1.0)
