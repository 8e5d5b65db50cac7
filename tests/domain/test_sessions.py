"""The session table against a calendar library, hand-written dates and the bars of real files."""

import csv
import subprocess
import sys
import zipfile
from collections import Counter
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas_market_calendars as mcal
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trader.domain.sessions import DAY_NS, MINUTE_NS, Calendar, Session, et_ns
from trader.errors import ConfigurationError, InputError, InvariantError

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "trader" / "domain" / "sessions.csv"
NEW_YORK = ZoneInfo("America/New_York")
UTC = ZoneInfo("UTC")
CALENDAR = Calendar.load()

# What the exchange did, written by hand: date, close of the futures, close of the cash market (ET).
REVIEWED = [
    ("2015-11-27", "13:15", "13:00"),
    ("2016-07-04", "13:00", None),
    ("2017-07-03", "13:15", "13:00"),
    ("2018-12-05", "09:30", None),
    ("2018-12-24", "13:15", "13:00"),
    ("2019-01-21", "13:00", None),
    ("2019-05-27", "13:00", None),
    ("2019-11-28", "13:00", None),
    ("2019-11-29", "13:15", "13:00"),
    ("2019-12-24", "13:15", "13:00"),
    ("2019-12-31", "17:00", "16:00"),
    ("2020-07-03", "13:00", None),
    ("2021-04-02", "09:15", None),
    ("2022-06-20", "13:00", None),
    ("2023-04-07", "09:15", None),
    ("2023-11-24", "13:15", "13:00"),
    ("2025-01-09", "09:30", None),
    ("2025-07-03", "13:15", "13:00"),
    ("2026-04-03", "09:15", None),
    ("2034-04-07", "09:15", None),
]
CLOSED = [
    *("2015-12-25", "2016-03-25", "2017-04-14", "2018-03-30", "2019-04-19", "2020-04-10", "2022-04-15", "2024-03-29"),
    *("2025-04-18", "2027-03-26", "2028-04-14", "2035-03-23", "2017-01-02", "2021-12-24", "2019-07-06", "2019-07-07"),
]


def ns(text: str, zone: ZoneInfo = NEW_YORK) -> int:
    """A wall-clock time such as `2019-07-05 15:55` as UTC nanoseconds."""
    return round(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()) * 1_000_000_000


def sessions() -> list[Session]:
    return [CALENDAR.session(index) for index in range(len(CALENDAR))]


def session_on(day: str) -> Session:
    session = CALENDAR.on(day)
    assert session is not None
    return session


def schedule(name: str) -> dict[str, tuple[int, int]]:
    """Open and close of a library calendar in UTC nanoseconds by date."""
    table = mcal.get_calendar(name).schedule("2015-09-21", "2035-12-31")
    columns = (table[column].dt.as_unit("ns").astype("int64") for column in ("market_open", "market_close"))
    days = table.index.strftime("%Y-%m-%d")
    return {day: (opened, closed) for day, opened, closed in zip(days, *columns, strict=True)}


def slots(session: Session, minutes: int) -> int:
    """How many bars of `minutes` a session holds when it trades all the time."""
    trading_ns = session.close_ns - session.open_ns - sum(end - start for start, end in session.halts)
    return trading_ns // (minutes * MINUTE_NS)


def local_stamps(path: Path, column: str, zone: ZoneInfo) -> np.ndarray:
    with path.open(newline="") as file:
        return np.array([ns(row[column], zone) for row in csv.DictReader(file)], dtype=np.int64)


def test_calendar_against_the_library_has_its_sessions_but_the_overrides() -> None:
    """Every session of the futures library is in the table with its bounds, but for the twelve reviewed days."""
    ours = {session.date: (session.open_ns, session.close_ns) for session in sessions()}
    library = schedule("CME Globex Equity")
    assert len(ours) == 5237
    assert set(ours) <= set(library)
    differing = {day for day, bounds in library.items() if ours.get(day) != bounds}
    no_jobs_report = {"2027-03-26", "2028-04-14", "2029-03-30", "2030-04-19", "2031-04-11", "2032-03-26", "2033-04-15"}
    reviewed = {"2018-12-05", "2024-03-29", "2025-01-09", "2025-04-18", "2035-03-23"}
    assert differing == reviewed | no_jobs_report


@pytest.mark.filterwarnings("ignore:Series.dt.weekday is deprecated")  # the library's own, under pandas 3.1
def test_calendar_against_the_library_has_the_cash_hours() -> None:
    """RTH is the cash market's session to the nanosecond, and both bounds are 0 where it has none."""
    cash = schedule("NYSE")
    ours = {session.date: (session.rth_open_ns, session.rth_close_ns) for session in sessions()}
    assert set(cash) <= set(ours)
    assert {day: cash.get(day, (0, 0)) for day in ours} == ours


@pytest.mark.parametrize(("day", "close", "cash_close"), REVIEWED)
def test_on_a_reviewed_day_has_the_close_that_happened(day: str, close: str, cash_close: str | None) -> None:
    """Half days, days of mourning and Good Fridays end when the exchange ended them."""
    session = session_on(day)
    rth = (ns(f"{day} 09:30"), ns(f"{day} {cash_close}")) if cash_close else (0, 0)
    assert session.close_ns == ns(f"{day} {close}")
    assert (session.rth_open_ns, session.rth_close_ns) == rth
    assert session.is_half_day == (close != "17:00")


@pytest.mark.parametrize("day", CLOSED)
def test_on_a_day_without_trading_is_none(day: str) -> None:
    """Good Fridays without a jobs report, Christmas, observed New Year and weekends have no session."""
    assert CALENDAR.on(day) is None


@pytest.mark.parametrize(
    ("sunday", "offset_hours"), [("2019-03-10", -4), ("2019-11-03", -5), ("2035-03-11", -4), ("2035-11-04", -5)]
)
def test_session_after_a_clock_change_opens_at_18_new_york(sunday: str, offset_hours: int) -> None:
    """The session that opens on the evening of a clock change has the new offset from its first minute on."""
    session = CALENDAR.at(ns(f"{sunday} 18:00"))
    assert session is not None
    assert (session.open_ns, session.et_offset_s) == (ns(f"{sunday} 18:00"), offset_hours * 3600)
    assert session.close_ns - session.open_ns == 23 * 60 * MINUTE_NS


def test_sessions_all_open_at_18_the_evening_before_and_keep_one_offset() -> None:
    """By zoneinfo: 18:00 on the calendar day before, and the stated offset at open and close."""
    for session in sessions():
        opened = datetime.fromtimestamp(session.open_ns / 1e9, NEW_YORK)
        closed = datetime.fromtimestamp(session.close_ns / 1e9, NEW_YORK)
        assert opened.strftime("%H:%M") == "18:00"
        assert opened.date() + timedelta(days=1) == closed.date() == date.fromisoformat(session.date)
        assert opened.utcoffset() == closed.utcoffset() == timedelta(seconds=session.et_offset_s)


def test_halts_until_2021_06_25_and_never_after() -> None:
    """Full days have the 16:15-16:30 halt up to that session; half days end before it."""
    for session in sessions():
        day = session.date
        expected = (
            ((ns(f"{day} 16:15"), ns(f"{day} 16:30")),) if day <= "2021-06-25" and not session.is_half_day else ()
        )
        assert session.halts == expected


def test_at_the_bounds_includes_the_open_and_excludes_the_close() -> None:
    """A session holds its open and its halt, not its close; the market is closed until the next open."""
    session = session_on("2019-07-05")
    assert CALENDAR.at(session.open_ns) is session
    assert CALENDAR.at(session.open_ns - 1) is None
    assert CALENDAR.at(session.close_ns - 1) is session
    assert CALENDAR.at(session.close_ns) is None
    assert CALENDAR.at(ns("2019-07-05 16:20")) is session


def test_next_open_on_a_weekend_is_the_sunday_evening() -> None:
    """The next open is strictly after the time asked, also at an open."""
    monday = session_on("2019-07-08")
    assert CALENDAR.next_open(ns("2019-07-06 12:00")) is monday
    assert CALENDAR.next_open(monday.open_ns) is session_on("2019-07-09")
    assert CALENDAR.next_open(monday.open_ns - 1) is monday


@pytest.mark.parametrize(
    ("day", "session"),
    [
        ("2015-09-21", "2015-09-21"),
        ("2019-07-06", "2019-07-08"),
        ("2019-12-25", "2019-12-26"),
        ("20191225", "2019-12-26"),
    ],
)
def test_index_from_a_date_is_the_first_session_on_or_after(day: str, session: str) -> None:
    """A weekend or a holiday leads to the next session, in either ISO form."""
    assert CALENDAR.session(CALENDAR.index_from(day)).date == session


@given(st.integers(CALENDAR.first_ns, CALENDAR.last_ns - 1))
def test_session_index_of_any_time_agrees_with_at(ts_ns: int) -> None:
    """The vector lookup and the single one agree, but for halts, which are -1 in the vector."""
    session = CALENDAR.at(ts_ns)
    index = int(CALENDAR.session_index(np.array([ts_ns]))[0])
    if session is None or any(start <= ts_ns < end for start, end in session.halts):
        assert index == -1
    else:
        assert CALENDAR.session(index) is session


def test_session_index_inside_a_halt_is_minus_one() -> None:
    """The halt's first minute is outside, its end inside; nothing in gives nothing out."""
    minutes = [ns(f"2019-07-05 {clock}") for clock in ("16:14", "16:15", "16:29", "16:30", "16:59", "17:00")]
    index = CALENDAR.session_index(np.array(minutes))
    inside = int(index[0])
    assert CALENDAR.session(inside).date == "2019-07-05"
    assert index.tolist() == [inside, -1, -1, inside, inside, -1]
    assert CALENDAR.session_index(np.array([], dtype=np.int64)).tolist() == []


@pytest.mark.parametrize(
    "ts_ns", [CALENDAR.first_ns - 1, CALENDAR.last_ns, ns("2014-07-01 12:00"), ns("2036-01-02 12:00")]
)
def test_calendar_outside_its_years_refuses_by_name(ts_ns: int) -> None:
    """Every lookup says what is covered and what to do instead of guessing hours."""
    lookups = (
        CALENDAR.at,
        CALENDAR.next_open,
        lambda moment: CALENDAR.session_index(np.array([CALENDAR.first_ns, moment])),
    )
    for lookup in lookups:
        with pytest.raises(InputError, match=r"2015-09-21 to 2035-12-31.*--from"):
            lookup(ts_ns)


@pytest.mark.parametrize("day", ["2015-09-20", "2014-06-02", "2036-01-01"])
def test_on_a_date_outside_the_table_refuses_by_name(day: str) -> None:
    """A date is refused like a time."""
    with pytest.raises(InputError, match="2015-09-21 to 2035-12-31"):
        CALENDAR.on(day)


def test_on_a_text_that_is_no_date_says_the_form() -> None:
    """Free text is refused with the form that is expected."""
    with pytest.raises(InputError, match="2019-07-05"):
        CALENDAR.on("today")


@pytest.mark.parametrize(
    ("day", "clock", "expected"),
    [
        ("2019-07-05", "15:55", "2019-07-05 15:55"),
        ("2019-07-05", "17:59", "2019-07-05 17:59"),
        ("2019-07-05", "18:00", "2019-07-04 18:00"),
        ("2019-07-05", "23:59", "2019-07-04 23:59"),
        ("2019-07-05", "00:00", "2019-07-05 00:00"),
        ("2019-11-04", "18:05", "2019-11-03 18:05"),
        ("2021-04-02", "09:05", "2021-04-02 09:05"),
    ],
)
def test_et_ns_of_a_wall_clock_time_lies_in_the_session(day: str, clock: str, expected: str) -> None:
    """Times from 18:00 on belong to the evening before the session's date."""
    assert et_ns(session_on(day), clock) == ns(expected)


@pytest.mark.parametrize("clock", ["", "9:30", "24:00", "12:60", "12.30", "12:3a", "-1:00", "15:55:00"])
def test_et_ns_of_other_text_names_the_form(clock: str) -> None:
    """A time of day that is not HH:MM is a configuration error."""
    with pytest.raises(ConfigurationError, match="HH:MM"):
        et_ns(session_on("2019-07-05"), clock)


def test_table_that_was_cut_is_refused() -> None:
    """A table with a broken row is no calendar."""
    whole = TABLE.read_bytes()
    for damaged in (whole[:-7], whole.replace(b"\n", b"\r\n"), whole[: whole.index(b"\n") + 1]):
        with pytest.raises(InvariantError, match="damaged"):
            Calendar(damaged)


def test_sha256_of_another_table_differs() -> None:
    """The hash is that of the bytes: one changed cell is another calendar."""
    changed = TABLE.read_bytes().replace(b"2018-12-05,0930", b"2018-12-05,1700")
    assert Calendar(changed).sha256 != CALENDAR.sha256
    assert Calendar(TABLE.read_bytes()).sha256 == CALENDAR.sha256


def test_make_sessions_again_gives_the_same_bytes(tmp_path: Path) -> None:
    """The shipped table is what the script makes of today's library and overrides."""
    made = tmp_path / "sessions.csv"
    subprocess.run([sys.executable, str(ROOT / "scripts" / "make_sessions.py"), str(made)], check=True)
    assert made.read_bytes() == TABLE.read_bytes()


def test_continuous_2019_has_every_bar_that_the_calendar_expects(shared_data: Path) -> None:
    """258 sessions of 2019: each five-minute slot of the calendar has its bar, but on the evening of the outage."""
    stamps = local_stamps(shared_data / "continuous_2019_5m" / "NQ.csv", "DT", ZoneInfo("America/Los_Angeles"))
    counted = Counter(CALENDAR.session_index(stamps).tolist())
    by_date = {CALENDAR.session(index).date: count for index, count in counted.items()}
    assert -1 not in counted
    assert len(counted) == 258
    short = {CALENDAR.session(i).date for i, bars in counted.items() if bars != slots(CALENDAR.session(i), 5)}
    assert short == {"2019-02-27"}
    assert Counter(by_date.values()) == {273: 248, 228: 6, 231: 3, by_date["2019-02-27"]: 1}


def test_firstrate_2023_lies_in_sessions_and_stops_at_their_closes(shared_data: Path) -> None:
    """Thanksgiving and the day after end at 13:00 and 13:15 ET in the file as in the calendar."""
    stamps = local_stamps(shared_data / "firstrate_2023" / "NQ_1min_sample.csv", "timestamp", NEW_YORK)
    index = CALENDAR.session_index(stamps)
    assert len(stamps) == 14_714
    assert index.min() >= 0
    last = {CALENDAR.session(int(i)).date: int(stamps[index == i].max()) for i in np.unique(index)}
    assert len(last) == 11
    assert {day: moment + MINUTE_NS for day, moment in last.items()} == {day: session_on(day).close_ns for day in last}
    assert last["2023-11-23"] == ns("2023-11-23 12:59")
    assert last["2023-11-24"] == ns("2023-11-24 13:14")


def test_tradingview_2022_lies_in_sessions(shared_data: Path) -> None:
    """Every bar of the export opens inside a session."""
    with (shared_data / "tradingview_2022_5m" / "NQ.csv").open(newline="") as file:
        stamps = np.array([int(row[0]) for row in list(csv.reader(file))[1:]]) * 1_000_000_000
    assert CALENDAR.session_index(stamps).min() >= 0


def test_lean_2020_lies_in_sessions_and_2013_is_refused(shared_data: Path) -> None:
    """The days of 2020 fit the calendar; those of 2013 are before it and are named."""
    for path in sorted((shared_data / "lean_es_1m").glob("*.zip")):
        midnight_ns = ns(f"{path.name[:4]}-{path.name[4:6]}-{path.name[6:8]} 00:00", UTC)
        with zipfile.ZipFile(path) as archive:
            lines = [line for name in archive.namelist() for line in archive.read(name).decode().split()]
        stamps = np.array([midnight_ns + int(line.split(",")[0]) * 1_000_000 for line in lines])
        if path.name.startswith("2020"):
            assert CALENDAR.session_index(stamps).min() >= 0
        else:
            with pytest.raises(InputError, match="2013-"):
                CALENDAR.session_index(stamps)


def test_sessions_of_the_table_never_overlap() -> None:
    """Each session closes at least an hour before the next opens, and no week passes without one."""
    for before, after in pairwise(sessions()):
        assert 60 * MINUTE_NS <= after.open_ns - before.close_ns < 5 * DAY_NS
