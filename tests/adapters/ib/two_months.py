"""Bars around a roll: both months in the last minutes before it, the old one to the close, the new one after it."""

import numpy as np

from trader.adapters.columns import BarColumns
from trader.domain.sessions import Calendar, Session
from trader.domain.units import MINUTE_NS

BOTH_MINUTES = 20
OLD_MINUTES = 5
NEW_MINUTES = 30
OLD_PRICE, OFFSET = 8_400.0, 21.5


def _session(date: str) -> Session:
    session = Calendar.load().on(date)
    assert session is not None
    return session


OLD_CLOSES_NS = _session("2019-12-13").close_ns
NEW_OPENS_NS = _session("2019-12-16").open_ns


def two_months() -> BarColumns:
    """20 minutes with a bar of NQZ19 and one of NQH20 each, 5 of NQZ19 to the close, 30 of NQH20 from the next open.

    The old month gains a point each minute, and the new one is dearer by OFFSET in the last minute with both, by a
    point less in the one before it, and so on.
    """
    rows: list[tuple[int, int, float]] = []
    start_ns = OLD_CLOSES_NS - (BOTH_MINUTES + OLD_MINUTES) * MINUTE_NS
    for place in range(BOTH_MINUTES + OLD_MINUTES):
        rows.append((start_ns + place * MINUTE_NS, 0, OLD_PRICE + place))
        if place < BOTH_MINUTES:
            dearer = OFFSET - (BOTH_MINUTES - 1 - place)
            rows.append((start_ns + place * MINUTE_NS, 1, OLD_PRICE + place + dearer))
    rows += [(NEW_OPENS_NS + place * MINUTE_NS, 1, 8_450.0 + place) for place in range(NEW_MINUTES)]
    opens = np.array([row[0] for row in rows], dtype=np.int64)
    closes = np.array([row[2] for row in rows])
    return BarColumns(
        ts_open_ns=opens,
        ts_close_ns=opens + MINUTE_NS,
        open=closes.copy(),
        high=closes + 1,
        low=closes - 1,
        close=closes,
        volume=np.full(len(rows), 10),
        symbols=("NQZ19", "NQH20"),
        symbol_index=np.array([row[1] for row in rows], dtype=np.int64),
        roll_offset=np.zeros(len(rows)),
    )
