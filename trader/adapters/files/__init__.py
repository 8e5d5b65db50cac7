"""Reading files of bars: what a file is and how that is proved, its bars as columns, what was wrong with the rest."""

from trader.adapters.files.bars import BarSource, open_bars
from trader.adapters.files.facts import FileFacts, Stamp
from trader.adapters.files.faults import Fault, Reason, Skipped
from trader.adapters.files.options import ReadOptions
from trader.adapters.files.resample import resample
from trader.adapters.files.rolls import Roll, RollPlan, read_rolls
from trader.adapters.files.sniff import sniff

__all__ = [
    "BarSource",
    "Fault",
    "FileFacts",
    "ReadOptions",
    "Reason",
    "Roll",
    "RollPlan",
    "Skipped",
    "Stamp",
    "open_bars",
    "read_rolls",
    "resample",
    "sniff",
]
