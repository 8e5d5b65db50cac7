"""One pass over a whole bar file before it is trusted: extent, steps, gaps, the shape of the day, contracts, hash."""

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from trader.adapters.files.faults import Fault
from trader.adapters.files.layout import Layout
from trader.adapters.files.rows import Rows
from trader.adapters.files.texts import BarTexts
from trader.domain.instruments import Instrument
from trader.domain.units import MINUTE_NS
from trader.errors import InputError
from trader.kernels import bar_rows as kernel

DAY_MINUTES = 1440
GAP_MINUTES = 15
"""A longer step ends a run: the longest bar is 15 minutes, the shortest closed time (16:15 to 16:30 ET) a bar more."""
PROFILE_DAYS = 260
CONTRACTS_AT_MOST = 200
SURVEY_ROWS = 16_384
LONGEST_BAR_MINUTES = 15
REGULAR_SHARE = 0.95
"""Share of the steps between bars that must be multiples of the commonest step."""


class Survey(Struct, frozen=True, kw_only=True):
    """What one pass has seen, by the file's own clock in nanoseconds.

    `steps[k]` counts steps of k minutes from row to row, up to a day; `steps_odd` those of no whole minute,
    `steps_long` those over a day. A run is rows without a step over 15 minutes: `run_first`, `run_last` are stamps,
    shape (runs,). `profile` is (days, 1440), by minute of the file's day, of `days` since 1970: the volume, or the
    range (high - low) where the file has none, as `measure` says. `is_mixed`: contracts
    overlap in time or come back after another.
    """

    rows: int
    first_ns: int
    last_ns: int
    steps: NDArray[np.int64]
    steps_odd: int
    steps_long: int
    run_first: NDArray[np.int64]
    run_last: NDArray[np.int64]
    days: NDArray[np.int64]
    profile: NDArray[np.float32]
    measure: str
    contracts: tuple[str, ...]
    is_mixed: bool


class _Tally:
    """The counts of a survey while it runs."""

    def __init__(self, market: Instrument) -> None:
        self._ticks_per_point = market.ticks_per_point
        self.rows = self.faulty = self.off_tick = self.steps_odd = self.steps_long = self.steps_back = 0
        self.faults: list[Fault] = []
        self.steps = np.zeros(DAY_MINUTES + 1, dtype=np.int64)
        self.run_first: list[NDArray[np.int64]] = []
        self.run_last: list[NDArray[np.int64]] = []
        self.profile: dict[int, NDArray[np.float32]] = {}
        self.contracts: dict[bytes, None] = {}
        self.contract = b""
        self.is_mixed = False
        self.last: int | None = None

    def add(self, rows: Rows, faults: list[Fault]) -> None:
        self.faulty += len(faults)
        self.faults += faults[: 3 - len(self.faults)]
        if not len(rows):
            return
        self.rows += len(rows)
        self._add_stamps(rows.stamp_ns)
        self._add_profile(rows)
        self._add_contracts(rows)
        ticks = rows.prices * self._ticks_per_point
        self.off_tick += int(np.count_nonzero((np.abs(ticks - np.rint(ticks)) > 1e-6).any(axis=0)))

    def _add_stamps(self, stamp_ns: NDArray[np.int64]) -> None:
        before = stamp_ns[:1] if self.last is None else np.array([self.last])
        step = np.diff(stamp_ns, prepend=before)
        minutes, rest = np.divmod(step, MINUTE_NS)
        forward = step > 0
        counted = forward & (rest == 0) & (minutes <= DAY_MINUTES)
        self.steps += np.bincount(minutes[counted], minlength=DAY_MINUTES + 1)
        self.steps_odd += int(np.count_nonzero(forward & (rest != 0)))
        self.steps_long += int(np.count_nonzero(forward & (minutes > DAY_MINUTES)))
        self.steps_back += int(np.count_nonzero(step < 0))
        cuts = np.flatnonzero((step < 0) | (step > GAP_MINUTES * MINUTE_NS))
        ends = np.append(before, stamp_ns)[cuts]
        starts = stamp_ns[cuts]
        if self.last is None:
            starts = np.append(stamp_ns[:1], starts)
        self.run_first.append(starts)
        self.run_last.append(ends)
        self.last = int(stamp_ns[-1])

    def _add_profile(self, rows: Rows) -> None:
        weight = rows.prices[1] - rows.prices[2] if rows.volume is None else rows.volume.astype(np.float64)
        day, minute = np.divmod(rows.stamp_ns // MINUTE_NS, DAY_MINUTES)
        days, place = np.unique(day, return_inverse=True)
        sums = np.bincount(place * DAY_MINUTES + minute, np.maximum(weight, 0), len(days) * DAY_MINUTES)
        for key, of_day in zip(days.tolist(), sums.reshape(-1, DAY_MINUTES).astype(np.float32), strict=True):
            known = self.profile.get(key)
            self.profile[key] = of_day if known is None else known + of_day
        while len(self.profile) > PROFILE_DAYS:
            del self.profile[next(iter(self.profile))]

    def _add_contracts(self, rows: Rows) -> None:
        if rows.contract is None:
            return
        changes = np.flatnonzero(rows.contract[1:] != rows.contract[:-1]) + 1
        self.is_mixed |= bool((rows.stamp_ns[changes] <= rows.stamp_ns[changes - 1]).any())
        if self.is_mixed:
            kinds, places = np.unique(rows.contract, return_index=True)
            names = kinds[np.argsort(places)].tolist()
        else:
            names = [rows.contract[0], *rows.contract[changes].tolist()]
        for name in names:
            self.is_mixed |= name in self.contracts and name != self.contract
            self.contract = name
            self.contracts.setdefault(name)


def survey(text: BarTexts, layout: Layout, market: Instrument) -> tuple[Survey, int]:
    """Read the whole file once; the survey and the way of writing dates (kernels.bar_rows) that the file proves.

    InputError where month and day cannot be told apart, where too few rows can be read, or where prices are off tick.
    """
    tallies = {form: _read(text, layout, form, market) for form in layout.forms}
    best = max(tallies, key=lambda form: tallies[form].rows)
    if sum(tally.rows == tallies[best].rows for tally in tallies.values()) > 1:
        name = layout.column(kernel.STAMP if layout.has(kernel.STAMP) else kernel.DATE)
        msg = f"{text.path}: nothing in {name} tells month from day; write the dates as YYYY-MM-DD"
        raise InputError(msg)
    tally = tallies[best]
    _require_bars(text, tally, market)
    run_last = np.append(np.concatenate(tally.run_last), tally.last or 0)
    days = np.array(list(tally.profile), dtype=np.int64)
    seen = Survey(
        rows=tally.rows,
        first_ns=int(tally.run_first[0][0]),
        last_ns=int(run_last[-1]),
        steps=tally.steps,
        steps_odd=tally.steps_odd,
        steps_long=tally.steps_long,
        run_first=np.concatenate(tally.run_first),
        run_last=run_last,
        days=days,
        profile=np.stack(list(tally.profile.values())),
        measure="volume" if layout.has(kernel.VOLUME) else "range",
        contracts=tuple(name.decode("ascii", "replace") for name in tally.contracts),
        is_mixed=tally.is_mixed,
    )
    return seen, best


def _read(text: BarTexts, layout: Layout, form: int, market: Instrument) -> _Tally:
    tally = _Tally(market)
    for rows, faults in text.rows(layout, form, SURVEY_ROWS):
        tally.add(rows, faults)
        if len(tally.contracts) > CONTRACTS_AT_MOST:
            name = layout.column(kernel.CONTRACT)
            msg = f"{text.path}: {name} names more than {CONTRACTS_AT_MOST} contracts; give bars of one market"
            raise InputError(msg)
    return tally


def _require_bars(text: BarTexts, tally: _Tally, market: Instrument) -> None:
    if tally.rows < 2 or tally.faulty > tally.rows:
        first = f"; {text.placed(tally.faults[0]).text()}" if tally.faults else ""
        msg = f"{text.path} is no file of bars: {tally.rows} of {tally.rows + tally.faulty} rows can be read{first}"
        raise InputError(msg)
    if tally.steps_back * 2 > tally.rows:
        msg = f"{text.path}: its newest rows come first; sort the file by time"
        raise InputError(msg)
    if tally.off_tick * 2 > tally.rows:
        msg = (
            f"{text.path}: {tally.off_tick} of {tally.rows} rows have prices off {market.symbol}'s tick of "
            f"{market.tick:g}; check --market, or use prices that were not adjusted by a ratio"
        )
        raise InputError(msg)


def bar_minutes(path: str, seen: Survey) -> int:
    """Minutes of one bar: the commonest step. InputError below a minute, above 15, or where bars have no period."""
    steps = seen.steps.copy()
    total = int(steps.sum())
    if seen.steps_odd > total + seen.steps_long:
        msg = f"{path}: most stamps are not whole minutes apart; bars under a minute (or ticks) cannot be used"
        raise InputError(msg)
    period = int(steps.argmax())
    if total == 0 or period > LONGEST_BAR_MINUTES or seen.steps_long > total:
        what = f"{period} minutes" if total >= seen.steps_long and total else "more than a day"
        msg = f"{path}: its bars are {what} apart; bars of 1 to {LONGEST_BAR_MINUTES} minutes are needed"
        raise InputError(msg)
    regular = int(steps[::period].sum())
    if 60 % period or regular < REGULAR_SHARE * total:
        msg = (
            f"{path}: the bars have no fixed period: the commonest step is {period} minutes, and {total - regular} of "
            f"{total} steps are no multiple of it; give bars of 1, 2, 3, 4, 5, 6, 10, 12 or 15 minutes"
        )
        raise InputError(msg)
    return period
