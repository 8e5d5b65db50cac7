"""Only live data is traded on: what is delayed, refused or somebody else's is told, and asked for until it is live."""

import pytest
from feed_builders import Desk, feeding, front_bars, told
from gateway_builders import running
from ib_builders import until

from trader.adapters.ib.data_trouble import Trouble, trouble_of
from trader.adapters.ib.feed import IbFeed
from trader.domain.alerts import AlertKind
from trader.gateway.data_answers import DELAYED, LIVE, tell_quote
from trader.gateway.layouts import Message

HISTORY_SAYS = "Historical Market Data Service error message:"
FIRST = 20


def noting(seen: list[bool]) -> object:
    """Keep what is told of staleness."""

    def equip(feed: IbFeed) -> None:
        feed.watch.on_stale = seen.append

    return equip


async def test_data_that_is_not_live_stops_entries_until_it_is() -> None:
    """354 where live quotes were asked for; asked again until they come."""
    seen: list[bool] = []
    async with running(front_bars()) as gateway:
        gateway.data.data_type = DELAYED
        async with feeding(gateway, before=noting(seen)) as desk:
            await until(lambda: seen)
            assert seen == [True]
            assert desk.alarms.alerts[0][0] is AlertKind.STALE_BARS
            assert "354" in desk.alarms.alerts[0][1]
            gateway.data.data_type = LIVE
            await until(lambda: not desk.feed.watch.is_stale)
            assert seen == [True, False]


async def test_quotes_that_turn_into_delayed_ones_stop_entries() -> None:
    """The type of the data is looked at with each of them."""
    seen: list[bool] = []
    async with running(front_bars()) as gateway, feeding(gateway, before=noting(seen)) as desk:
        await until(lambda: any(session.wants.quotes for session in gateway.server.sessions))
        for session in gateway.server.sessions:
            for request, contract in session.wants.quotes.items():
                session.send([Message.MARKET_DATA_TYPE, 1, request, DELAYED])
                tell_quote(session, request, contract, 8_001.0, DELAYED)
        await until(lambda: seen)
        assert "delayed quotes" in desk.alarms.alerts[0][1]


DENIALS = [
    (354, "Requested market data is not subscribed."),
    (10089, "Requested market data requires additional subscription for API."),
    (10167, "Requested market data is not subscribed. Displaying delayed market data."),
    (10168, "Requested market data is not subscribed. Delayed market data is not enabled."),
    (10197, "No market data during competing live session"),
    (162, HISTORY_SAYS + "No market data permissions for CME FUT"),
    (162, HISTORY_SAYS + "Trading TWS session is connected from a different IP address"),
    (420, "Invalid Real-time Query: No market data permissions for CME FUT"),
]


@pytest.mark.parametrize(("code", "text"), DENIALS, ids=[f"{code} {text[-12:]}" for code, text in DENIALS])
async def test_a_denial_is_told_once_in_the_brokers_words(code: int, text: str) -> None:
    """With the remedy, however often it comes."""
    seen: list[bool] = []
    async with running(front_bars()) as gateway, feeding(gateway, before=noting(seen), rights_retry_s=60.0) as desk:
        await renewed_never(desk)
        desk.complain(code, text)
        desk.complain(code, text)
        await until(lambda: seen)
        assert seen == [True]
        assert [text in why for _, why in desk.alarms.alerts] == [True]


async def renewed_never(desk: Desk) -> None:
    """Let the first look of the watch pass: nothing is wrong."""
    await until(lambda: desk.feed.last is not None)
    assert not desk.feed.watch.is_stale


@pytest.mark.parametrize(
    ("code", "text", "meaning"),
    [
        (162, HISTORY_SAYS + "API historical data query cancelled: 5", Trouble.NONE),
        (162, HISTORY_SAYS + "HMDS query returned no data: NQH0@CME Trades", Trouble.NO_DATA),
        (162, HISTORY_SAYS + "Historical data request pacing violation", Trouble.TRY_AGAIN),
        (2103, "Market data farm connection is broken:usfuture", Trouble.NONE),
        (2105, "HMDS data farm connection is broken:ushmds", Trouble.NONE),
        (1100, "Connectivity between IB and Trader Workstation has been lost.", Trouble.NONE),
        (201, "Order rejected", Trouble.NONE),
    ],
)
def test_an_error_that_concerns_no_bars_leaves_them_alone(code: int, text: str, meaning: Trouble) -> None:
    """The text decides where a number has several meanings."""
    assert trouble_of(code, text) is meaning


async def test_silence_in_the_markets_hours_is_stale_until_the_next_bar() -> None:
    """A bar and five seconds; the bars that nobody told come before the next one."""
    seen: list[bool] = []
    columns = front_bars()
    async with running(columns) as gateway, feeding(gateway, before=noting(seen)) as desk:
        await desk.step()
        await desk.step()
        gateway.ticker.is_muted = True
        gateway.step()
        assert not desk.feed.watch.is_stale
        gateway.step()
        await until(lambda: seen)
        assert desk.alarms.kinds == [AlertKind.STALE_BARS]
        gateway.ticker.is_muted = False
        await desk.step()
        await desk.step()
        assert await desk.have(5) == told(columns, FIRST, FIRST + 5)
        assert seen == [True, False]
