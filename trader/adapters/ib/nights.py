"""When the broker is expected to be away: its windows by wall clock, and which outage a person has to hear of.

Pure: no clock of its own. Times are nanoseconds since 1970 UTC.
"""

import datetime
from collections.abc import Iterator
from zoneinfo import ZoneInfo

from msgspec import Struct

from trader.domain.units import DAY_NS, SECOND_NS
from trader.errors import ConfigurationError

EVERY_DAY = (0, 1, 2, 3, 4, 5, 6)
_AHEAD_DAYS = 9


class OutageWindow(Struct, frozen=True, kw_only=True):
    """A time of the week at which the broker may be away: `start` to `end`, HH:MM on the clocks of `zone` (IANA).

    An end that is not after the start is the next day's. `days` are those on which it starts, 0 is Monday.
    """

    name: str
    zone: str
    start: str
    end: str
    days: tuple[int, ...]


class NightTerms(Struct, frozen=True, kw_only=True):
    """What is expected, and what is too long, in seconds.

    No entries from `no_entries_before_s` before a window. An outage that begins inside one may last until
    `outlast_s` after it, any other `down_alert_s`, or `down_alert_open_s` while something is open. One that comes back
    within `settled_s` is still the same outage.
    """

    windows: tuple[OutageWindow, ...]
    no_entries_before_s: float
    outlast_s: float
    down_alert_s: float
    down_alert_open_s: float
    settled_s: float


class Span(Struct, frozen=True, order=True):
    """One night's window, [start, end)."""

    start_ns: int
    end_ns: int
    name: str


class Nights:
    """The windows of all nights. Where clocks change, a window is as long as any reading of it.

    ConfigurationError names a window that is none.
    """

    def __init__(self, terms: NightTerms) -> None:
        self._before_ns = round(terms.no_entries_before_s * SECOND_NS)
        self._gap_ns = round(terms.outlast_s * SECOND_NS)
        self._windows = terms.windows
        for window in terms.windows:
            _check(window)
        self._day = -1
        self._spans: list[Span] = []

    def window(self, now_ns: int) -> Span | None:
        """The window that it is inside of; windows with less than `outlast_s` between them are one."""
        return next((each for each in self._around(now_ns) if each.start_ns <= now_ns < each.end_ns), None)

    def next_window(self, now_ns: int) -> Span | None:
        """The first window that begins later; None where none is configured."""
        return next((each for each in self._around(now_ns) if each.start_ns > now_ns), None)

    def no_entries(self, now_ns: int) -> str | None:
        """The name of the window for which nothing is entered now, None where entries are free."""
        near = self.window(now_ns)
        if near is None:
            near = self.next_window(now_ns)
            if near is None or now_ns < near.start_ns - self._before_ns:
                return None
        return near.name

    def _around(self, now_ns: int) -> list[Span]:
        day = now_ns // DAY_NS
        if day != self._day:
            self._day, self._spans = day, _merged(sorted(self._spans_from(day)), self._gap_ns)
        return self._spans

    def _spans_from(self, day: int) -> Iterator[Span]:
        first = datetime.date(1970, 1, 1) + datetime.timedelta(days=day - 2)
        for window in self._windows:
            for ahead in range(_AHEAD_DAYS + 2):
                date = first + datetime.timedelta(days=ahead)
                if date.weekday() in window.days:
                    yield _span(window, date)


class OutageWatch:
    """Follows the link through one outage after another, and says which a person has to be told of, each once."""

    def __init__(self, nights: Nights, terms: NightTerms) -> None:
        self._nights = nights
        self._outlast_ns = round(terms.outlast_s * SECOND_NS)
        self._alert_ns = round(terms.down_alert_s * SECOND_NS)
        self._open_ns = round(terms.down_alert_open_s * SECOND_NS)
        self._settled_ns = round(terms.settled_s * SECOND_NS)
        self._began_ns: int | None = None
        self._up_ns: int | None = None
        self._deadline_ns = 0
        self._window: Span | None = None
        self._is_told = False

    def down(self, now_ns: int) -> None:
        """The link is not up, at start or from now on."""
        is_the_same = self._up_ns is None or now_ns - self._up_ns < self._settled_ns
        self._up_ns = None
        if self._began_ns is not None and is_the_same:
            return
        self._began_ns = now_ns
        self._is_told = False
        self._window = self._nights.window(now_ns)
        self._deadline_ns = now_ns + self._alert_ns if self._window is None else self._window.end_ns + self._outlast_ns

    def up(self, now_ns: int) -> None:
        """The link is up again."""
        self._up_ns = now_ns

    def is_expected(self, now_ns: int) -> bool:
        """Whether it is down as planned."""
        return self._is_down and self._window is not None and now_ns < self._deadline_ns

    def alarm(self, now_ns: int, *, is_open: bool = False) -> str | None:
        """Why a person has to be told now; None where nobody has to, or has been. `is_open`: something is."""
        if not self._is_down or self._is_told or self._began_ns is None:
            return None
        is_early = is_open and self._window is None
        if now_ns < (min(self._deadline_ns, self._began_ns + self._open_ns) if is_early else self._deadline_ns):
            return None
        self._is_told = True
        away_s = (now_ns - self._began_ns) // SECOND_NS
        if self._window is None:
            return f"away for {away_s} s, outside every expected window"
        return f"away for {away_s} s, and {self._window.name} should be over"

    @property
    def _is_down(self) -> bool:
        return self._began_ns is not None and self._up_ns is None


def _check(window: OutageWindow) -> None:
    try:
        ZoneInfo(window.zone)
        datetime.time.fromisoformat(window.start)
        datetime.time.fromisoformat(window.end)
    except (ValueError, OSError, KeyError) as error:
        msg = f"outage window {window.name!r}: {error}; expected HH:MM and a zone such as America/New_York"
        raise ConfigurationError(msg) from None
    if not window.days or not set(window.days) <= set(EVERY_DAY):
        msg = f"outage window {window.name!r}: days are 0 (Monday) to 6, and at least one"
        raise ConfigurationError(msg)


def _span(window: OutageWindow, date: datetime.date) -> Span:
    zone = ZoneInfo(window.zone)
    start, end = datetime.time.fromisoformat(window.start), datetime.time.fromisoformat(window.end)
    last = date if end > start else date + datetime.timedelta(days=1)
    return Span(min(_readings(date, start, zone)), max(_readings(last, end, zone)), window.name)


def _readings(date: datetime.date, clock: datetime.time, zone: ZoneInfo) -> list[int]:
    """The moments at which the clocks show that time: two where they are put back, and two guesses where they jump."""
    local = datetime.datetime.combine(date, clock, tzinfo=zone)
    return [round(local.replace(fold=fold).timestamp()) * SECOND_NS for fold in (0, 1)]


def _merged(spans: list[Span], gap_ns: int) -> list[Span]:
    merged: list[Span] = []
    for span in spans:
        if merged and span.start_ns <= merged[-1].end_ns + gap_ns:
            last = merged.pop()
            names = last.name if span.name in last.name else f"{last.name} and {span.name}"
            merged.append(Span(last.start_ns, max(last.end_ns, span.end_ns), names))
        else:
            merged.append(span)
    return merged
