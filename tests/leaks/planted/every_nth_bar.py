"""Planted for `recursive`: an entry every 50 bars, counted from wherever the history begins."""

from trader.domain.actions import Action
from trader.domain.decisions import Proposal


class EveryNthBar:
    def __init__(self):
        self._count = 0

    def propose(self, outlook):
        self._count += 1
        can = outlook.mask >> Action.SELL & 1
        return Proposal(Action.SELL if can and self._count % 50 == 0 else Action.HOLD, 0.8)
