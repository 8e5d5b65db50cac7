"""Columns of bars and the records that they become."""

import numpy as np
import pytest

from trader.adapters.columns import BarColumns, concatenate
from trader.domain.bars import Bar
from trader.errors import InvariantError

MINUTE_NS = 60_000_000_000


def some_columns(
    count: int, *, symbols: tuple[str, ...] = ("NQZ23",), volume: bool = True, line: int = 0
) -> BarColumns:
    """`count` rising bars from minute 0 on; the contract changes with every row."""
    opens = np.arange(count, dtype=np.int64) * MINUTE_NS
    price = 100.0 + np.arange(count) / 4
    return BarColumns(
        ts_open_ns=opens,
        ts_close_ns=opens + MINUTE_NS,
        open=price,
        high=price + 1.0,
        low=price - 1.0,
        close=price + 0.5,
        volume=np.arange(count, dtype=np.int64) if volume else None,
        symbols=symbols,
        symbol_index=np.arange(count, dtype=np.int64) % len(symbols),
        roll_offset=np.arange(count, dtype=np.float64) * 0.25,
        first_line=line,
    )


def test_to_bars_gives_whole_records_of_plain_numbers() -> None:
    """Each row becomes the record with the same values, in Python's own types."""
    bars = list(some_columns(2, symbols=("NQZ23", "NQH24")).to_bars())
    first = Bar(0, MINUTE_NS, "NQZ23", 100.0, 101.0, 99.0, 100.5, 0, 0.0)
    second = Bar(MINUTE_NS, 2 * MINUTE_NS, "NQH24", 100.25, 101.25, 99.25, 100.75, 1, 0.25)
    assert bars == [first, second]
    plain = (int, int, str, float, float, float, float, int, float)
    assert tuple(type(getattr(bars[1], field)) for field in Bar.__struct_fields__) == plain


@pytest.mark.parametrize("rows_at_once", [1, 3, 7, 100])
def test_to_bars_in_any_portion_gives_the_same_records(rows_at_once: int) -> None:
    """How many rows are converted at a time changes nothing."""
    columns = some_columns(7)
    bars = list(columns.to_bars(rows_at_once))
    assert [bar.close for bar in bars] == [100.5, 100.75, 101.0, 101.25, 101.5, 101.75, 102.0]
    assert len(columns) == 7


def test_to_bars_without_volume_has_none_and_not_zero() -> None:
    """A source without volume gives None in every record."""
    assert [bar.volume for bar in some_columns(3, volume=False).to_bars()] == [None, None, None]


def test_rows_of_columns_keep_values_and_file_line() -> None:
    """A part starts at the file line of its first row; without a file it stays 0."""
    part = some_columns(6, line=2).rows(4, 6)
    assert list(part.to_bars()) == list(some_columns(6).to_bars())[4:]
    assert part.first_line == 6
    assert some_columns(6).rows(4, 6).first_line == 0


def test_concatenate_of_parts_keeps_each_rows_contract() -> None:
    """Symbols are merged, and each row keeps its own."""
    parts = [some_columns(2, symbols=("NQZ23",)), some_columns(3, symbols=("NQH24", "NQZ23"))]
    whole = concatenate(parts)
    assert whole.symbols == ("NQZ23", "NQH24")
    assert [bar.symbol for bar in whole.to_bars()] == ["NQZ23", "NQZ23", "NQH24", "NQZ23", "NQH24"]
    assert list(whole.to_bars()) == [bar for part in parts for bar in part.to_bars()]


def test_concatenate_with_and_without_volume_is_refused() -> None:
    """A missing volume is not zero: such parts do not join; neither do no parts at all."""
    with pytest.raises(InvariantError, match="missing volume"):
        concatenate([some_columns(2), some_columns(2, volume=False)])
    with pytest.raises(InvariantError, match="no columns"):
        concatenate([])
    assert concatenate([some_columns(2, volume=False)] * 2).volume is None
