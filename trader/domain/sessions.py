"""CME Globex equity sessions: when the market is open, and what the clock says inside a session.

The table is data (`sessions.csv`, made by `scripts/make_sessions.py`); its hash stands in bundles and manifests.
"""

from msgspec import Struct


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
