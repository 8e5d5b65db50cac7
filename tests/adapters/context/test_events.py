"""The economic calendar of a prompt, and what its file must look like."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from builders import MINUTE_NS, a_question
from hypothesis import given
from hypothesis import strategies as st

from trader.adapters.context import EconomicCalendar, Event, Events, Importance, load_events
from trader.advisor.question import Question
from trader.errors import InputError

NOW_NS = 1_678_888_800_000_000_000  # 2023-03-15 14:00 UTC, 10:00 in New York
FILE = """time,event,importance
2023-03-15T10:30:00-04:00,Crude inventories,low
2023-03-15T12:30:00Z,"PPI, m/m",HIGH

2023-03-15T09:00:00-05:00,Business inventories,Medium
2023-11-15T13:30:00Z,CPI,high
"""


def a_file(folder: Path, text: str | bytes) -> Path:
    path = folder / "events.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def at(minute: int, name: str = "x", importance: Importance = Importance.LOW) -> Event:
    moment = datetime.fromtimestamp((NOW_NS // MINUTE_NS + minute) * 60, UTC)
    return Event(ts_ns=NOW_NS + minute * MINUTE_NS, time_et=f"{moment:%H:%M}", name=name, importance=importance)


def now(**changes: Any) -> Question:
    return a_question(ts_close_ns=NOW_NS, **changes)


def test_a_file_gives_its_events_in_the_order_of_their_time(tmp_path: Path) -> None:
    """Offsets, UTC, quoted commas, any case; the clock of New York in summer and in winter."""
    events = load_events(a_file(tmp_path, FILE))
    minutes = 400 * 24 * 60
    assert [(event.time_et, event.name, event.importance) for event in events.near(NOW_NS, minutes)] == [
        ("2023-03-15 08:30", "PPI, m/m", Importance.HIGH),
        ("2023-03-15 10:00", "Business inventories", Importance.MEDIUM),
        ("2023-03-15 10:30", "Crude inventories", Importance.LOW),
        ("2023-11-15 08:30", "CPI", Importance.HIGH),
    ]
    assert [event.ts_ns - NOW_NS for event in events.near(NOW_NS, 60)] == [0, 30 * MINUTE_NS]


def test_both_ends_of_the_reach_are_near() -> None:
    """Sixty minutes before and after; one nanosecond more is not near."""
    events = Events((at(60), at(-61), at(-60), at(61)), "0")
    assert events.near(NOW_NS, 60) == (at(-60), at(60))
    assert events.near(NOW_NS + 1, 60) == (at(60),)
    assert events.near(NOW_NS - 1, 60) == (at(-60),)


def test_the_section_tells_time_name_and_importance(tmp_path: Path) -> None:
    """In a fence, and not where dates are hidden."""
    calendar = EconomicCalendar(load_events(a_file(tmp_path, FILE)), 90)
    assert calendar.lines(now()) == (
        "2023-03-15 08:30 PPI, m/m (high)",
        "2023-03-15 10:00 Business inventories (medium)",
        "2023-03-15 10:30 Crude inventories (low)",
    )
    assert EconomicCalendar(Events((), "0"), 90).lines(now()) == ()
    assert calendar.facts.is_quoted
    assert calendar.facts.tells_dates


def test_of_many_events_the_most_important_and_nearest_are_told() -> None:
    """Ten, in the order of their time."""
    early = [at(-50 + minute, f"low {minute}") for minute in range(12)]
    late = [at(40 + minute, f"high {minute}", Importance.HIGH) for minute in range(4)]
    told = EconomicCalendar(Events((*late, *early), "0"), 60).lines(now())
    assert [line.split(" ", 1)[1] for line in told] == [f"low {n} (low)" for n in range(6, 12)] + [
        f"high {n} (high)" for n in range(4)
    ]


def test_the_identity_is_of_the_file_and_the_reach(tmp_path: Path) -> None:
    """Another file or another reach makes other prompts."""
    one, other = load_events(a_file(tmp_path, FILE)), load_events(a_file(tmp_path, FILE + "\n"))
    calendars = [EconomicCalendar(one, 60), EconomicCalendar(one, 90), EconomicCalendar(other, 60)]
    assert len({calendar.facts.identity for calendar in calendars}) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "events.csv is empty; it must begin with the header time,event,importance"),
        (b"time,event,importance\n\xff", "cannot be read: .*CSV in UTF-8 with the header"),
        ("time,event\n", "line 1: the header 'time,event' must name importance once"),
        ("time,time,event,importance\n", "line 1: .* must name time once"),
        (FILE + "2023-03-15T10:30:00Z,x\n", "line 7: 2 cells, too few for time,event,importance; fill the row"),
        (FILE + "2023-03-15T10:30:00Z, ,low\n", "line 7: event is empty; fill it or remove the row"),
        (FILE + "2023-03-15T10:30:00Z,x,urgent\n", "line 7: importance 'urgent' is unknown; write one of low, medium"),
        (FILE + "2023-03-15 10:30,x,low\n", "line 7: time '2023-03-15 10:30' has no zone; write such as 2023-03-15T"),
        (FILE + "tomorrow,x,low\n", "line 7: time 'tomorrow' is no ISO 8601 time; write such as"),
        (FILE + "0001-01-01T00:00:00+23:00,x,low\n", "line 7: time .* is not between 1971 and 2200"),
        (FILE + '2023-03-15T10:30:00Z,"x"y,low\n', "line 7: .*; quote a cell that holds a comma"),
        (FILE + '2023-03-15T10:30:00Z,"x,low\n', "line 7: unexpected end of data; quote a cell"),
    ],
)
def test_a_file_that_is_no_calendar_is_refused_with_its_place(tmp_path: Path, text: str | bytes, message: str) -> None:
    """File, line, field and remedy."""
    with pytest.raises(InputError, match=message) as refused:
        load_events(a_file(tmp_path, text))
    assert "events.csv" in str(refused.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """With its name."""
    with pytest.raises(InputError, match=r"nothing\.csv cannot be read"):
        load_events(tmp_path / "nothing.csv")


def test_a_table_may_have_more_columns_in_another_order(tmp_path: Path) -> None:
    """As calendars are exported, with a byte order mark and Windows' line ends."""
    text = "\ufeffImportance,Forecast,Event,Time\r\nhigh,5.2,CPI,2023-03-15T14:00:00Z\r\n"
    (event,) = load_events(a_file(tmp_path, text)).near(NOW_NS, 0)
    assert (event.name, event.importance) == ("CPI", Importance.HIGH)


@given(st.lists(st.integers(-200, 200), max_size=30), st.integers(1, 100))
def test_near_is_what_a_search_of_all_events_finds(minutes: list[int], reach: int) -> None:
    """None is missed and none is added."""
    events = tuple(at(minute, str(place)) for place, minute in enumerate(minutes))
    assert sorted(event.name for event in Events(events, "0").near(NOW_NS, reach)) == sorted(
        str(place) for place, minute in enumerate(minutes) if -reach <= minute <= reach
    )
