"""Which bars there should be: whole bars of the clock inside sessions and outside halts. Pure."""

from trader.domain.sessions import Calendar, Session


class Slots:
    """The bars of one length by the calendar; times are nanoseconds since 1970 UTC, on whole bars where bars open."""

    def __init__(self, calendar: Calendar, bar_ns: int) -> None:
        self.calendar = calendar
        self.bar_ns = bar_ns
        self._known: tuple[int, int] = (0, 0)

    def trade(self, ts_ns: int) -> tuple[int, int]:
        """The stretch of trade without a pause, [start, end), that holds `ts_ns` or is the next one after it."""
        if not self._known[0] <= ts_ns < self._known[1]:
            self._known = self._find(ts_ns)
        return self._known

    def is_open(self, ts_ns: int) -> bool:
        """Whether there is trade then."""
        return self.trade(ts_ns)[0] <= ts_ns

    def next_open_ns(self, ts_ns: int) -> int:
        """The first moment at or after `ts_ns` at which a bar may open."""
        return max(ts_ns, self.trade(ts_ns)[0])

    def count(self, start_ns: int, end_ns: int) -> int:
        """How many bars open in [start, end)."""
        bars, at_ns = 0, self.next_open_ns(start_ns)
        while at_ns < end_ns:
            pause_ns = self.trade(at_ns)[1]
            bars += -(-(min(pause_ns, end_ns) - at_ns) // self.bar_ns)
            at_ns = self.next_open_ns(pause_ns)
        return bars

    def _find(self, ts_ns: int) -> tuple[int, int]:
        session = self.calendar.at(ts_ns) or self.calendar.next_open(ts_ns)
        for start_ns, end_ns in _stretches(session):
            if ts_ns < end_ns:
                return start_ns, end_ns
        return _stretches(self.calendar.next_open(ts_ns))[0]


def _stretches(session: Session) -> list[tuple[int, int]]:
    """The times of trade of a session, between its halts."""
    starts = [session.open_ns, *(end for _, end in session.halts)]
    ends = [*(start for start, _ in session.halts), session.close_ns]
    return [(start, end) for start, end in zip(starts, ends, strict=True) if start < end]
