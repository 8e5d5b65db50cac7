"""The other market, as it stood when the question's bar closed."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from builders import MINUTE_NS, a_question
from hypothesis import given
from hypothesis import strategies as st

from trader.adapters.columns import BarColumns
from trader.adapters.context import CorrelatedMarket, open_correlated
from trader.domain.instruments import instrument
from trader.domain.sessions import Calendar
from trader.errors import InputError

ES = instrument("ES")
FIRST_NS = 1_678_888_800_000_000_000  # 2023-03-15 10:00 in New York


def bars(closes: list[float], rolls: dict[int, float] | None = None, minutes: list[int] | None = None) -> BarColumns:
    """One-minute bars that close at minute 1, 2, 3, or at `minutes`; `rolls` are offsets by place."""
    at = np.array(minutes or range(1, len(closes) + 1), dtype=np.int64)
    prices = np.array(closes)
    offsets = np.zeros(len(closes))
    for place, points in (rolls or {}).items():
        offsets[place] = points
    return BarColumns(
        ts_open_ns=FIRST_NS + (at - 1) * MINUTE_NS,
        ts_close_ns=FIRST_NS + at * MINUTE_NS,
        open=prices,
        high=prices,
        low=prices,
        close=prices,
        volume=None,
        symbols=("ESM23",),
        symbol_index=np.zeros(len(closes), dtype=np.int64),
        roll_offset=offsets,
    )


def a_market(columns: BarColumns, *, anonymise: bool = False) -> CorrelatedMarket:
    return CorrelatedMarket(columns, ES, bar_minutes=1, sha256="0", anonymise=anonymise)


def told(market: CorrelatedMarket, minute: float) -> tuple[str, ...]:
    return market.lines(a_question(ts_close_ns=FIRST_NS + int(minute * MINUTE_NS)))


def test_the_last_close_and_the_move_over_twenty_bars_are_told() -> None:
    """From 4,000 at bar 1 to 4,020 at bar 21."""
    closes = [4_000.0 + place for place in range(22)]
    assert told(a_market(bars(closes)), 21) == ("ES: 4020.00, +20.00 points (+0.50%) over 20 bars of 1 min",)
    assert told(a_market(bars(closes), anonymise=True), 21) == ("ES: +0.50% over 20 bars of 1 min",)


def test_a_bar_is_told_from_the_moment_at_which_it_closes() -> None:
    """At its close it is known, a nanosecond before it is not."""
    market = a_market(bars([10.0, 20.0, 30.0]))
    assert [told(market, minute) for minute in (1, 1.999, 2, 2.5, 3, 4)] == [
        ("ES: 10.00",),
        ("ES: 10.00",),
        ("ES: 20.00",),
        ("ES: 20.00",),
        ("ES: 30.00",),
        ("ES: 30.00",),
    ]


def test_too_few_bars_tell_no_move_and_before_the_first_nothing() -> None:
    """Nor anything at all where prices are hidden."""
    market = bars([10.0] * 20)
    assert told(a_market(market), 20) == ("ES: 10.00",)
    assert told(a_market(market), 0.9) == ()
    assert told(a_market(market, anonymise=True), 20) == ()


def test_a_bar_older_than_fifteen_minutes_is_not_told() -> None:
    """A gap in the file is no market."""
    market = a_market(bars([10.0, 20.0], minutes=[1, 40]))
    assert [bool(told(market, minute)) for minute in (16, 16.01, 39, 40)] == [True, False, False, True]


def test_a_move_over_a_roll_leaves_the_offset_out() -> None:
    """The new contract trades 30 points higher; the market has not moved."""
    market = a_market(bars([4_000.0] * 10 + [4_030.0] * 12, rolls={10: 30.0}))
    assert told(market, 22) == ("ES: 4030.00, +0.00 points (+0.00%) over 20 bars of 1 min",)


@given(
    steps=st.lists(st.tuples(st.integers(1, 20), st.integers(3_900, 4_100)), min_size=1, max_size=60),
    minute=st.integers(0, 600),
    anonymise=st.booleans(),
)
def test_what_comes_later_changes_nothing_that_is_told_now(
    steps: list[tuple[int, int]], minute: int, anonymise: bool
) -> None:
    """Without look-ahead: the lines are those of a file that ends at this moment."""
    minutes = np.cumsum([gap for gap, _ in steps]).tolist()
    closes = [float(close) for _, close in steps]
    known = sum(at <= minute for at in minutes)
    whole = a_market(bars(closes, minutes=minutes), anonymise=anonymise)
    if known == 0:
        assert told(whole, minute) == ()
        return
    cut = a_market(bars(closes[:known], minutes=minutes[:known]), anonymise=anonymise)
    assert told(whole, minute) == told(cut, minute)


def test_a_market_tells_dates_unless_it_is_anonymised() -> None:
    """A price level dates a chart."""
    columns = bars([10.0])
    assert a_market(columns).facts.tells_dates
    assert not a_market(columns, anonymise=True).facts.tells_dates
    assert a_market(columns).facts.identity != a_market(columns, anonymise=True).facts.identity


def a_file(folder: Path, symbol: str = "ESM3") -> Path:
    rows = [
        f"{datetime.fromtimestamp(FIRST_NS // 10**9 + 60 * minute, UTC):%Y-%m-%dT%H:%M:%S}.000000000Z,33,1,1,"
        f"{4_000 + minute}.000000000,{4_000 + minute}.000000000,{4_000 + minute}.000000000,{4_000 + minute}.000000000,"
        f"7,{symbol}"
        for minute in range(30)
    ]
    path = folder / "other.csv"
    head = "ts_event,rtype,publisher_id,instrument_id,open,high,low,close,volume,symbol"
    path.write_text("\n".join([head, *rows, ""]))
    return path


def test_a_file_of_bars_is_the_other_market(tmp_path: Path) -> None:
    """Read as any file of bars: the first row is the minute from 10:00, which closes at 10:01."""
    market = open_correlated(a_file(tmp_path), market=ES, calendar=Calendar.load())
    assert told(market, 1) == ("ES: 4000.00",)
    assert told(market, 21) == ("ES: 4020.00, +20.00 points (+0.50%) over 20 bars of 1 min",)
    assert market.facts.title == "Correlated market (E-mini S&P 500):"


def test_a_file_that_cannot_be_read_names_the_key(tmp_path: Path) -> None:
    """Missing, or of another market."""
    with pytest.raises(InputError, match=r"prompt\.correlated_file: "):
        open_correlated(tmp_path / "nothing.csv", market=ES, calendar=Calendar.load())
    with pytest.raises(InputError, match=r"prompt\.correlated_file: "):
        open_correlated(a_file(tmp_path, "NQM3"), market=ES, calendar=Calendar.load())
