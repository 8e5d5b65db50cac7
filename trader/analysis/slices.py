"""Trades cut by what they have in common: the hour, the part of the session, anything with a name."""

from collections.abc import Iterable, Sequence
from enum import StrEnum

from trader.analysis.bootstrap import Ints
from trader.analysis.drawdowns import Floats
from trader.analysis.evaluation_parts import Slice
from trader.domain.units import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS


class Segment(StrEnum):
    """Parts of a session by New York's clock, in its order; each begins where the one before ends."""

    ASIA = "asia"
    EUROPE = "europe"
    OPEN = "open"
    MIDDAY = "midday"
    CLOSE = "close"
    AFTER = "after"


_ENDS = {
    Segment.ASIA: (27, 0),
    Segment.EUROPE: (33, 30),
    Segment.OPEN: (35, 0),
    Segment.MIDDAY: (38, 0),
    Segment.CLOSE: (40, 0),
}
"""Hours and minutes since the midnight before the evening at which the session opens: 27:00 is 03:00 of its date."""

_EVENING_NS = 18 * HOUR_NS


def et_hour(ts_ns: int, et_offset_s: int) -> str:
    """The hour of New York's clock in which a moment lies, `00` to `23`; the offset is that of its session."""
    return f"{_clock_ns(ts_ns, et_offset_s) // HOUR_NS:02d}"


def segment_of(ts_ns: int, et_offset_s: int) -> Segment:
    """The part of the session: asia 18:00 to 03:00, europe to 09:30, open to 11:00, midday to 14:00, close to 16:00,
    after to 18:00."""
    clock = _clock_ns(ts_ns, et_offset_s)
    since = clock if clock >= _EVENING_NS else clock + DAY_NS
    for segment, (hours, minutes) in _ENDS.items():
        if since < hours * HOUR_NS + minutes * MINUTE_NS:
            return segment
    return Segment.AFTER


def sliced(keys: Sequence[str], pnl_cents: Ints, r: Floats, order: Iterable[str]) -> tuple[Slice, ...]:
    """One slice for each key that occurs, in `order`; `pnl_cents` and `r` are the trades' net results, shape (trades,).

    A win is a trade that came to more than zero. Keys that `order` does not name come last, sorted.
    """
    places: dict[str, list[int]] = {}
    for place, key in enumerate(keys):
        places.setdefault(key, []).append(place)
    named = list(dict.fromkeys(order))
    found = [key for key in named if key in places] + sorted(places.keys() - set(named))
    return tuple(_slice(key, pnl_cents[places[key]], r[places[key]]) for key in found)


def _slice(key: str, pnl_cents: Ints, r: Floats) -> Slice:
    return Slice(
        key=key,
        trades=len(pnl_cents),
        wins=int((pnl_cents > 0).sum()),
        pnl_usd=int(pnl_cents.sum()) / 100,
        net_r=float(r.sum()),
    )


def _clock_ns(ts_ns: int, et_offset_s: int) -> int:
    return (ts_ns + et_offset_s * SECOND_NS) % DAY_NS
