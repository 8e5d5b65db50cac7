"""Closed bars of the past: complete, in pages, of the month that was the front, or a clear error."""

import pytest
from feed_builders import FRONT_NS, feeding, front_bars, told
from gateway_builders import running
from two_months import NEW_OPENS_NS, OFFSET, OLD_CLOSES_NS, two_months

from trader.adapters.ib.pacing import PaceTerms, RequestPace
from trader.adapters.ib.slots import Slots
from trader.domain.sessions import Calendar
from trader.domain.units import HOUR_NS, MINUTE_NS
from trader.errors import ConfigurationError, LinkError
from trader.gateway import layouts
from trader.gateway.layouts import Request
from trader.gateway.session import Session


@pytest.mark.parametrize("page_s", [60, 180, 86_400])
async def test_the_last_bars_come_in_order_whatever_the_pages(page_s: int) -> None:
    """Fifteen of twenty, in pages of one, of three, and in one."""
    columns = front_bars()
    async with running(columns) as gateway, feeding(gateway, reads=False, page_s=page_s) as desk:
        assert await desk.feed.history(gateway.market.now_ns, bars=15) == told(columns, 5, 20)


async def test_the_bar_that_forms_is_no_history() -> None:
    """The broker's answer ends with it."""
    columns = front_bars()
    async with running(columns) as gateway, feeding(gateway, reads=False) as desk:
        gateway.open_bar()
        assert await desk.feed.missed(FRONT_NS) == told(columns, 0, 20)


async def test_a_session_begins_at_its_open() -> None:
    """The one that is open counts as the first."""
    columns = front_bars()
    async with running(columns) as gateway, feeding(gateway, reads=False) as desk:
        assert await desk.feed.history(gateway.market.now_ns, sessions=1) == told(columns, 0, 20)


async def test_a_history_that_is_not_complete_is_an_error() -> None:
    """Twenty bars are all that there are."""
    async with running(front_bars()) as gateway, feeding(gateway, reads=False) as desk:
        with pytest.raises(LinkError, match="gives 20 of 30 bars"):
            await desk.feed.history(gateway.market.now_ns, bars=30)


async def test_a_refused_page_is_asked_for_again_and_not_for_ever() -> None:
    """A pacing violation passes; a third one in a row does not."""
    columns = front_bars()
    async with running(columns) as gateway, feeding(gateway, reads=False, tries=3) as desk:
        answer, left = gateway.data.handlers()[Request.HISTORY], [2]

        def busy(session: Session, fields: list[str]) -> None:
            if left[0]:
                left[0] -= 1
                session.send(layouts.error(layouts.read_history(fields).req_id, 162, "service error: pacing violation"))
            else:
                answer(session, fields)

        gateway.server.serve({Request.HISTORY: busy})
        assert await desk.feed.history(gateway.market.now_ns, bars=10) == told(columns, 10, 20)
        left[0] = 3
        with pytest.raises(LinkError, match="pacing violation"):
            await desk.feed.history(gateway.market.now_ns, bars=10)


async def test_history_before_a_roll_is_of_the_month_that_was_the_front() -> None:
    """The first bar of the new month has the offset at the last minute that both traded, as in files."""
    columns = two_months()
    async with running(columns, history_bars=50) as gateway, feeding(gateway, reads=False) as desk:
        assert desk.feed.pinned.symbol == "NQH20"
        bars = await desk.feed.history(gateway.market.now_ns, bars=10)
        assert [bar.symbol for bar in bars] == ["NQZ19"] * 5 + ["NQH20"] * 5
        assert [bar.roll_offset for bar in bars] == [0.0] * 5 + [OFFSET] + [0.0] * 4
        assert (bars[4].ts_close_ns, bars[5].ts_open_ns) == (OLD_CLOSES_NS, NEW_OPENS_NS)


@pytest.mark.parametrize("minutes", [4, 6, 20])
async def test_a_length_that_the_broker_does_not_have_is_a_configuration_error(minutes: int) -> None:
    """Before anything is asked for."""
    async with running(front_bars()) as gateway:
        with pytest.raises(ConfigurationError, match=f"bars of {minutes} minutes"):
            async with feeding(gateway, bar_minutes=minutes):
                pass


def test_requests_are_kept_apart_and_counted_by_the_window() -> None:
    """Three in ten seconds, half a second between two."""
    pace = RequestPace(PaceTerms(requests=3, window_s=10.0, apart_s=0.5))
    sent, now_s = [], 100.0
    for _ in range(5):
        now_s += pace.wait_s(now_s)
        sent.append(now_s)
    assert sent == [100.0, 100.5, 101.0, 110.0, 110.5]


def test_bars_are_counted_by_the_calendar() -> None:
    """A full session of 2019 has 1,365 minutes: 23 hours, and no trade from 16:15 to 16:30 in New York."""
    slots = Slots(Calendar.load(), MINUTE_NS)
    session = Calendar.load().on("2019-12-17")
    assert session is not None
    assert slots.count(session.open_ns, session.close_ns) == 1_365
    assert slots.count(session.close_ns, session.close_ns + HOUR_NS) == 0
    assert slots.next_open_ns(session.halts[0][0]) == session.halts[0][1]
