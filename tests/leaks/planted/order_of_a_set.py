"""Planted: which of two equal reasons comes first in a set of names differs from process to process."""

from itertools import islice

from trader.domain.actions import Action
from trader.domain.decisions import Proposal

NAMES = {f"reason {number}" for number in range(40)}


class OrderOfASet:
    def propose(self, outlook):
        can = outlook.mask >> Action.BUY & 1
        first = [int(name.split()[1]) for name in islice(NAMES, 4)]  # one alone is the same in one process of forty
        confidence = sum(number / 40**place for place, number in enumerate(first, 1))
        return Proposal(Action.BUY if can and outlook.reading.rsi < 30 else Action.HOLD, confidence)
