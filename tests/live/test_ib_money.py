"""Money at the broker, over the whole path: the daemon, the real client, a gateway on loopback."""

from pathlib import Path

import msgspec
import pytest
from gateway_builders import TERMS
from ib_runs import ib_run, quiet_bars
from msgspec.structs import replace

from trader.domain.alerts import AlertKind
from trader.domain.orders import ExitReason
from trader.domain.units import MINUTE_NS
from trader.live.session_books import BooksFile

BELOW = (7_996.0, 7_996.5, 7_995.5, 7_996.0)
"""Sixteen ticks lower, above the stop."""


async def test_an_entry_that_the_margin_does_not_carry_is_refused_and_told_once(tmp_path: Path) -> None:
    """30,000 dollars of 50,000 are more than the half that an entry may take; the broker itself would take it."""
    account = replace(TERMS.account, start_cents=5_000_000, initial_margin_cents=3_000_000)
    async with ib_run(tmp_path, account=account) as run:
        await run.until(lambda: run.margin_is_known)
        for _ in range(3):
            await run.bar()
        await run.until(lambda: len(run.events("order_refused")) == 3)
        assert {each["why"] for each in run.events("order_refused")} == {"margin"}
        (why,) = run.alarms.of(AlertKind.MARGIN)
        assert "30,000.00 $ initial" in why
        assert run.gateway.exchange.book.everything == []


async def test_an_entry_waits_for_a_price_that_is_not_too_old(tmp_path: Path) -> None:
    """Nothing has been heard for eleven seconds when the bar is decided; then prices come again."""
    async with ib_run(tmp_path, "ib.grace_s=0.6", "ib.stale_after_s=60") as run:
        await run.until(lambda: run.margin_is_known)
        bars = run.engine.bars
        run.gateway.open_bar()
        await run.until(lambda: run.has_opened)
        run.clock.ahead_s = 11.0
        await run.until(lambda: run.engine.bars > bars)
        run.gateway.finish_bar()
        await run.until(lambda: run.events("order_refused"))
        assert [each["why"] for each in run.events("order_refused")] == ["stale_price"]
        assert run.gateway.exchange.book.everything == []
        await run.bar()
        await run.entered()
        run.clock.ahead_s = 60.0
        assert run.engine.before_order is not None
        run.engine.before_order()
        run.engine.parts.router.flatten(ExitReason.OPERATOR)
        run.engine.parts.router.release()
        await run.until(lambda: not run.position_qty)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        (("account.daily_limit_usd=60", "account.daily_loss_flattens=true"), "daily_loss"),
        (("account.trailing_limit_usd=120",), "trailing_breach"),
    ],
)
async def test_a_price_between_bars_that_breaks_a_limit_closes_and_halts(
    tmp_path: Path, changes: tuple[str, ...], rule: str
) -> None:
    """The bar has not closed, the stop is not reached: the position is closed, and nothing is entered any more."""
    async with ib_run(
        tmp_path, *changes, columns=quiet_bars(*[(8_000.0, 8_002.5, 7_997.5, 8_000.0)] * 3, BELOW)
    ) as run:
        await run.until(lambda: run.margin_is_known)
        await run.bar()
        await run.entered()
        await run.bar()
        await run.open_bar()
        run.venue.tick()
        await run.until(lambda: not run.position_qty)
        run.gateway.finish_bar()
        for _ in range(3):
            await run.bar()
        await run.until(lambda: len(run.log_lines) >= 6)
        told = [each for each in run.events("limit_hit") if rule in each["rules"]]
        assert told == [{"rules": rule, "price_ticks": 7_996 * 4}]
        assert run.position_qty == 0
        assert len([each for each in run.gateway.exchange.book.everything if each.spec.parent_id == 0]) == 2


async def test_a_session_that_has_ended_is_compared_and_told(tmp_path: Path) -> None:
    """The position is closed, the session ends: a line and a file beside the log."""
    async with ib_run(tmp_path) as run:
        await run.until(lambda: run.margin_is_known)
        await run.bar()
        await run.entered()
        run.engine.parts.router.flatten(ExitReason.OPERATOR)
        run.engine.parts.router.release()
        await run.until(lambda: not run.position_qty and not run.engine.parts.book.position_qty)
        run.engine.controls.pause()
        await run.bar()
        run.gateway.market.skew_ns = 16 * 60 * MINUTE_NS
        run.clock.ahead_s = 16 * 3_600.0
        log = run.parts.run.log_path
        assert log is not None
        path = log / "books-2020-01-14.json"
        await run.until(path.exists)
        report = msgspec.json.decode(path.read_bytes(), type=BooksFile)
        assert (report.is_equal, report.books.here.executions) == (True, 2)
        assert [each.worse_cents for each in report.slippage.orders] == [0, 0]
        assert run.alarms.of(AlertKind.BOOKS_DIFFER) == []


FAST = ("ib.position_poll_s=0.05", "ib.orders_poll_s=0.05", "ib.ask_every_s=0.05", "ib.naked_grace_s=0.2")


async def test_a_position_of_somebody_else_is_protected_and_no_rule_closes_it(tmp_path: Path) -> None:
    """Neither the time to be flat nor a limit nor an outage; the operator does."""
    async with ib_run(tmp_path, *FAST) as run:
        router = run.engine.parts.router
        run.gateway.exchange.trade_by_hand(1)
        await run.until(lambda: run.resting_stops == 1)
        for reason in (ExitReason.FLAT_AT, ExitReason.DAILY_LOSS, ExitReason.OUTAGE, ExitReason.UNPROTECTED):
            router.flatten(reason)
            router.release()
        run.engine.controls.resume()
        await run.bar()
        await run.bar()
        assert (run.position_qty, run.resting_stops, router.closing) == (1, 1, False)
        assert len(run.alarms.of(AlertKind.FOREIGN_TRADE)) == 1
        router.flatten(ExitReason.OPERATOR)
        router.release()
        await run.until(lambda: not run.position_qty)


async def test_of_a_position_that_somebody_else_has_added_to_only_ours_is_closed(tmp_path: Path) -> None:
    """The rest stays theirs, behind a stop."""
    async with ib_run(tmp_path, *FAST) as run:
        await run.until(lambda: run.margin_is_known)
        await run.bar()
        await run.entered()
        run.gateway.exchange.trade_by_hand(1)
        await run.until(lambda: run.engine.parts.book.position_qty == 2)
        run.engine.parts.router.flatten(ExitReason.FLAT_AT)
        run.engine.parts.router.release()
        await run.until(lambda: run.position_qty == 1 == run.engine.parts.book.position_qty)
        await run.until(lambda: run.resting_stops == 1)
        await run.bar()
        await run.bar()
        assert (run.position_qty, run.resting_stops) == (1, 1)
