"""When a session may be traded, against the wall clock of New York."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from trader.domain.sessions import Calendar
from trader.schedule import SessionPlan, Window, plan_session

NEW_YORK = ZoneInfo("America/New_York")
RTH = Window(
    start="09:35",
    end="15:30",
    flat_at="15:55",
    needs_rth=True,
    half_day_flat_minutes=10,
    entry_end_before_flat_minutes=20,
)
ALL = Window(
    start="18:05",
    end="16:30",
    flat_at="16:50",
    needs_rth=False,
    half_day_flat_minutes=10,
    entry_end_before_flat_minutes=20,
)


def a_plan(date: str, window: Window) -> SessionPlan:
    """The plan of the session of an ISO date."""
    session = Calendar.load().on(date)
    assert session is not None
    return plan_session(session, window)


def in_new_york(ts_ns: int) -> str:
    """Date and time on the clock in New York."""
    return f"{datetime.fromtimestamp(ts_ns // 1_000_000_000, UTC).astimezone(NEW_YORK):%Y-%m-%d %H:%M}"


CASES = [
    ("2023-03-15", RTH, "2023-03-15 09:35", "2023-03-15 15:30", "2023-03-15 15:55"),
    ("2023-01-18", RTH, "2023-01-18 09:35", "2023-01-18 15:30", "2023-01-18 15:55"),  # winter
    ("2023-03-13", ALL, "2023-03-12 18:05", "2023-03-13 16:30", "2023-03-13 16:50"),  # the clocks have just changed
    ("2023-03-15", ALL, "2023-03-14 18:05", "2023-03-15 16:30", "2023-03-15 16:50"),  # begins the evening before
    ("2023-11-24", RTH, "2023-11-24 09:35", "2023-11-24 12:45", "2023-11-24 13:05"),  # a half day: closes 13:15
    ("2023-11-24", ALL, "2023-11-23 18:05", "2023-11-24 12:45", "2023-11-24 13:05"),
    ("2023-05-29", ALL, "2023-05-28 18:05", "2023-05-29 12:30", "2023-05-29 12:50"),  # a holiday: closes 13:00
    ("2023-04-07", ALL, "2023-04-06 18:05", "2023-04-07 08:45", "2023-04-07 09:05"),  # Good Friday: closes 09:15
]


@pytest.mark.parametrize(("date", "window", "start", "end", "flat_at"), CASES)
def test_plan_session_times_are_new_yorks(date: str, window: Window, start: str, end: str, flat_at: str) -> None:
    """Start, end and flat_at as a person reads them."""
    plan = a_plan(date, window)

    assert [in_new_york(ns) for ns in (plan.entry_start_ns, plan.entry_end_ns, plan.flat_at_ns)] == [
        start,
        end,
        flat_at,
    ]


@pytest.mark.parametrize("date", ["2023-05-29", "2023-04-07"])
def test_plan_session_without_a_cash_market_has_no_entries_in_its_window(date: str) -> None:
    """Regular hours need a regular session: the window is empty, the time to be flat is not."""
    plan = a_plan(date, RTH)

    assert plan.entry_end_ns <= plan.entry_start_ns
    assert plan.flat_at_ns > 0


def test_plan_session_late_end_yields_to_flat_at() -> None:
    """Entries end 20 minutes before flat_at, whatever the window says."""
    late = Window(
        start="09:35",
        end="15:54",
        flat_at="15:55",
        needs_rth=True,
        half_day_flat_minutes=10,
        entry_end_before_flat_minutes=20,
    )

    assert in_new_york(a_plan("2023-03-15", late).entry_end_ns) == "2023-03-15 15:35"


@pytest.mark.parametrize("window", [RTH, ALL], ids=["rth", "all"])
def test_plan_session_every_session_is_flat_before_it_closes(window: Window) -> None:
    """No session of the whole table leaves a position to its close, nor opens one it has no time for."""
    calendar = Calendar.load()
    for index in range(len(calendar)):
        session = calendar.session(index)
        plan = plan_session(session, window)
        assert session.open_ns < plan.flat_at_ns < session.close_ns, session.date
        assert plan.entry_end_ns <= plan.flat_at_ns - 20 * 60_000_000_000 or plan.entry_end_ns == plan.entry_start_ns
