"""The default: a trained policy, the most probable valid action on every bar."""

from trader.domain.actions import ACTIONS
from trader.domain.decisions import Proposal
from trader.outlook import Outlook
from trader.policy.bundle import Bundle


class Ppo:
    """Proposes what the bundle's network chooses under the mask; its probability is the confidence."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self._choose = bundle.network.choose

    def propose(self, outlook: Outlook) -> Proposal:
        """One forward pass; no state is kept between bars."""
        action, probs = self._choose(outlook.obs, outlook.mask)
        return Proposal(ACTIONS[action], probs[action], probs)
