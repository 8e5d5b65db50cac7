"""A link that goes while a bar is settled, while bars of before are asked for, or at the end: the daemon lives."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from ib_runs import IbRun, ib_run

from trader.domain.alerts import AlertKind
from trader.gateway.gateway import Gateway
from trader.gateway.layouts import error
from trader.gateway.session import Session
from trader.gateway.wire import Fields

TIME, HISTORY = 49, 17
QUICK = ("ib.backoff_first_s=0.02", "ib.backoff_max_s=0.1", "ib.request_timeout_s=2")
Act = Callable[[Gateway, Session], None]


def at_the_next(message: int, gateway: Gateway, act: Act) -> asyncio.Event:
    """Instead of the gateway's next message of this number something else happens, once; the event says that it has."""
    before, happened = gateway.server.tap, asyncio.Event()

    def tap(session: Session, fields: Fields, frame: bytes) -> None:
        if fields[0] == message and not happened.is_set():
            gateway.server.tap = before
            happened.set()
            act(gateway, session)
        elif before is None:
            session.write(frame)
        else:
            before(session, fields, frame)

    gateway.server.tap = tap
    return happened


def cut(gateway: Gateway, session: Session) -> None:
    """The socket is gone."""
    del gateway
    session.reset()


def half_open(gateway: Gateway, session: Session) -> None:
    """The peer is gone, and the socket does not say so."""
    del gateway
    session.fall_silent()


def outage(gateway: Gateway, session: Session) -> None:
    """The gateway loses the broker, the answer is lost, and the broker comes back."""
    del gateway
    session.send(error(-1, 1100, "lost"))
    asyncio.get_running_loop().call_later(0.05, session.send, error(-1, 1102, "restored"))


def nightly_reset(gateway: Gateway, session: Session) -> None:
    """The application goes, and takes no connection for a while."""
    gateway.server.is_refusing = True
    session.send(error(-1, 1100, "lost"))
    session.close()
    asyncio.get_running_loop().call_later(0.2, setattr, gateway.server, "is_refusing", False)


async def trades_on(run: IbRun) -> None:
    """The link is up again, and bars are decided with book and broker in agreement."""
    link = run.venue._link
    await run.until(lambda: link.is_up)
    await run.bar()
    await run.bar()
    assert run.engine.controls.entries_allowed
    assert run.engine.parts.book.position_qty == run.position_qty


@pytest.mark.parametrize("act", [cut, half_open, outage, nightly_reset])
async def test_a_link_lost_while_a_bar_is_being_settled_does_not_end_the_run(tmp_path: Path, act: Act) -> None:
    """It is made again, everything is compared, and the next bars are decided."""
    probe_every_s = 0.4 if act is half_open else 1.0
    async with ib_run(tmp_path, *QUICK, f"ib.probe_every_s={probe_every_s}") as run:
        await run.until(lambda: run.margin_is_known)
        await run.bar()
        await run.entered()
        happened = at_the_next(TIME, run.gateway, act)
        await run.bar()
        async with asyncio.timeout(5):
            await happened.wait()
        await run.until(lambda: not run.venue._link.is_up)
        await trades_on(run)


async def test_a_link_lost_while_the_bars_of_before_are_told_is_made_again_and_they_are_asked_for_again(
    tmp_path: Path,
) -> None:
    """The start goes on from there."""
    async with ib_run(tmp_path, *QUICK, prepare=lambda gateway: at_the_next(HISTORY, gateway, cut)) as run:
        await run.until(lambda: run.margin_is_known)
        await run.bar()
        await run.entered()
        await trades_on(run)


async def test_a_link_lost_as_the_run_drains_is_no_error(tmp_path: Path) -> None:
    """It ends as it was told to."""
    async with ib_run(tmp_path, *QUICK) as run:
        await run.until(lambda: run.margin_is_known)
        await run.bar()
        await run.entered()
        await run.venue._broker.rest()
        at_the_next(TIME, run.gateway, cut)


async def test_a_link_that_is_lost_with_a_position_open_is_told_sooner(tmp_path: Path) -> None:
    """What rests at the broker is all that guards it: after a minute of the market's time somebody is told."""
    async with ib_run(tmp_path, *QUICK) as run:
        await run.until(lambda: run.margin_is_known)
        await run.bar()
        await run.entered()
        run.gateway.server.is_refusing = True
        for session in run.gateway.server.sessions:
            session.reset()
        await run.until(lambda: not run.venue._link.is_up)
        run.clock.ahead_s = 120.0
        await run.until(lambda: run.alarms.of(AlertKind.LINK_DOWN))
        run.gateway.server.is_refusing = False
        await run.until(lambda: run.venue._link.is_up)
