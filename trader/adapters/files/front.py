"""The front month of a file that has several contracts at a time: who leads by volume, session by session."""

from collections import Counter
from collections.abc import Mapping
from datetime import date

import numpy as np
from msgspec import Struct

from trader.adapters.files.checks import bar_times
from trader.adapters.files.clock import to_utc
from trader.adapters.files.facts import FileFacts
from trader.adapters.files.rolls import Roll, calendar_front, expiry, is_contract
from trader.adapters.files.texts import BarTexts
from trader.domain.instruments import Instrument
from trader.domain.sessions import Calendar
from trader.errors import InputError

_ROWS = 16_384


class FrontMonths(Struct, frozen=True, kw_only=True):
    """The front month from each 18:00 ET on at which it changes, and how many bars it has in each session's index."""

    schedule: tuple[Roll, ...]
    bars: Mapping[int, int]


NO_CHOICE = FrontMonths(schedule=(), bars={})
"""Of a file with one contract at a time."""


class _Traded:
    """Volume (bars where there is none) and bars by session and contract of the market."""

    def __init__(self) -> None:
        self.volume: dict[int, Counter[str]] = {}
        self.bars: dict[int, Counter[str]] = {}

    def add(self, session: int, contract: str, volume: int, bars: int) -> None:
        self.volume.setdefault(session, Counter())[contract] += volume
        self.bars.setdefault(session, Counter())[contract] += bars

    def leader(self, session: int) -> str:
        """The contract with most volume; of equals the one that expires first."""
        volume = self.volume[session]
        return max(sorted(volume, key=expiry), key=volume.__getitem__)


def front_months(texts: BarTexts, facts: FileFacts, market: Instrument, calendar: Calendar) -> FrontMonths:
    """Who is the front month; the first entry of the schedule is the beginning of the file.

    The volume leader of the previous session in the file, never back to an earlier expiry; before there is one, and
    in a file without volume, the calendar's contract. Spreads and other markets never lead. Offsets are left at nan.
    """
    traded = _traded(texts, facts, market, calendar)
    if not traded.volume:
        named = ", ".join(facts.contracts[:5])
        msg = f"{facts.path} has no bar of a {market.symbol} contract: it names {named}; check --market"
        raise InputError(msg)
    names = sorted({name for volumes in traded.volume.values() for name in volumes}, key=expiry)
    schedule: list[Roll] = []
    bars: dict[int, int] = {}
    leader = ""
    for index in sorted(traded.volume):
        session = calendar.session(index)
        by_calendar = calendar_front(names, date.fromisoformat(session.date))
        front = leader if leader and facts.has_volume else by_calendar
        if schedule and expiry(front) <= expiry(schedule[-1].contract):
            front = schedule[-1].contract
        if not schedule or front != schedule[-1].contract:
            schedule.append(Roll(ts_ns=session.open_ns, contract=front, offset_points=np.nan))
        bars[index] = traded.bars[index][front]
        leader = traded.leader(index)
    return FrontMonths(schedule=tuple(schedule), bars=bars)


def _traded(texts: BarTexts, facts: FileFacts, market: Instrument, calendar: Calendar) -> _Traded:
    traded = _Traded()
    for rows, _ in texts.rows(facts.layout, facts.form, _ROWS):
        opens, closes = bar_times(to_utc(rows.stamp_ns, facts.tz), facts, calendar)
        good = closes >= 0
        if rows.contract is None or not good.any():
            continue
        sessions = calendar.session_index(opens[good])
        names, place = np.unique(rows.contract[good], return_inverse=True)
        keys, inverse, counts = np.unique(sessions * len(names) + place, return_inverse=True, return_counts=True)
        volumes = counts if rows.volume is None else np.bincount(inverse, np.maximum(rows.volume[good], 0))
        for key, volume, count in zip(keys.tolist(), volumes.tolist(), counts.tolist(), strict=True):
            name = names[key % len(names)].decode("ascii", "replace")
            if is_contract(name, market):
                traded.add(key // len(names), name, int(volume), count)
    return traded
