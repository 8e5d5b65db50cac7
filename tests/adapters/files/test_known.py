"""What is known to be wrong with the vendor's minutes is left out by rule or list, and told; the rest is not."""

import json
import re
from datetime import date
from pathlib import Path

import pytest
from bar_files import CALENDAR, Line, as_lines, expected, firstrate, opened, read, sessions, written
from day_files import AFTER, Named, a_bar, folder_of, in_time, name_of

from trader.adapters.columns import concatenate
from trader.adapters.files import BarSource, ReadOptions, Reason
from trader.adapters.files.known import Treatment, known_sessions, known_sha256
from trader.adapters.files.options import Window
from trader.adapters.files.thin import THIN_BELOW, TOLD_AT_MOST, thin_sessions
from trader.commands import backtest
from trader.commands.common import facts_for_log
from trader.errors import BadBarError
from trader.options import BarOptions, FileOptions, ShortOptions

SKIPPING = ReadOptions(on_bad_bar="skip")
FEBRUARY = [date(2020, 2, 27), date(2020, 2, 28), date(2020, 3, 2)]
SESSION = 276
HALTED_SESSION = 273
"""Five-minute bars of a session with the halt from 16:15 to 16:30 ET."""


def with_halt(lines: list[Line]) -> list[Line]:
    """Without the bars of the halt."""
    walls = [line.at("America/New_York") for line in lines]
    return [line for line, at in zip(lines, walls, strict=True) if not (at.hour == 16 and 15 <= at.minute < 30)]


def of_june(lines: list[Line]) -> list[Named]:
    return [(line, "NQM3") for line in lines]


def whole(source: BarSource) -> list[tuple[int, float, float, float, float, int | None]]:
    """All bars of a source."""
    return as_lines(concatenate(list(source.columns())))


def test_known_sessions_are_dates_of_the_calendar_in_order() -> None:
    """A list of facts: each date is a session, each entry says why, none holds a price."""
    known = known_sessions()
    dates = [entry.session for entry in known]
    assert dates == sorted(set(dates))
    assert all(CALENDAR.on(session) is not None for session in dates)
    assert {entry.treatment for entry in known} == set(Treatment)
    assert [entry.session for entry in known if entry.treatment == Treatment.LEAVE_OUT] == [
        "2017-03-13",
        "2020-02-28",
        "2020-06-30",
    ]
    assert not [entry.why for entry in known if re.search(r"\d+\.\d|\d{4,}", entry.why) or not entry.why]


@pytest.mark.parametrize("on_bad_bar", ["stop", "skip"])
def test_read_leaves_out_a_session_of_the_list_and_tells(tmp_path: Path, on_bad_bar: str) -> None:
    """The session before and the one after stay; the bars are counted, the reason is told."""
    lines = with_halt(sessions(FEBRUARY))
    folder = folder_of(tmp_path / "nq", [(line, "NQH0") for line in lines])
    source = opened(folder, ReadOptions(on_bad_bar=on_bad_bar))
    assert whole(source) == expected([*lines[:HALTED_SESSION], *lines[2 * HALTED_SESSION :]])
    assert source.skipped.counts == {Reason.KNOWN: HALTED_SESSION}
    assert source.skipped.texts() == [
        "session 2020-02-28, 273 bars, left out: the vendor's minutes stop at 10:58 ET",
    ]


def test_read_keeps_a_session_of_the_list_that_was_a_halt(tmp_path: Path) -> None:
    """The circuit breakers of March 2020 are what the market did."""
    lines = with_halt(sessions([date(2020, 3, 6), date(2020, 3, 9)]))
    source = opened(folder_of(tmp_path / "nq", [(line, "NQH0") for line in lines]))
    assert whole(source) == expected(lines)
    assert source.skipped.total == 0
    assert source.skipped.notes == [
        "session 2020-03-09, 273 bars, kept: limit down overnight; circuit breaker after 09:30 ET"
    ]


def test_read_other_layouts_know_nothing_of_the_list(tmp_path: Path) -> None:
    """The holes are one vendor's."""
    lines = with_halt(sessions(FEBRUARY))
    source = opened(written(tmp_path / "bars.csv", firstrate(lines)), ReadOptions(layout="firstrate"))
    assert whole(source) == expected(lines)
    assert source.skipped.texts() == []


@pytest.mark.parametrize("when", ["2023-03-13T21:00", "2023-03-13T21:59", "2023-03-14T21:00"])
def test_read_bar_beside_a_close_is_left_out_and_listed(tmp_path: Path, when: str) -> None:
    """The minute at 17:00 ET, in which the close is reported, and the one before 18:00."""
    lines = sessions(AFTER)
    rows = in_time([*of_june(lines), (a_bar(when), "NQM3")])
    source = opened(folder_of(tmp_path / "nq", rows))
    assert whole(source) == expected(lines)
    assert source.skipped.counts == {Reason.AT_EDGE: 1}
    (fault,) = source.skipped.listed
    assert (fault.file, fault.value) == (name_of(date.fromisoformat(when[:10])), f"{when.replace('T', ' ')}:00")


@pytest.mark.parametrize("when", ["2023-03-13T21:01", "2023-03-13T21:30", "2023-03-13T21:58", "2023-03-11T12:00"])
def test_read_other_bar_of_closed_hours_stops(tmp_path: Path, when: str) -> None:
    """Inside the break and on a Saturday: named with its file, or counted with --on-bad-bar skip."""
    lines = sessions([date(2023, 3, 10), *AFTER])
    stray = (a_bar(when), "NQM3")
    folder = folder_of(tmp_path / "nq", in_time([*of_june(lines), stray]))
    with pytest.raises(BadBarError) as refused:
        read(folder)
    day = name_of(date.fromisoformat(when[:10]))
    assert str(refused.value).startswith(f"{folder}/{day}, line ")
    assert f"{when.replace('T', ' ')}:00' lies where the market is closed" in str(refused.value)
    source = opened(folder, SKIPPING)
    assert whole(source) == expected(lines)
    assert source.skipped.counts == {Reason.OUT_OF_SESSION: 1}


@pytest.mark.parametrize("leads_from", [8, 10])
def test_read_stray_bar_decides_no_offset(tmp_path: Path, leads_from: int) -> None:
    """The offset is of a minute in which the market was open, also where the roll is on the evening of the stray.

    June leads on Wednesday and is front from 18:00 on; or it leads on Friday and is front from Sunday on.
    """
    lines = sessions([date(2023, 3, 8), date(2023, 3, 9), date(2023, 3, 10), *AFTER])
    june = [
        line._replace(close=line.low + 50, high=line.high + 60, volume=9_999 if line.opened.day >= leads_from else 0)
        for line in lines
    ]
    rows = [named for a, b in zip(lines, june, strict=True) for named in ((a, "NQH3"), (b, "NQM3"))]
    at = f"2023-03-{leads_from:02d}T22:00"
    strays = [(a_bar(at, 100.0), "NQH3"), (a_bar(at, 900.0), "NQM3")]
    plain = opened(folder_of(tmp_path / "plain", rows))
    bars = whole(plain)
    stray = opened(folder_of(tmp_path / "stray", in_time([*rows, *strays])))
    assert (whole(stray), stray.rolls) == (bars, plain.rolls)
    assert len(stray.rolls) == 1
    assert stray.skipped.counts == {Reason.AT_EDGE: 1}


def test_read_tells_of_a_session_with_few_bars(tmp_path: Path) -> None:
    """A hole that no list knows; the first and the last session of the files are not judged."""
    lines = sessions([date(2023, 3, day) for day in (9, 10, 13, 14)])
    thin = [*lines[:10], *lines[SESSION : 2 * SESSION - 56], *lines[2 * SESSION : 3 * SESSION - 55], *lines[-9:]]
    source = opened(folder_of(tmp_path / "nq", of_june(thin)))
    assert whole(source) == expected(thin)
    assert source.skipped.notes == ["session 2023-03-10 has 220 of 276 bars: perhaps a hole"]
    late = opened(tmp_path / "nq", ReadOptions(date_from="2023-03-13"))
    assert len(whole(late)) == SESSION - 55 + 9
    assert late.skipped.notes == []


def test_thin_sessions_are_named_up_to_ten() -> None:
    """A market that trades little must not fill the page; known sessions and those outside the dates are not told."""
    first = CALENDAR.index_from("2023-03-01")
    bars = {first + i: int(THIN_BELOW * 1380) - 1 for i in range(20)}
    window = Window.of(ReadOptions(date_from="2023-03-02", date_to="2023-03-21"))
    texts = thin_sessions(bars, 1, window, frozenset({"2023-03-03"}), CALENDAR)
    assert len(texts) == TOLD_AT_MOST + 1
    assert texts[0] == "session 2023-03-02 has 1,103 of 1,380 bars: perhaps a hole"
    assert texts[1].startswith("session 2023-03-06 ")
    assert texts[-1] == "3 more sessions have few bars"
    assert thin_sessions(dict.fromkeys(bars, 9999), 1, window, frozenset(), CALENDAR) == []


def test_backtest_of_a_folder_tells_what_was_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On the page and in the JSON; the manifest names the list by its hash, and the folder by its name."""
    lines = with_halt(sessions(FEBRUARY))
    stray = a_bar("2020-02-27T22:00")
    folder = folder_of(tmp_path / "nq", in_time([*((line, "NQH0") for line in lines), (stray, "NQH0")]))
    bars = BarOptions(bars=str(folder), date_from="2020-02-27")
    for as_json in (True, False):
        backtest.run(bars, FileOptions(), ShortOptions(strategy="flat"), keeps_log=False, as_json=as_json)
    report, page = capsys.readouterr().out.split("\n", 1)
    hole = "session 2020-02-28, 273 bars, left out: the vendor's minutes stop at 10:58 ET"
    edge = f"{name_of(FEBRUARY[0])}, line 263: ts_event '2020-02-27 22:00:00' is a closed minute beside an open one"
    decoded = json.loads(report)
    assert decoded["run"]["bars"] == 2 * HALTED_SESSION
    assert decoded["skipped"][0] == hole
    assert decoded["skipped"][1].startswith(edge)
    assert f"\nbars: {hole}\nskipped: {edge}" in page
    assert " more; --json" not in page
    facts = facts_for_log(opened(folder), bars)
    assert (facts.source, facts.options["layout"], facts.options["known"]) == ("nq", "databento", known_sha256())


def test_manifest_of_another_layout_names_no_list(tmp_path: Path) -> None:
    """What was recorded before there was a list reads as it did."""
    path = written(tmp_path / "bars.csv", firstrate(sessions(AFTER)))
    bars = BarOptions(bars=str(path))
    assert "known" not in facts_for_log(opened(path, ReadOptions(layout="firstrate")), bars).options
