"""What the feed hands out is what the exchange has, once and in order, whatever the stream does."""

import asyncio

import pytest
from feed_builders import FRONT_NS, feeding, front_bars, told
from gateway_builders import running
from ib_builders import WAIT_S, linked, until

from trader.adapters.ib.feed import IbFeed
from trader.domain.alerts import AlertKind
from trader.domain.units import HOUR_NS, MINUTE_NS
from trader.gateway import layouts
from trader.gateway.faults import Fault, Verb
from trader.gateway.layouts import Request
from trader.gateway.mischief import OrderMischief, play_faults
from trader.gateway.session import Session

WAVES = [(8_000.0 + i, 8_010.0 + i, 7_995.0, 8_004.0 + i) for i in range(12)]
FIRST = 20  # bars before the first that is played


async def test_each_bar_is_handed_out_once_the_next_has_begun() -> None:
    """Twelve bars are played at once, and eleven have closed."""
    columns = front_bars(*WAVES)
    async with running(columns) as gateway, feeding(gateway) as desk:
        for _ in range(12):
            gateway.step()
        assert await desk.have(11) == told(columns, FIRST, FIRST + 11)
        assert (desk.feed.counts.filled, desk.feed.counts.missing) == (0, 0)


async def test_bars_of_five_minutes_close_with_their_last_minute() -> None:
    """Those that the broker puts together."""
    columns = front_bars(*WAVES)
    async with running(columns) as gateway, feeding(gateway, bar_minutes=5) as desk:
        for _ in range(12):
            gateway.step()
        bars = await desk.have(2)
        assert [(bar.open, bar.high, bar.close, bar.volume) for bar in bars] == [
            (8_000.0, 8_014.0, 8_008.0, 500),
            (8_005.0, 8_019.0, 8_013.0, 500),
        ]


FAULTS = {
    "missing": Fault(do=Verb.MISSING_BAR, bar=4),
    "three missing": Fault(do=Verb.MISSING_BAR, bar=4, bars=3),
    "duplicate": Fault(do=Verb.DUPLICATE_BAR, bar=4),
    "late": Fault(do=Verb.LATE_BAR, bar=4),
    "frozen": Fault(do=Verb.FROZEN, bar=4, bars=3),
    "frames twice": Fault(do=Verb.DUPLICATE, message=90, rate=0.5),
    "frames swapped": Fault(do=Verb.REORDER, message=90, rate=0.3),
    "cut": Fault(do=Verb.RESET, bar=4),
    "outage": Fault(do=Verb.OUTAGE, bar=4, bars=3),
    "outage that ends subscriptions": Fault(do=Verb.OUTAGE, bar=4, bars=3, code=1101),
    "night": Fault(do=Verb.NIGHTLY_RESET, bar=4, bars=3),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
async def test_whatever_happens_to_the_stream_the_exchanges_bars_come_once_and_in_order(fault: Fault) -> None:
    """Missing ones are asked for, late ends are waited for, repeated ones are dropped."""
    columns = front_bars(*WAVES)
    quirks = OrderMischief([fault], 7)
    async with running(columns, quirks) as gateway, feeding(gateway) as desk:
        play_faults(gateway, quirks)
        for _ in range(11):
            gateway.step()
            await asyncio.sleep(0)
        await until(lambda: desk.link.is_up)
        gateway.step()
        assert quirks.fired[fault.do]
        assert await desk.have(11) == told(columns, FIRST, FIRST + 11)


async def test_the_bar_that_forms_is_never_handed_out() -> None:
    """`hasNewBar` says that the next bar has begun, and no more."""
    columns = front_bars(*WAVES)
    async with running(columns) as gateway, feeding(gateway) as desk:
        gateway.step()
        gateway.open_bar()
        assert await desk.have(1) == told(columns, FIRST, FIRST + 1)
        assert desk.feed.forming is not None
        assert desk.feed.forming.ts_ns == columns.ts_open_ns[FIRST + 1]
        gateway.finish_bar()
        gateway.open_bar()
        assert (await desk.have(2))[1].high == WAVES[1][1]


async def test_the_end_of_a_bar_that_comes_after_the_next_ones_beginning_counts_within_the_grace() -> None:
    """The library drops it: its own list keeps the bar as it began."""
    columns = front_bars(*WAVES)
    async with running(columns) as gateway, feeding(gateway) as desk:
        lists: list[list[float]] = []
        desk.link.ib.barUpdateEvent.connect(lambda bars, _: lists.append([bar.high for bar in bars]))
        gateway.open_bar()
        gateway.ticker.is_late = True
        gateway.finish_bar()
        gateway.open_bar()
        assert await desk.have(1) == told(columns, FIRST, FIRST + 1)
        assert desk.feed.counts.corrections == 1
        assert lists[-1][-2] != WAVES[0][1]


async def test_a_correction_after_the_freeze_is_counted_and_changes_nothing() -> None:
    """What was decided on stays what was decided on."""
    columns = front_bars(*WAVES)
    async with running(columns) as gateway, feeding(gateway) as desk:
        gateway.step()
        gateway.step()
        await desk.have(1)
        desk.tell(int(columns.ts_open_ns[FIRST]), 8_000.0, 8_020.0, 7_995.0, 8_016.0)
        await until(lambda: desk.feed.counts.revisions)
        gateway.step()
        assert await desk.have(2) == told(columns, FIRST, FIRST + 2)


async def test_a_subscription_that_begins_with_nothing_is_asked_for_again() -> None:
    """The library would pass on none of its updates."""
    columns = front_bars(*WAVES)
    async with running(columns) as gateway:
        answer, left = gateway.data.handlers()[Request.HISTORY], [2]

        def empty(session: Session, fields: list[str]) -> None:
            request = layouts.read_history(fields).req_id
            if left[0]:
                left[0] -= 1
                session.send(layouts.history(request, "", "", []))
            else:
                answer(session, fields)

        gateway.server.serve({Request.HISTORY: empty})
        async with feeding(gateway) as desk:
            for _ in range(3):
                gateway.step()
            assert await desk.have(2) == told(columns, FIRST, FIRST + 2)


async def test_what_comes_together_with_the_beginning_counts_too() -> None:
    """The late end of a bar, in the same breath as the first list: the library drops it."""
    columns = front_bars(*WAVES)
    async with running(columns) as gateway:
        answer = gateway.data.handlers()[Request.HISTORY]

        def hasty(session: Session, fields: list[str]) -> None:
            answer(session, fields)
            gateway.open_bar()
            gateway.ticker.is_late = True
            gateway.finish_bar()
            gateway.open_bar()

        gateway.server.serve({Request.HISTORY: hasty})
        async with feeding(gateway) as desk:
            assert (await desk.have(1))[0] == told(columns, FIRST, FIRST + 1)[0]


async def test_a_stream_that_died_without_a_word_is_subscribed_to_anew_and_its_gap_is_filled() -> None:
    """At midnight and after resets the updates just stop."""
    columns = front_bars(*WAVES)
    async with running(columns) as gateway, feeding(gateway, quiet_s=90.0) as desk:
        await desk.step()
        await desk.step()
        desk.forget()
        for _ in range(4):
            gateway.step()
        await desk.renewed()
        gateway.step()
        assert await desk.have(6) == told(columns, FIRST, FIRST + 6)


ENDED = [
    (162, "Historical Market Data Service error message:API historical data query failed: pacing violation"),
    (366, "No historical data query found for ticker id:9"),
    (10182, "Failed to request live updates (disconnected)."),
    (10225, "Bust event occurred, current subscription is deactivated."),
    (420, "Invalid Real-time Query: pacing violation"),
]


@pytest.mark.parametrize(("code", "text"), ENDED, ids=[str(code) for code, _ in ENDED])
async def test_a_stream_that_the_broker_has_ended_is_subscribed_to_anew_at_once(code: int, text: str) -> None:
    """Nobody waits for silence."""
    columns = front_bars(*WAVES)
    async with running(columns) as gateway, feeding(gateway) as desk:
        gateway.step()
        gateway.step()
        await desk.have(1)
        desk.complain(code, text)
        desk.forget()
        await desk.renewed()
        gateway.step()
        assert await desk.have(2) == told(columns, FIRST, FIRST + 2)


FLAWS = {
    "zero": (0.0, 8_010.0, 0.0, 8_000.0),
    "below zero": (8_000.0, 8_010.0, -1.0, 8_000.0),
    "not a number": (8_000.0, float("nan"), 7_990.0, 8_000.0),
    "off the tick": (8_000.1, 8_010.0, 7_990.0, 8_000.0),
    "high below low": (8_000.0, 7_990.0, 8_010.0, 8_000.0),
}


@pytest.mark.parametrize("prices", FLAWS.values(), ids=FLAWS.keys())
async def test_a_bar_that_cannot_be_is_refused_told_and_asked_for(prices: tuple[float, ...]) -> None:
    """What is handed out in its place is the exchange's."""
    columns = front_bars(*WAVES)
    async with running(columns) as gateway, feeding(gateway) as desk:
        gateway.ticker.is_muted = True
        gateway.step()
        desk.tell(int(columns.ts_open_ns[FIRST]), *prices)
        gateway.ticker.is_muted = False
        gateway.step()
        await until(lambda: desk.feed.counts.refused)
        gateway.step()
        assert await desk.have(2) == told(columns, FIRST, FIRST + 2)
        assert AlertKind.STALE_BARS in desk.alarms.kinds


async def test_a_bar_from_closed_hours_is_dropped() -> None:
    """Half an hour after the close."""
    columns = front_bars(*WAVES)
    async with running(columns) as gateway, feeding(gateway) as desk:
        gateway.step()
        gateway.step()
        await desk.have(1)
        closed_ns = FRONT_NS + 23 * HOUR_NS + 30 * MINUTE_NS
        desk.tell(closed_ns, *WAVES[0])
        desk.tell(closed_ns + MINUTE_NS, *WAVES[0])
        await until(lambda: desk.feed.counts.closed_hours)
        assert len(desk.bars) == 2  # the one before the gap had closed with it


async def test_the_last_bar_before_the_market_closes_is_closed_by_the_clock() -> None:
    """The next one would say so an hour later, or after the weekend."""
    columns = front_bars(*WAVES, start_ns=FRONT_NS + 23 * HOUR_NS - 32 * MINUTE_NS, after=0)
    async with running(columns) as gateway, feeding(gateway) as desk:
        for _ in range(12):
            gateway.step()
        assert await desk.have(12) == told(columns, FIRST, FIRST + 12)


async def test_bars_since_a_moment_are_asked_for_before_the_first_live_one() -> None:
    """A daemon that starts again catches up with what it has not seen."""
    columns = front_bars(*WAVES)
    since_ns = int(columns.ts_close_ns[4])
    async with running(columns) as gateway, feeding(gateway, before=lambda feed: feed.begin_after(since_ns)) as desk:
        gateway.step()
        gateway.step()
        assert await desk.have(FIRST - 4) == told(columns, 5, FIRST + 1)
        assert await desk.feed.missed(since_ns) == told(columns, 5, FIRST + 2)


async def test_who_watches_is_told_of_the_bar_that_has_begun_after_the_one_before_it() -> None:
    """Then what lies between is awaited, and then the next bar comes."""
    columns = front_bars(*WAVES)
    seen: list[tuple[str, float]] = []

    def equip(feed: IbFeed) -> None:
        async def between() -> None:
            seen.append(("between", desk.bars[-1].close))
            desk.gateway.step()

        feed.on_forming = lambda _, price: seen.append(("forming", price))
        feed.between = between

    async with running(columns) as gateway, feeding(gateway, before=equip, lockstep=True, grace_s=0.0) as desk:
        gateway.step()
        await desk.have(3)
        assert seen[:4] == [("forming", 8_000.0), ("between", 8_000.0), ("forming", 8_001.0), ("between", 8_004.0)]


async def test_who_is_cancelled_while_the_answer_comes_is_cancelled() -> None:
    """Before Python 3.12 the library's way of waiting loses it, and the task would go on for ever."""
    async with running(front_bars()) as gateway, linked(gateway) as link:
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        asking = asyncio.ensure_future(link.ask("anything", asyncio.wait_for(answer, WAIT_S)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        answer.set_result(1)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
