"""Never trades: the baseline that shows what the line costs and that nothing else opens a position."""

from trader.domain.actions import Action
from trader.domain.decisions import Proposal
from trader.outlook import Outlook

HOLD = Proposal(Action.HOLD, 1.0)


class Flat:
    """Proposes HOLD on every bar."""

    def propose(self, outlook: Outlook) -> Proposal:
        """HOLD, whatever the market does."""
        del outlook
        return HOLD
