"""Planted: the weekday of today, where that of the bar is meant."""

import datetime as dt

from trader.domain.actions import Action
from trader.domain.decisions import Proposal


class WallClock:
    def propose(self, outlook):
        can = outlook.mask >> Action.BUY & 1
        up = outlook.reading.sma_20 > outlook.reading.sma_50
        return Proposal(Action.BUY if can and up else Action.HOLD, 0.5 + dt.date.today().weekday() / 100)  # noqa: DTZ011 -- the leak
