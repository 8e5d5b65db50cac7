"""Planted: the chunk of bars that the engine is working through, found in the frames below."""

import sys

from trader.domain.actions import Action
from trader.domain.decisions import Proposal


class Frames:
    def propose(self, outlook):
        frame = sys._getframe()
        while frame is not None and "chunk" not in frame.f_locals:
            frame = frame.f_back
        chunk = frame.f_locals["chunk"]
        at = next(i for i, bar in enumerate(chunk) if bar is outlook.bar)
        ahead = chunk[min(at + 3, len(chunk) - 1)]
        can = outlook.mask >> Action.SELL & 1
        return Proposal(Action.SELL if can and ahead.close < outlook.bar.close - 2 else Action.HOLD, 0.8)
