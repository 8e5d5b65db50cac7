"""Follows the cross of the 20- and the 50-bar average; stop and target come with every entry."""

from trader.domain.actions import Action
from trader.domain.decisions import Proposal
from trader.outlook import Outlook

HOLD = Proposal(Action.HOLD, 1.0)
BUY = Proposal(Action.BUY, 1.0)
SELL = Proposal(Action.SELL, 1.0)


class SmaCross:
    """BUY where the fast average crosses above the slow one, SELL where it crosses below, else HOLD."""

    def __init__(self) -> None:
        self._was_above: bool | None = None

    def propose(self, outlook: Outlook) -> Proposal:
        """A cross counts on its own bar only, and only where the mask allows the entry."""
        reading = outlook.reading
        is_above = reading.sma_20 > reading.sma_50
        was_above = self._was_above
        self._was_above = is_above
        if was_above is None or is_above == was_above:
            return HOLD
        wanted = BUY if is_above else SELL
        return wanted if outlook.mask >> wanted.action & 1 else HOLD
