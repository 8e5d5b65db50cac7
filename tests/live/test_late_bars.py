"""Bars that come late, or not at all: nothing is entered on the past, and what is open is looked after all the same."""

from pathlib import Path

import pytest
from ib_runs import IbRun, ib_run
from line_builders import BASE, Drive, kinds

from trader.domain.actions import Action
from trader.domain.orders import ExitReason
from trader.domain.units import HOUR_NS, MINUTE_NS
from trader.errors import LinkError
from trader.gateway import layouts
from trader.gateway.gateway import Gateway
from trader.gateway.layouts import Request
from trader.gateway.session import Session

QUICK = ("ib.backoff_first_s=0.02", "ib.backoff_max_s=0.1")


class Silence:
    """A gateway that answers nothing about bars, until it `ends`."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._answer = gateway.data.handlers()[Request.HISTORY]
        gateway.server.serve({Request.HISTORY: self._nothing})

    def ends(self) -> None:
        """Bars are told again."""
        self._gateway.server.serve({Request.HISTORY: self._answer})

    def _nothing(self, session: Session, fields: list[str]) -> None:
        """No answer."""


async def cut(run: IbRun, bars: int) -> None:
    """The connection goes, `bars` are traded meanwhile, and it can be made again."""
    server, link = run.gateway.server, run.venue._link
    server.is_refusing = True
    for session in list(server.sessions):
        session.reset()
    await run.until(lambda: not link.is_up)
    for _ in range(bars):
        run.gateway.step()
    server.is_refusing = False


async def test_nothing_is_entered_on_the_bars_of_an_outage_and_on_the_one_that_has_just_closed_it_is(
    tmp_path: Path,
) -> None:
    """Ten minutes without a link: nine of the bars come too late, and the log says why."""
    async with ib_run(tmp_path, *QUICK) as run:
        await run.until(lambda: run.margin_is_known)
        before = run.engine.bars
        await cut(run, 10)
        await run.until(lambda: run.venue._link.is_up)
        run.gateway.open_bar()
        await run.until(lambda: run.engine.bars == before + 11)
        await run.entered()
        (entry,) = {each.spec.order_ref for each in run.gateway.exchange.book.everything if each.spec.parent_id == 0}
        assert int(entry.rpartition("-")[2]) == run.gateway.market.now_ns // MINUTE_NS
        run.gateway.finish_bar()
        await run.bar()
        await run.until(lambda: len(run.log_lines) > before + 11)
        states = [each["state"] for each in run.events("trading")]
        assert states == ["late_bar", "enabled"]


async def test_an_order_that_protects_waits_for_no_bars(tmp_path: Path) -> None:
    """The broker answers nothing about bars after the link has come back: the position can be closed at once."""
    async with ib_run(tmp_path, *QUICK) as run:
        await run.until(lambda: run.margin_is_known)
        await run.bar()
        await run.entered()
        silence = Silence(run.gateway)
        await cut(run, 1)
        await run.until(lambda: run.venue._link.is_up)
        run.engine.parts.router.flatten(ExitReason.OPERATOR)
        run.engine.parts.router.release()
        await run.until(lambda: not run.position_qty and not run.engine.parts.book.position_qty)
        silence.ends()


def no_bars(gateway: Gateway, hours: int) -> None:
    """It is later by the broker's clock, there is a position, and of no bar the broker knows."""
    gateway.market.skew_ns = hours * HOUR_NS
    gateway.exchange.trade_by_hand(1)

    def refuse(session: Session, fields: list[str]) -> None:
        session.send(layouts.error(layouts.read_history(fields).req_id, 162, "HMDS query returned no data"))

    gateway.server.serve({Request.HISTORY: refuse})


async def started_without_bars(tmp_path: Path, hours: int, *changes: str) -> Gateway:
    """A start with a position and without bars of before, which ends once nothing is open."""
    gateways: list[Gateway] = []

    def prepare(gateway: Gateway) -> None:
        gateways.append(gateway)
        no_bars(gateway, hours)

    fast = ("ib.foreign=adopt", "ib.request_timeout_s=0.5", *changes)
    with pytest.raises(LinkError, match="history"):
        async with ib_run(tmp_path, *QUICK, *fast, prepare=prepare):
            pass
    return gateways[0]


async def test_a_position_is_closed_in_time_though_no_bar_has_come_since_the_start(tmp_path: Path) -> None:
    """01:00 in Chicago and 15 hours: the time to be flat is ten minutes behind. Then nothing keeps the run."""
    gateway = await started_without_bars(tmp_path, 15)
    assert gateway.account.qty(gateway.market.front) == 0


def trailing() -> Drive:
    """Long from 1, the stop trails at 30, the last close was 50."""
    drive = Drive().warm()
    drive.enter()
    drive.climb(4)
    drive.bar(Action.MOVE_TO_BE)
    drive.climb(1, propose=Action.ENABLE_TRAIL)
    return drive


@pytest.mark.parametrize(("price_now", "stop"), [(60, 40), (42, 40), (40, 30), (20, 30)])
def test_a_stop_follows_a_late_bar_only_as_far_as_it_lies_behind_the_price_of_now(price_now: int, stop: int) -> None:
    """The bar closed at 60, which pulls the stop to 40: at the present price that would be a close at the market."""
    drive = trailing()
    drive.engine.price_if_late = lambda _: BASE + price_now
    drive.climb(1)
    record = drive.records()[-1]
    moved = [("amend", "trail")] if stop == 40 else []
    assert (kinds(record.orders), drive.ticks(drive.parts.book.view().stop_ticks / 4)) == (moved, stop)
    drive.engine.price_if_late = lambda _: None
    drive.climb(1)
    assert drive.book.stop_ticks == BASE + 50


@pytest.mark.parametrize(("price_now", "verdict"), [(40, "approved"), (3, "vetoed")])
def test_break_even_on_a_late_bar_is_judged_at_the_price_of_now(price_now: int, verdict: str) -> None:
    """The bar closed forty ticks up; by now the price may have come back."""
    drive = Drive().warm()
    drive.enter()
    drive.climb(4)
    stop_ticks = drive.book.stop_ticks
    drive.engine.price_if_late = lambda _: BASE + price_now
    record = drive.bar(Action.MOVE_TO_BE)
    assert record.risk.verdict == verdict
    assert (drive.book.stop_ticks == stop_ticks) == (verdict == "vetoed")


def test_a_position_is_closed_late_rather_than_never_where_the_time_to_be_flat_passes_without_bars() -> None:
    """The next session has begun, bars of the last are on their way: they are taken in by their own session."""
    drive = Drive().warm("15:00")
    drive.enter()
    drive.until("15:50")
    passage, ended = drive.engine.passage, drive.session
    passage.advance(drive.next_session().now_ns + MINUTE_NS)
    assert (passage.session, drive.parts.router.closing) == (ended, True)
    drive.session = ended
    drive.now_ns = passage.last_close_ns
    assert drive.bar().fills[0].reason == "flat_at"
    drive.until("17:00")
    passage.advance(drive.next_session().now_ns + MINUTE_NS)
    assert passage.session == drive.session
