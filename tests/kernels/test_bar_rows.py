"""The byte reader against Python's own parsers: numbers, dates, clocks, offsets, and whole rows."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trader.kernels import bar_rows as kernel

CLOCK_FORMATS = ("%Y-%m-%d %H:%M:%S", "%Y/%m/%dT%H:%M", "%Y%m%d %H%M%S", "%Y%m%d%H%M%S", "%Y.%m.%d,%H:%M:%S")
MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(2199, 12, 31)).map(lambda moment: moment.replace(microsecond=0))  # noqa: DTZ001 - walls without a zone are what is read
EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - as above


def buf(text: str) -> kernel.Bytes:
    """Bytes as the reader sees them."""
    return np.frombuffer(text.encode(), dtype=np.uint8)


def nanoseconds(wall: datetime) -> int:
    """Exact nanoseconds since 1970 of a wall clock."""
    passed = wall - EPOCH
    return (passed.days * 86_400 + passed.seconds) * 1_000_000_000 + passed.microseconds * 1_000


def stamp(text: str, form: int = kernel.YEAR_FIRST) -> tuple[bool, int, bool]:
    """What the kernel makes of one cell."""
    data = buf(text)
    readable, ns, zoned = kernel.stamp(data, 0, len(data), form)
    return bool(readable), int(ns), bool(zoned)


@given(value=st.decimals(-(10**9), 10**9, places=4), places=st.integers(0, 4))
def test_number_decimal_text_is_exact(value: Decimal, places: int) -> None:
    """Mantissa over a power of ten is the number that the text says, and as a double the one that Python reads."""
    text = f"{value:.{places}f}"
    readable, mantissa, scale = kernel.number(buf(text), 0, len(text))
    assert readable
    assert Decimal(int(mantissa)).scaleb(-int(scale)) == Decimal(text)
    assert int(mantissa) / 10 ** int(scale) == float(text)


@pytest.mark.parametrize("text", ["", "-", "+", ".", "1.", ".5", "1.2.3", "1e5", "NaN", "1 2", "0x1", "1" * 16, "1,5"])
def test_number_anything_else_is_left_to_the_slow_path(text: str) -> None:
    """Marked, not guessed."""
    assert not kernel.number(buf(text), 0, len(text))[0]


@settings(max_examples=300)
@given(moment=MOMENTS, pattern=st.sampled_from(CLOCK_FORMATS))
def test_stamp_year_first_agrees_with_strftime(moment: datetime, pattern: str) -> None:
    """Every way of writing year, month, day and time, on any day of two centuries."""
    wall = moment if "%S" in pattern else moment.replace(second=0)
    assert stamp(wall.strftime(pattern)) == (True, nanoseconds(wall), False)


@given(moment=MOMENTS)
def test_stamp_month_or_day_first_agrees_with_strftime(moment: datetime) -> None:
    """The same digits, read in two orders; and the clock of twelve hours."""
    assert stamp(moment.strftime("%m/%d/%Y %H:%M:%S"), kernel.MONTH_FIRST) == (True, nanoseconds(moment), False)
    assert stamp(moment.strftime("%d-%m-%Y %I:%M:%S %p"), kernel.DAY_FIRST) == (True, nanoseconds(moment), False)


@given(moment=MOMENTS, micros=st.integers(0, 999_999), minutes=st.integers(-14 * 60, 14 * 60))
def test_stamp_with_an_offset_is_the_instant(moment: datetime, micros: int, minutes: int) -> None:
    """An offset is taken off; Z, UTC and +00:00 are the same."""
    wall = moment.replace(microsecond=micros)
    aware = wall.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    instant = nanoseconds(wall) - minutes * 60 * 1_000_000_000
    assert stamp(aware.isoformat()) == (True, instant, True)
    assert stamp(aware.strftime("%Y-%m-%d %H:%M:%S.%f%z")) == (True, instant, True)
    for zone in ("Z", "z", " UTC", "+00:00", "+00", "-0000", " GMT"):
        assert stamp(f"{wall:%Y-%m-%dT%H:%M:%S.%f}{zone}") == (True, nanoseconds(wall), True)


@given(moment=MOMENTS)
def test_stamp_epoch_counts_agree_in_every_unit(moment: datetime) -> None:
    """Seconds (whole and with a fraction), milliseconds, microseconds, nanoseconds."""
    seconds = round(moment.replace(tzinfo=UTC).timestamp())
    units = ((kernel.EPOCH_S, 1), (kernel.EPOCH_MS, 1_000), (kernel.EPOCH_US, 1_000_000), (kernel.EPOCH_NS, 10**9))
    for form, per_second in units:
        if seconds < 4_000_000_000 and (form != kernel.EPOCH_NS or seconds >= 10**9):
            assert stamp(str(seconds * per_second), form) == (True, seconds * 10**9, True)
    if seconds < 4_000_000_000:
        assert stamp(f"{seconds}.250", kernel.EPOCH_S) == (True, seconds * 10**9 + 250_000_000, True)


@pytest.mark.parametrize(
    "text",
    [
        *("2023-02-29 10:00", "2023-13-01 10:00", "2023-00-10 10:00", "2023-04-31 10:00", "1899-01-01 10:00"),
        *("2023-03-13", "2023-03-13 ", "2023-03-13 24:00", "2023-03-13 10:60", "2023-03-13 10:00:60", "23-03-13 10:00"),
        *("2023-03-13 10:0", "2023-03-13 10:00:5", "2023-03-13 10:00+5", "2023-03-13 10:00 EST", "2023-03/13 10:00"),
        *("2023-03-13 13:00 PM", "2023-03-13 0:30 AM", "2023-03-13 10:00:00.", "2023-03-13 10:00+15:00", "x", ""),
        *(
            "2023-03-13x10:00",
            "2023-03-13 10:00+05:0",
            "2023-03-13 1000000",
            "99999999999999999999",
            "-5",
            "2023-03-13 :30",
        ),
    ],
)
def test_stamp_that_is_none_is_marked(text: str) -> None:
    """Dates that do not exist, halves of stamps, zones by name."""
    assert not stamp(text)[0]
    assert not stamp(text, kernel.EPOCH_S)[0]


@settings(max_examples=500)
@given(text=st.text(st.characters(max_codepoint=255), max_size=30), form=st.integers(kernel.EPOCH_S, kernel.DAY_FIRST))
def test_stamp_of_any_text_ends(text: str, form: int) -> None:
    """No text makes it fail, and what it reads is a moment of this program's centuries."""
    readable, ns, _ = stamp(text, form)
    assert not readable or -3 * 10**18 < ns < 8 * 10**18


def rows_of(text: str, roles: list[int], *, capacity: int = 100) -> tuple[int, int, int, dict[str, list[object]]]:
    """Run the row reader over a text of year-first rows."""
    n = capacity
    out = {
        "stamps": np.zeros(n, dtype=np.int64),
        "prices": np.zeros((4, n)),
        "volumes": np.zeros(n, dtype=np.int64),
        "contracts": np.zeros((n, kernel.CONTRACT_BYTES), dtype=np.uint8),
        "offsets": np.full(n, 9.0),
        "lines": np.zeros(n, dtype=np.int64),
        "begins": np.zeros(n, dtype=np.int64),
        "marks": np.zeros(n, dtype=np.int8),
    }
    data = buf(text)
    count, position, passed = kernel.read_rows(
        data, 0, len(data), ord(","), np.array(roles, dtype=np.int8), kernel.YEAR_FIRST, False, *out.values()
    )
    found = {name: array[..., :count].tolist() for name, array in out.items() if name != "contracts"}
    found["contracts"] = [bytes(name).rstrip(b"\0") for name in out["contracts"][:count]]
    return count, position, passed, found


PLAIN = [kernel.STAMP, kernel.OPEN, kernel.HIGH, kernel.LOW, kernel.CLOSE, kernel.VOLUME]


def test_read_rows_counts_lines_and_skips_blank_ones() -> None:
    """Blank lines are no rows but count as lines; carriage returns and spaces belong to no cell."""
    text = '\n  \r\n2023-03-13 10:00, 1.25 ,2,0.5,"1.5",7\r\n\n20230313 1005,1,2,0,1,0\n'
    count, position, passed, out = rows_of(text, PLAIN)
    assert (count, position, passed) == (2, len(text), 5)
    assert out["lines"] == [2, 4]
    assert out["marks"] == [0, 0]
    assert out["prices"] == [[1.25, 1.0], [2.0, 2.0], [0.5, 0.0], [1.5, 1.0]]
    assert out["volumes"] == [7, 0]
    assert out["stamps"] == [1_678_701_600 * 10**9, 1_678_701_900 * 10**9]


def test_read_rows_stops_when_the_arrays_are_full_and_goes_on() -> None:
    """The position says where to continue."""
    row = "2023-03-13 10:00,1,2,0,1,7\n"
    count, position, passed, _ = rows_of(row * 5, PLAIN, capacity=3)
    assert (count, position, passed) == (3, 3 * len(row), 3)


@pytest.mark.parametrize(
    ("row", "mark"),
    [
        ("2023-03-13,1,2,0,1,7", kernel.STAMP),
        ("2023-03-13 10:00Z,1,2,0,1,7", kernel.STAMP),
        ("2023-03-13 10:00,x,2,0,1,7", kernel.OPEN),
        ("2023-03-13 10:00,1,,0,1,7", kernel.HIGH),
        ("2023-03-13 10:00,1,2,NaN,1,7", kernel.LOW),
        ('2023-03-13 10:00,1,2,0,"1,7', kernel.CLOSE),
        ("2023-03-13 10:00,1,2,0,1,7.5", kernel.VOLUME),
        ("2023-03-13 10:00,1,2,0,1", kernel.CELLS),
        ("2023-03-13 10:00,1,2,0,1,7,", kernel.CELLS),
    ],
)
def test_read_rows_marks_the_first_cell_that_it_cannot_read(row: str, mark: int) -> None:
    """The rows around it are read."""
    good = "2023-03-13 10:00,1,2,0,1,7\n"
    count, _, _, out = rows_of(f"{good}{row}\n{good}", PLAIN)
    assert count == 3
    assert out["marks"] == [0, mark, 0]
    assert out["begins"] == [0, len(good), len(good) + len(row) + 1]


def test_read_rows_reads_date_time_contract_and_offset_in_any_order() -> None:
    """The two halves of a stamp add up; an empty roll offset is zero; columns without a role are passed over."""
    roles = [kernel.CLOCK, kernel.CONTRACT, kernel.IGNORED, kernel.DATE, kernel.OFFSET]
    roles += [kernel.OPEN, kernel.HIGH, kernel.LOW, kernel.CLOSE]
    _, _, _, out = rows_of("10:00,NQH23,?,2023-03-13,,1,2,0,1\n10:05,NQM23,?,2023-03-13,-12.75,1,2,0,1\n", roles)
    assert out["stamps"] == [1_678_701_600 * 10**9, 1_678_701_900 * 10**9]
    assert out["contracts"] == [b"NQH23", b"NQM23"]
    assert out["offsets"] == [0.0, -12.75]
    assert out["marks"] == [0, 0]
