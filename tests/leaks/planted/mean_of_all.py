"""Planted for `recursive`: the mean of all closes since the first bar."""

from trader.domain.actions import Action
from trader.domain.decisions import Proposal


class MeanOfAll:
    def __init__(self):
        self._sum = 0.0
        self._count = 0

    def propose(self, outlook):
        self._sum += outlook.bar.close
        self._count += 1
        stretch = outlook.bar.close * self._count / self._sum - 1
        can = outlook.mask >> Action.BUY & 1
        return Proposal(Action.BUY if can and stretch < 0 else Action.HOLD, min(1.0, 20 * abs(stretch)))
