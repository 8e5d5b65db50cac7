"""Planted: hourly closes labelled with the hour's start, and so known 59 minutes early."""

import pandas as pd

from trader.domain.actions import Action
from trader.domain.decisions import Proposal


class HourNotClosed:
    def __init__(self, bars="bars.csv"):
        frame = pd.read_csv(bars)
        frame.index = pd.to_datetime(frame["time"], unit="s")
        hourly = frame["close"].resample("60min").last()
        self._hour = hourly.reindex(frame.index, method="ffill")

    def propose(self, outlook):
        can = outlook.mask >> Action.SELL & 1
        close = self._hour.get(pd.Timestamp(outlook.bar.ts_open_ns), float("nan"))
        return Proposal(Action.SELL if can and close < outlook.bar.close - 3 else Action.HOLD, 0.8)
