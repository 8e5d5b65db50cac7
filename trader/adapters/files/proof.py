"""Which time zone a file's clock shows, and which end of a bar its stamps name: proved by the file, or demanded.

Two facts of every liquid CME equity-index future are the test: nothing trades while the calendar says closed (the
break from 17:00 ET above all), and volume, or the range of a bar, peaks in the bar that holds 09:30 ET. A candidate
clock fits if it breaks the first in at most a tenth of the sessions and meets the second in the median liquid day.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import product
from zoneinfo import ZoneInfo

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from trader.adapters.files.clock import NEW_YORK, to_utc, utc_offset_ns
from trader.adapters.files.facts import Stamp
from trader.adapters.files.survey import DAY_MINUTES, Survey
from trader.domain.sessions import Calendar
from trader.domain.units import HOUR_NS, MINUTE_NS
from trader.errors import InputError

ZONES = (
    NEW_YORK,
    "America/Chicago",
    "America/Denver",
    "America/Los_Angeles",
    "UTC",
    "Europe/London",
    "Europe/Berlin",
    "Europe/Athens",
    "Asia/Kolkata",
    "Asia/Shanghai",
    "Asia/Tokyo",
    "Etc/GMT+5",
    "Etc/GMT+6",
)
"""Clocks that are tried; two that agree on every bar of a file count as one, named by the first."""

SESSIONS_AT_LEAST = 3
DAYS_AT_LEAST = 2
"""Three sessions hold two whole days of any clock."""
WRONG_SHARE = 0.1
LIQUID_SHARE = 0.8
"""A day counts for the peak if it has at least this share of the bars of the busiest."""

_CASH_OPEN_MINUTE = 9 * 60 + 30
_NOT_COMPARED = ((15 * 60 + 30, 16 * 60 + 15), (18 * 60, 19 * 60))
"""ET minutes that may rival 09:30: the cash close and the reopening."""


class ClockProof(Struct, frozen=True, kw_only=True):
    """Time zone and stamp of a file, and in words how each is known."""

    tz: str
    tz_proof: str
    stamp: Stamp
    stamp_proof: str


class Known(Struct, frozen=True, kw_only=True):
    """What needs no proof, and in words why; None where it does."""

    tz: str | None
    tz_proof: str
    stamp: Stamp | None
    stamp_proof: str


class _Candidate(Struct, frozen=True, kw_only=True):
    """One clock tried on a file: sessions with bars, runs of bars that touch closed time, ET minute of the peak."""

    tz: str
    stamp: Stamp
    opens: NDArray[np.int64]
    sessions: int
    wrong: int
    peak_minute: int | None
    liquid_days: int

    def text(self) -> str:
        peak = "no peak" if self.peak_minute is None else f"the peak at {_hhmm(self.peak_minute)} ET"
        return f"{self.tz}/{self.stamp} ({self.wrong} breaches in {self.sessions} sessions, {peak})"


def prove_clock(path: str, seen: Survey, period_minutes: int, calendar: Calendar, known: Known) -> ClockProof:
    """The one clock that fits the file; InputError that demands --tz or --stamp where none or several do."""
    if known.tz is not None and known.stamp is not None:
        return ClockProof(tz=known.tz, tz_proof=known.tz_proof, stamp=known.stamp, stamp_proof=known.stamp_proof)
    zones = ZONES if known.tz is None else (known.tz,)
    stamps = tuple(Stamp) if known.stamp is None else (known.stamp,)
    tried = [_try(seen, period_minutes, calendar, zone, stamp) for zone, stamp in product(zones, stamps)]
    fits = _distinct(candidate for candidate in tried if _fits(candidate, period_minutes))
    if len(fits) != 1:
        demand = _demand(seen, period_minutes, tried, fits, known)
        msg = f"{path} {demand}"
        raise InputError(msg)
    found = fits[0]
    proof = (
        f"proved by the file: {found.wrong} breaches of closed hours in {found.sessions} sessions, and the "
        f"{seen.measure} peaks at 09:30 ET over {found.liquid_days} days; the other clocks tried fail at one of the two"
    )
    return ClockProof(
        tz=found.tz,
        tz_proof=proof if known.tz is None else known.tz_proof,
        stamp=found.stamp,
        stamp_proof=proof if known.stamp is None else known.stamp_proof,
    )


def _try(seen: Survey, period_minutes: int, calendar: Calendar, tz: str, stamp: Stamp) -> _Candidate:
    early_ns = period_minutes * MINUTE_NS if stamp == Stamp.CLOSE else 0
    first, last = to_utc(seen.run_first, tz) - early_ns, to_utc(seen.run_last, tz) - early_ns
    covered = (first >= calendar.first_ns) & (last < calendar.last_ns) & (first <= last)
    starts, ends = calendar.session_index(first[covered]), calendar.session_index(last[covered])
    wrong = int(np.count_nonzero((starts < 0) | (starts != ends)))
    sessions = len(np.unique(starts[starts >= 0]))
    candidate = _Candidate(
        tz=tz,
        stamp=stamp,
        opens=np.concatenate((first, last)),
        sessions=sessions,
        wrong=wrong,
        peak_minute=None,
        liquid_days=0,
    )
    if not _keeps_hours(candidate):
        return candidate
    peak_minute, liquid_days = _peak(seen, tz, early_ns // MINUTE_NS)
    return _Candidate(
        tz=tz,
        stamp=stamp,
        opens=candidate.opens,
        sessions=sessions,
        wrong=wrong,
        peak_minute=peak_minute,
        liquid_days=liquid_days,
    )


def _keeps_hours(candidate: _Candidate) -> bool:
    return candidate.sessions >= SESSIONS_AT_LEAST and candidate.wrong <= max(1, WRONG_SHARE * candidate.sessions)


def _fits(candidate: _Candidate, period_minutes: int) -> bool:
    expected = _CASH_OPEN_MINUTE // period_minutes * period_minutes
    enough = candidate.liquid_days >= DAYS_AT_LEAST
    return _keeps_hours(candidate) and enough and candidate.peak_minute == expected


def _distinct(candidates: Iterable[_Candidate]) -> list[_Candidate]:
    """Those that disagree on some bar of the file."""
    found: list[_Candidate] = []
    for candidate in candidates:
        if not any(np.array_equal(candidate.opens, known.opens) for known in found):
            found.append(candidate)
    return found


def _peak(seen: Survey, tz: str, early_minutes: int) -> tuple[int | None, int]:
    """ET minute at which the busiest bar of the median day opens, and the days that were compared."""
    bars = np.count_nonzero(seen.profile, axis=1)
    liquid = bars >= max(1, LIQUID_SHARE * bars.max())
    days, profile = seen.days[liquid], seen.profile[liquid]
    late = np.array([_minutes_to_et(day, tz) for day in days.tolist()]) - early_minutes
    in_et = np.empty_like(profile)
    for shift in np.unique(late).tolist():
        in_et[late == shift] = np.roll(profile[late == shift], shift, axis=1)
    median = np.median(in_et, axis=0)
    for start, end in _NOT_COMPARED:
        median[start:end] = 0
    return int(median.argmax()) if median.max() > 0 else None, len(days)


def _minutes_to_et(day: int, tz: str) -> int:
    """Minutes to add to the clock of `tz` at noon of a day to get New York's."""
    noon_hour = day * 24 + 12
    utc_ns = noon_hour * HOUR_NS - utc_offset_ns(noon_hour, tz)
    new_york = datetime.fromtimestamp(utc_ns // 1_000_000_000, UTC).astimezone(ZoneInfo(NEW_YORK))
    wall = new_york.replace(tzinfo=UTC)
    return round((wall.timestamp() * 1_000_000_000 - noon_hour * HOUR_NS) / MINUTE_NS)


def _demand(seen: Survey, period_minutes: int, tried: list[_Candidate], fits: list[_Candidate], known: Known) -> str:
    """What was seen, how far the clocks tried fit, and the options that would settle it."""
    open_options = []
    if known.tz is None and len({candidate.tz for candidate in fits}) != 1:
        open_options.append("--tz ZONE")
    if known.stamp is None and len({candidate.stamp for candidate in fits}) != 1:
        open_options.append("--stamp open|close")
    nearest = min(tried, key=lambda candidate: (candidate.wrong, -candidate.sessions))
    several = "several clocks fit: " + "; ".join(candidate.text() for candidate in fits)
    verdict = several if fits else f"no clock fits, the nearest is {nearest.text()}"
    return (
        f"does not prove what its clock shows: {_seen(seen, period_minutes)}; {verdict}. "
        f"Give {' and '.join(open_options)}"
    )


def _seen(seen: Survey, period_minutes: int) -> str:
    """The longest daily silence and the busiest minute, by the file's own clock."""
    used = np.flatnonzero(seen.profile.any(axis=0))
    if not len(used):
        return "no bar has volume or range"
    silences = np.diff(used, append=used[0] + DAY_MINUTES)
    longest = int(silences.argmax())
    end = int(used[longest]) + int(silences[longest])
    busiest = int(np.median(seen.profile, axis=0).argmax())
    return (
        f"{len(seen.days)} days of {period_minutes}-minute bars, by its own clock never a bar between "
        f"{_hhmm(int(used[longest]))} and {_hhmm(end % DAY_MINUTES)}, the busiest at {_hhmm(busiest)}"
    )


def _hhmm(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"
