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
    ("override", "rule", "reason"),
    [
        ("account.daily_limit_usd=60", Rule.DAILY_LOSS, "daily_loss"),
        ("account.trailing_limit_usd=60", Rule.TRAILING_BREACH, "trailing_breach"),
    ],
)
def test_price_that_breaks_a_limit_closes_the_position_before_the_next_bar(override, rule, reason) -> None:
    """One tick is five dollars: eleven ticks down are inside sixty dollars with the commission, twelve are not."""
    run, watch = in_position(override)

    assert not watch.on_price(BASE + run.level - 10, run.now_ns)
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
    run, watch = in_position("account.daily_limit_usd=60")

    assert watch.on_price(BASE - 40, run.now_ns)
    assert not watch.on_price(BASE - 50, run.now_ns)


def test_watch_does_nothing_while_flat() -> None:
    """There is nothing to close."""
    run = Drive("account.daily_limit_usd=60").warm("10:00")

    assert not QuoteWatch(run.engine).on_price(1, run.now_ns)
    assert not run.parts.counters.bits
