"""What is particular to Databento's rows: calendar spreads between the contracts, and years of one digit."""

import numpy as np

from trader.adapters.files.rows import Rows
from trader.domain.instruments import MONTH_CODES
from trader.kernels import bar_rows as kernel

_MONTHS = MONTH_CODES.encode()

YEARS_BACK = 1
"""A one-digit year is the first that fits from a year before the bar on: bars of expired contracts stay visible."""


def outrights(rows: Rows) -> tuple[Rows, int]:
    """The rows that are no spread, their one-digit years written with two; and how many spreads there were."""
    if rows.contract is None or not len(rows):
        return rows, 0
    letters = np.ascontiguousarray(rows.contract).view(np.uint8).reshape(len(rows), -1)
    is_spread = (letters == ord("-")).any(axis=1)
    spreads = int(np.count_nonzero(is_spread))
    kept = rows.take(~is_spread) if spreads else rows
    return (_with_years(kept) if len(kept) else kept), spreads


def _with_years(rows: Rows) -> Rows:
    """One look-up for each name and year; rows of one call span a few days."""
    years = rows.stamp_ns.view("datetime64[ns]").astype("datetime64[Y]").astype(np.int64) + 1970
    names = np.empty(len(rows), dtype=f"S{kernel.CONTRACT_BYTES}")
    left = np.ones(len(rows), dtype=np.bool_)
    contract = rows.contract if rows.contract is not None else names
    while left.any():
        at = int(left.argmax())
        same = left & (contract == contract[at]) & (years == years[at])
        names[same] = full_name(contract[at], int(years[at]))
        left &= ~same
    return rows.with_contracts(names)


def full_name(contract: bytes, year: int) -> bytes:
    """The two-digit form of a one-digit name seen in a bar of `year`: NQH5 is NQH15 in 2014, NQH25 in 2024.

    Names of another form stay as they are.
    """
    if len(contract) < 3 or not contract[-1:].isdigit() or contract[-2:-1] not in _MONTHS:
        return contract
    first = year - YEARS_BACK
    return contract[:-1] + b"%02d" % ((first + (int(contract[-1:]) - first) % 10) % 100)
