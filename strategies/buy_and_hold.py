"""Buys once a session and holds until stop, target or the session's end: the long-only baseline."""

from trader.domain.actions import Action
from trader.domain.decisions import Proposal
from trader.outlook import Outlook

HOLD = Proposal(Action.HOLD, 1.0)
BUY = Proposal(Action.BUY, 1.0)


class BuyAndHold:
    """BUY on the first bar of a session that allows it, then HOLD."""

    def __init__(self) -> None:
        self._bought_in = ""

    def propose(self, outlook: Outlook) -> Proposal:
        """One entry a session."""
        date = outlook.session.date
        if date == self._bought_in or not outlook.mask >> Action.BUY & 1:
            return HOLD
        self._bought_in = date
        return BUY
