"""Each rule that a row can break: found at its line, said by field and value, skipped without losing the rest."""

from collections import Counter
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from bar_files import CALENDAR, NQ, firstrate, opened, read, same, sessions, written
from hypothesis import given, settings
from hypothesis import strategies as st

from trader.adapters.columns import BarColumns, concatenate
from trader.adapters.files import BarSource, Fault, ReadOptions, Reason, Skipped
from trader.adapters.files.faults import LISTED_AT_MOST, PROBLEMS
from trader.errors import BadBarError, InputError

STATED = ReadOptions(layout="firstrate")
SKIPPING = ReadOptions(layout="firstrate", on_bad_bar="skip")
LINES = sessions()
ROWS = firstrate(LINES).splitlines()
AT = 500
"""The row that is spoiled: ROWS[500] stands in line 501. It opens at 12:35 in New York."""


def spoiled(*rows: str, at: int = AT, instead: bool = True) -> str:
    """The file with `rows` in the place of row `at`, or before it."""
    return "\n".join([*ROWS[:at], *rows, *ROWS[at + instead :], ""])


def with_cell(column: int, text: str) -> str:
    """Row `AT` with another cell."""
    cells = ROWS[AT].split(",")
    cells[column] = text
    return ",".join(cells)


STAMP = ROWS[AT].split(",")[0]
PRICES = [float(cell) for cell in ROWS[AT].split(",")[1:4]]

CASES = [
    (with_cell(0, "yesterday"), Reason.UNREADABLE, "timestamp", "yesterday"),
    (with_cell(0, ""), Reason.UNREADABLE, "timestamp", ""),
    (with_cell(0, STAMP + "Z"), Reason.UNREADABLE, "timestamp", STAMP + "Z"),
    (with_cell(1, "abc"), Reason.UNREADABLE, "open", "abc"),
    (with_cell(1, "12_000"), Reason.UNREADABLE, "open", "12_000"),
    (with_cell(2, "NaN"), Reason.MISSING, "high", "NaN"),
    (with_cell(3, ""), Reason.MISSING, "low", ""),
    (with_cell(4, "inf"), Reason.NOT_FINITE, "close", "inf"),
    (with_cell(4, "-1.25"), Reason.NOT_POSITIVE, "close", "-1.25"),
    (with_cell(1, "0"), Reason.NOT_POSITIVE, "open", "0"),
    (with_cell(2, "1e12"), Reason.TOO_LARGE, "high", "1e+12"),
    (with_cell(1, "12000.10"), Reason.OFF_TICK, "open", "12000.1"),
    (with_cell(2, "11000"), Reason.HIGH_TOO_LOW, "high", "11000"),
    (with_cell(3, "13000"), Reason.HIGH_TOO_LOW, "high", f"{PRICES[1]:.2f}"),
    (with_cell(5, "-3"), Reason.NEGATIVE, "volume", "-3"),
    (with_cell(5, "3.5"), Reason.NOT_WHOLE, "volume", "3.5"),
    (with_cell(5, ""), Reason.MISSING, "volume", ""),
    (with_cell(5, "nan"), Reason.MISSING, "volume", "nan"),
    (with_cell(0, STAMP[:-2] + "30"), Reason.NOT_WHOLE_MINUTE, "timestamp", STAMP[:-2] + "30"),
    (with_cell(0, "2023-03-14 17:30:00"), Reason.OUT_OF_SESSION, "timestamp", "2023-03-14 17:30:00"),
    (with_cell(0, "2023-03-18 12:00:00"), Reason.OUT_OF_SESSION, "timestamp", "2023-03-18 12:00:00"),
    (with_cell(0, STAMP[:-4] + "7:00"), Reason.OFF_GRID, "timestamp", STAMP[:-4] + "7:00"),
    (with_cell(0, "1999-03-15 12:00:00"), Reason.NOT_COVERED, "timestamp", "1999-03-15 12:00:00"),
    (with_cell(0, "2023-03-13 12:00:00"), Reason.BEHIND, "timestamp", "2023-03-13 12:00:00"),
    (with_cell(0, "2023-06-13 12:00:00"), Reason.AHEAD, "timestamp", "2023-06-13 12:00:00"),
    (ROWS[AT] + ",7", Reason.CELLS, "cells", "7 instead of 6"),
    ("1,2", Reason.CELLS, "cells", "2 instead of 6"),
    ('"' + ROWS[AT], Reason.CELLS, "cells", "1 instead of 6"),
]


@pytest.mark.parametrize(("row", "reason", "field", "value"), CASES)
def test_read_bad_row_stops_with_line_field_and_value(
    tmp_path: Path, row: str, reason: Reason, field: str, value: str
) -> None:
    """The error leads to the cell, says what is wrong with it and what to do."""
    path = written(tmp_path / "bars.csv", spoiled(row))
    with pytest.raises(BadBarError) as stopped:
        list(opened(path, STATED).columns())
    problem, remedy = PROBLEMS[reason]
    assert str(stopped.value) == (
        f"{path}, line 501: {field} {value!r} {problem}; {remedy}, or skip such lines with --on-bad-bar skip"
    )


@pytest.mark.parametrize(("row", "reason", "field", "value"), CASES)
def test_read_bad_row_skipped_costs_no_other_row(
    tmp_path: Path, row: str, reason: Reason, field: str, value: str
) -> None:
    """One row less, and one entry in the list: the rest of the file is untouched, also after a stamp in the future."""
    path = written(tmp_path / "bars.csv", spoiled(row))
    source = opened(path, SKIPPING)
    columns = concatenate(list(source.columns()))
    clean = read(written(tmp_path / "clean.csv", "\n".join([*ROWS[:AT], *ROWS[AT + 1 :], ""])), STATED)
    assert same(columns, clean)
    assert source.skipped.listed == [Fault(line=501, reason=reason, field=field, value=value)]
    assert source.skipped.counts == Counter({reason: 1})
    assert source.skipped.total == 1


def test_problems_cover_every_reason() -> None:
    """A reason that nobody can read helps nobody; one that no case reaches is not tested."""
    assert set(PROBLEMS) == set(Reason)
    assert {case[1] for case in CASES} == set(Reason) - {
        Reason.LOW_TOO_HIGH,
        Reason.OVERLAP,
        Reason.AT_EDGE,
        Reason.KNOWN,
    }


@pytest.mark.parametrize(
    ("prices", "said"),
    [
        ("12010.00,12005.00,11990.00,12000.00", "high '12005' is below the bar's open, low or close"),
        ("12000.00,12005.00,11990.00,12010.00", "high '12005' is below the bar's open, low or close"),
        ("12000.00,12010.00,12001.00,12005.00", "low '12001' is above the bar's open or close"),
        ("12005.00,12010.00,12001.00,12000.00", "low '12001' is above the bar's open or close"),
    ],
)
def test_read_extreme_inside_the_bar_is_named(tmp_path: Path, prices: str, said: str) -> None:
    """High and low hold both the open and the close; each of the four ways to fail alone."""
    path = written(tmp_path / "bars.csv", spoiled(f"{STAMP},{prices},5"))
    with pytest.raises(BadBarError, match=f"line 501: {said}"):
        list(opened(path, STATED).columns())


def test_read_overlapping_bar_is_refused(tmp_path: Path) -> None:
    """Two-minute bars: one that begins a minute after another cannot be of the same file."""
    lines = sessions(period=2)
    rows = firstrate(lines).splitlines()
    cells = rows[500].split(",")
    cells[0] = (lines[499].at("America/New_York") + timedelta(minutes=1)).strftime("%Y-%m-%d %H:%M:%S")
    path = written(tmp_path / "bars.csv", "\n".join([*rows[:501], ",".join(cells), *rows[501:]]))
    with pytest.raises(BadBarError, match=r"line 502: timestamp .* begins before the bar before it has closed"):
        list(opened(path, STATED).columns())


def test_read_doubled_line_keeps_the_first(tmp_path: Path) -> None:
    """The same minute twice, with another price: the second is refused."""
    source = opened(written(tmp_path / "bars.csv", spoiled(with_cell(5, "12345"), at=AT + 1, instead=False)), SKIPPING)
    assert same(concatenate(list(source.columns())), read(written(tmp_path / "c.csv", firstrate(LINES)), STATED))
    assert [(fault.line, fault.reason) for fault in source.skipped.listed] == [(502, Reason.BEHIND)]


def test_read_block_of_future_rows_costs_only_the_block(tmp_path: Path) -> None:
    """Twenty rows with the wrong year: they go, nothing else."""
    block = [row.replace("2023-", "2024-") for row in ROWS[AT : AT + 20]]
    text = "\n".join([*ROWS[:AT], *block, *ROWS[AT + 20 :]])
    source = opened(
        written(tmp_path / "bars.csv", text), ReadOptions(layout="firstrate", on_bad_bar="skip", rolls="none")
    )
    assert sum(len(columns) for columns in source.columns()) == len(LINES) - 20
    assert source.skipped.total == 20
    assert source.skipped.listed[0].line == 501


def test_read_half_of_a_last_line_is_refused_by_name(tmp_path: Path) -> None:
    """A download that broke off ends inside a line; a whole line without a newline is a line."""
    text = firstrate(LINES)
    assert len(read(written(tmp_path / "whole.csv", text.rstrip("\n")), STATED)) == len(LINES)
    path = written(tmp_path / "half.csv", text[:-20])
    last = len(LINES) + 1
    with pytest.raises(BadBarError, match=f"line {last}: cells '4 instead of 6, cut off by the end of the file'"):
        list(opened(path, STATED).columns())
    assert len(read(path, SKIPPING)) == len(LINES) - 1


def test_read_blank_lines_are_no_rows_and_keep_the_count_of_lines(tmp_path: Path) -> None:
    """Blank lines anywhere are passed over; a later fault still names its line."""
    text = spoiled("", "  ", with_cell(1, "x"), "\t", at=AT)
    source = opened(written(tmp_path / "bars.csv", text.replace("\n", "\r\n")), SKIPPING)
    assert sum(len(columns) for columns in source.columns()) == len(LINES) - 1
    assert [fault.line for fault in source.skipped.listed] == [503]


def test_read_zero_volume_is_a_number_and_no_volume_column_is_none(tmp_path: Path) -> None:
    """A real zero stays zero; a file that has no volume has none."""
    lines = [line._replace(volume=0) for line in LINES[:50]]
    assert read(written(tmp_path / "zero.csv", firstrate(lines)), STATED).volume.tolist() == [0] * 50
    rows = [row.rpartition(",")[0] for row in ROWS[:51]]
    stated = ReadOptions(tz="ET", stamp="open")
    assert read(written(tmp_path / "none.csv", "\n".join(rows)), stated).volume is None


def test_read_price_with_the_noise_of_a_float_is_put_on_the_tick(tmp_path: Path) -> None:
    """Seventeen digits, an exponent, a leading point: numbers that the fast path leaves are still read exactly."""
    rows = [
        "timestamp,open,high,low,close,volume",
        "2023-03-13 10:00:00,12000.249999999998,1.200075E4,12000.0000000000000000,12000.5,1e2",
        "2023-03-13 10:05:00,+12000.25,12000.75,12000,12000.50,7.0",
    ]
    columns = read(written(tmp_path / "bars.csv", "\n".join(rows)), STATED)
    assert columns.open.tolist() == [12000.25, 12000.25]
    assert columns.high.tolist() == [12000.75, 12000.75]
    assert columns.volume.tolist() == [100, 7]


def test_skipped_lists_a_hundred_and_counts_all() -> None:
    """A file of bad rows must not fill the memory."""
    skipped = Skipped()
    skipped.add(Fault(line=i, reason=Reason.BEHIND, field="t", value="") for i in range(250))
    skipped.add([Fault(line=250, reason=Reason.MISSING, field="t", value="")])
    assert (skipped.total, len(skipped.listed)) == (251, LISTED_AT_MOST)
    assert skipped.counts == Counter({Reason.BEHIND: 250, Reason.MISSING: 1})


@pytest.mark.parametrize("chunk_rows", [1, 7, 64, 65, 500, 100_000])
def test_read_in_other_chunks_gives_the_same_bars_and_faults(tmp_path: Path, chunk_rows: int) -> None:
    """Where a chunk ends must decide nothing: not the bars, not what is wrong, not the line."""
    rows = list(ROWS)
    for at, replacement in ((70, "2023-06-13 12:00:00"), (128, "2023-03-12 18:00:00"), (700, "x"), (1090, STAMP)):
        rows[at] = ",".join([replacement, *rows[at].split(",")[1:]])
    rows[300:300] = rows[290:300]
    path = written(tmp_path / "bars.csv", "\n".join(rows))
    whole = opened(path, SKIPPING)
    expected_bars = concatenate(list(whole.columns()))
    source = opened(path, ReadOptions(layout="firstrate", on_bad_bar="skip", chunk_rows=chunk_rows))
    assert same(concatenate(list(source.columns())), expected_bars)
    assert source.skipped.listed == whole.skipped.listed
    assert [fault.line for fault in whole.skipped.listed] == [71, 129, *range(301, 311), 711, 1101]
    lines = [fault.line for fault in whole.skipped.listed]
    assert len(expected_bars) == len(rows) - 1 - len(lines)


def test_read_first_line_of_a_chunk_is_known_where_rows_and_lines_run_in_step(tmp_path: Path) -> None:
    """A chunk with a gap has no such line."""
    path = written(tmp_path / "bars.csv", spoiled("x"))
    chunks = list(opened(path, ReadOptions(layout="firstrate", on_bad_bar="skip", chunk_rows=400)).columns())
    assert [chunk.first_line for chunk in chunks] == [2, 0, 738, 1042]


def attempt(path: Path) -> tuple[str, BarSource | None, list[BarColumns]]:
    """Read a file and skip what is bad: the refusal of the whole file, or the source and its bars."""
    try:
        source = opened(path, SKIPPING)
        return "", source, list(source.columns())
    except InputError as error:
        return str(error), None, []


MUTATIONS = st.lists(
    st.tuples(st.integers(0, 119), st.integers(0, 6), st.text(st.characters(max_codepoint=127), max_size=12)),
    max_size=8,
)


@settings(max_examples=150)
@given(mutations=MUTATIONS)
def test_read_mutated_file_is_read_or_refused_by_line(
    tmp_path_factory: pytest.TempPathFactory, mutations: list[tuple[int, int, str]]
) -> None:
    """Any text in any cell: each row is a bar or is in the list, or the file is refused; nothing else happens."""
    rows = ROWS[:120]
    for at, column, text in mutations:
        cells = rows[at].split(",")
        cells[min(column, len(cells) - 1)] = text
        rows[at] = ",".join(cells)
    path = written(tmp_path_factory.mktemp("mutated") / "bars.csv", "\n".join([*rows, ""]))
    refusal, source, bars = attempt(path)
    assert not refusal or refusal.startswith(f"{path}")
    if refusal:
        return
    untouched = set(range(1, 120)) - {at for at, _, _ in mutations}
    assert source is not None
    bad = {fault.line for fault in source.skipped.listed}
    assert sum(len(columns) for columns in bars) + len(bad) >= len(untouched)
    for columns in bars:
        assert (np.diff(columns.ts_open_ns) > 0).all()
        assert (columns.low <= np.minimum(columns.open, columns.close)).all()
        assert (columns.high >= np.maximum(columns.open, columns.close)).all()
        assert (columns.volume >= 0).all()
        assert (columns.open * NQ.ticks_per_point % 1 == 0).all()
        assert (CALENDAR.session_index(columns.ts_open_ns) >= 0).all()
