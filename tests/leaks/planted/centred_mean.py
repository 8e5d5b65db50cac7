"""Planted: a centred rolling mean over the whole file, half of whose window lies ahead."""

import pandas as pd

from trader.domain.actions import Action
from trader.domain.decisions import Proposal


class CentredMean:
    def __init__(self, bars="bars.csv"):
        frame = pd.read_csv(bars, index_col="time")
        self._mean = frame["close"].rolling(41, center=True).mean()

    def propose(self, outlook):
        can = outlook.mask >> Action.BUY & 1
        mean = self._mean.get(outlook.bar.ts_open_ns // 10**9, float("nan"))
        return Proposal(Action.BUY if can and outlook.bar.close < mean - 3 else Action.HOLD, 0.8)
