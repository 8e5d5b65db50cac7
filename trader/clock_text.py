"""Event times as text, from a table of the day's minutes: formatting four datetimes a bar costs more than deciding."""

from datetime import UTC, datetime

NS_PER_MINUTE = 60_000_000_000
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
    day, minute = divmod(ts_ns // NS_PER_MINUTE + offset_s // 60, MINUTES_PER_DAY)
    return _date(day) + _CLOCK[minute] + suffix


def utc_text(ts_ns: int) -> str:
    """A whole minute as ISO 8601 in UTC."""
    return minute_text(ts_ns, 0, "Z")


def et_clock(ts_ns: int, offset_s: int) -> str:
    """The wall clock `YYYY-MM-DD HH:MM` of New York."""
    return minute_text(ts_ns, offset_s, "")[:16].replace("T", " ")


class SessionClock:
    """The whole minutes of one session as pairs of texts, UTC and New York, each made once."""

    def __init__(self, offset_s: int) -> None:
        self._offset_s = offset_s
        self._suffix = offset_text(offset_s)
        self._texts: dict[int, tuple[str, str]] = {}

    def texts(self, ts_ns: int) -> tuple[str, str]:
        """`ts_ns` in UTC and in New York."""
        pair = self._texts.get(ts_ns)
        if pair is None:
            pair = (utc_text(ts_ns), minute_text(ts_ns, self._offset_s, self._suffix))
            self._texts[ts_ns] = pair
        return pair
