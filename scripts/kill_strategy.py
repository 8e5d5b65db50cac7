"""A strategy for the kill campaign: it acts on most bars, by the bar's time alone, so that every life chooses alike."""

from hashlib import sha256

from trader.domain.actions import Action, actions_in
from trader.domain.decisions import Proposal
from trader.outlook import Outlook

REST = 64
"""Of 256 bars that many are left alone."""


class Restless:
    """Enters whenever it may, and moves its stops."""

    def propose(self, outlook: Outlook) -> Proposal:
        """One of the valid actions but HOLD, on three bars of four."""
        digest = sha256(outlook.bar.ts_close_ns.to_bytes(8, "big")).digest()
        choices = actions_in(outlook.mask)[1:]
        if digest[0] < REST or not choices:
            return Proposal(Action.HOLD, 1.0)
        return Proposal(Action(choices[digest[1] % len(choices)]), 1.0)
