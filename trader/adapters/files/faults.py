"""What can be wrong with one row of a bar file, how it is said, and the tally of rows that were skipped."""

from collections import Counter
from collections.abc import Iterable
from enum import StrEnum

from msgspec import Struct

from trader.errors import BadBarError

LISTED_AT_MOST = 100


class Reason(StrEnum):
    """Why a row is no bar."""

    CELLS = "cells"
    UNREADABLE = "unreadable"
    MISSING = "missing"
    NOT_FINITE = "not_finite"
    NOT_POSITIVE = "not_positive"
    TOO_LARGE = "too_large"
    OFF_TICK = "off_tick"
    HIGH_TOO_LOW = "high_too_low"
    LOW_TOO_HIGH = "low_too_high"
    NEGATIVE = "negative"
    NOT_WHOLE = "not_whole"
    NOT_WHOLE_MINUTE = "not_whole_minute"
    OUT_OF_SESSION = "out_of_session"
    BEHIND = "behind"
    AHEAD = "ahead"
    OVERLAP = "overlap"
    OFF_GRID = "off_grid"
    NOT_COVERED = "not_covered"
    AT_EDGE = "at_edge"
    KNOWN = "known"


PROBLEMS: dict[Reason, tuple[str, str]] = {
    Reason.CELLS: ("is not the number of cells that the header has", "repair or remove the line"),
    Reason.UNREADABLE: ("cannot be read", "repair or remove the line"),
    Reason.MISSING: ("is missing", "fill in the value or remove the line"),
    Reason.NOT_FINITE: ("is not a finite number", "repair or remove the line"),
    Reason.NOT_POSITIVE: ("is not above zero", "repair or remove the line"),
    Reason.TOO_LARGE: ("is no price of this market", "check --market and the unit of the prices"),
    Reason.OFF_TICK: ("is not on the market's tick", "check --market, or use prices that were not adjusted by a ratio"),
    Reason.HIGH_TOO_LOW: ("is below the bar's open, low or close", "repair or remove the line"),
    Reason.LOW_TOO_HIGH: ("is above the bar's open or close", "repair or remove the line"),
    Reason.NEGATIVE: ("is below zero", "repair or remove the line"),
    Reason.NOT_WHOLE: ("is not a whole number of contracts", "repair or remove the line"),
    Reason.NOT_WHOLE_MINUTE: ("is not on a whole minute", "use bars of whole minutes"),
    Reason.OUT_OF_SESSION: ("lies where the market is closed", "check --tz and --stamp, or remove the line"),
    Reason.BEHIND: ("does not come after the line before", "sort the file by time and remove doubled lines"),
    Reason.AHEAD: ("comes after most of the lines that follow it", "repair the stamp or remove the line"),
    Reason.OVERLAP: ("begins before the bar before it has closed", "remove the line: bars of two periods are mixed"),
    Reason.OFF_GRID: ("does not begin at a multiple of the file's bar period", "remove the line, or resample the file"),
    Reason.NOT_COVERED: ("is outside the session calendar", "repair or remove the line"),
    Reason.AT_EDGE: (
        "is a closed minute beside an open one",
        "left out: trades of the closing or opening match, stamped a moment off",
    ),
    Reason.KNOWN: ("is of a session that the shipped list of known holes names", "left out with the session"),
}
"""What is wrong with the value, and the remedy; one entry a reason."""


class Fault(Struct, frozen=True, kw_only=True):
    """One row that is no bar: where, which field, what stands there and why that cannot be.

    `file` is the name of the file in its folder, empty where there is one file only.
    """

    line: int
    reason: Reason
    field: str
    value: str
    file: str = ""

    def text(self) -> str:
        """Line, field, value, problem and remedy; the file only where it is one of a folder."""
        problem, remedy = PROBLEMS[self.reason]
        where = f"{self.file}, " if self.file else ""
        return f"{where}line {self.line}: {self.field} {self.value!r} {problem}; {remedy}"

    def error(self, path: str) -> BadBarError:
        """The error that a reader which stops at the first bad bar raises."""
        separator = "/" if self.file else ", "
        return BadBarError(f"{path}{separator}{self.text()}, or skip such lines with --on-bad-bar skip")


class Skipped:
    """Rows that a reader left out: every one is counted by its reason, the first hundred are listed.

    `notes` tell in words what is known of the whole: sessions of the shipped list, days without a file.
    """

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.counts: Counter[Reason] = Counter()
        self.listed: list[Fault] = []

    @property
    def total(self) -> int:
        """Rows left out."""
        return self.counts.total()

    @property
    def faults(self) -> int:
        """Rows left out one by one; those of a whole session are in the notes."""
        return self.total - self.counts[Reason.KNOWN]

    def add(self, faults: Iterable[Fault]) -> None:
        """Count `faults`, which come in the order of their lines."""
        for fault in faults:
            self.counts[fault.reason] += 1
            if len(self.listed) < LISTED_AT_MOST:
                self.listed.append(fault)

    def texts(self) -> list[str]:
        """The notes, then the faults that are listed."""
        return [*self.notes, *(fault.text() for fault in self.listed)]
