"""Planted: a coin that falls otherwise every time."""

import random

from trader.domain.actions import Action
from trader.domain.decisions import Proposal


class Unseeded:
    def propose(self, outlook):
        can = outlook.mask >> Action.BUY & 1
        return Proposal(Action.BUY if can and random.random() < 0.1 else Action.HOLD, 0.8)
