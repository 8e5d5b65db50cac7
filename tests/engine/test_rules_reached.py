"""Every rule of the risk review, reached end to end: by real trades, or by what an advisor's await lets in."""

from collections.abc import Callable

import pytest
from line_builders import Drive, kinds
from line_fakes import FakeAdvisor

from trader.domain.actions import Action, Side
from trader.domain.decisions import Rule
from trader.domain.orders import Fill
from trader.records import Canonical

ASKED = ("advisor.backend=rules", "fusion.use_selective_querying=false", "fusion.llm_weight=0")
"""The advisor is asked at every bar and overruled: what counts is its await."""


def a_drive(*overrides: str) -> Drive:
    """Warm, flat, at 09:35."""
    return Drive(*overrides).warm()


def after_three_losses() -> Canonical:
    drive = a_drive()
    for _ in range(3):
        drive.lose()
    return drive.bar(Action.BUY)


def after_three_wins_of_ten() -> Canonical:
    drive = a_drive()
    for won in (False, False, True, False, False, True, False, False, True, False):
        drive.win() if won else drive.lose()
    return drive.bar(Action.SELL)


def near_the_threshold() -> Canonical:
    drive = a_drive("account.trailing_limit_usd=430")
    drive.lose()
    drive.lose()
    return drive.bar(Action.BUY)


def through_the_threshold() -> Canonical:
    drive = a_drive("account.trailing_limit_usd=100")
    drive.enter()
    drive.bar(low=-25)
    drive.bar()
    return drive.bar(Action.BUY)


def after_the_daily_limit() -> Canonical:
    drive = a_drive("account.daily_limit_usd=150")
    drive.lose()
    return drive.bar(Action.BUY)


def in_a_market_too_quiet_for_its_costs() -> Canonical:
    return Drive("market=MNQ", reach=5).warm().bar(Action.BUY)


def beyond_the_trades_of_a_session() -> Canonical:
    drive = a_drive("risk.max_trades_per_session=1")
    drive.win()
    return drive.bar(Action.BUY)


def soon_after_a_stop() -> Canonical:
    drive = a_drive("risk.cooldown_after_stop_minutes=5")
    drive.lose()
    return drive.bar(Action.BUY)


def trailing_after_the_window() -> Canonical:
    drive = Drive("risk.veto_actions=documented").warm("15:20")
    drive.enter()
    drive.climb(4)
    drive.bar(Action.MOVE_TO_BE)
    drive.until("15:29")
    return drive.bar(Action.ENABLE_TRAIL)


def while_the_advisor_thinks(meddle: Callable[[Drive], None]) -> Canonical:
    """A BUY that was valid before the await, and is reviewed after it."""
    advisor = FakeAdvisor()
    drive = Drive(*ASKED, advisor=advisor).warm()
    advisor.meddle = lambda: meddle(drive)
    return drive.bar(Action.BUY)


def an_order_appears(drive: Drive) -> None:
    drive.parts.book.set_working(on=True)


def a_fill(side: Side, ts_ns: int) -> Fill:
    """An execution that nobody here has ordered."""
    return Fill(
        order_ref="by hand",
        nth=1,
        side=side,
        qty=1,
        remaining_qty=0,
        price_ticks=48_000,
        commission_cents=225,
        ts_ns=ts_ns,
    )


CASES: dict[Rule, tuple[Callable[[], Canonical], tuple[str, ...]]] = {
    Rule.CONSECUTIVE_LOSSES: (after_three_losses, ("consecutive_losses",)),
    Rule.LOW_WIN_RATE: (after_three_wins_of_ten, ("low_win_rate",)),
    Rule.DRAWDOWN_PROXIMITY: (near_the_threshold, ("drawdown_proximity",)),
    Rule.TRAILING_BREACH: (through_the_threshold, ("trailing_breach",)),
    Rule.DAILY_LOSS: (after_the_daily_limit, ("daily_loss",)),
    Rule.COST_SHARE: (in_a_market_too_quiet_for_its_costs, ("cost_share",)),
    Rule.INVALID_NOW: (lambda: while_the_advisor_thinks(an_order_appears), ("invalid_now",)),
    Rule.MAX_TRADES: (beyond_the_trades_of_a_session, ("max_trades",)),
    Rule.COOLDOWN: (soon_after_a_stop, ("cooldown",)),
    Rule.SESSION_WINDOW: (trailing_after_the_window, ("session_window",)),
    Rule.STALE_DATA: (
        lambda: while_the_advisor_thinks(lambda drive: drive.engine.controls.mark_stale(on=True)),
        ("invalid_now", "stale_data"),
    ),
    Rule.NOT_RECONCILED: (
        lambda: while_the_advisor_thinks(lambda drive: drive.engine.controls.unreconciled()),
        ("invalid_now", "not_reconciled"),
    ),
    Rule.KILL_SWITCH: (
        lambda: while_the_advisor_thinks(lambda drive: drive.engine.controls.kill()),
        ("invalid_now", "kill_switch"),
    ),
}


def test_every_rule_has_a_case() -> None:
    """No rule is left that a run cannot reach."""
    assert set(CASES) == set(Rule)


@pytest.mark.parametrize("rule", Rule)
def test_engine_blocks_the_decision_and_names_each_rule(rule: Rule) -> None:
    """The record names exactly the rules that block, and nothing leaves for the broker."""
    run, vetoes = CASES[rule]

    record = run()

    assert record.risk.verdict == "vetoed"
    assert record.risk.vetoes == vetoes
    assert rule.value in vetoes
    assert record.orders == ()


def test_engine_counts_each_veto_in_the_tally() -> None:
    """What the record says is what the report counts."""
    drive = a_drive("risk.max_trades_per_session=1")
    drive.win()
    drive.bar(Action.BUY)
    drive.bar(Action.SELL)

    vetoes = drive.report().decisions.vetoes
    assert {rule: count for rule, count in vetoes.items() if count} == {"max_trades": 2}


def test_engine_two_losses_do_not_block() -> None:
    """The limit is three in a row; a win in between starts again."""
    drive = a_drive()
    drive.lose()
    drive.lose()
    drive.win()
    drive.lose()
    drive.lose()

    assert drive.bar(Action.BUY).risk.verdict == "approved"


def test_engine_breach_flattens_at_the_next_open_and_stays_off() -> None:
    """The adverse extreme at the threshold closes the position; the account's stop was never reached."""
    drive = a_drive("account.trailing_limit_usd=100")
    drive.enter()

    breached = drive.bar(low=-25)
    flat = drive.bar(open=-12, high=-2, low=-22)

    assert breached.risk.active == ("trailing_breach",)
    assert kinds(breached.orders) == [("flatten", "trailing_breach")]
    (fill,) = flat.fills
    assert (fill.reason, drive.ticks(fill.price), fill.pnl) == ("trailing_breach", -13, -74.5)
    assert flat.account.position == 0
    assert [drive.bar(Action.BUY).risk.verdict for _ in range(5)] == ["vetoed"] * 5


def test_engine_daily_loss_leaves_the_position_unless_told() -> None:
    """The limit blocks entries; stop and target keep the open position."""
    drive = a_drive("account.daily_limit_usd=100")
    drive.enter()

    record = drive.bar(low=-25, close=-22)
    later = drive.bar(low=-25)

    assert "daily_loss" in record.risk.active
    assert (record.orders, later.fills, later.account.position) == ((), (), 1)


def test_engine_daily_loss_flattens_where_configured() -> None:
    """Measured at the close, executed at the next open."""
    drive = a_drive("account.daily_limit_usd=100", "account.daily_loss_flattens=true")
    drive.enter()

    above = drive.bar(low=-25, close=-18)
    record = drive.bar(low=-25, close=-20)
    (fill,) = drive.bar().fills

    assert above.orders == ()
    assert kinds(record.orders) == [("flatten", "daily_loss")]
    assert (fill.reason, drive.ticks(fill.price)) == ("daily_loss", -21)


def test_engine_drawdown_proximity_blocks_the_trail_but_not_break_even() -> None:
    """ENABLE_TRAIL is on that rule's list; what cannot raise risk passes under every veto."""
    drive = a_drive("account.trailing_limit_usd=300")
    drive.enter()
    drive.bar(high=60, close=10, low=5)

    even = drive.bar(Action.MOVE_TO_BE, high=22, low=8)
    drive.bar(close=45, low=10)
    trail = drive.bar(Action.ENABLE_TRAIL)

    assert (even.risk.active, even.risk.verdict) == (("drawdown_proximity",), "approved")
    assert (trail.risk.verdict, trail.risk.vetoes) == ("vetoed", ("drawdown_proximity",))


def test_engine_vetoes_switched_off_leave_the_limits() -> None:
    """`enable_risk_veto: false` ends streak, win rate and nearness; the daily limit stands, and the record says so."""
    drive = a_drive("risk.enable_risk_veto=false", "account.daily_limit_usd=600")
    for _ in range(3):
        drive.lose()
    free = drive.bar(Action.BUY)
    drive.bar()
    drive.stop_out()
    held = drive.bar(Action.BUY)

    assert (free.risk.verdict, free.risk.veto_enabled) == ("approved", False)
    assert held.risk.vetoes == ("daily_loss",)


def test_engine_session_window_lets_the_trail_pass_before_its_end() -> None:
    """The case above, one bar earlier."""
    drive = Drive("risk.veto_actions=documented").warm("15:20")
    drive.enter()
    drive.climb(4)
    drive.bar(Action.MOVE_TO_BE)
    drive.until("15:28")

    assert drive.bar(Action.ENABLE_TRAIL).risk.verdict == "approved"


def test_engine_cooldown_ends_after_its_minutes() -> None:
    """Five minutes after the stop's bar closed, an entry is approved again."""
    drive = a_drive("risk.cooldown_after_stop_minutes=5")
    drive.lose()

    assert [drive.bar(Action.BUY).risk.verdict for _ in range(5)] == [*["vetoed"] * 4, "approved"]


@pytest.mark.parametrize("leave", ["target", "flatten"])
def test_engine_cooldown_counts_stops_only(leave: str) -> None:
    """A target is no reason to wait, nor is an exit by the clock."""
    drive = a_drive("risk.cooldown_after_stop_minutes=60", "account.trailing_limit_usd=10000")
    if leave == "target":
        drive.win()
    else:
        drive.enter()
        drive.skip_to("15:55")
        drive.bar()
        drive.next_session().warm()

    assert drive.bar(Action.BUY).risk.verdict == "approved"


def test_engine_pause_during_the_await_blocks_the_entry() -> None:
    """A pause is no rule of the review: the mask, computed again, forbids the entry."""
    record = while_the_advisor_thinks(lambda drive: drive.engine.controls.pause())

    assert record.risk.vetoes == ("invalid_now",)


def test_engine_position_that_appears_during_the_await_blocks_a_second() -> None:
    """The book is read again after the await: one position at a time."""

    def somebody_trades(drive: Drive) -> None:
        drive.parts.book.apply(a_fill(Side.BUY, drive.now_ns))

    record = while_the_advisor_thinks(somebody_trades)

    assert (record.risk.verdict, record.risk.vetoes, record.orders) == ("vetoed", ("invalid_now",), ())


def test_engine_trade_during_the_await_counts_at_once() -> None:
    """The session's last trade was made meanwhile: the limits are those of the account after the await."""
    advisor = FakeAdvisor()
    drive = Drive(*ASKED, "risk.max_trades_per_session=1", advisor=advisor).warm()

    def somebody_trades() -> None:
        for side in (Side.BUY, Side.SELL):
            drive.parts.book.apply(a_fill(side, drive.now_ns))

    advisor.meddle = somebody_trades

    assert drive.bar(Action.BUY).risk.vetoes == ("max_trades",)


def test_engine_untouched_await_is_approved() -> None:
    """The control to the cases above: the same advisor without its meddling."""
    record = while_the_advisor_thinks(lambda drive: None)

    assert (record.query.asked, record.risk.verdict, kinds(record.orders)) == (True, "approved", [("bracket", None)])


def never_reconciled(drive: Drive) -> None:
    drive.engine.controls.unreconciled()


def killed(drive: Drive) -> None:
    drive.engine.controls.kill()


def paused(drive: Drive) -> None:
    drive.engine.controls.pause()


def gone_silent(drive: Drive) -> None:
    drive.engine.controls.mark_stale(on=True)


def unable_to_log(drive: Drive) -> None:
    drive.journal.is_healthy = False


@pytest.mark.parametrize("disable", [never_reconciled, killed, paused, gone_silent, unable_to_log])
def test_engine_disabled_trading_masks_entries(disable: Callable[[Drive], None]) -> None:
    """The first line: while trading is off the strategy is not offered an entry, and the advisor is not asked."""
    drive = Drive("advisor.backend=rules", advisor=FakeAdvisor()).warm()
    offered = drive.bar().rl.mask
    disable(drive)

    record = drive.bar()

    assert offered == (1, 1, 1, 0, 0, 0)
    assert (record.rl.mask, record.query.skipped_because) == ((1, 0, 0, 0, 0, 0), "halted")


def test_engine_starts_disabled() -> None:
    """Nothing is offered before somebody has compared book and broker."""
    record = Drive(reconciled=False).warm().bar()

    assert (record.rl.mask, record.risk.active) == ((1, 0, 0, 0, 0, 0), ("not_reconciled",))


def test_engine_disabled_trading_still_manages_the_position() -> None:
    """Killed, unhealthy and silent: break-even, trail and stop work as before."""
    drive = Drive().warm()
    drive.enter()
    drive.climb(4)
    for disable in (killed, gone_silent, unable_to_log, never_reconciled):
        disable(drive)
    drive.bar(Action.MOVE_TO_BE)
    drive.climb(1, propose=Action.ENABLE_TRAIL)

    (fill,) = drive.stop_out().fills

    assert fill.reason == "trail"
