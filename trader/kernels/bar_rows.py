"""Bytes of a delimited text file to columns of numbers, one pass, no allocation.

A row that this fast path cannot read is marked, never guessed: the caller reads it again in Python and says why.
Prices come out as the double nearest to the decimal text: a mantissa of at most 15 digits over a power of ten is exact.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

(IGNORED, STAMP, DATE, CLOCK, OPEN, HIGH, LOW, CLOSE, VOLUME, CONTRACT, OFFSET) = range(11)
"""What a column is; the caller gives one role a column."""

(EPOCH_S, EPOCH_MS, EPOCH_US, EPOCH_NS, YEAR_FIRST, MONTH_FIRST, DAY_FIRST) = range(7)
"""How a stamp or date is written."""

CELLS = 99
"""Mark of a row with more or fewer cells than the header."""

CONTRACT_BYTES = 16

_TAB, _NEWLINE, _RETURN, _SPACE, _QUOTE = 9, 10, 13, 32, 34
_PLUS, _MINUS, _POINT, _COLON, _ZERO, _NINE = 43, 45, 46, 58, 48, 57
_DAY_NS = 86_400_000_000_000
_HOUR_NS = 3_600_000_000_000
_MINUTE_NS = 60_000_000_000
_SECOND_NS = 1_000_000_000
_POWERS = np.array([10**k for k in range(19)], dtype=np.int64)


@njit(cache=True)
def number(buf: Bytes, a: int, b: int) -> tuple[bool, np.int64, int]:
    """Decimal text in [a, b): (readable, mantissa, digits after the point). No exponent, at most 15 digits."""
    if a == b:
        return False, np.int64(0), 0
    negative = buf[a] == _MINUS
    if negative or buf[a] == _PLUS:
        a += 1
    mantissa, significant, scale, pointed = np.int64(0), 0, 0, False
    for i in range(a, b):
        byte = buf[i]
        if _ZERO <= byte <= _NINE:
            mantissa = mantissa * 10 + np.int64(byte - _ZERO)
            if mantissa > 0:
                significant += 1
            scale += pointed
            if significant > 15 or scale > 15:
                return False, np.int64(0), 0
        elif byte == _POINT and not pointed and i > a and i + 1 < b:
            pointed = True
        else:
            return False, np.int64(0), 0
    if a == b:
        return False, np.int64(0), 0
    return True, -mantissa if negative else mantissa, scale


@njit(cache=True)
def digits(buf: Bytes, a: int, b: int) -> tuple[np.int64, int]:
    """The run of digits at `a`: (value, where it ends); it ends at `a` where there is none, or more than 19."""
    value, i = np.int64(0), a
    while i < b and _ZERO <= buf[i] <= _NINE:
        value = value * 10 + np.int64(buf[i] - _ZERO)
        i += 1
    if i - a > 18:
        return np.int64(0), a
    return value, i


@njit(cache=True)
def epoch(buf: Bytes, a: int, b: int, form: int) -> tuple[bool, int]:
    """Seconds, ms, us or ns since 1970, perhaps with a fraction: (readable, nanoseconds)."""
    whole, i = digits(buf, a, b)
    unit = 1_000_000_000 if form == EPOCH_S else 1_000_000 if form == EPOCH_MS else 1_000 if form == EPOCH_US else 1
    if i == a and not (b - a == 19 and form == EPOCH_NS):
        return False, 0
    if b - a == 19 and form == EPOCH_NS:
        head, i = digits(buf, a, a + 10)
        tail, j = digits(buf, a + 10, b)
        return i == a + 10 and j == b, head * _SECOND_NS + tail
    if whole > 4_102_444_800 * (_SECOND_NS // unit):
        return False, 0
    stamp = whole * unit
    if i < b and buf[i] == _POINT:
        rest, end = digits(buf, i + 1, b)
        if end != b or end == i + 1:
            return False, 0
        stamp += rest * unit // _POWERS[end - i - 1] if end - i - 1 <= 9 else 0
        i = end
    return i == b, stamp


@njit(cache=True)
def days_since_1970(year: int, month: int, day: int) -> int:
    """Days of the Gregorian calendar, negative before 1970 (Hinnant, chrono-compatible low-level date algorithms)."""
    shifted = year - (month <= 2)
    era = shifted // 400
    of_era = shifted - era * 400
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468


@njit(cache=True)
def is_date(year: int, month: int, day: int) -> bool:
    if year < 1900 or year > 2199 or month < 1 or month > 12 or day < 1:
        return False
    if month == 2:
        leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
        return day <= (29 if leap else 28)
    return day <= (30 if month in (4, 6, 9, 11) else 31)


@njit(cache=True)
def date(buf: Bytes, a: int, b: int, form: int) -> tuple[bool, int, int]:
    """A date at `a`: (readable, days since 1970, where it ends). 2023-11-19, 2023/11/19, 20231119, 11/19/2023."""
    first, i = digits(buf, a, min(b, a + 8))
    if form == YEAR_FIRST and i - a == 8:
        year, month, day = first // 10_000, first // 100 % 100, first % 100
        return is_date(year, month, day), days_since_1970(year, month, day), i
    if i == a or i >= b or buf[i] not in (_MINUS, 47, _POINT):
        return False, 0, a
    second, j = digits(buf, i + 1, b)
    if j == i + 1 or j - i > 3 or j >= b or buf[j] != buf[i]:
        return False, 0, a
    third, k = digits(buf, j + 1, min(b, j + 5))
    if form == YEAR_FIRST:
        year, month, day, fits = first, second, third, i - a == 4 and 1 <= k - j - 1 <= 2
    elif form == MONTH_FIRST:
        year, month, day, fits = third, first, second, i - a <= 2 and k - j - 1 == 4
    else:
        year, month, day, fits = third, second, first, i - a <= 2 and k - j - 1 == 4
    return fits and is_date(year, month, day), days_since_1970(year, month, day), k


@njit(cache=True)
def clock(buf: Bytes, a: int, b: int) -> tuple[bool, int, bool]:
    """A time of day filling [a, b): (readable, nanoseconds, has a zone). 18:00, 9:30:00.000, 1800, 6:00 PM, 14:30Z.

    With a zone the nanoseconds are UTC's and may be negative or above a day.
    """
    value, i = digits(buf, a, b)
    readable = a < i <= a + 6
    hour, minute, second, fraction = value // 100, value % 100, 0, 0
    if i < b and buf[i] == _COLON:
        hour = value
        minute, j = digits(buf, i + 1, b)
        readable = readable and i <= a + 2 and j == i + 3
        i = j
        if i < b and buf[i] == _COLON:
            second, j = digits(buf, i + 1, b)
            readable = readable and j == i + 3
            i = j
    elif i > a + 4:
        hour, minute, second = value // 10_000, value // 100 % 100, value % 100
    if i < b and buf[i] == _POINT:
        fraction, j = digits(buf, i + 1, b)
        readable = readable and 1 <= j - i - 1 <= 9
        fraction *= _POWERS[max(0, 9 - (j - i - 1))]
        i = j
    while i < b and buf[i] == _SPACE:
        i += 1
    if i + 2 <= b and (buf[i + 1] | 32) == 109 and (buf[i] | 32) in (97, 112):
        readable = readable and 1 <= hour <= 12
        hour = hour % 12 + (12 if (buf[i] | 32) == 112 else 0)
        i += 2
    zone_readable, offset, zoned = zone(buf, i, b)
    readable = readable and zone_readable and hour <= 23 and minute <= 59 and second <= 59
    return readable, hour * _HOUR_NS + minute * _MINUTE_NS + second * _SECOND_NS + fraction - offset, zoned


@njit(cache=True)
def zone(buf: Bytes, a: int, b: int) -> tuple[bool, int, bool]:
    """An offset from UTC filling [a, b): (readable, nanoseconds east, is there one). Z, UTC, +00:00, -0500, -05."""
    if a >= b:
        return a == b, 0, False
    if buf[a] != _PLUS and buf[a] != _MINUS:
        utc = b == a + 3 and buf[a] == 85 and buf[a + 1] == 84 and buf[a + 2] == 67
        gmt = b == a + 3 and buf[a] == 71 and buf[a + 1] == 77 and buf[a + 2] == 84
        return utc or gmt or (b == a + 1 and buf[a] in (90, 122)), 0, True
    value, i = digits(buf, a + 1, b)
    hours, minutes = value, 0
    if i == a + 5:
        hours, minutes = value // 100, value % 100
    elif i == a + 3 and i < b and buf[i] == _COLON:
        minutes, j = digits(buf, i + 1, b)
        i = j if j == i + 3 else b + 1
    elif i != a + 3:
        i = b + 1
    east = hours * _HOUR_NS + minutes * _MINUTE_NS
    return i == b and hours <= 14 and minutes < 60, -east if buf[a] == _MINUS else east, True


@njit(cache=True)
def stamp(buf: Bytes, a: int, b: int, form: int) -> tuple[bool, int, bool]:
    """Date and time in one cell: (readable, nanoseconds since 1970 by the file's own clock, has a zone)."""
    if form <= EPOCH_NS:
        readable, ns = epoch(buf, a, b, form)
        return readable, ns, True
    readable, days, i = date(buf, a, b, form)
    if not readable or i == b:
        return False, 0, False
    if buf[i] in (_SPACE, 84, 116, 44):
        i += 1
        while i < b and buf[i] == _SPACE:
            i += 1
    elif i - a != 8:
        return False, 0, False
    readable, of_day, zoned = clock(buf, i, b)
    return readable, days * _DAY_NS + of_day, zoned


@njit(cache=True)
def read_rows(
    buf: Bytes,
    start: int,
    stop: int,
    delimiter: int,
    roles: NDArray[np.int8],
    form: int,
    zoned: bool,
    stamps: NDArray[np.int64],
    prices: NDArray[np.float64],
    volumes: NDArray[np.int64],
    contracts: NDArray[np.uint8],
    offsets: NDArray[np.float64],
    lines: NDArray[np.int64],
    begins: NDArray[np.int64],
    marks: NDArray[np.int8],
) -> tuple[int, int, int]:
    """Whole lines in buf[start:stop), each ended by a newline, into the arrays: (rows, where reading ended, lines).

    Stops at `stop` or when the arrays of n rows are full. `prices` is (4, n): open, high, low, close. `lines` counts
    from 0 at `start`. `marks[i]` is 0, or the role of the first cell that could not be read, or CELLS. `begins[i]` is
    where the row's text begins. Blank lines are no rows. An empty roll-offset cell is 0.
    """
    capacity, columns = len(stamps), len(roles)
    position, row, line = start, 0, 0
    while position < stop and row < capacity:
        begin = position
        first = position
        while buf[first] == _SPACE or buf[first] == _TAB or buf[first] == _RETURN:
            first += 1
        if buf[first] == _NEWLINE:
            position = first + 1
            line += 1
            continue
        column, mark, at, ended = 0, 0, np.int64(0), False
        while not ended:
            while buf[position] == _SPACE:
                position += 1
            a = position
            if buf[position] == _QUOTE:
                position += 1
                while buf[position] != _QUOTE and buf[position] != _NEWLINE:
                    position += 1
            while buf[position] != delimiter and buf[position] != _NEWLINE:
                position += 1
            b = position
            ended = buf[position] == _NEWLINE
            position += 1
            while b > a and (buf[b - 1] == _SPACE or buf[b - 1] == _RETURN):
                b -= 1
            if b > a + 1 and buf[a] == _QUOTE and buf[b - 1] == _QUOTE:
                a, b = a + 1, b - 1
            role = roles[column] if column < columns else IGNORED
            column += 1
            if role == IGNORED or mark != 0:
                continue
            readable = True
            if role == STAMP:
                readable, at, with_zone = stamp(buf, a, b, form)
                readable = readable and with_zone == zoned
            elif role == DATE:
                readable, days, end = date(buf, a, b, form)
                readable = readable and end == b
                at += days * _DAY_NS
            elif role == CLOCK:
                readable, of_day, with_zone = clock(buf, a, b)
                readable = readable and with_zone == zoned
                at += of_day
            elif role == CONTRACT:
                readable = 0 < b - a <= CONTRACT_BYTES
                if readable:
                    for k in range(CONTRACT_BYTES):
                        contracts[row, k] = buf[a + k] if a + k < b else 0
            elif role == OFFSET and a == b:
                offsets[row] = 0.0
            else:
                readable, mantissa, scale = number(buf, a, b)
                if role == VOLUME:
                    volumes[row] = mantissa // _POWERS[scale]
                    readable = readable and mantissa % _POWERS[scale] == 0
                elif role == OFFSET:
                    offsets[row] = mantissa / _POWERS[scale]
                else:
                    prices[role - OPEN, row] = mantissa / _POWERS[scale]
            if not readable:
                mark = role
        stamps[row] = at
        begins[row] = begin
        lines[row] = line
        marks[row] = mark if column == columns or mark != 0 else CELLS
        row += 1
        line += 1
    return row, position, line
