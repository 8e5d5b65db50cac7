"""Planted: which of two equal reasons comes first in a set of names differs from process to process."""

from trader.domain.actions import Action
from trader.domain.decisions import Proposal

NAMES = {f"reason {number}" for number in range(40)}


class OrderOfASet:
    def propose(self, outlook):
        can = outlook.mask >> Action.BUY & 1
        first = next(iter(NAMES))
        return Proposal(Action.BUY if can and outlook.reading.rsi < 30 else Action.HOLD, int(first.split()[1]) / 40)
