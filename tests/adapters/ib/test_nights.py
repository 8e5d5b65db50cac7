"""Windows by wall clock, and which outage a person hears of; 200 nights without a false alarm."""

import datetime
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from trader.adapters.ib.nights import EVERY_DAY, Nights, NightTerms, OutageWatch, OutageWindow
from trader.domain.sessions import Calendar
from trader.domain.units import DAY_NS, MINUTE_NS, SECOND_NS
from trader.errors import ConfigurationError

CAMPAIGN = Path(__file__).resolve().parents[3] / "scripts" / "campaign_nights.py"
NEW_YORK, CHICAGO = "America/New_York", "America/Chicago"
RESTART = OutageWindow(name="daily restart", zone=CHICAGO, start="23:45", end="00:00", days=EVERY_DAY)
RESET = OutageWindow(name="server reset", zone=NEW_YORK, start="00:15", end="01:45", days=EVERY_DAY)
WEEKEND = OutageWindow(name="weekend reset", zone=NEW_YORK, start="23:00", end="03:00", days=(4,))
LOGIN = OutageWindow(name="weekly login", zone=NEW_YORK, start="01:00", end="17:30", days=(6,))
TERMS = NightTerms(
    windows=(RESTART, RESET, WEEKEND, LOGIN),
    no_entries_before_s=900.0,
    outlast_s=300.0,
    down_alert_s=60.0,
    down_alert_open_s=60.0,
    settled_s=60.0,
)


def at(text: str, zone: str = NEW_YORK, fold: int = 0) -> int:
    """Nanoseconds of a wall-clock time such as 2019-12-03 01:30."""
    local = datetime.datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)
    return round(local.timestamp()) * SECOND_NS


def watch(terms: NightTerms = TERMS) -> OutageWatch:
    """Follows outages of the terms."""
    return OutageWatch(Nights(terms), terms)


def alarms(of: OutageWatch, begin_ns: int, end_ns: int, step_ns: int = 10 * SECOND_NS) -> list[tuple[int, str]]:
    """What it says between two times, minutes after the first one."""
    said = ((now, of.alarm(now)) for now in range(begin_ns, end_ns, step_ns))
    return [((now - begin_ns) // MINUTE_NS, why) for now, why in said if why is not None]


@pytest.mark.parametrize(
    ("moment", "name"),
    [
        ("2019-12-03 23:00", None),
        ("2019-12-03 23:59:59", None),  # Tuesday: 15 minutes before the reset at 00:15 is 00:00
        ("2019-12-04 00:00", "server reset and daily restart"),
        ("2019-12-04 00:14:59", "server reset and daily restart"),
        ("2019-12-04 01:44:59", "server reset and daily restart"),
        ("2019-12-04 01:45", None),
        ("2019-12-04 12:00", None),
        ("2019-12-06 22:44:59", None),
        ("2019-12-06 22:45", "weekend reset and server reset and daily restart"),
        ("2019-12-08 00:50", "server reset and daily restart and weekly login"),
        ("2019-12-08 17:29", "server reset and daily restart and weekly login"),
        ("2019-12-08 17:30", None),
    ],
)
def test_nothing_is_entered_from_fifteen_minutes_before_a_window_to_its_end(moment: str, name: str | None) -> None:
    """The daily restart at 23:45 in Chicago is 00:45 in New York, inside the reset."""
    assert Nights(TERMS).no_entries(at(moment)) == name


def test_the_next_window_says_when_it_begins_and_ends() -> None:
    """For whoever flattens before it."""
    span = Nights(TERMS).next_window(at("2019-12-03 20:00"))
    assert span is not None
    assert (span.start_ns, span.end_ns) == (at("2019-12-04 00:15"), at("2019-12-04 01:45"))
    assert Nights(TERMS).window(at("2019-12-03 20:00")) is None


@pytest.mark.parametrize(
    "wrong", [{"start": "25:00"}, {"end": "noon"}, {"zone": "Mars/Olympus"}, {"zone": ""}, {"days": ()}, {"days": (7,)}]
)
def test_a_window_that_is_none_is_named(wrong: dict[str, Any]) -> None:
    """Before anything is connected."""
    with pytest.raises(ConfigurationError, match="outage window 'server reset'"):
        Nights(replace(TERMS, windows=(RESTART, replace(RESET, **wrong))))


def test_without_windows_entries_are_always_free() -> None:
    """And every outage is told after its grace."""
    terms = NightTerms(
        windows=(), no_entries_before_s=900.0, outlast_s=300.0, down_alert_s=60.0, down_alert_open_s=60.0, settled_s=0.0
    )
    assert Nights(terms).no_entries(at("2019-12-04 00:30")) is None
    assert Nights(terms).next_window(at("2019-12-04 00:30")) is None


@pytest.mark.parametrize(
    ("window", "first", "last"),
    [
        # Clocks go back on 2019-11-03 at 02:00: 01:45 comes twice, and the window lasts to the second one.
        (RESET, at("2019-11-03 00:15"), at("2019-11-03 01:45", fold=1)),
        # They go forward on 2020-03-08 at 02:00: the weekend's 03:00 is an hour sooner after 23:00, by the sun.
        (RESET, at("2020-03-08 00:15"), at("2020-03-08 01:45")),
    ],
)
def test_windows_keep_to_the_wall_clock_when_clocks_change(window: OutageWindow, first: int, last: int) -> None:
    """Half past one inside, whichever it is."""
    terms = replace(TERMS, windows=(window,))
    span = Nights(terms).window(first + 30 * MINUTE_NS)
    assert span is not None
    assert (span.start_ns, span.end_ns) == (first, last)


def test_a_window_that_the_clocks_jump_over_is_as_long_as_any_reading_of_it() -> None:
    """02:15 to 02:45 does not exist on 2020-03-08."""
    window = OutageWindow(name="gap", zone=NEW_YORK, start="02:15", end="02:45", days=EVERY_DAY)
    terms = replace(TERMS, windows=(window,))
    span = Nights(terms).next_window(at("2020-03-08 00:00"))
    assert span is not None
    assert span.start_ns <= at("2020-03-08 03:00") <= span.end_ns


def test_an_outage_inside_its_window_is_expected_and_not_told() -> None:
    """Up again before the end."""
    of = watch()
    began, back = at("2019-12-04 00:20"), at("2019-12-04 01:40")
    of.down(began)
    assert of.is_expected(began)
    assert alarms(of, began, back) == []
    of.up(back)
    assert not of.is_expected(back)
    assert alarms(of, back, back + DAY_NS) == []


def test_an_outage_that_outlasts_its_window_is_told_five_minutes_after_it() -> None:
    """Once."""
    of = watch()
    began = at("2019-12-04 01:00")
    of.down(began)
    told = alarms(of, began, began + 5 * 60 * MINUTE_NS)
    assert [minute for minute, _ in told] == [50]
    assert "should be over" in told[0][1]
    assert not of.is_expected(at("2019-12-04 01:50"))


def test_windows_with_less_than_five_minutes_between_them_are_one() -> None:
    """An outage from the first that the second one follows at once is expected."""
    soon_after = OutageWindow(name="second", zone=NEW_YORK, start="01:48", end="02:30", days=EVERY_DAY)
    of = watch(replace(TERMS, windows=(RESET, soon_after)))
    began = at("2019-12-04 01:30")
    of.down(began)
    assert [minute for minute, _ in alarms(of, began, began + 3 * 60 * MINUTE_NS)] == [65]


def test_an_outage_outside_every_window_is_told_after_its_grace() -> None:
    """And is not expected, also when it lasts into a window."""
    of = watch()
    began = at("2019-12-03 23:50")
    of.down(began)
    told = alarms(of, began, began + 8 * 60 * MINUTE_NS)
    assert told == [(1, "away for 60 s, outside every expected window")]
    assert not of.is_expected(at("2019-12-04 00:30"))


def test_an_outage_with_something_open_is_told_sooner_and_once() -> None:
    """Not one inside its window: what rests at the broker was meant to guard it there."""
    of = watch(replace(TERMS, down_alert_s=600.0, down_alert_open_s=60.0))
    noon = at("2019-12-03 12:00")
    of.down(noon)
    assert of.alarm(noon + 59 * SECOND_NS, is_open=True) is None
    assert of.alarm(noon + 60 * SECOND_NS) is None
    assert of.alarm(noon + 60 * SECOND_NS, is_open=True) == "away for 60 s, outside every expected window"
    assert of.alarm(noon + 600 * SECOND_NS, is_open=True) is None
    of.up(noon + 700 * SECOND_NS)
    night = at("2019-12-04 00:20")
    of.down(night)
    assert of.alarm(night + 60 * MINUTE_NS, is_open=True) is None


def test_a_link_that_comes_and_goes_is_one_outage_until_it_has_settled() -> None:
    """Each time up for half a minute: told once; after an hour up, the next one is another."""
    of = watch()
    noon = at("2019-12-03 12:00")
    told = []
    for cycle in range(10):
        down = noon + cycle * MINUTE_NS
        of.down(down)
        told += alarms(of, down, down + 30 * SECOND_NS)
        of.up(down + 30 * SECOND_NS)
    assert len(told) == 1
    later = noon + 120 * MINUTE_NS
    of.down(later)
    assert [minute for minute, _ in alarms(of, later, later + 5 * MINUTE_NS)] == [1]


def test_two_hundred_nights_give_no_false_alarm_and_miss_no_real_one() -> None:
    """From September to March, both clock changes and the half days among them: resets at random inside the windows."""
    calendar, chance = Calendar.load(), random.Random(7)
    first = datetime.date(2019, 9, 3)
    dates = [first + datetime.timedelta(days=day) for day in range(200)]
    assert sum(session is not None and session.is_half_day for session in map(calendar.on, map(str, dates))) >= 3
    nights, of = Nights(TERMS), watch()
    of.down(at("2019-09-02 12:00"))
    of.up(at("2019-09-02 12:00:10"))
    false, missed = [], []
    for date in dates:
        span = nights.next_window(at(f"{date} 20:00"))
        assert span is not None
        length = span.end_ns - span.start_ns
        began = span.start_ns + round(length * chance.uniform(0.0, 0.5))
        back = began + round((span.end_ns - began) * chance.random())
        of.down(began)
        false += alarms(of, began, back)
        of.up(back)
        if chance.random() < 0.2:  # a night on which something is really wrong: it never comes back by itself
            wrong = back + round(2 * 60 * MINUTE_NS * chance.random()) + 2 * MINUTE_NS
            of.down(wrong)
            told = alarms(of, wrong, max(wrong, span.end_ns) + 10 * MINUTE_NS)
            missed += [date] if len(told) != 1 else []
            of.up(max(wrong, span.end_ns) + 10 * MINUTE_NS)
    assert (false, missed) == ([], [])


def test_three_nights_over_real_sockets_alert_of_what_is_wrong_and_of_nothing_else() -> None:
    """`make campaign-nights`, the beginning of it: one of them outlasts its window."""
    command = [sys.executable, str(CAMPAIGN), "--nights", "3", "--seed", "1", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert (found["nights"], found["not_up_after"], found["false_alarms"], found["missed"]) == (3, 0, 0, 0)
    assert found["wrong_nights"] >= 1
    assert found["connections"] > found["resets"] >= 3


@given(st.integers(at("2019-01-01 00:00") // SECOND_NS, at("2021-01-01 00:00") // SECOND_NS))
def test_a_moment_is_inside_a_window_exactly_when_the_clock_on_the_wall_says_so(moment_s: int) -> None:
    """By the clock, not by adding hours; the second half past one of the autumn night counts as the first."""
    local = datetime.datetime.fromtimestamp(moment_s, ZoneInfo(NEW_YORK))
    terms = NightTerms(
        windows=(RESET,), no_entries_before_s=0.0, outlast_s=1.0, down_alert_s=1.0, down_alert_open_s=1.0, settled_s=0.0
    )
    clock = f"{local:%H:%M:%S}"
    expected = "00:15:00" <= clock < "01:45:00" or (
        local.fold == 0 and "01:45:00" <= clock < "02:00:00" and _twice(local)
    )
    assert (Nights(terms).window(moment_s * SECOND_NS) is not None) == expected


def _twice(local: datetime.datetime) -> bool:
    """Whether that time comes a second time."""
    return local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset()
