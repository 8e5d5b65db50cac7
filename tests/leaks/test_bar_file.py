"""The bar file that a strategy is given in place of the true one: read by the project's own loader."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from leak_builders import BARS, NQ, market, source_of, write_bars

from trader.adapters.columns import BarColumns, concatenate
from trader.adapters.files import ReadOptions, open_bars
from trader.domain.sessions import Calendar
from trader.errors import InputError
from trader.leaks.bar_file import BarFile, write_changed
from trader.leaks.changes import Change, Future, changed

CUT = 700


@pytest.fixture
def bars() -> BarColumns:
    """A session."""
    return market(1)


def altered(path: Path, bars: BarColumns, future: Future, folder: Path) -> Path:
    """The file's copy with another future after row `CUT`."""
    file = BarFile(
        facts=source_of(path).facts,
        tick=NQ.tick,
        open_ns=int(bars.ts_open_ns[CUT]),
        close_ns=int(bars.ts_close_ns[CUT]),
        close=float(bars.close[CUT]),
    )
    folder.mkdir()
    return write_changed(file, Change(cut=CUT, future=future, seed=3), folder)


@pytest.mark.parametrize("future", [future for future in Future if future is not Future.ROLL])
def test_write_changed_gives_a_strategy_the_bars_that_the_engine_has(
    future: Future, bars: BarColumns, tmp_path: Path
) -> None:
    """Row for row, from the same seed."""
    copy = altered(write_bars(bars, tmp_path), bars, future, tmp_path / "copy")

    read = concatenate(list(source_of(copy).columns()))
    want = changed(bars, NQ.tick, Change(cut=CUT, future=future, seed=3))
    assert copy.name == BARS
    for name in ("ts_open_ns", "open", "high", "low", "close", "volume"):
        assert np.array_equal(getattr(read, name), getattr(want, name)), name


def test_write_changed_keeps_lines_of_the_past_and_what_is_no_bar(bars: BarColumns, tmp_path: Path) -> None:
    """Header, every line up to the cut, and a line that nobody can read, byte for byte."""
    path = write_bars(bars, tmp_path)
    lines = path.read_bytes().split(b"\n")
    lines.insert(CUT + 5, b"# a remark")
    path.write_bytes(b"\n".join(lines))

    written = altered(path, bars, Future.MIRROR, tmp_path / "copy").read_bytes().split(b"\n")

    assert written[: CUT + 2] == lines[: CUT + 2]
    assert written[CUT + 5] == b"# a remark"
    assert len(written) == len(lines)
    assert written[CUT + 2] != lines[CUT + 2]


def test_write_changed_of_a_packed_vendor_file_stamped_at_the_close(bars: BarColumns, tmp_path: Path) -> None:
    """gzip stays gzip, CRLF stays CRLF, quotes stay quotes; the bar at the cut is still the past."""
    text = gzip.decompress(gzip.compress(write_bars(bars, tmp_path).read_bytes())).decode().splitlines()
    quoted = [text[0]]
    for line in text[1:]:
        stamp, *prices, volume = line.split(",")
        quoted.append(",".join([str(int(stamp) + 60), *(f'"{price}"' for price in prices), volume]))
    path = tmp_path / "bars.csv.gz"
    path.write_bytes(gzip.compress("\r\n".join([*quoted, ""]).encode()))
    options = ReadOptions(rolls="none", stamp="close")
    source = open_bars(path, market=NQ, calendar=Calendar.load(), options=options)
    file = BarFile(
        facts=source.facts,
        tick=NQ.tick,
        open_ns=int(bars.ts_open_ns[CUT]),
        close_ns=int(bars.ts_close_ns[CUT]),
        close=float(bars.close[CUT]),
    )
    (tmp_path / "copy").mkdir()

    copy = write_changed(file, Change(cut=CUT, future=Future.MIRROR, seed=3), tmp_path / "copy")

    written = gzip.decompress(copy.read_bytes()).decode().split("\r\n")
    assert written[: CUT + 2] == quoted[: CUT + 2]
    assert [line.count('"') for line in written[1:-1]] == [8] * len(bars)
    read = concatenate(list(open_bars(copy, market=NQ, calendar=Calendar.load(), options=options).columns()))
    want = changed(bars, NQ.tick, Change(cut=CUT, future=Future.MIRROR, seed=3))
    assert np.array_equal(read.close, want.close)


def test_write_changed_refuses_a_file_that_is_another_by_now(bars: BarColumns, tmp_path: Path) -> None:
    """What is compared must have been made of the same rows."""
    path = write_bars(bars, tmp_path)
    facts = source_of(path).facts
    path.write_text(path.read_text().replace("00,", "25,", 1))
    file = BarFile(facts=facts, tick=NQ.tick, open_ns=0, close_ns=0, close=1.0)

    with pytest.raises(InputError, match=r"bars.csv changed while it was read; start again"):
        write_changed(file, Change(cut=CUT, future=Future.END, seed=3), tmp_path)
