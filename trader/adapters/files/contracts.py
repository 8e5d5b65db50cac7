"""Which contract each bar is of, and the offset at each change: by the user's plan or by the file's own column."""

from collections.abc import Iterable
from itertools import pairwise

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from trader.adapters.files.checks import TimedRows
from trader.adapters.files.rolls import Roll, RollPlan, expiry, is_contract
from trader.adapters.files.texts import BarTexts
from trader.domain.instruments import Instrument
from trader.domain.units import DAY_NS
from trader.errors import InputError, InvariantError


class Labels(Struct, frozen=True, kw_only=True):
    """The contract of row i is `symbols[index[i]]`; `roll_offset` is in points, zero but on a new contract's bar."""

    symbols: tuple[str, ...]
    index: NDArray[np.int64]
    roll_offset: NDArray[np.float64]


class PlannedContracts:
    """Contracts of a file that does not name them: by time, as the plan says."""

    def __init__(self, path: str, market: Instrument, plan: RollPlan) -> None:
        first = plan.first_contract or market.symbol
        self._path = path
        self._market = market
        self._symbols = (first, *(roll.contract for roll in plan.rolls))
        self._roll_ns = np.array([roll.ts_ns for roll in plan.rolls], dtype=np.int64)
        self._offsets = np.array([0.0, *(roll.offset_points for roll in plan.rolls)])
        self._last: int | None = None

    def choose(self, timed: TimedRows) -> TimedRows:
        """All rows: there is one contract at a time."""
        return timed

    def label(self, timed: TimedRows) -> Labels:
        """Labels of the next rows, which are in time order; InputError where a contract has expired."""
        index = np.searchsorted(self._roll_ns, timed.ts_open_ns, side="right")
        before = np.append(index[:1] if self._last is None else self._last, index[:-1])
        totals = np.cumsum(self._offsets)
        self._last = int(index[-1])
        for place in np.unique(index).tolist():
            last_ns = int(timed.ts_open_ns[np.flatnonzero(index == place)[-1]])
            _require_alive(self._path, self._symbols[place], last_ns, self._market)
        return Labels(symbols=self._symbols, index=index, roll_offset=totals[index] - totals[before])


class NamedContracts:
    """Contracts of a file with a column for them, one at a time: `wanted`, or the front month of a `schedule`.

    Offsets come from the plan, the file's own roll_offset column, or the last minute at which the file has both.
    """

    def __init__(
        self, texts: BarTexts, market: Instrument, plan: RollPlan, *, wanted: str | None, schedule: Iterable[Roll]
    ) -> None:
        self._texts = texts
        self._market = market
        self._plan = plan
        self._wanted = wanted
        self._schedule = tuple(schedule)
        self._starts = np.array([roll.ts_ns for roll in self._schedule], dtype=np.int64)
        self._symbols: list[str] = []
        self._common: dict[str, float] = {}
        self._newest: dict[str, tuple[NDArray[np.int64], NDArray[np.float64]]] = {}
        self._last: str | None = None

    def choose(self, timed: TimedRows) -> TimedRows:
        """The rows of the wanted or front contract; of the others only the roll offsets are learned."""
        names = _contracts(timed)
        if self._wanted is not None:
            return timed.take(names == self._wanted.encode())
        if not self._schedule:
            kinds, inverse = np.unique(names, return_inverse=True)
            is_ours = np.array([is_contract(kind.decode("ascii", "replace"), self._market) for kind in kinds.tolist()])
            return timed if is_ours.all() else timed.take(is_ours[inverse])
        self._learn_offsets(timed, names)
        place = np.maximum(np.searchsorted(self._starts, timed.ts_open_ns, side="right") - 1, 0)
        fronts = np.array([roll.contract.encode() for roll in self._schedule], dtype=names.dtype)
        return timed.take(names == fronts[place])

    def label(self, timed: TimedRows) -> Labels:
        """Labels of the next rows, which are in time order; InputError where an offset is not known."""
        names = _contracts(timed)
        before = np.append(names[:1] if self._last is None else np.array([self._last], dtype=names.dtype), names[:-1])
        offsets = np.zeros(len(timed))
        for i in np.flatnonzero(names != before).tolist():
            offsets[i] = self._offset(timed, i, before[i].decode(), names[i].decode())
        for name in np.unique(names).tolist():
            symbol = name.decode()
            last_ns = int(timed.ts_open_ns[np.flatnonzero(names == name)[-1]])
            _require_alive(str(self._texts.path), symbol, last_ns, self._market)
            if symbol not in self._symbols:
                self._symbols.append(symbol)
        self._last = names[-1].decode()
        places = {symbol.encode(): i for i, symbol in enumerate(self._symbols)}
        kinds, inverse = np.unique(names, return_inverse=True)
        index = np.array([places[kind] for kind in kinds.tolist()], dtype=np.int64)[inverse]
        return Labels(symbols=tuple(self._symbols), index=index, roll_offset=offsets)

    def _offset(self, timed: TimedRows, i: int, old: str, new: str) -> float:
        stated = self._plan.offset_into(new)
        if stated is None and timed.rows.offset is not None:
            stated = float(timed.rows.offset[i])
        if stated is None:
            stated = self._common.get(new)
        if stated is None:
            where = self._texts.place(int(timed.rows.line[i]))
            msg = (
                f"{where}: the contract changes from {old} to {new}, and the file has no minute with both; "
                "state the offset in a file of rolls and give it with --rolls FILE"
            )
            raise InputError(msg)
        return stated

    def _learn_offsets(self, timed: TimedRows, names: NDArray[np.bytes_]) -> None:
        """Remember, for each roll of the schedule, new minus old close at the last minute before it with both."""
        present = set(np.unique(names).tolist())
        for old, new in pairwise(self._schedule):
            if not present & {old.contract.encode(), new.contract.encode()}:
                continue
            old_ns, old_close = self._closes(timed, names, old.contract, new.ts_ns)
            new_ns, new_close = self._closes(timed, names, new.contract, new.ts_ns)
            both, in_old, in_new = np.intersect1d(old_ns, new_ns, return_indices=True)
            if len(both):
                points = float(new_close[in_new[-1]] - old_close[in_old[-1]])
                self._common[new.contract] = self._market.to_points(self._market.to_ticks(points))
        for name in present:
            mine = np.flatnonzero((names == name) & (timed.ts_close_ns >= 0))[-1:]
            if not len(mine):
                continue
            self._newest[name.decode("ascii", "replace")] = (timed.ts_open_ns[mine], timed.rows.prices[3, mine])

    def _closes(
        self, timed: TimedRows, names: NDArray[np.bytes_], contract: str, before_ns: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Times and closes of a contract before a roll, with its newest row of the chunk before."""
        mine = (names == contract.encode()) & (timed.ts_open_ns < before_ns) & (timed.ts_close_ns >= 0)
        times, closes = timed.ts_open_ns[mine], timed.rows.prices[3, mine]
        if contract in self._newest and self._newest[contract][0][0] < before_ns:
            times = np.append(self._newest[contract][0], times)
            closes = np.append(self._newest[contract][1], closes)
        return times, closes


def _contracts(timed: TimedRows) -> NDArray[np.bytes_]:
    names = timed.rows.contract
    if names is None:
        msg = "rows of a file without a contract column were given to NamedContracts"
        raise InvariantError(msg)
    return names


def _require_alive(path: str, symbol: str, last_ns: int, market: Instrument) -> None:
    if symbol == market.symbol or not is_contract(symbol, market):
        return
    last_day = np.datetime64(last_ns // DAY_NS, "D")
    if last_day > np.datetime64(expiry(symbol)):
        msg = (
            f"{path}: bars on {last_day} would be of {symbol}, which expired on {expiry(symbol)}; "
            "state each roll in the file for --rolls, or give --rolls none if the prices are already adjusted"
        )
        raise InputError(msg)
