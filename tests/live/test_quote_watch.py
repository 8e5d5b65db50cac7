"""Between bars the two last limits are watched on prices: they may only close, and halt."""

import pytest
from line_builders import BASE, Drive

from trader.domain.actions import Action
from trader.domain.decisions import Rule
from trader.live.quote_watch import QuoteWatch
from trader.risk.rules import RULE_BITS


def in_position(*overrides: str) -> tuple[Drive, QuoteWatch]:
    """Long one contract at a quiet market."""
    run = Drive(*overrides).warm("10:00")
    run.enter(Action.BUY)
    return run, QuoteWatch(run.engine)


@pytest.mark.parametrize(
    ("overrides", "rule", "reason"),
    [
        (("account.daily_limit_usd=60", "account.daily_loss_flattens=true"), Rule.DAILY_LOSS, "daily_loss"),
        (("account.trailing_limit_usd=60",), Rule.TRAILING_BREACH, "trailing_breach"),
    ],
)
def test_price_that_breaks_a_limit_closes_the_position_before_the_next_bar(overrides, rule, reason) -> None:
    """One tick is five dollars, and the entry cost one: thirteen ticks and a commission are beyond sixty dollars."""
    run, watch = in_position(*overrides)

    assert not watch.on_price(BASE + run.level, run.now_ns)
    assert watch.on_price(BASE + run.level - 12, run.now_ns)

    assert run.parts.router.closing
    assert run.parts.counters.bits & RULE_BITS[rule]
    event = run.journal.lines[-1]
    assert rule.value.encode() in event
    assert b'"price_ticks":47988' in event
    record = run.bar()
    assert [fill.reason for fill in record.fills] == [reason]
    assert run.bar(Action.BUY, if_valid=True).orders == ()


def test_watch_closes_once() -> None:
    """A close that is on its way is not sent again."""
    run, watch = in_position("account.daily_limit_usd=60", "account.daily_loss_flattens=true")

    assert watch.on_price(BASE - 40, run.now_ns)
    assert not watch.on_price(BASE - 50, run.now_ns)


def test_watch_does_nothing_while_flat() -> None:
    """There is nothing to close."""
    run = Drive("account.daily_limit_usd=60").warm("10:00")

    assert not QuoteWatch(run.engine).on_price(1, run.now_ns)
    assert not run.parts.counters.bits


def test_limit_that_only_halts_is_told_once_and_leaves_the_position() -> None:
    """The daily limit closes nothing unless it is told to."""
    run, watch = in_position("account.daily_limit_usd=60")
    lines = len(run.journal.lines)

    assert not watch.on_price(BASE - 30, run.now_ns)
    assert not watch.on_price(BASE - 31, run.now_ns)

    assert len(run.journal.lines) == lines + 1
    assert (run.book.position_qty, run.parts.router.closing) == (1, False)
