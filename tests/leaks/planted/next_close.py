"""Planted: the next bar's close stands in this bar's row (shift(-1))."""

import pandas as pd

from trader.domain.actions import Action
from trader.domain.decisions import Proposal


class NextClose:
    def __init__(self, bars="bars.csv"):
        frame = pd.read_csv(bars)
        frame["rises"] = frame["close"].shift(-1) > frame["close"] + 1
        self._rises = dict(zip(frame["time"], frame["rises"], strict=True))

    def propose(self, outlook):
        can = outlook.mask >> Action.BUY & 1
        wants = self._rises.get(outlook.bar.ts_open_ns // 10**9, False)
        return Proposal(Action.BUY if can and wants else Action.HOLD, 0.8)
