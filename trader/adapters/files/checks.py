"""The rules that one row must meet to be a bar, for thousands of rows at a time; order between rows is order.py's."""

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from trader.adapters.files.facts import FileFacts, Stamp
from trader.adapters.files.faults import Fault, Reason
from trader.adapters.files.hours import open_stretches
from trader.adapters.files.rows import Rows
from trader.domain.instruments import Instrument
from trader.domain.sessions import Calendar
from trader.domain.units import MINUTE_NS
from trader.kernels import bar_rows as kernel

LARGEST_TICKS = 100_000_000
ON_TICK = 1e-6
"""How far from a whole number of ticks a price may be written: some exports carry the noise of a float."""

Numbers = NDArray[np.float64]
Times = NDArray[np.int64]
Mask = NDArray[np.bool_]


class TimedRows(Struct, frozen=True, kw_only=True):
    """Rows with the UTC nanoseconds of their bars' open and close, all of shape (n,)."""

    rows: Rows
    ts_open_ns: Times
    ts_close_ns: Times

    def __len__(self) -> int:
        return len(self.ts_open_ns)

    def take(self, which: Mask | slice) -> "TimedRows":
        """The rows that `which` selects."""
        return TimedRows(
            rows=self.rows.take(which), ts_open_ns=self.ts_open_ns[which], ts_close_ns=self.ts_close_ns[which]
        )


class _Verdicts:
    """The first reason against each row, with the field and the value that show it."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self.is_bad = np.zeros(len(rows), dtype=np.bool_)
        self._found: list[tuple[Mask, Reason, str, NDArray[np.generic]]] = []

    def refuse(self, bad: Mask, reason: Reason, field: str, values: NDArray[np.generic]) -> None:
        new = bad & ~self.is_bad
        if new.any():
            self._found.append((new, reason, field, values))
            self.is_bad |= new

    def faults(self) -> list[Fault]:
        faults = [
            Fault(line=int(self._rows.line[i]), reason=reason, field=field, value=_written(values[i]))
            for bad, reason, field, values in self._found
            for i in np.flatnonzero(bad).tolist()
        ]
        return sorted(faults, key=lambda fault: fault.line)


def check_rows(timed: TimedRows, facts: FileFacts, market: Instrument) -> tuple[TimedRows, list[Fault]]:
    """The rows that are bars in themselves, prices put on the tick, and the faults of the others in line order."""
    rows = timed.rows
    verdicts = _Verdicts(rows)
    stamps = rows.stamp_ns.view("datetime64[ns]")
    stamp_field = facts.layout.column(kernel.STAMP if facts.layout.has(kernel.STAMP) else kernel.DATE)
    verdicts.refuse(rows.stamp_ns % MINUTE_NS != 0, Reason.NOT_WHOLE_MINUTE, stamp_field, stamps)
    verdicts.refuse(timed.ts_open_ns < 0, Reason.NOT_COVERED, stamp_field, stamps)
    verdicts.refuse(timed.ts_close_ns < 0, Reason.OUT_OF_SESSION, stamp_field, stamps)
    if 15 % facts.bar_minutes == 0:
        off_grid = timed.ts_open_ns % (facts.bar_minutes * MINUTE_NS) != 0
        verdicts.refuse(off_grid, Reason.OFF_GRID, stamp_field, stamps)
    prices = _check_prices(verdicts, rows, facts, market)
    if rows.volume is not None:
        verdicts.refuse(rows.volume < 0, Reason.NEGATIVE, facts.layout.column(kernel.VOLUME), rows.volume)
    on_tick = Rows(
        stamp_ns=rows.stamp_ns,
        prices=prices,
        volume=rows.volume,
        contract=rows.contract,
        offset=rows.offset,
        line=rows.line,
    )
    checked = TimedRows(rows=on_tick, ts_open_ns=timed.ts_open_ns, ts_close_ns=timed.ts_close_ns)
    if not verdicts.is_bad.any():
        return checked, []
    return checked.take(~verdicts.is_bad), verdicts.faults()


def _check_prices(verdicts: _Verdicts, rows: Rows, facts: FileFacts, market: Instrument) -> Numbers:
    """Refuse rows by their prices; the prices put on the tick, shape (4, n)."""
    names = [facts.layout.column(role) for role in (kernel.OPEN, kernel.HIGH, kernel.LOW, kernel.CLOSE)]
    ticks = rows.prices * market.ticks_per_point
    whole = np.rint(ticks)
    for name, price, exact, near in zip(names, rows.prices, ticks, whole, strict=True):
        verdicts.refuse(price <= 0, Reason.NOT_POSITIVE, name, price)
        verdicts.refuse(near > LARGEST_TICKS, Reason.TOO_LARGE, name, price)
        verdicts.refuse(np.abs(exact - near) > ON_TICK, Reason.OFF_TICK, name, price)
    opens, highs, lows, closes = whole
    too_low = (highs < opens) | (highs < closes) | (highs < lows)
    verdicts.refuse(too_low, Reason.HIGH_TOO_LOW, names[1], rows.prices[1])
    verdicts.refuse((lows > opens) | (lows > closes), Reason.LOW_TOO_HIGH, names[2], rows.prices[2])
    return whole / market.ticks_per_point


def bar_times(instants: Times, facts: FileFacts, calendar: Calendar) -> tuple[Times, Times]:
    """UTC open and close of the bars that are stamped `instants` (UTC), cut by halts and closes; both shape (n,).

    Close is -1 where the market is closed, and open too where the calendar does not reach.
    """
    period_ns = facts.bar_minutes * MINUTE_NS
    inside = instants if facts.stamp == Stamp.OPEN else instants - 1
    index, starts, ends = open_stretches(inside, calendar)
    if facts.stamp == Stamp.OPEN:
        opens, closes = instants, np.minimum(instants + period_ns, ends)
    else:
        opens, closes = np.maximum(inside // period_ns * period_ns, starts), instants
    covered = (inside >= calendar.first_ns) & (inside < calendar.last_ns)
    return np.where(covered, opens, -1), np.where(index >= 0, closes, -1)


def _written(value: np.generic) -> str:
    if isinstance(value, np.datetime64):
        return str(value.astype("datetime64[s]")).replace("T", " ")
    return f"{value:.12g}" if isinstance(value, np.floating) else str(value)
