"""CME Globex equity sessions: when the market is open, and what the clock says inside a session.

The table is data (`sessions.csv`, made by `scripts/make_sessions.py`); its hash stands in bundles and manifests.
"""

import datetime
import hashlib
from bisect import bisect_left, bisect_right
from functools import cache
from importlib import resources

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from trader.domain.units import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS
from trader.errors import ConfigurationError, InputError, InvariantError

EVENING_MINUTE = 18 * 60
"""Every session of the table opens at 18:00 ET, on the calendar day before its date."""
CASH_OPEN_MINUTE = 9 * 60 + 30
FULL_CLOSE_MINUTE = 17 * 60

_EPOCH_ORDINAL = datetime.date(1970, 1, 1).toordinal()
_COLUMNS = (("date", 10), ("close", 4), ("rth_close", 4), ("halt_start", 4), ("halt_end", 4), ("hours_behind_utc", 1))
_ROW = np.dtype([cell for name, width in _COLUMNS for cell in ((name, f"S{width}"), (f"after_{name}", "S1"))])


class Session(Struct, frozen=True, kw_only=True):
    """One trading day, 18:00 to 17:00 ET on a full day. All times are nanoseconds since 1970 UTC.

    `halts` are closed intervals of no trading inside the session, [start, end). The regular session (RTH) is the cash
    market's: 09:30 ET to 16:00, or to the cash market's earlier close; both bounds are 0 on a day on which the cash
    market is closed. The UTC offset of New York is constant inside a session: clocks change while it is closed.
    """

    date: str
    open_ns: int
    close_ns: int
    rth_open_ns: int
    rth_close_ns: int
    halts: tuple[tuple[int, int], ...]
    et_offset_s: int
    is_half_day: bool


class Calendar:
    """All sessions of the table in order; session `i` is `session(i)`.

    Covers [first_ns, last_ns): outside, every question is an InputError that says what is covered, because hours
    before 2015-09-21 were others and hours after 2035 are not known. `sha256` is the hash of the table's bytes.
    """

    def __init__(self, table: bytes) -> None:
        self.sha256 = hashlib.sha256(table).hexdigest()
        rows = _rows(table)
        self._dates: list[bytes] = rows["date"].tolist()
        self._is_half_day: list[bool] = (_minutes(rows["close"]) < FULL_CLOSE_MINUTE).tolist()
        self._offset_ns = -rows["hours_behind_utc"].astype(np.int64) * HOUR_NS
        self._midnight_ns = rows["date"].astype("U").astype("datetime64[D]").astype(np.int64) * DAY_NS - self._offset_ns
        self._open = self._midnight_ns - DAY_NS + EVENING_MINUTE * MINUTE_NS
        self._close = self._at(rows["close"])
        self._rth_close = self._at(rows["rth_close"])
        self._halt_start = self._at(rows["halt_start"])
        self._halt_end = self._at(rows["halt_end"])
        self._open_list: list[int] = self._open.tolist()
        self._sessions: list[Session | None] = [None] * len(self._open_list)
        self.first_ns: int = self._open_list[0]
        self.last_ns = int(self._close[-1])

    @staticmethod
    def load() -> "Calendar":
        """The shipped table, read once."""
        return _shipped()

    def __len__(self) -> int:
        return len(self._sessions)

    def session(self, index: int) -> Session:
        """Session `index`, 0 <= index < len."""
        known = self._sessions[index]
        if known is None:
            known = self._sessions[index] = self._build(index)
        return known

    def at(self, ts_ns: int) -> Session | None:
        """The session whose [open, close) holds `ts_ns`, also during a halt of it; None while the market is closed."""
        self._require_covered(ts_ns, ts_ns)
        session = self.session(bisect_right(self._open_list, ts_ns) - 1)
        return session if ts_ns < session.close_ns else None

    def next_open(self, ts_ns: int) -> Session:
        """The first session that opens after `ts_ns`."""
        self._require_covered(ts_ns, ts_ns)
        index = bisect_right(self._open_list, ts_ns)
        if index == len(self):
            raise self._not_covered(ts_ns)
        return self.session(index)

    def on(self, date: str) -> Session | None:
        """The session of an ISO date such as 2019-07-05; None on a day without one (weekends, holidays)."""
        index = self.index_from(date)
        session = self.session(index)
        return session if session.date == datetime.date.fromisoformat(date).isoformat() else None

    def index_from(self, date: str) -> int:
        """Index of the first session on or after an ISO date."""
        try:
            day = datetime.date.fromisoformat(date)
        except ValueError:
            msg = f"{date!r} is no date; expected a form such as 2019-07-05"
            raise InputError(msg) from None
        midnight_ns = (day.toordinal() - _EPOCH_ORDINAL) * DAY_NS
        self._require_covered(midnight_ns, midnight_ns)
        return bisect_left(self._dates, day.isoformat().encode())

    def session_index(self, ts_ns: NDArray[np.int64]) -> NDArray[np.int64]:
        """Index of the session of each time, shape (n,) to (n,); -1 outside every session and inside a halt."""
        if not len(ts_ns):
            return np.empty(0, dtype=np.int64)
        self._require_covered(int(ts_ns.min()), int(ts_ns.max()))
        index = np.searchsorted(self._open, ts_ns, side="right") - 1
        halted = (ts_ns >= self._halt_start[index]) & (ts_ns < self._halt_end[index])
        return np.where((ts_ns < self._close[index]) & ~halted, index, -1)

    def _at(self, hhmm: NDArray[np.bytes_]) -> NDArray[np.int64]:
        return self._midnight_ns + _minutes(hhmm) * MINUTE_NS

    def _build(self, index: int) -> Session:
        midnight_ns, rth_close_ns = int(self._midnight_ns[index]), int(self._rth_close[index])
        halt = (int(self._halt_start[index]), int(self._halt_end[index]))
        has_rth = rth_close_ns > midnight_ns
        return Session(
            date=self._dates[index].decode(),
            open_ns=self._open_list[index],
            close_ns=int(self._close[index]),
            rth_open_ns=midnight_ns + CASH_OPEN_MINUTE * MINUTE_NS if has_rth else 0,
            rth_close_ns=rth_close_ns if has_rth else 0,
            halts=(halt,) if halt[1] > midnight_ns else (),
            et_offset_s=int(self._offset_ns[index]) // SECOND_NS,
            is_half_day=self._is_half_day[index],
        )

    def _require_covered(self, earliest_ns: int, latest_ns: int) -> None:
        if earliest_ns < self.first_ns:
            raise self._not_covered(earliest_ns)
        if latest_ns >= self.last_ns:
            raise self._not_covered(latest_ns)

    def _not_covered(self, ts_ns: int) -> InputError:
        first, last = self._dates[0].decode(), self._dates[-1].decode()
        moment = np.datetime64(ts_ns // SECOND_NS, "s")
        return InputError(
            f"{moment} UTC is outside the session calendar, which covers the sessions {first} to {last}: earlier ones "
            f"had other hours; choose bars inside it with --from {first} or --to {last}"
        )


def et_ns(session: Session, clock: str) -> int:
    """UTC nanoseconds of the wall-clock time `HH:MM` in New York in `session`; from 18:00 on, of the evening before.

    The time may lie after the close of a half day: the caller compares. ConfigurationError on any other text.
    """
    hours, _, minutes = clock.partition(":")
    if not (len(clock) == 5 and hours.isdecimal() and minutes.isdecimal() and int(hours) < 24 and int(minutes) < 60):
        msg = f"{clock!r} is no time of day; expected HH:MM in New York, such as 15:55"
        raise ConfigurationError(msg)
    offset_ns = session.et_offset_s * SECOND_NS
    midnight_ns = (session.close_ns + offset_ns) // DAY_NS * DAY_NS - offset_ns
    minute = int(hours) * 60 + int(minutes)
    return midnight_ns + minute * MINUTE_NS - (DAY_NS if minute >= EVENING_MINUTE else 0)


def _rows(table: bytes) -> NDArray[np.void]:
    body = table[table.index(b"\n") + 1 :]
    if not body or len(body) % _ROW.itemsize:
        msg = "the table of sessions is damaged (cut, or its line ends were changed): install the package again"
        raise InvariantError(msg)
    return np.frombuffer(body, dtype=_ROW)


def _minutes(hhmm: NDArray[np.bytes_]) -> NDArray[np.int64]:
    number = hhmm.astype(np.int64)
    return number // 100 * 60 + number % 100


@cache
def _shipped() -> Calendar:
    return Calendar(resources.files("trader.domain").joinpath("sessions.csv").read_bytes())
