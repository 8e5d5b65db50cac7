"""What is known to be wrong with Databento's minutes: sessions with holes (a shipped list), bars beside a close.

Facts of the vendor's whole data set, found by counting minutes against the calendar from 2015-09-21 to 2022-12-31. The
list holds dates and reasons, no prices.
"""

import csv
import hashlib
from collections import Counter
from enum import StrEnum
from functools import cache
from importlib import resources

import numpy as np
from msgspec import Struct, convert

from trader.adapters.files.checks import Mask, TimedRows
from trader.adapters.files.facts import FileFacts
from trader.adapters.files.faults import Fault, Reason
from trader.adapters.files.hours import open_stretches
from trader.adapters.files.layout import LayoutName
from trader.domain.sessions import Calendar
from trader.domain.units import MINUTE_NS
from trader.errors import InvariantError


class Treatment(StrEnum):
    """What becomes of a session of the list: its bars are left out, or kept and told of."""

    LEAVE_OUT = "leave_out"
    TELL = "tell"


class KnownSession(Struct, frozen=True, kw_only=True):
    """One session of the list, by its date."""

    session: str
    treatment: Treatment
    why: str


@cache
def known_sessions() -> tuple[KnownSession, ...]:
    """The shipped list, in order of dates."""
    rows = csv.DictReader(_table().decode().splitlines())
    return tuple(convert(row, KnownSession) for row in rows)


@cache
def known_sha256() -> str:
    """Hash of the shipped list: it decides which bars a run sees."""
    return hashlib.sha256(_table()).hexdigest()


def _table() -> bytes:
    return (resources.files("trader.adapters.files") / "known.csv").read_bytes()


class _Span(Struct, frozen=True, kw_only=True):
    known: KnownSession
    open_ns: int
    close_ns: int


class KnownDefects:
    """Takes out of rows what is known to be wrong, and tells of it. One reading of one contract's rows."""

    def __init__(self, facts: FileFacts, calendar: Calendar) -> None:
        self._calendar = calendar
        self._is_theirs = facts.layout.name == LayoutName.DATABENTO
        self._field = facts.layout.columns[0]
        self._spans = [_span(known, calendar) for known in known_sessions()] if self._is_theirs else []
        self._rows: Counter[str] = Counter()

    def cut(self, timed: TimedRows) -> tuple[TimedRows, list[Fault], int]:
        """The rows that stay, a fault for each row at the edge of a close, and how many rows the list took out."""
        if not len(timed) or not self._is_theirs:
            return timed, [], 0
        is_out = self._in_left_out(timed)
        listed = int(np.count_nonzero(is_out))
        at_edge = self._at_edge(timed) & ~is_out
        faults = [self._fault(timed, i) for i in np.flatnonzero(at_edge).tolist()]
        keep = ~(is_out | at_edge)
        return (timed if keep.all() else timed.take(keep)), faults, listed

    def told(self) -> list[str]:
        """In words, each session of the list that the rows so far have touched."""
        texts = []
        for span in self._spans:
            known, rows = span.known, self._rows[span.known.session]
            if rows:
                what = "left out" if known.treatment is Treatment.LEAVE_OUT else "kept"
                texts.append(f"session {known.session}, {rows:,} bars, {what}: {known.why}")
        return texts

    def _in_left_out(self, timed: TimedRows) -> Mask:
        opens = timed.ts_open_ns
        first_ns, last_ns = int(opens.min()), int(opens.max())
        is_out = np.zeros(len(timed), dtype=np.bool_)
        for span in self._spans:
            if last_ns < span.open_ns or first_ns >= span.close_ns:
                continue
            inside = (opens >= span.open_ns) & (opens < span.close_ns)
            self._rows[span.known.session] += int(np.count_nonzero(inside))
            if span.known.treatment is Treatment.LEAVE_OUT:
                is_out |= inside
        return is_out

    def _at_edge(self, timed: TimedRows) -> Mask:
        """Bars of a closed minute beside an open one: trades of the closing or opening match, stamped a moment off."""
        is_closed = (timed.ts_close_ns < 0) & (timed.ts_open_ns >= 0)
        for i in np.flatnonzero(is_closed).tolist():
            beside = timed.ts_open_ns[i] + np.array([-MINUTE_NS, MINUTE_NS])
            is_closed[i] = bool((open_stretches(beside, self._calendar)[0] >= 0).any())
        return is_closed

    def _fault(self, timed: TimedRows, i: int) -> Fault:
        value = str(np.datetime64(int(timed.ts_open_ns[i]), "ns"))[:19].replace("T", " ")
        return Fault(line=int(timed.rows.line[i]), reason=Reason.AT_EDGE, field=self._field, value=value)


def _span(known: KnownSession, calendar: Calendar) -> _Span:
    session = calendar.on(known.session)
    if session is None:
        msg = f"the shipped list names {known.session}, which is no session"
        raise InvariantError(msg)
    return _Span(known=known, open_ns=session.open_ns, close_ns=session.close_ns)
