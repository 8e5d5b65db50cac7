"""Every way of writing bars gives the same bars, and the clock is proved, not assumed."""

import gzip
from pathlib import Path

import pytest
from bar_files import WRITERS, as_lines, expected, firstrate, opened, read, sessions, tradingview, written

from trader.adapters.files import ReadOptions
from trader.adapters.files.layout import LayoutName
from trader.errors import InputError, UsageError


@pytest.mark.parametrize("name", WRITERS)
def test_open_any_layout_gives_the_same_bars(tmp_path: Path, name: str) -> None:
    """Thirteen ways of writing, one truth; each file proves its own clock."""
    write, tz, stamp = WRITERS[name]
    lines = sessions()
    source = opened(written(tmp_path / "bars.csv", write(lines)))
    facts = source.facts
    assert (facts.tz, facts.stamp, facts.bar_minutes, facts.rows) == (tz, stamp, 5, len(lines))
    assert facts.has_volume == (name != "pacific")
    assert facts.tz_proof.startswith("proved by the file")
    assert facts.stamp_proof.startswith("proved by the file")
    bars = [bar for columns in source.columns() for bar in as_lines(columns)]
    assert bars == expected(lines, with_volume=name != "pacific")


def test_open_gzip_gives_the_same_bars_and_the_hash_of_the_packed_bytes(tmp_path: Path) -> None:
    """A packed file is known by its bytes, not by its name."""
    lines = sessions()
    path = tmp_path / "bars.csv"
    path.write_bytes(gzip.compress(firstrate(lines).encode()))
    assert as_lines(read(path)) == expected(lines)


@pytest.mark.parametrize("name", ["firstrate", "ninjatrader"])
def test_open_byte_order_mark_is_no_part_of_the_text(tmp_path: Path, name: str) -> None:
    """With a header and without one."""
    lines = sessions()
    path = written(tmp_path / "bars.csv", "\ufeff" + WRITERS[name][0](lines))
    assert as_lines(read(path)) == expected(lines)


@pytest.mark.parametrize(
    ("name", "layout"),
    [
        ("firstrate", LayoutName.FIRSTRATE),
        ("tradingview", LayoutName.TRADINGVIEW),
        ("pacific", LayoutName.GENERIC),
        ("databento", LayoutName.DATABENTO),
    ],
)
def test_detect_layout_names_what_it_knows(tmp_path: Path, name: str, layout: LayoutName) -> None:
    """Three vendors have a name; the rest is generic."""
    write = WRITERS[name][0]
    assert opened(written(tmp_path / "bars.csv", write(sessions()))).facts.layout.name == layout


def test_open_named_layout_states_its_clock(tmp_path: Path) -> None:
    """One session proves nothing; a user who names the layout says what its clock is."""
    lines = sessions()[:100]
    path = written(tmp_path / "bars.csv", firstrate(lines))
    with pytest.raises(InputError, match=r"--tz ZONE and --stamp open\|close"):
        opened(path)
    facts = opened(path, ReadOptions(layout="firstrate")).facts
    assert (facts.tz_proof, facts.stamp_proof) == ("stated by --layout firstrate",) * 2
    assert as_lines(read(path, ReadOptions(layout="firstrate"))) == expected(lines)


def test_open_other_layout_than_named_is_refused(tmp_path: Path) -> None:
    """A layout that is named must be the file's."""
    path = written(tmp_path / "bars.csv", firstrate(sessions()))
    with pytest.raises(InputError, match="is not in the layout tradingview"):
        opened(path, ReadOptions(layout="tradingview"))


def test_open_epoch_with_another_zone_is_refused(tmp_path: Path) -> None:
    """Stamps that are instants leave nothing to say about their zone."""
    path = written(tmp_path / "bars.csv", tradingview(sessions()))
    with pytest.raises(UsageError, match="--tz US/Pacific contradicts the file"):
        opened(path, ReadOptions(tz="US/Pacific"))
    assert opened(path, ReadOptions(tz="UTC")).facts.tz == "UTC"


def test_open_unknown_zone_is_refused(tmp_path: Path) -> None:
    """A zone that does not exist is a mistake of the command line."""
    path = written(tmp_path / "bars.csv", firstrate(sessions()))
    with pytest.raises(UsageError, match="'Mars/Olympus' is no time zone"):
        opened(path, ReadOptions(tz="Mars/Olympus"))


def test_open_dates_that_tell_no_month_from_day_are_refused(tmp_path: Path) -> None:
    """1/2 to 1/5 may be days of January or the first of four months."""
    rows = [f"{day}/1/2023 {hour:02d}:00,100,101,99,100" for day in range(2, 6) for hour in range(12)]
    path = written(tmp_path / "bars.csv", "\n".join(["dt,o,h,l,c", *rows]))
    with pytest.raises(InputError, match="nothing in dt tells month from day; write the dates as YYYY-MM-DD"):
        opened(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name,age\nann,3\nbob,4\n", "its first line is 'name,age'"),
        ("timestamp,open,high,low\n2023-03-13 10:00,1,2,0\n", "the header has no close"),
        ("open,high,low,close\n1,2,0,1\n", "the header has no timestamp"),
        ("time,open,open,high,low,close\n1,1,1,1,1,1\n", "names 'open' twice"),
        ("timestamp,open,high,low,close\n", "no row has as many cells as the header"),
        ("timestamp,open,high,low,close\nyesterday,1,2,0,1\n", "its first stamp is 'yesterday'"),
        ("Date,Open,High,Low,Close\n2023-03-13,1,2,0,1\n2023-03-14,1,2,0,1\n", "bars of a day are over 15 minutes"),
        ("timestamp,open,high,low,close\n2023-03-13 10:00,1,2,0,1\n", "1 of 1 rows can be read"),
        (
            "dt,open,high,low,close\n2023-03-13 10:00,1,2,0,1\n2023-03-13 10:05,x,2,0,1\n2023-03-13 10:10,x,2,0,1\n",
            "line 3: open 'x' cannot be read",
        ),
    ],
)
def test_open_file_without_bars_is_refused_by_name(tmp_path: Path, text: str, said: str) -> None:
    """A CSV that is not bars says what was expected and what was found."""
    with pytest.raises(InputError, match="is no file of bars") as refused:
        opened(written(tmp_path / "other.csv", text))
    assert said in str(refused.value)
    assert "other.csv" in str(refused.value)


@pytest.mark.parametrize(
    ("minutes", "said"),
    [(0.5, "not whole minutes apart"), (30, "its bars are 30 minutes apart"), (1440, "1440 minutes apart")],
)
def test_open_period_that_cannot_be_used_is_refused(tmp_path: Path, minutes: float, said: str) -> None:
    """Half minutes, half hours and days are no bars for this program."""
    first = 1_678_716_000
    rows = [f"{first + round(i * minutes * 60)},100,101,99,100,5" for i in range(200)]
    with pytest.raises(InputError, match=said):
        opened(written(tmp_path / "bars.csv", "\n".join(["time,open,high,low,close,volume", *rows])))


def test_open_bars_without_a_period_is_refused(tmp_path: Path) -> None:
    """Tick or volume bars end when they are full, not when a minute ends."""
    steps = [1, 1, 2, 3, 5, 1, 1, 4, 3, 7] * 20
    moment, rows = 1_678_716_000, []
    for step in steps:
        moment += step * 60 * 2 + 60
        rows.append(f"{moment},100,101,99,100,5")
    with pytest.raises(InputError, match="have no fixed period: the commonest step is 3 minutes"):
        opened(written(tmp_path / "bars.csv", "\n".join(["time,open,high,low,close,volume", *rows])))


def test_open_newest_first_is_refused(tmp_path: Path) -> None:
    """A file that runs backwards says so once, not on every line."""
    lines = list(reversed(sessions()))
    with pytest.raises(InputError, match="its newest rows come first; sort the file by time"):
        opened(written(tmp_path / "bars.csv", firstrate(lines)))


def test_open_prices_off_the_tick_are_refused_by_name(tmp_path: Path) -> None:
    """Prices that were adjusted by a ratio lie on no tick at all; skipping every line would hide it."""
    lines = [line._replace(open=line.open * 0.97, high=line.high * 1.01) for line in sessions()]
    with pytest.raises(InputError, match=r"have prices off NQ's tick of 0\.25; check --market"):
        opened(written(tmp_path / "bars.csv", tradingview(lines)), ReadOptions(on_bad_bar="skip"))
