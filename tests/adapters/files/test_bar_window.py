"""--from and --to: session dates or New York minutes, cut before anything is judged."""

from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from bar_files import CALENDAR, NEW_YORK, Line, as_lines, expected, firstrate, opened, read, sessions, written

from trader.adapters.columns import concatenate
from trader.adapters.files import ReadOptions, open_bars
from trader.domain.instruments import instrument
from trader.errors import InputError, UsageError

LINES = sessions()


def between(start: str, end: str) -> list[Line]:
    """The bars that open in [start, end), New York."""
    bounds = [datetime.fromisoformat(text).replace(tzinfo=NEW_YORK) for text in (start, end)]
    return [line for line in LINES if bounds[0] <= line.opened < bounds[1]]


@pytest.mark.parametrize(
    ("date_from", "date_to", "start", "end"),
    [
        ("2023-03-14", "2023-03-14", "2023-03-13 18:00", "2023-03-14 17:00"),
        ("2023-03-15", None, "2023-03-14 18:00", "2023-03-17 00:00"),
        (None, "2023-03-13", "2023-03-12 00:00", "2023-03-13 17:00"),
        ("2023-03-14 09:30", "2023-03-14 16:00", "2023-03-14 09:30", "2023-03-14 16:00"),
        ("2023-03-14T17:30", "2023-03-15T00:00:00", "2023-03-14 18:00", "2023-03-15 00:00"),
        ("2020-01-01", "2030-01-01", "2023-03-12 00:00", "2023-03-17 00:00"),
    ],
)
@pytest.mark.parametrize("chunk_rows", [100, 16_384])
def test_read_window_keeps_the_bars_inside(
    tmp_path: Path, date_from: str | None, date_to: str | None, start: str, end: str, chunk_rows: int
) -> None:
    """A session's date takes the whole session; a minute is a bound of the bars' opens."""
    path = written(tmp_path / "bars.csv", firstrate(LINES))
    columns = read(path, ReadOptions(date_from=date_from, date_to=date_to, chunk_rows=chunk_rows))
    assert as_lines(columns) == expected(between(start, end))


def test_read_window_ignores_what_is_bad_outside(tmp_path: Path) -> None:
    """Bad rows before and after the window neither stop nor count."""
    rows = firstrate(LINES).splitlines()
    for at in (3, 100, 276, 900, 1100):
        rows[at] = "x" + rows[at]
    path = written(tmp_path / "bars.csv", "\n".join(rows))
    window = {"date_from": "2023-03-14", "date_to": "2023-03-15"}
    assert as_lines(read(path, ReadOptions(chunk_rows=64, **window))) == expected(LINES[276:828])
    rows[500] = "x" + rows[500]
    source = opened(
        written(tmp_path / "b.csv", "\n".join(rows)), ReadOptions(on_bad_bar="skip", chunk_rows=64, **window)
    )
    assert sum(len(columns) for columns in source.columns()) == 551
    assert [fault.line for fault in source.skipped.listed] == [501]


def test_read_window_takes_a_moment_out_of_the_calendar_by_its_neighbours(tmp_path: Path) -> None:
    """A stamp of 1999 between rows of the window is bad; between rows before it, nobody cares."""
    rows = firstrate(LINES).splitlines()
    for at in (100, 500):
        rows[at] = rows[at].replace("2023-03-1", "1999-03-1")
    path = written(tmp_path / "bars.csv", "\n".join(rows))
    source = opened(path, ReadOptions(on_bad_bar="skip", date_from="2023-03-14"))
    assert sum(len(columns) for columns in source.columns()) == len(LINES) - 276 - 1
    assert [(fault.line, fault.reason) for fault in source.skipped.listed] == [(501, "not_covered")]


@pytest.mark.parametrize("text", ["yesterday", "2023-13-01", "2023-03-14T10:00Z", ""])
def test_open_window_that_cannot_be_read_is_a_usage_error(tmp_path: Path, text: str) -> None:
    """Neither a date nor a minute of New York."""
    path = written(tmp_path / "bars.csv", firstrate(LINES))
    with pytest.raises(UsageError, match=r"--from .* is no date"):
        opened(path, ReadOptions(date_from=text))
    with pytest.raises(UsageError, match=r"--to .* is no date"):
        opened(path, ReadOptions(date_to=text))


def test_open_window_without_bars_is_refused(tmp_path: Path) -> None:
    """The wrong year, and the wrong order."""
    path = written(tmp_path / "bars.csv", firstrate(LINES))
    with pytest.raises(InputError, match=r"no bar lies in the range .* the file has 2023-03-12 to 2023-03-16"):
        opened(path, ReadOptions(date_from="2022-01-03", date_to="2022-02-03"))
    with pytest.raises(UsageError, match="--from 2023-03-15 leaves nothing before --to 2023-03-14"):
        opened(path, ReadOptions(date_from="2023-03-15", date_to="2023-03-14"))


def test_open_before_the_calendar_is_refused_by_name(tmp_path: Path) -> None:
    """Bars of September 2015 before the first session; --from leads past them."""
    shift = timedelta(days=7 * 391)
    old = [line._replace(opened=line.opened - shift) for line in LINES]
    path = written(tmp_path / "bars.csv", firstrate([*old, *LINES]))
    stated = {"layout": "firstrate", "rolls": "none"}
    with pytest.raises(InputError, match="the session calendar, which covers the sessions 2015-09-21 to"):
        opened(path, ReadOptions(**stated))
    assert as_lines(read(path, ReadOptions(date_from="2015-09-21", **stated))) == expected(LINES)


def test_open_other_market_has_its_own_tick(tmp_path: Path) -> None:
    """RTY trades in tenths: the same file is refused as NQ, and its prices are the decimal ones."""
    tenths = [line._replace(open=1800.1, high=1800.7, low=1799.9, close=1800.3, volume=line.volume) for line in LINES]
    path = written(tmp_path / "bars.csv", firstrate(tenths))
    with pytest.raises(InputError, match=r"off NQ's tick of 0\.25"):
        opened(path)
    source = open_bars(path, market=instrument("RTY"), calendar=CALENDAR)
    assert as_lines(concatenate(list(source.columns()))) == expected(tenths)


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("chunk_rows", 0, "at least one row is read at a time; got 0"),
        ("layout", "firstrat", "--layout 'firstrat' is none of auto, firstrate, tradingview, databento, generic"),
        ("stamp", "start", "--stamp 'start' is none of open, close"),
        ("on_bad_bar", "ignore", "--on-bad-bar 'ignore' is none of stop, skip"),
    ],
)
def test_open_with_an_option_that_is_none_is_a_usage_error(
    tmp_path: Path, option: str, value: str | int, said: str
) -> None:
    """A word that nobody knows must not mean anything by chance."""
    path = written(tmp_path / "bars.csv", firstrate(LINES))
    with pytest.raises(UsageError, match=said):
        opened(path, msgspec.structs.replace(ReadOptions(), **{option: value}))


@pytest.mark.parametrize(
    ("stamp", "stamps"),
    [
        ("open", ["15:50", "16:00", "16:10", "16:30", "16:40", "16:50"]),
        ("close", ["16:00", "16:10", "16:15", "16:40", "16:50", "17:00"]),
    ],
)
def test_read_bars_are_cut_where_the_market_stops(tmp_path: Path, stamp: str, stamps: list[str]) -> None:
    """Ten-minute bars of 2019: the one before the halt closes at 16:15, whichever end the stamps name."""
    day = [f"{hour:02d}:{minute:02d}" for hour in range(6, 15) for minute in range(0, 60, 10)]
    rows = [f"2019-06-13 {clock},100,101,99,100" for clock in [*day, *stamps]]
    path = written(tmp_path / "bars.csv", "\n".join(["dt,o,h,l,c", *rows]))
    columns = read(path, ReadOptions(tz="ET", stamp="open" if stamp == "open" else "close"))
    found = [
        tuple(f"{datetime.fromtimestamp(ns // 10**9, NEW_YORK):%H:%M}" for ns in (bar.ts_open_ns, bar.ts_close_ns))
        for bar in columns.to_bars()
    ]
    assert found[len(day) :] == [
        ("15:50", "16:00"),
        ("16:00", "16:10"),
        ("16:10", "16:15"),
        ("16:30", "16:40"),
        ("16:40", "16:50"),
        ("16:50", "17:00"),
    ]
