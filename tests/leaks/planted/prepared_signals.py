"""Planted: signals that a script has prepared from the whole file, read from a file of their own."""

import csv

from trader.domain.actions import Action
from trader.domain.decisions import Proposal


def prepare(bars, signals):
    """What a user's script does once: one row a bar, 1 where the close ten bars later is higher."""
    with open(bars, newline="") as file:
        rows = list(csv.DictReader(file))
    with open(signals, "w", newline="") as file:
        file.writelines(
            f"{row['time']},{int(float(later['close']) > float(row['close']))}\n"
            for row, later in zip(rows, rows[10:], strict=False)
        )


class PreparedSignals:
    def __init__(self, signals="signals.csv"):
        with open(signals, newline="") as file:
            self._signal = {int(stamp): signal == "1" for stamp, signal in csv.reader(file)}

    def propose(self, outlook):
        can = outlook.mask >> Action.BUY & 1
        wants = self._signal.get(outlook.bar.ts_open_ns // 10**9, False)
        return Proposal(Action.BUY if can and wants else Action.HOLD, 0.8)
