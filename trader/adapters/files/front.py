"""The front month of a file that has several contracts at a time: who leads by volume, session by session."""

from collections import Counter
from datetime import date

import numpy as np

from trader.adapters.files.checks import bar_times
from trader.adapters.files.clock import to_utc
from trader.adapters.files.facts import FileFacts
from trader.adapters.files.rolls import Roll, calendar_front, expiry, is_contract
from trader.adapters.files.texts import BarTexts
from trader.domain.instruments import Instrument
from trader.domain.sessions import Calendar
from trader.errors import InputError

_ROWS = 16_384


def front_months(texts: BarTexts, facts: FileFacts, market: Instrument, calendar: Calendar) -> tuple[Roll, ...]:
    """The front month from each 18:00 ET on at which it changes; the first entry is the beginning of the file.

    The volume leader of the previous session in the file, never back to an earlier expiry; before there is one, and
    in a file without volume, the calendar's contract. Spreads and other markets never lead. Offsets are left at nan.
    """
    traded = _traded(texts, facts, market, calendar)
    if not traded:
        named = ", ".join(facts.contracts[:5])
        msg = f"{facts.path} has no bar of a {market.symbol} contract: it names {named}; check --market"
        raise InputError(msg)
    names = sorted({name for volumes in traded.values() for name in volumes}, key=expiry)
    fronts: list[Roll] = []
    leader = ""
    for index in sorted(traded):
        session = calendar.session(index)
        by_calendar = calendar_front(names, date.fromisoformat(session.date))
        front = leader if leader and facts.has_volume else by_calendar
        if fronts and expiry(front) <= expiry(fronts[-1].contract):
            front = fronts[-1].contract
        if not fronts or front != fronts[-1].contract:
            fronts.append(Roll(ts_ns=session.open_ns, contract=front, offset_points=np.nan))
        leader = max(sorted(traded[index], key=expiry), key=traded[index].__getitem__)
    return tuple(fronts)


def _traded(texts: BarTexts, facts: FileFacts, market: Instrument, calendar: Calendar) -> dict[int, Counter[str]]:
    """Volume (bars where there is none) by session and contract of the market."""
    traded: dict[int, Counter[str]] = {}
    for rows, _ in texts.rows(facts.layout, facts.form, _ROWS):
        opens, closes = bar_times(to_utc(rows.stamp_ns, facts.tz), facts, calendar)
        good = closes >= 0
        if rows.contract is None or not good.any():
            continue
        sessions = calendar.session_index(opens[good])
        names, place = np.unique(rows.contract[good], return_inverse=True)
        keys, inverse = np.unique(sessions * len(names) + place, return_inverse=True)
        weights = None if rows.volume is None else np.maximum(rows.volume[good], 0)
        sums = np.bincount(inverse, weights)
        for key, amount in zip(keys.tolist(), sums.tolist(), strict=True):
            name = names[key % len(names)].decode("ascii", "replace")
            if is_contract(name, market):
                traded.setdefault(key // len(names), Counter())[name] += int(amount)
    return traded
