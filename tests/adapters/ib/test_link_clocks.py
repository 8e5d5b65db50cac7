"""Silence, pauses and gateways that are not there, in a time that jumps: seconds of the terms as they are live."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from gateway_builders import running
from ib_builders import QUIET_NS, Told, hook_of, linked, reset, silent_port, some_terms, soon, until

from trader.adapters.ib.clocks import Backoff
from trader.adapters.ib.link import Link, LinkState
from trader.adapters.ib.nights import EVERY_DAY, Nights, OutageWindow
from trader.domain.alerts import AlertKind
from trader.domain.units import SECOND_NS
from trader.gateway.layouts import error
from trader.gateway.session import Session
from trader.gateway.virtual_time import VirtualLoop
from trader.gateway.wire import Fields

CURRENT_TIME = 49

LIVE = {
    "connect_timeout_s": 10.0,
    "request_timeout_s": 10.0,
    "probe_every_s": 5.0,
    "backoff_first_s": 1.0,
    "backoff_max_s": 60.0,
    "loop_pause_s": 2.0,
    "down_alert_s": 60.0,
}


def in_virtual_time(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run it in a loop whose clock jumps."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(story())


def now_s() -> float:
    """The loop's time."""
    return asyncio.get_running_loop().time()


def wall_ns() -> int:
    """A wall clock that goes with the loop's."""
    return QUIET_NS + round(now_s() * SECOND_NS)


def skip(seconds: float) -> None:
    """The loop stands still."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    loop.skip(seconds)


@pytest.mark.parametrize("after_s", [0.1, 2.5, 4.9, 5.1, 9.3])
def test_a_silent_link_is_detected_within_fifteen_seconds(after_s: float) -> None:
    """Whenever in the rhythm of the probes it falls silent, at the terms of live trading."""

    async def story() -> None:
        async with running() as gateway, linked(gateway, wall_ns=wall_ns, **LIVE) as link:
            await asyncio.sleep(after_s)
            lost: list[float] = []
            link.on_lost(lambda why: lost.append(now_s()))
            for session in gateway.server.sessions:
                session.fall_silent()
            began = now_s()
            await asyncio.sleep(15.0)
            assert lost
            assert 5.0 < lost[0] - began <= 15.0

    in_virtual_time(story)


def test_a_link_that_falls_silent_while_everybody_gets_in_step_is_detected_within_fifteen_seconds() -> None:
    """At a request's patience of thirty seconds: the pulse is felt beside the hooks, and ends what they wait for."""
    terms = {**LIVE, "request_timeout_s": 30.0, "sync_timeout_s": 120.0}

    async def story() -> None:
        async with running() as gateway:
            asked: list[float] = []

            def add(link: Link) -> None:
                async def hook() -> None:
                    asked.append(now_s())
                    if len(asked) == 2:
                        for session in gateway.server.sessions:
                            session.fall_silent()
                    await link.ask("open orders", link.ib.reqOpenOrdersAsync())

                link.on_sync(hook)

            async with linked(gateway, wall_ns=wall_ns, before=add, **terms) as link:
                lost: list[float] = []
                link.on_lost(lambda why: lost.append(now_s()))
                link.resync("the test")
                await asyncio.sleep(16.0)
                assert lost
                assert lost[0] - asked[1] <= 15.0

    in_virtual_time(story)


def test_the_broker_coming_back_waits_for_no_probe() -> None:
    """A probe was sent and lost as the broker went away: with 1102 everybody gets in step at once."""

    async def story() -> None:
        asked: list[object] = []
        async with running() as gateway, linked(gateway, wall_ns=wall_ns, before=hook_of(asked, id), **LIVE) as link:
            sent: list[float] = []

            def swallow(session: Session, fields: Fields, frame: bytes) -> None:
                if fields[0] == CURRENT_TIME:
                    sent.append(now_s())
                    gateway.server.tap = None
                    session.send(error(-1, 1100, "lost"))
                    session.send(error(-1, 1102, "restored"))
                else:
                    session.write(frame)

            gateway.server.tap = swallow
            await until(lambda: len(asked) == 2 and link.is_up)
            assert now_s() - sent[0] < 1.0

    in_virtual_time(story)


def test_a_quiet_market_is_no_silent_link() -> None:
    """An hour without a bar: the probes are answered."""

    async def story() -> None:
        async with running() as gateway, linked(gateway, wall_ns=wall_ns, **LIVE) as link:
            ib, answers = link.ib, []

            def count(session: Session, fields: Fields, frame: bytes) -> None:
                answers.extend([1] if fields[0] == CURRENT_TIME else [])
                session.write(frame)

            gateway.server.tap = count
            await asyncio.sleep(3_600.0)
            assert link.ib is ib
            assert link.is_up
            assert len(answers) >= 3_600 / 5 - 1

    in_virtual_time(story)


def test_one_probe_without_an_answer_is_not_the_end() -> None:
    """The next one is answered."""

    async def story() -> None:
        async with running() as gateway, linked(gateway, wall_ns=wall_ns, **LIVE) as link:
            ib, asked = link.ib, []

            def swallow_every_second(session: Session, fields: Fields, frame: bytes) -> None:
                asked.extend([1] if fields[0] == CURRENT_TIME else [])
                if fields[0] != CURRENT_TIME or len(asked) % 2:
                    session.write(frame)

            gateway.server.tap = swallow_every_second
            await asyncio.sleep(60.0)
            assert len(asked) >= 10
            assert link.ib is ib

    in_virtual_time(story)


def test_after_a_pause_of_the_loop_nothing_is_up_before_everybody_is_in_step_again() -> None:
    """From the first moment after the pause, before any timer has had its turn; misses of the pause do not count."""
    seen: list[object] = []

    async def story() -> None:
        async with running() as gateway:
            add = hook_of(seen, lambda link: link.state)
            async with linked(gateway, before=add, wall_ns=wall_ns, **LIVE) as link:
                await asyncio.sleep(1.0)
                ib = link.ib
                skip(60.0)
                assert not link.is_up
                await soon(link.wait_up())
                assert seen == [LinkState.SYNCING, LinkState.SYNCING]
                assert link.ib is ib
                skip(1.5)
                assert link.is_up

    in_virtual_time(story)


def test_a_machine_that_slept_with_its_clocks_is_noticed_by_the_wall_clock() -> None:
    """The loop's own clock stood still meanwhile."""
    seen: list[object] = []
    slept_ns = 0

    async def story() -> None:
        nonlocal slept_ns
        async with running() as gateway:
            add = hook_of(seen, lambda link: link.state)
            async with linked(gateway, before=add, wall_ns=lambda: wall_ns() + slept_ns, **LIVE) as link:
                slept_ns = 3_600 * SECOND_NS
                assert not link.is_up
                await soon(link.wait_up())
                assert len(seen) == 2

    in_virtual_time(story)


def test_a_question_that_waited_through_a_pause_is_not_a_dead_peer() -> None:
    """The answer lay in the socket all the time."""

    async def story() -> None:
        async with running() as gateway, linked(gateway, wall_ns=wall_ns, **LIVE) as link:
            ib = link.ib
            for _ in range(5):
                await asyncio.sleep(5.0)
                skip(30.0)
            await asyncio.sleep(60.0)
            assert link.ib is ib

    in_virtual_time(story)


@pytest.mark.parametrize("listens", [False, True])
def test_a_gateway_that_is_not_up_for_ten_minutes_is_tried_on_and_alerted_once(listens: bool) -> None:
    """Nothing listens, or something does that never answers. The message names host, port and remedy."""
    told = Told()

    async def story() -> None:
        with silent_port() as port:
            taken = port
            if listens:
                await waiting(port, told)
        if not listens:
            await waiting(taken, told)

    in_virtual_time(story)
    assert told.kinds == [AlertKind.LINK_DOWN]
    why = "something listens there, and does not answer" if listens else "nothing listens there"
    assert "away for 60 s, outside every expected window: 127.0.0.1:" in told.alerts[0][1]
    assert why in told.alerts[0][1]


async def waiting(port: int, told: Told) -> None:
    """Ten minutes of a link to that port."""
    async with linked(port, told=told, waits=False, wall_ns=wall_ns, **LIVE) as link:
        await asyncio.sleep(600.0)
        assert link.state in {LinkState.CONNECTING, LinkState.DOWN}


def test_a_gateway_that_comes_up_after_ten_minutes_is_found_within_the_longest_wait() -> None:
    """It never gives up."""

    async def story() -> None:
        async with running() as gateway:
            gateway.server.is_refusing = True
            async with linked(gateway, waits=False, wall_ns=wall_ns, **LIVE) as link:
                await asyncio.sleep(600.0)
                gateway.server.is_refusing = False
                await asyncio.sleep(61.0)
                assert link.is_up

    in_virtual_time(story)


def test_each_outage_is_alerted_once_and_a_short_one_not_at_all() -> None:
    """Down for 30 s, 90 s, and 90 s again after a while."""
    told = Told()

    async def story() -> None:
        async with running() as gateway, linked(gateway, told=told, wall_ns=wall_ns, **LIVE, settled_s=60.0):
            for seconds in (30.0, 90.0, 90.0):
                gateway.server.is_refusing = True
                reset(gateway)
                await asyncio.sleep(seconds)
                gateway.server.is_refusing = False
                await asyncio.sleep(180.0)

    in_virtual_time(story)
    assert told.kinds == [AlertKind.LINK_DOWN, AlertKind.LINK_DOWN]


def test_a_reset_inside_its_window_is_an_expected_outage_with_no_entries_before_it_and_no_alert() -> None:
    """From a quarter of an hour before; and nothing is against entries when it is over."""
    told = Told()
    window = OutageWindow(name="reset", zone="UTC", start="16:20", end="17:20", days=EVERY_DAY)

    async def story() -> None:
        terms: dict[str, Any] = {**LIVE, "windows": (window,)}
        nights = Nights(some_terms(0, **terms).nights)
        async with running() as gateway, linked(gateway, told=told, wall_ns=wall_ns, **terms) as link:
            assert nights.no_entries(wall_ns()) is None
            await asyncio.sleep(6 * 60.0)
            assert nights.no_entries(wall_ns()) == "reset"
            assert link.is_up
            await asyncio.sleep(20 * 60.0)
            gateway.server.is_refusing = True
            reset(gateway)
            await asyncio.sleep(30 * 60.0)
            assert link.state is LinkState.EXPECTED_OUTAGE
            gateway.server.is_refusing = False
            await asyncio.sleep(61.0)
            assert link.is_up
            await asyncio.sleep(30 * 60.0)
            assert nights.no_entries(wall_ns()) is None

    in_virtual_time(story)
    assert told.kinds == []


def test_waits_grow_to_the_longest_and_are_never_the_same_for_two() -> None:
    """Between half and all of 1, 2, 4, 8, 10, 10 ...; from the beginning again after success."""
    backoff = Backoff(1.0, 10.0, random.Random(1))
    waits = [backoff.next_s() for _ in range(100)]
    assert all(limit / 2 <= wait <= limit for wait, limit in zip(waits, [1, 2, 4, 8, *[10] * 96], strict=True))
    assert len(set(waits)) == 100
    backoff.reset()
    assert backoff.next_s() <= 1.0


async def test_a_wrong_port_is_said_with_its_number() -> None:
    """And the state is not up."""
    with silent_port() as port:
        pass
    async with linked(port, waits=False) as link:
        await until(lambda: link.why == f"127.0.0.1:{port}: nothing listens there")
        assert not link.is_up
