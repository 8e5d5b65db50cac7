"""Planted: closes are standardised with mean and deviation of the whole file, fitted once at the start."""

import csv
from statistics import fmean, pstdev

from trader.domain.actions import Action
from trader.domain.decisions import Proposal


class WholeFileScaler:
    def __init__(self, bars="bars.csv"):
        with open(bars, newline="") as file:
            closes = [float(row["close"]) for row in csv.DictReader(file)]
        self._mean, self._deviation = fmean(closes), pstdev(closes)

    def propose(self, outlook):
        score = (outlook.bar.close - self._mean) / self._deviation
        can = outlook.mask >> Action.SELL & 1
        return Proposal(Action.SELL if can and score > 1 else Action.HOLD, min(1.0, abs(score) / 10))
