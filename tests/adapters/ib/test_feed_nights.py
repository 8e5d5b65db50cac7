"""Silence is trouble inside the market's hours only: no false alarm in a year of nights, and none missed."""

import random
from itertools import pairwise

import pytest

from trader.adapters.ib.slots import Slots
from trader.adapters.ib.staleness import Staleness
from trader.domain.sessions import Calendar, Session
from trader.domain.units import HOUR_NS, MINUTE_NS, SECOND_NS

CALENDAR = Calendar.load()
MARGIN_NS = 5 * SECOND_NS
NIGHTS = 220
FIRST = CALENDAR.index_from("2019-02-20")


def sessions() -> list[Session]:
    """A year with both clock changes, half days, daily halts and holidays."""
    chosen = [CALENDAR.session(FIRST + place) for place in range(NIGHTS)]
    assert {session.et_offset_s for session in chosen} == {-18_000, -14_400}
    assert sum(session.is_half_day for session in chosen) >= 3
    return chosen


def bars_of(slots: Slots, session: Session) -> list[int]:
    """When its one-minute bars open."""
    opens, at_ns = [], session.open_ns
    while at_ns < session.close_ns:
        opens.append(at_ns)
        at_ns = slots.next_open_ns(at_ns + MINUTE_NS)
    return opens


def test_no_false_alarm_in_a_year_of_nights() -> None:
    """Each bar is heard of up to five seconds late, the link is reset each night, and the market closes as it does."""
    chance = random.Random(5)
    slots = Slots(CALENDAR, MINUTE_NS)
    staleness = Staleness(slots, MARGIN_NS)
    staleness.linked(CALENDAR.session(FIRST).open_ns - HOUR_NS)
    alarms: list[int] = []
    for session in sessions():
        reset_ns = session.open_ns + chance.randrange(300, 400) * MINUTE_NS
        back_ns = reset_ns + chance.randrange(1, 90) * MINUTE_NS
        is_down = False
        for opens_ns in bars_of(slots, session):
            if reset_ns <= opens_ns < back_ns:
                if not is_down:
                    staleness.linked(None)
                is_down = True
                continue
            if is_down:
                staleness.linked(opens_ns)
                is_down = False
            late_ns = chance.randrange(1, 5_000) * SECOND_NS // 1_000
            if staleness.look(opens_ns + late_ns - 1):
                alarms.append(opens_ns)
            staleness.began(opens_ns, opens_ns + late_ns)
            if staleness.look(opens_ns + 40 * SECOND_NS):
                alarms.append(opens_ns)
        alarms += [
            session.close_ns
            for after_min in range(0, 60, 7)
            if staleness.look(session.close_ns + after_min * MINUTE_NS)
        ]
    assert alarms == []


@pytest.mark.parametrize("minutes", [1, 5, 15])
def test_a_feed_that_falls_silent_is_stale_within_a_bar_and_five_seconds(minutes: int) -> None:
    """Wherever it happens: at the open, beside a halt, before a half day's close."""
    bar_ns = minutes * MINUTE_NS
    slots = Slots(CALENDAR, bar_ns)
    for session in sessions()[::20]:
        for since_ns in range(session.open_ns, session.close_ns - 2 * bar_ns - MARGIN_NS, 97 * MINUTE_NS):
            opens_ns = since_ns - since_ns % bar_ns
            if not slots.is_open(opens_ns) or slots.trade(opens_ns)[1] < opens_ns + 3 * bar_ns:
                continue
            staleness = Staleness(slots, MARGIN_NS)
            staleness.linked(session.open_ns)
            staleness.began(opens_ns, opens_ns)
            assert not staleness.look(opens_ns + bar_ns + MARGIN_NS)
            assert staleness.look(opens_ns + bar_ns + MARGIN_NS + 1)
            staleness.heard(opens_ns + 2 * bar_ns)
            assert staleness.look(opens_ns + 2 * bar_ns)
            staleness.began(opens_ns + 2 * bar_ns, opens_ns + 2 * bar_ns + SECOND_NS)
            assert not staleness.look(opens_ns + 2 * bar_ns + SECOND_NS)


def test_a_feed_that_repeats_one_bar_is_stale() -> None:
    """Updates come, and time does not pass in them; or they are a quarter of an hour old, as delayed data is."""
    slots = Slots(CALENDAR, MINUTE_NS)
    opens_ns = CALENDAR.session(FIRST).open_ns + HOUR_NS
    staleness = Staleness(slots, MARGIN_NS)
    staleness.linked(opens_ns)
    staleness.began(opens_ns, opens_ns)
    for second in range(0, 125, 5):
        staleness.heard(opens_ns + second * SECOND_NS)
        assert not staleness.look(opens_ns + second * SECOND_NS)
    staleness.heard(opens_ns + 126 * SECOND_NS)
    assert staleness.look(opens_ns + 126 * SECOND_NS)
    staleness.began(opens_ns + MINUTE_NS, opens_ns + 900 * SECOND_NS)
    assert staleness.look(opens_ns + 900 * SECOND_NS)


def test_the_year_has_the_market_closed_between_its_sessions() -> None:
    """What the nights are about."""
    assert all(before.close_ns + HOUR_NS <= after.open_ns for before, after in pairwise(sessions()))
