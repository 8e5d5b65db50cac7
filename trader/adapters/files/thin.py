"""Sessions that have far fewer bars than the calendar has room for: told of, because a hole is not a quiet market."""

from collections.abc import Mapping

from trader.adapters.files.options import Window
from trader.domain.sessions import Calendar, Session
from trader.domain.units import MINUTE_NS

THIN_BELOW = 0.8
"""Share of a session's minutes. No session of NQ since 2015-09-21 is thinner but those of the shipped list."""
TOLD_AT_MOST = 10


def thin_sessions(
    bars: Mapping[int, int], bar_minutes: int, window: Window, known: frozenset[str], calendar: Calendar
) -> list[str]:
    """In words, the sessions of `bars` (by index) in the window that are thin and not `known`, the first ten by name.

    The first and the last session of the file are not judged: the file may begin and end anywhere.
    """
    indices = sorted(bars)[1:-1]
    texts = []
    for index in indices:
        session = calendar.session(index)
        if session.date in known or not (window.from_ns <= session.open_ns and session.close_ns <= window.to_ns):
            continue
        room = _open_minutes(session) // bar_minutes
        if bars[index] < THIN_BELOW * room:
            texts.append(f"session {session.date} has {bars[index]:,} of {room:,} bars: perhaps a hole")
    more = len(texts) - TOLD_AT_MOST
    return texts if more <= 0 else [*texts[:TOLD_AT_MOST], f"{more} more sessions have few bars"]


def _open_minutes(session: Session) -> int:
    halted_ns = sum(end - start for start, end in session.halts)
    return (session.close_ns - session.open_ns - halted_ns) // MINUTE_NS
