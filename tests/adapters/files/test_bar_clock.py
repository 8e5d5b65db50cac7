"""Wall clocks to UTC, and the proof of which clock a file shows."""

import random
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from bar_files import WEEK, Line, as_lines, expected, firstrate, opened, pacific, read, sessions, tradingview, written

from trader.adapters.files import ReadOptions
from trader.adapters.files.clock import to_utc
from trader.errors import InputError


@pytest.mark.parametrize("zone", ["America/New_York", "US/Pacific", "Europe/London", "Asia/Kolkata", "UTC"])
def test_to_utc_agrees_with_zoneinfo_over_a_year(zone: str) -> None:
    """Every quarter of an hour of 2019, both clock changes included, against Python's own zone arithmetic."""
    walls = [datetime(2019, 1, 1, tzinfo=ZoneInfo(zone)) + timedelta(minutes=15 * i) for i in range(4 * 24 * 365)]
    wall_ns = np.array([np.datetime64(wall.replace(tzinfo=None), "ns").astype(np.int64) for wall in walls])
    oracle = [round(wall.timestamp()) * 1_000_000_000 for wall in walls]
    assert to_utc(wall_ns, zone).tolist() == oracle


def test_to_utc_of_no_times_is_empty() -> None:
    """A chunk may be empty."""
    assert to_utc(np.empty(0, dtype=np.int64), "America/New_York").tolist() == []


def shifted(lines: list[Line], minutes: int) -> list[Line]:
    """The same bars, stamped later by `minutes`."""
    return [line._replace(opened=line.opened + timedelta(minutes=minutes)) for line in lines]


@pytest.mark.parametrize("stamp", ["open", "close"])
@pytest.mark.parametrize(
    "zone", ["America/New_York", "America/Chicago", "America/Los_Angeles", "UTC", "Europe/Berlin", "Asia/Tokyo"]
)
def test_prove_clock_finds_zone_and_stamp(tmp_path: Path, zone: str, stamp: str) -> None:
    """The break and the peak tell twelve clocks apart, and the bars come out at the same instants."""
    lines = sessions()
    rows = [f"{line.at(zone, stamp):%Y-%m-%d %H:%M},{line.open},{line.high},{line.low},{line.close}" for line in lines]
    path = written(tmp_path / "bars.csv", "\n".join(["dt,o,h,l,c", *rows]))
    facts = opened(path).facts
    assert (facts.tz, facts.stamp) == (zone, stamp)
    assert as_lines(read(path)) == expected(lines, with_volume=False)


def test_prove_clock_without_the_peak_demands_both_options(tmp_path: Path) -> None:
    """Bars of the right hours whose busiest bar is not 09:30 prove nothing; the message tells what was seen."""
    lines = [
        line._replace(volume=9_000 if line.at("America/New_York").strftime("%H:%M") == "11:00" else 10)
        for line in sessions()
    ]
    with pytest.raises(InputError) as refused:
        opened(written(tmp_path / "bars.csv", firstrate(lines)))
    said = str(refused.value)
    assert "by its own clock never a bar between 16:55 and 18:00, the busiest at 11:00" in said
    assert "America/New_York/open (0 breaches in 4 sessions, the peak at 11:00 ET)" in said
    assert said.endswith("Give --tz ZONE and --stamp open|close")


def test_prove_clock_with_shifted_stamps_demands_instead_of_guessing(tmp_path: Path) -> None:
    """Stamps that are wrong by seven minutes fit no clock."""
    with pytest.raises(InputError, match="no clock fits"):
        opened(written(tmp_path / "bars.csv", firstrate(shifted(sessions(), 7))))


def test_prove_clock_with_bars_in_the_break_demands(tmp_path: Path) -> None:
    """A market that trades through 17:00 ET is not the one of the calendar."""
    lines = sessions()
    extra = [
        lines[-1]._replace(opened=datetime(day.year, day.month, day.day, 17, 30, tzinfo=ZoneInfo("America/New_York")))
        for day in WEEK
    ]
    with pytest.raises(InputError, match="no clock fits"):
        opened(written(tmp_path / "bars.csv", firstrate(sorted([*lines, *extra]))))


def test_prove_clock_forgives_one_bar_in_a_closed_hour(tmp_path: Path) -> None:
    """One bad bar must not cost the proof: it is refused as a bar, by its line."""
    lines = sessions()
    stray = lines[275]._replace(opened=lines[275].opened + timedelta(minutes=30))
    path = written(tmp_path / "bars.csv", firstrate([*lines[:276], stray, *lines[276:]]))
    source = opened(path, ReadOptions(on_bad_bar="skip"))
    assert source.facts.tz == "America/New_York"
    assert sum(len(columns) for columns in source.columns()) == len(lines)
    assert [(fault.line, fault.reason) for fault in source.skipped.listed] == [(278, "out_of_session")]


def test_prove_clock_known_zone_proves_the_stamp_of_an_illiquid_file(tmp_path: Path) -> None:
    """Epoch stamps give the zone; bars that trade now and then still show which end they name."""
    dice = random.Random(3)
    lines = [line for i, line in enumerate(sessions()) if dice.random() < 0.6 or line.volume > 1_000 or i % 276 == 275]
    late = shifted(lines, 5)
    assert opened(written(tmp_path / "open.csv", tradingview(lines))).facts.stamp == "open"
    facts = opened(written(tmp_path / "close.csv", tradingview(late))).facts
    assert (facts.tz, facts.stamp) == ("UTC", "close")
    assert facts.tz_proof == "proved by the file: each stamp counts time since 1970 UTC"


def test_prove_clock_stated_zone_leaves_the_stamp_to_be_proved(tmp_path: Path) -> None:
    """What the user says is not tried; the rest still is, and each proof says where it comes from."""
    path = written(tmp_path / "bars.csv", pacific(sessions()))
    facts = opened(path, ReadOptions(tz="PT")).facts
    assert (facts.tz, facts.tz_proof) == ("America/Los_Angeles", "stated by --tz PT")
    assert facts.stamp_proof == (
        "proved by the file: 0 breaches of closed hours in 4 sessions, and the range peaks at 09:30 ET over 3 days; "
        "the other clocks tried fail at one of the two"
    )


def test_prove_clock_stated_wrongly_is_met_by_the_first_bar(tmp_path: Path) -> None:
    """A user who states both is believed, until a bar lies in a closed hour."""
    path = written(tmp_path / "bars.csv", firstrate(sessions()))
    source = opened(path, ReadOptions(tz="America/Chicago", stamp="open"))
    with pytest.raises(InputError, match="lies where the market is closed; check --tz and --stamp"):
        list(source.columns())


def test_prove_clock_counts_clocks_that_agree_on_the_file_as_one(tmp_path: Path) -> None:
    """In March 2023 before the change, New York and a fixed five hours are the same clock; after it they are not."""
    winter = [date(2023, 3, 6), date(2023, 3, 7), date(2023, 3, 8)]
    assert opened(written(tmp_path / "a.csv", firstrate(sessions(winter)))).facts.tz == "America/New_York"
    both = sessions([*winter, *WEEK])
    walls = [line.opened.astimezone(UTC) - timedelta(hours=5) for line in both]
    rows = [
        f"{wall:%Y-%m-%d %H:%M},{line.open},{line.high},{line.low},{line.close}"
        for wall, line in zip(walls, both, strict=True)
    ]
    path = written(tmp_path / "b.csv", "\n".join(["dt,o,h,l,c", *rows]))
    assert opened(path).facts.tz == "Etc/GMT+5"
    assert as_lines(read(path)) == expected(both, with_volume=False)
