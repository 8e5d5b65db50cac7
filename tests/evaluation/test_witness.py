"""What is seen of a run: by hand, bar by bar, and against what the engine has counted itself."""

import pytest
from evaluation_builders import columns, done
from line_builders import Drive, drive
from line_fakes import FakeAdvisor
from msgspec.structs import replace

from trader.domain.actions import Action, Side
from trader.domain.bars import Bar
from trader.domain.decisions import FusionMethod, Rule
from trader.domain.orders import ExitReason
from trader.engine import Engine
from trader.evaluation.witness import Witness


class WatchedDrive(Drive):
    """A run with a witness in the place of its log."""

    def __init__(self, *overrides: str, **options: object) -> None:
        super().__init__(*overrides, **options)
        self.witness = Witness()
        self.parts = replace(self.parts, logbook=self.witness)
        self.engine = Engine(self.parts)
        self.engine.controls.reconciled()

    def feed(self, bar: Bar) -> None:
        """Take a bar; there is no record of it."""
        drive(self.engine.on_bar(bar))
        self.now_ns = bar.ts_close_ns

    def end(self) -> Witness:
        """End the run."""
        self.engine.finish(at_end_of_feed=True)
        return self.witness


def advised(action: Action, *overrides: str) -> WatchedDrive:
    """Ready at 09:35, with an advisor that always says `action` and outweighs everybody."""
    advisor = FakeAdvisor()
    advisor.action = action
    always = ("advisor.backend=rules", "fusion.use_selective_querying=false", "fusion.llm_weight=0.9")
    return WatchedDrive(*always, *overrides, advisor=advisor).warm()


def test_a_trade_is_kept_with_its_cause_its_levels_and_its_excursions():
    """Entered at the bar after the decision, one tick of slippage; 12 ticks against it, 20 for it, then stopped."""
    drive_ = WatchedDrive().warm()
    decided_ns = drive_.now_ns + 60 * 10**9
    drive_.enter()
    drive_.bar(low=-11, high=21)
    drive_.stop_out()

    (trade,) = drive_.end().trades

    assert (trade.side, trade.cause.ts_ns, trade.cause.decision.action) == (Side.BUY, decided_ns, Action.BUY)
    assert (trade.stop_ticks, trade.target_ticks) == (trade.entry_ticks - 30, trade.entry_ticks + 90)
    assert (trade.mae_ticks, trade.mfe_ticks) == (31, 20)  # the stop's own slippage belongs to what it went against us
    assert (trade.reason, trade.bars, trade.exit_ticks) == (ExitReason.STOP, 2, trade.entry_ticks - 31)
    assert trade.pnl_cents == -31 * 500 - 450
    assert trade.risk_cents == 30 * 500


def test_a_target_on_the_next_bar_is_as_far_as_the_trade_went_for_us():
    """Ninety ticks, though the bar went further: what came after the exit is nobody's."""
    drive_ = WatchedDrive().warm()
    drive_.enter()
    drive_.bar(high=150)

    (trade,) = drive_.end().trades

    assert (trade.reason, trade.exit_ticks) == (ExitReason.TARGET, trade.target_ticks)
    assert (trade.mfe_ticks, trade.mae_ticks) == (90, 11)


def test_a_trail_that_the_review_blocks_was_not_taken():
    """Near the account's threshold ENABLE_TRAIL is vetoed: valid, and not carried out."""
    drive_ = WatchedDrive("account.trailing_limit_usd=1000", "risk.dd_buffer_threshold=0.99").warm()
    drive_.enter()
    drive_.climb(3)
    drive_.bar(Action.MOVE_TO_BE)
    drive_.climb(5)
    drive_.bar(low=drive_.level - 40, close=drive_.level - 30)
    drive_.bar(Action.ENABLE_TRAIL, if_valid=True)

    witness = drive_.end()

    assert witness.managing.taken == [1, 0, 0]
    assert witness.managing.valid[1] > 0


def test_a_vetoed_entry_is_one_row_as_long_as_the_same_rules_block_the_same_side():
    """Two BUYs in a row and a SELL after them, in a session whose one allowed trade is over."""
    drive_ = WatchedDrive("risk.max_trades_per_session=1").warm()
    drive_.lose()
    for action in (Action.BUY, Action.BUY, Action.SELL, Action.HOLD, Action.SELL):
        drive_.bar(action)

    blocked = drive_.end().blocked

    assert [(one.side, one.bars, one.rules) for one in blocked] == [
        (Side.BUY, 2, (Rule.MAX_TRADES,)),
        (Side.SELL, 1, (Rule.MAX_TRADES,)),
        (Side.SELL, 1, (Rule.MAX_TRADES,)),
    ]


def test_an_entry_that_advice_turns_away_is_kept_without_rules():
    """The strategy wants to buy, is not sure, and the advisor says HOLD."""
    drive_ = advised(Action.HOLD)
    drive_.bar(Action.BUY, confidence=0.3)

    witness = drive_.end()

    assert [(one.side, one.rules, one.cause.decision.method) for one in witness.blocked] == [
        (Side.BUY, (), FusionMethod.LLM_OVERRIDE)
    ]
    assert witness.trades == []


def test_an_entry_that_advice_makes_is_the_advisors():
    """The strategy holds, the advisor sells: the trade's cause shows both."""
    drive_ = advised(Action.SELL)
    drive_.bar(Action.HOLD, confidence=0.3)
    drive_.bar(Action.HOLD, confidence=0.3)

    (trade,) = drive_.end().trades

    assert trade.side is Side.SELL
    assert trade.cause.proposal.action is Action.HOLD
    assert trade.cause.advice is not None
    assert trade.cause.advice.action is Action.SELL


def test_management_that_advice_changes_is_counted_for_its_position():
    """The advisor wants break-even although the strategy holds: that changes the first bar at which it is valid."""
    drive_ = advised(Action.HOLD)
    drive_.parts.advisor.action = Action.BUY
    drive_.bar(Action.BUY)
    drive_.parts.advisor.action = Action.MOVE_TO_BE
    drive_.climb(8)

    (trade,) = drive_.end().trades

    assert trade.changed_management == 1
    exchanges = drive_.witness.exchanges
    assert {one.is_flat for one in exchanges if one.advice.action is Action.MOVE_TO_BE} == {False}
    assert {one.is_flat for one in exchanges if one.advice.action is Action.BUY} == {True}


def test_the_rates_of_managing_actions_count_the_bars_at_which_they_were_valid():
    """Break-even, then a trail on and off again: each counts among the bars whose mask allowed it."""
    drive_ = WatchedDrive().warm()
    drive_.enter()
    masks = []
    hold, even, trail, fixed = Action.HOLD, Action.MOVE_TO_BE, Action.ENABLE_TRAIL, Action.DISABLE_TRAIL
    for action in (hold, hold, even, hold, trail, hold, fixed, hold):
        drive_.climb(1, propose=action)
        masks.append(drive_.strategy.mask)

    managing = drive_.end().managing
    (trade,) = drive_.witness.trades

    assert trade.changed_management == 0
    assert managing.taken == [1, 1, 1]
    assert managing.valid == [sum(mask >> action & 1 for mask in masks) for action in (even, trail, fixed)]
    assert managing.rates() == tuple(1 / valid for valid in managing.valid)


def test_running_profit_is_marked_at_every_close_and_goes_on_over_accounts():
    """A position's loss is in the session's low before it is realised; the next account begins where this one ended."""
    drive_ = WatchedDrive("account.trailing_limit_usd=150", "account.on_exhausted=renew").warm()
    drive_.enter()
    drive_.bar(low=-20, high=0, close=-20)
    drive_.bar(low=-40, high=-20, close=-35)
    drive_.until("17:00").next_session()
    drive_.until("18:10")

    witness = drive_.end()
    (trade,) = witness.trades
    first, second = witness.sessions

    assert drive_.engine.accounts_used == 2
    assert first.low_cents <= trade.pnl_cents == first.last_cents
    assert (second.low_cents, second.last_cents) == (trade.pnl_cents, trade.pnl_cents)


def test_bars_are_counted_inside_the_entry_window_and_in_a_position():
    """Five minutes of a position, two of them after the window's end."""
    drive_ = WatchedDrive().warm("15:26")
    drive_.enter()
    drive_.until("15:32")

    (marks,) = drive_.end().sessions

    assert (marks.held_bars, marks.held_window_bars) == (5, 2)


@pytest.mark.parametrize("overrides", [(), ("strategy.name=sma_cross", "strategy.options={}")])
def test_what_was_seen_adds_up_to_what_the_engine_counted(overrides):
    """Trades, money, sides and R of a whole run, twice: with advice, vetoes, renewals and a roll in it."""
    made = done(*overrides)
    trades, report = made.witness.trades, made.report

    assert len(trades) == report.trades.trades > 20
    assert sum(trade.pnl_cents for trade in trades) == round(report.result.net_pnl_usd * 100)
    assert sum(trade.commission_cents for trade in trades) == round(report.result.commissions_usd * 100)
    assert sum(trade.side is Side.BUY for trade in trades) == report.trades.long_trades
    assert sum(trade.pnl_cents / trade.risk_cents for trade in trades) == pytest.approx(report.result.net_pnl_r)
    assert sum(marks.bars for marks in made.witness.sessions) == report.run.bars == len(columns())
    assert sum(marks.window_bars for marks in made.witness.sessions) == report.run.window_bars
    assert max(trade.account_no for trade in trades) == report.run.accounts_used
