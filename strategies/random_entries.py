"""Enters at random, from a seed: the baseline that any claim of skill has to beat."""

from random import Random

from trader.domain.actions import Action, actions_in
from trader.domain.decisions import Proposal
from trader.outlook import Outlook

HOLD = Proposal(Action.HOLD, 1.0)


class RandomEntries:
    """With probability `rate` a bar, one of the valid actions but HOLD, all equally likely."""

    def __init__(self, *, seed: int = 1, rate: float = 0.02) -> None:
        self._random = Random(seed)  # noqa: S311 -- a reproducible baseline, no secret
        self._rate = rate

    def propose(self, outlook: Outlook) -> Proposal:
        """One draw a bar, so that the sequence depends on the bars alone."""
        draw = self._random.random()
        pick = self._random.random()
        choices = actions_in(outlook.mask)[1:]
        if draw >= self._rate or not choices:
            return HOLD
        return Proposal(Action(choices[int(pick * len(choices))]), 1.0)
