"""What a user may say about a bar file when it is opened."""

import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from trader.adapters.files.checks import TimedRows
from trader.adapters.files.clock import NEW_YORK, to_utc
from trader.adapters.files.faults import Fault
from trader.adapters.files.rolls import RollPlan
from trader.errors import UsageError

CHUNK_ROWS = 16_384
_FIRST_NS, _LAST_NS = -(1 << 62), 1 << 62


Layouts = Literal["auto", "firstrate", "tradingview", "databento", "generic"]
Stamps = Literal["open", "close"]
OnBadBar = Literal["stop", "skip"]


class ReadOptions(Struct, frozen=True, kw_only=True):
    """How to read a file of bars; the defaults trust the file only as far as it proves itself.

    `layout`: auto, firstrate, tradingview, databento or generic; one that is named, not detected, states its clock too.
    `tz`: IANA zone (or ET, CT, MT, PT) of the stamps. `stamp`: the end of a bar that its stamp names. `rolls`: a file
    of rolls (rolls.py), a plan, or "none" for one contract or prices that are already adjusted. `contract`: the one
    contract of the file, or the one to choose of several. `date_from`, `date_to`: a session's date such as 2019-07-05
    (that session included), or a minute of New York such as "2019-07-05 10:00" (bars that open from it on, and before
    it). `chunk_rows`: rows read at a time.
    """

    layout: Layouts = "auto"
    tz: str | None = None
    stamp: Stamps | None = None
    rolls: Path | RollPlan | Literal["none"] | None = None
    contract: str | None = None
    on_bad_bar: OnBadBar = "stop"
    date_from: str | None = None
    date_to: str | None = None
    chunk_rows: int = CHUNK_ROWS

    def require_known(self) -> None:
        """UsageError where a word is none that these options know."""
        words = (
            ("--layout", self.layout, get_args(Layouts)),
            ("--stamp", self.stamp or "open", get_args(Stamps)),
            ("--on-bad-bar", self.on_bad_bar, get_args(OnBadBar)),
        )
        for option, word, known in words:
            if word not in known:
                msg = f"{option} {word!r} is none of {', '.join(known)}"
                raise UsageError(msg)
        if self.chunk_rows < 1:
            msg = f"at least one row is read at a time; got {self.chunk_rows}"
            raise UsageError(msg)


class Window(Struct, frozen=True, kw_only=True):
    """Bars to read: those that open in [from_ns, to_ns), UTC."""

    from_ns: int
    to_ns: int

    @property
    def is_from_start(self) -> bool:
        """Was no --from given?"""
        return self.from_ns == _FIRST_NS

    @property
    def is_to_end(self) -> bool:
        """Was no --to given?"""
        return self.to_ns == _LAST_NS

    @classmethod
    def of(cls, options: ReadOptions) -> "Window":
        """The window of --from and --to; UsageError where they cannot be read or leave nothing."""
        from_ns, to_ns = _FIRST_NS, _LAST_NS
        if options.date_from is not None:
            from_ns = _moment("--from", options.date_from, day_begins=timedelta(hours=-6))
        if options.date_to is not None:
            to_ns = _moment("--to", options.date_to, day_begins=timedelta(hours=18))
        if from_ns >= to_ns:
            msg = f"--from {options.date_from} leaves nothing before --to {options.date_to}"
            raise UsageError(msg)
        return cls(from_ns=from_ns, to_ns=to_ns)


class WindowCut:
    """Leaves out the rows of a file that lie outside a window, and the faults between such rows."""

    def __init__(self, window: Window) -> None:
        self._window = window
        self._was_inside = window.is_from_start
        self.is_over = False

    def cut(self, timed: TimedRows, faults: list[Fault]) -> tuple[TimedRows, list[Fault]]:
        """Rows inside, and faults that follow a row inside; so does a row whose time the calendar does not know."""
        if not len(timed):
            return timed, faults if self._was_inside else []
        late = timed.ts_open_ns >= self._window.to_ns
        known = timed.ts_open_ns >= 0
        within = np.append(~late & (timed.ts_open_ns >= self._window.from_ns), self._was_inside)
        inside = within[np.maximum.accumulate(np.where(known, np.arange(len(timed)), -1))]
        self.is_over = bool((late | ~known).all() and late.any())
        if faults:
            places = np.searchsorted(timed.rows.line, [fault.line for fault in faults])
            before: NDArray[np.bool_] = np.append(self._was_inside, inside)[places]
            faults = [fault for fault, keep in zip(faults, before.tolist(), strict=True) if keep]
        self._was_inside = bool(inside[-1])
        return (timed if inside.all() else timed.take(inside)), faults


def _moment(option: str, text: str, *, day_begins: timedelta) -> int:
    """UTC nanoseconds of a date (plus `day_begins`) or minute of New York; UsageError otherwise."""
    try:
        wall = datetime.fromisoformat(text)
    except ValueError:
        wall = None
    if wall is None or wall.tzinfo is not None:
        msg = (
            f"{option} {text!r} is no date; give a session's date as 2019-07-05 or New York's time as 2019-07-05T10:00"
        )
        raise UsageError(msg)
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        wall += day_begins
    wall_ns = np.array([np.datetime64(wall, "ns").astype(np.int64)])
    return int(to_utc(wall_ns, NEW_YORK)[0])
