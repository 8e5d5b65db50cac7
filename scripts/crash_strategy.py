"""A strategy that trades by the clock: the five trades of crash_bed, each on any of several bars."""

from crash_bed import ENTRY_BARS, TRADES, utc

from trader.domain.actions import Action
from trader.domain.decisions import Proposal
from trader.domain.units import MINUTE_NS
from trader.outlook import Outlook


class ByTheClock:
    """Without a memory: what it wants follows from the time."""

    def propose(self, outlook: Outlook) -> Proposal:
        """The trade whose time it is, or its stop's."""
        for trade in TRADES:
            after = (outlook.bar.ts_close_ns - utc(trade.at)) // MINUTE_NS
            action = trade.action if 0 <= after < ENTRY_BARS else Action.HOLD
            if trade.be_at is not None and trade.be_at <= after < trade.be_at + ENTRY_BARS:
                action = Action.MOVE_TO_BE
            if action is not Action.HOLD and outlook.mask >> action & 1:
                return Proposal(action, 1.0)
        return Proposal(Action.HOLD, 1.0)
