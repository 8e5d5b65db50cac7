"""From the wall clock of a time zone to UTC, thousands of stamps at a time."""

from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from trader.errors import UsageError

HOUR_NS = 3_600_000_000_000
NEW_YORK = "America/New_York"

_SHORT = {"ET": NEW_YORK, "CT": "America/Chicago", "MT": "America/Denver", "PT": "America/Los_Angeles", "Z": "UTC"}


def zone_name(tz: str) -> str:
    """The IANA name of what a user calls a time zone (also ET, CT, MT, PT); UsageError where there is none."""
    name = _SHORT.get(tz.upper(), tz)
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        known = f"America/New_York, US/Pacific, UTC, or {', '.join(_SHORT)}"
        msg = f"--tz {tz!r} is no time zone; give an IANA name such as {known}"
        raise UsageError(msg) from None
    return name


def to_utc(wall_ns: NDArray[np.int64], zone: str) -> NDArray[np.int64]:
    """UTC nanoseconds of wall-clock nanoseconds in `zone`, shape (n,) to (n,).

    In the hour that a clock change repeats the first of the two is taken, as no futures session is open then in any
    zone where such files come from. One look-up an hour in which stamps lie next to each other.
    """
    if zone == "UTC" or not len(wall_ns):
        return wall_ns
    hours = wall_ns // HOUR_NS
    starts = np.concatenate(([0], np.flatnonzero(np.diff(hours)) + 1))
    offsets = np.array([utc_offset_ns(hour, zone) for hour in hours[starts].tolist()], dtype=np.int64)
    return wall_ns - np.repeat(offsets, np.diff(np.append(starts, len(hours))))


@lru_cache(maxsize=1 << 16)
def utc_offset_ns(wall_hour: int, zone: str) -> int:
    """Nanoseconds east of UTC in `zone` when its wall clock shows `wall_hour` hours since 1970."""
    wall = datetime(1970, 1, 1, tzinfo=ZoneInfo(zone)) + timedelta(hours=wall_hour)
    offset = wall.utcoffset() or timedelta()
    return (offset.days * 86_400 + offset.seconds) * 1_000_000_000
