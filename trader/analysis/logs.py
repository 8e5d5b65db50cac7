"""`trader logs`: the decision log as rows for people, or as its own lines for `jq`; follows a log that still grows."""

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import TextIO

from msgspec import Struct

from trader.analysis.log import Entry, Kind, Tail, open_log
from trader.analysis.reasons import Reasons
from trader.analysis.rows import HEADER, row
from trader.analysis.selection import Selection

POLL_S = 0.5

Wait = Callable[[], bool]
"""Waits for a log to grow; False to give up."""


class View(Struct, frozen=True, kw_only=True):
    """How the chosen lines are shown: the `last` of those that are there, at most `limit` of all; None for no bound.

    `with_reasons` adds a line with the advisor's reason where there is one; JSON lines stay as they are.
    """

    as_json: bool = False
    in_colour: bool = False
    limit: int | None = None
    last: int | None = None
    with_reasons: bool = False


def run_logs(path: Path, selection: Selection, view: View, out: TextIO, *, wait: Wait | None = None) -> int:
    """`trader logs`: write the chosen lines of the log at `path`; always 0, also after Ctrl-C.

    With `wait` (see `sleeping`) go on with the lines and files to come, until the log's end. InputError where there is
    no log, LogDamagedError at a line that cannot be read.
    """
    with contextlib.suppress(KeyboardInterrupt), Tail(open_log(path)) as tail:
        if not view.as_json:
            out.write(HEADER)
        there: Iterable[Entry] = _chosen(tail.fresh(), selection)
        if view.last is not None:
            there = deque(there, maxlen=view.last)
        to_come = _to_come(tail, wait, out) if wait is not None else ()
        shown = islice(chain(there, _chosen(to_come, selection)), view.limit)
        reasons = Reasons() if view.with_reasons else None
        out.writelines(
            entry.text() if view.as_json else row(entry, in_colour=view.in_colour, reasons=reasons) for entry in shown
        )
    return 0


def sleeping(interval_s: float = POLL_S) -> Wait:
    """Wait for an interval, again and again."""
    return partial(_sleep, interval_s)


def _sleep(interval_s: float) -> bool:
    time.sleep(interval_s)
    return True


def _chosen(entries: Iterable[Entry], selection: Selection) -> Iterator[Entry]:
    everything = selection.is_everything
    return (entry for entry in entries if everything or (entry.kind is Kind.BAR and selection.takes(entry.bar())))


def _to_come(tail: Tail, wait: Wait, out: TextIO) -> Iterator[Entry]:
    out.flush()
    while not tail.ended and wait():
        yield from tail.fresh()
        out.flush()
