"""Planted: the feed's bars, found among the objects that the garbage collector knows."""

import gc

from trader.adapters.columns import BarColumns
from trader.domain.actions import Action
from trader.domain.decisions import Proposal


class GarbageCollector:
    def __init__(self):
        self._at = -1
        self._bars = None

    def propose(self, outlook):
        if self._bars is None:
            # Not isinstance, which asks each object for its class: some of torch's warn when they are asked.
            columns = [found for found in gc.get_objects() if type(found) is BarColumns]
            self._bars = next(found for found in columns if found.ts_open_ns[0] == outlook.bar.ts_open_ns)
        self._at += 1
        ahead = self._bars.close[min(self._at + 5, len(self._bars) - 1)]
        can = outlook.mask >> Action.BUY & 1
        return Proposal(Action.BUY if can and ahead > outlook.bar.close + 2 else Action.HOLD, 0.8)
