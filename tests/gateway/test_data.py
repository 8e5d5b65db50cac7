"""Bars, quotes and contracts as the real client sees them."""

from typing import Any

import numpy as np
import pytest
from gateway_builders import client_of, nq, running, some_bars, until
from ib_insync import ContFuture, Contract, Future
from msgspec.structs import replace

from trader.adapters.columns import BarColumns

UP = (8_000.0, 8_010.0, 7_995.0, 8_004.0)


async def kept_up(ib: Any, size: str = "1 min") -> Any:
    """A history of the last ten minutes that goes on."""
    return await ib.reqHistoricalDataAsync(
        nq(), "", "600 S", size, "TRADES", useRTH=False, formatDate=2, keepUpToDate=True
    )


async def test_a_new_bar_begins_at_its_open_and_ends_with_its_prices() -> None:
    """The first update closes the bar before it; the second has close before high on the wire."""
    async with running(some_bars(UP)) as gateway, client_of(gateway) as ib:
        bars = await kept_up(ib)
        assert len(bars) == 10
        gateway.open_bar()
        await until(lambda: len(bars) == 11, ib)
        assert (bars[-1].open, bars[-1].high, bars[-1].low, bars[-1].close) == (8_000.0,) * 4
        gateway.finish_bar()
        await until(lambda: bars[-1].high == 8_010.0, ib)
        assert (bars[-1].open, bars[-1].high, bars[-1].low, bars[-1].close) == UP
        assert (bars[-1].date - bars[-2].date).total_seconds() == 60


async def test_bars_of_five_minutes_are_put_together_by_the_clock() -> None:
    """The forming one grows minute by minute."""
    async with running(some_bars(UP, (8_004.0, 8_020.0, 8_004.0, 8_015.0))) as gateway, client_of(gateway) as ib:
        bars = await kept_up(ib, "5 mins")
        assert len(bars) == 2
        gateway.step()
        gateway.step()
        await until(lambda: len(bars) == 3 and bars[-1].close == 8_015.0, ib)
        assert (bars[-1].open, bars[-1].high, bars[-1].low, bars[-1].volume) == (8_000.0, 8_020.0, 7_995.0, 200)


async def test_real_time_bars_give_the_minute_when_put_together() -> None:
    """Twelve of five seconds."""
    async with running(some_bars(UP)) as gateway, client_of(gateway) as ib:
        bars = ib.reqRealTimeBars(nq(), 5, "TRADES", useRTH=False)
        await ib.reqCurrentTimeAsync()
        gateway.step()
        await until(lambda: len(bars) == 12, ib)
        assert (bars[0].open_, max(bar.high for bar in bars), min(bar.low for bar in bars), bars[-1].close) == UP


async def test_quotes_follow_the_price() -> None:
    """A tick between bid and ask, and the type of the data."""
    async with running(some_bars(UP)) as gateway, client_of(gateway) as ib:
        ticker = ib.reqMktData(nq())
        await until(lambda: ticker.last == 8_000.0, ib)
        gateway.step()
        await until(lambda: ticker.last == 8_004.0, ib)
        assert (ticker.bid, ticker.ask, ticker.marketDataType) == (8_003.75, 8_004.0, 1)


@pytest.mark.parametrize(
    ("end", "expected"),
    [("", 10), ("20191202 17:10:00 US/Central", 10), ("20191202-23:05:00", 5), ("20200102 00:00:00 US/Central", 10)],
)
async def test_history_ends_when_it_was_asked_to_and_never_later_than_now(end: str, expected: int) -> None:
    """Ten minutes before the end, of the twenty that have closed."""
    async with running() as gateway, client_of(gateway) as ib:
        bars = await ib.reqHistoricalDataAsync(nq(), end, "600 S", "1 min", "TRADES", useRTH=False)
        assert len(bars) == expected


@pytest.mark.parametrize(("duration", "size", "code"), [("1 X", "1 min", 321), ("1 D", "1 tick", 321)])
async def test_a_history_that_cannot_be_given_is_an_error(duration: str, size: str, code: int) -> None:
    """The broker's code."""
    async with running() as gateway, client_of(gateway) as ib:
        seen: list[int] = []
        ib.errorEvent += lambda request, number, *_: seen.append(number)
        assert not await ib.reqHistoricalDataAsync(nq(), "", duration, size, "TRADES", useRTH=False)
        assert seen == [code]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (Future("NQ", "202003", "CME"), ["NQH0"]),
        (Future("NQ", "20200320", "CME"), ["NQH0"]),
        (Future("NQ", exchange="CME"), ["NQH0", "NQM0"]),
        (Future(localSymbol="NQM0", exchange="CME"), ["NQM0"]),
        (ContFuture("NQ", "CME"), ["NQH0"]),
        (Future("NQ", "203306", "CME"), []),
        (Future("ES", "202003", "CME"), []),
    ],
    ids=str,
)
async def test_contracts_are_found_by_what_is_said_of_them(asked: Contract, found: list[str]) -> None:
    """Each month has a conId of its own, by which it is found again."""
    async with running() as gateway, client_of(gateway) as ib:
        details = await ib.reqContractDetailsAsync(asked)
        assert [each.contract.localSymbol for each in details] == found
        for each in details:
            (again,) = await ib.reqContractDetailsAsync(Contract(conId=each.contract.conId))
            assert again.contract.lastTradeDateOrContractMonth == each.contract.lastTradeDateOrContractMonth
            assert each.tradingHours.startswith("20191202:1700-20191203:1600;")


async def test_the_next_month_has_a_price_before_its_first_bar() -> None:
    """A file changes from one month to the next with an offset: before, the next one costs that much more.

    The file's bars may name the later month first.
    """
    columns = some_bars(UP, before=20, after=10)
    async with running(with_a_roll(columns)) as gateway, client_of(gateway) as ib:
        months = await ib.reqContractDetailsAsync(Future("NQ", exchange="CME"))
        assert [each.contract.localSymbol for each in months] == ["NQZ9", "NQH0", "NQM0"]
        closes = [
            [bar.close for bar in await ib.reqHistoricalDataAsync(month, "", "600 S", "1 min", "TRADES", useRTH=False)]
            for month in (Future("NQ", "201912", "CME"), Future("NQ", "202003", "CME"))
        ]
        assert closes == [[8_000.0] * 10, [8_021.5] * 10]


def with_a_roll(columns: BarColumns) -> BarColumns:
    """NQZ19 up to bar 25, then NQH20, 21.5 points dearer."""
    at = np.arange(len(columns))
    return replace(
        columns,
        symbols=("NQH20", "NQZ19"),
        symbol_index=(at < 25).astype(np.int64),
        roll_offset=np.where(at == 25, 21.5, 0.0),
    )
