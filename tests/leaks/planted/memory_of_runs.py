"""Planted: what one run has seen is kept in a module, and the next one knows it."""

import kept_by_memory_of_runs as kept

from trader.domain.actions import Action
from trader.domain.decisions import Proposal


class MemoryOfRuns:
    def propose(self, outlook):
        minute = outlook.bar.ts_open_ns // (60 * 10**9)
        kept.CLOSES[minute] = outlook.bar.close
        can = outlook.mask >> Action.BUY & 1
        wants = kept.CLOSES.get(minute + 10, 0.0) > outlook.bar.close + 2
        return Proposal(Action.BUY if can and wants else Action.HOLD, 0.8)
