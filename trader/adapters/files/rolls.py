"""Contract rolls: the file that states them, and what they mean for the rows of a bar file.

A rolls file is a CSV with the header `timestamp,new_contract,offset_points`, times in New York:

    timestamp,new_contract,offset_points
    2019-01-01 18:00,NQH19,
    2019-03-07 16:30,NQM19,28.25

Each row names the first bar of a new contract and the offset, new minus old close in points at the last minute that
both traded. The first row, with an empty offset, names the contract with which the bar file begins (or --contract
does). Lines that begin with # are comments.
"""

import csv
import math
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
from msgspec import Struct

from trader.adapters.files.clock import NEW_YORK, to_utc
from trader.domain.instruments import Instrument, contract_year_month
from trader.domain.rolls import roll_date
from trader.errors import InputError

_HEADER = ("timestamp", "new_contract", "offset_points")


class Roll(Struct, frozen=True, kw_only=True):
    """`contract` is traded from the bar that opens at `ts_ns` on; `offset_points` is new minus old close."""

    ts_ns: int
    contract: str
    offset_points: float


class RollPlan(Struct, frozen=True, kw_only=True):
    """What the user states of a file's contracts.

    `first_contract` is the one with which the file begins, None where nobody says. `is_adjusted`: stated by
    `--rolls none`, the prices have no jump at a roll.
    """

    first_contract: str | None
    rolls: tuple[Roll, ...]
    is_adjusted: bool

    def offset_into(self, contract: str) -> float | None:
        """The stated offset of the roll into `contract`; None where it is not stated."""
        if self.is_adjusted:
            return 0.0
        return next((roll.offset_points for roll in self.rolls if is_same(roll.contract, contract)), None)


def require_contract(contract: str, market: Instrument) -> str:
    """`contract` itself if it is a code of `market`; InputError otherwise."""
    contract_year_month(contract)
    month = contract.rstrip("0123456789")[-1]
    if contract.rstrip("0123456789")[:-1] != market.symbol or month not in market.months:
        msg = f"{contract!r} is no contract of {market.symbol}; its months are {', '.join(market.months)}"
        raise InputError(msg)
    return contract


def is_contract(text: str, market: Instrument) -> bool:
    """Is `text` a contract code of `market`?"""
    try:
        require_contract(text, market)
    except InputError:
        return False
    return True


def is_same(a: str, b: str) -> bool:
    """Do two codes of one market name the same contract, such as NQM3, NQM23 and NQM2023?"""
    return contract_year_month(a) == contract_year_month(b)


def expiry(contract: str) -> date:
    """The third Friday of the contract's month, its last morning of trade."""
    return roll_date(*contract_year_month(contract)) + timedelta(days=4)


def calendar_front(contracts: Sequence[str], on: date) -> str:
    """The one of `contracts` to trade on a day by the calendar rule; the last where all are past their roll."""
    ordered = sorted(contracts, key=expiry)
    return next((name for name in ordered if on < roll_date(*contract_year_month(name))), ordered[-1])


def read_rolls(path: Path, market: Instrument, contract: str | None) -> RollPlan:
    """The plan in a rolls file; InputError names line, field and remedy. `contract` begins the file if no row does."""
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path}: the rolls cannot be read: {error}"
        raise InputError(msg) from error
    rows = [(i + 1, line) for i, line in enumerate(lines) if line.strip() and not line.startswith("#")]
    header = tuple(cell.strip() for cell in rows[0][1].split(",")) if rows else ()
    if header != _HEADER:
        msg = f"{path} is no file of rolls: its header must be {','.join(_HEADER)}, not {','.join(header)[:100]!r}"
        raise InputError(msg)
    first, rolls = contract, list[Roll]()
    for line, text in rows[1:]:
        roll = _roll(path, line, next(csv.reader([text])), market)
        if math.isnan(roll.offset_points) and line == rows[1][0]:
            first = roll.contract
        else:
            _require_next(path, line, roll, rolls)
            rolls.append(roll)
    if first is None:
        msg = f"{path} does not name the first contract: begin with a row without offset, or give --contract"
        raise InputError(msg)
    if rolls and expiry(first) >= expiry(rolls[0].contract):
        msg = f"{path}: {first} does not come before {rolls[0].contract}; name the contract with which the bars begin"
        raise InputError(msg)
    return RollPlan(first_contract=first, rolls=tuple(rolls), is_adjusted=False)


def _roll(path: Path, line: int, cells: list[str], market: Instrument) -> Roll:
    where = f"{path}, line {line}"
    if len(cells) != len(_HEADER):
        msg = f"{where}: {len(cells)} cells instead of {len(_HEADER)}; write {','.join(_HEADER)}"
        raise InputError(msg)
    stamp, contract, offset = (cell.strip() for cell in cells)
    try:
        wall = datetime.fromisoformat(stamp)
        points = float(offset) if offset else math.nan
    except ValueError as error:
        msg = f"{where}: {error}; write the time as 2019-03-07 16:30 (New York) and the offset in points as 28.25"
        raise InputError(msg) from None
    if wall.tzinfo is not None or wall.second or wall.microsecond:
        msg = f"{where}: timestamp {stamp!r} must be a whole minute of New York's clock, without an offset"
        raise InputError(msg)
    if math.isinf(points) or not (math.isnan(points) or (points * market.ticks_per_point).is_integer()):
        msg = f"{where}: offset_points {offset!r} is not on {market.symbol}'s tick of {market.tick:g}"
        raise InputError(msg)
    try:
        require_contract(contract, market)
    except InputError as error:
        msg = f"{where}: {error}"
        raise InputError(msg) from None
    wall_ns = np.array([np.datetime64(wall, "ns").astype(np.int64)])
    return Roll(ts_ns=int(to_utc(wall_ns, NEW_YORK)[0]), contract=contract, offset_points=points)


def _require_next(path: Path, line: int, roll: Roll, before: list[Roll]) -> None:
    if math.isnan(roll.offset_points):
        msg = f"{path}, line {line}: offset_points is empty; only the first row, the first contract, has none"
        raise InputError(msg)
    if before and (roll.ts_ns <= before[-1].ts_ns or expiry(roll.contract) <= expiry(before[-1].contract)):
        msg = f"{path}, line {line}: {roll.contract} does not come after {before[-1].contract}; sort the rolls by time"
        raise InputError(msg)
