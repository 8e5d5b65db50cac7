"""Event times as text, from a table of the day's minutes: formatting four datetimes a bar costs more than deciding."""

from datetime import UTC, datetime
from functools import cache

from trader.domain.units import MINUTE_NS

MINUTES_PER_DAY = 1440
_CLOCK = tuple(f"T{minute // 60:02d}:{minute % 60:02d}:00" for minute in range(MINUTES_PER_DAY))
_days: dict[int, str] = {}


def _date(day: int) -> str:
    text = _days.get(day)
    if text is None:
        text = _days[day] = datetime.fromtimestamp(day * 86_400, UTC).date().isoformat()
    return text


def offset_text(offset_s: int) -> str:
    """A UTC offset in seconds as `-05:00`."""
    sign = "-" if offset_s < 0 else "+"
    hours, seconds = divmod(abs(offset_s), 3600)
    return f"{sign}{hours:02d}:{seconds // 60:02d}"


def minute_text(ts_ns: int, offset_s: int, suffix: str) -> str:
    """A whole minute as ISO 8601 local time of the zone `offset_s` east of UTC, ended by `suffix`."""
    day, minute = divmod(ts_ns // MINUTE_NS + offset_s // 60, MINUTES_PER_DAY)
    return _date(day) + _CLOCK[minute] + suffix


def utc_text(ts_ns: int) -> str:
    """A whole minute as ISO 8601 in UTC."""
    return minute_text(ts_ns, 0, "Z")


def et_clock(ts_ns: int, offset_s: int) -> str:
    """The wall clock `YYYY-MM-DD HH:MM` of New York."""
    return minute_text(ts_ns, offset_s, "")[:16].replace("T", " ")


class SessionClock:
    """The whole minutes of one session as texts in UTC and New York, from its open to its close."""

    def __init__(self, open_ns: int, close_ns: int, offset_s: int) -> None:
        self._first = open_ns // MINUTE_NS
        self._last = close_ns // MINUTE_NS
        self._utc = _texts(self._first, self._last, "Z")
        shift = offset_s // 60
        self._et = _texts(self._first + shift, self._last + shift, offset_text(offset_s))

    def texts(self, ts_ns: int) -> tuple[str, str]:
        """`ts_ns`, inside the session or at its close, in UTC and in New York."""
        minute = ts_ns // MINUTE_NS - self._first
        return self._utc[minute], self._et[minute]


@cache
def _clock(suffix: str) -> tuple[str, ...]:
    return tuple(f"{text}{suffix}" for text in _CLOCK)


def _texts(first: int, last: int, suffix: str) -> list[str]:
    """The minutes `first` to `last` since 1970, both included."""
    clock = _clock(suffix)
    texts: list[str] = []
    for day in range(first // MINUTES_PER_DAY, last // MINUTES_PER_DAY + 1):
        date, midnight = _date(day), day * MINUTES_PER_DAY
        texts += [date + time for time in clock[max(first - midnight, 0) : last - midnight + 1]]
    return texts
