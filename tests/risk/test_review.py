"""The review: every rule at its boundary, what each blocks, and what passes under all of them."""

from typing import Any

import pytest
from builders import MINUTE_NS, a_bar, an_account
from hypothesis import given
from hypothesis import strategies as st
from risk_builders import a_context, limits

from trader.domain.account import AccountView
from trader.domain.actions import ACTIONS, Action
from trader.domain.decisions import Decision, FusionMethod, Rule
from trader.domain.orders import ExitReason
from trader.risk.review import APPROVED_HOLD, Approved, Reviewer, RiskContext, Verdict, Vetoed
from trader.risk.rules import RULE_BITS, rules_in, veto_masks

FLAT = an_account()
LONG = an_account(position_qty=1, entry_ticks=48_000, stop_ticks=47_940, target_ticks=48_180)
JUDGED_HERE = {Rule.COST_SHARE, Rule.INVALID_NOW, Rule.MAX_TRADES, Rule.COOLDOWN}
STANDING = tuple(rule for rule in Rule if rule not in JUDGED_HERE)
ENTRIES = (Action.BUY, Action.SELL)
HARMLESS = (Action.HOLD, Action.MOVE_TO_BE, Action.DISABLE_TRAIL)


def a_reviewer(**changes: Any) -> Reviewer:
    """NQ: 14.50 $ a round trip, 5 $ a tick."""
    return Reviewer(limits(**changes), 1_450, 500)


def decide(action: Action) -> Decision:
    return Decision(FusionMethod.RL_ONLY, action, 0.8, 0.3)


def review(action: Action, account: AccountView = FLAT, context: RiskContext | None = None, **changes: Any) -> Verdict:
    return a_reviewer(**changes).review(decide(action), account, a_context() if context is None else context)


def vetoes(action: Action, account: AccountView = FLAT, context: RiskContext | None = None, **changes: Any) -> Any:
    verdict = review(action, account, context, **changes)
    return verdict.rules if isinstance(verdict, Vetoed) else ()


@pytest.mark.parametrize("action", ENTRIES)
def test_review_of_an_entry_with_nothing_against_it_approves_it_whole(action: Action) -> None:
    """The intent carries what the router needs: id, size, close, ATR and distances."""
    assert review(action) == Approved(
        action=action,
        order_ref="NQM23-27981481",
        qty=1,
        close_ticks=48_000,
        atr_ticks=40.0,
        stop_distance_ticks=60,
        target_distance_ticks=180,
    )


def test_review_gives_each_bar_and_contract_its_own_id() -> None:
    """Known before sending, unique for a contract."""
    bars = [a_bar(1), a_bar(2), a_bar(1, symbol="NQU23")]
    verdicts = [review(Action.BUY, context=a_context(bar=bar)) for bar in bars]
    assert len({verdict.order_ref for verdict in verdicts if isinstance(verdict, Approved)}) == 3


def test_review_of_hold_is_always_the_same_verdict() -> None:
    """Nothing to carry out, whatever is in force."""
    context = a_context(standing=(1 << len(Rule)) - 1, mask=0, stop_distance_ticks=1)
    assert review(Action.HOLD, context=context) is APPROVED_HOLD


@pytest.mark.parametrize("rule", STANDING)
@pytest.mark.parametrize("action", ENTRIES)
def test_review_under_a_standing_rule_vetoes_entries(rule: Rule, action: Action) -> None:
    """The reason is the rule."""
    assert review(action, context=a_context(standing=RULE_BITS[rule])) == Vetoed(action, (rule,))


def test_review_names_every_rule_that_blocks_in_the_order_of_the_enum() -> None:
    """All rules are evaluated, none hides another."""
    account = an_account(trades_in_session=20, last_stop_ts_ns=a_bar(960).ts_close_ns)
    context = a_context(standing=sum(RULE_BITS[rule] for rule in STANDING), mask=0b000001, stop_distance_ticks=19)
    assert vetoes(Action.BUY, account, context, cooldown_after_stop_minutes=1) == tuple(Rule)


@pytest.mark.parametrize(("stop_ticks", "expected"), [(19, (Rule.COST_SHARE,)), (20, ())])
def test_cost_share_fires_below_twenty_ticks_of_nq(stop_ticks: int, expected: tuple[Rule, ...]) -> None:
    """14.50 $ is 15.3 % of 95 $, and 14.5 % of 100 $."""
    assert vetoes(Action.BUY, context=a_context(stop_distance_ticks=stop_ticks)) == expected


@pytest.mark.parametrize(("trades", "expected"), [(19, ()), (20, (Rule.MAX_TRADES,)), (21, (Rule.MAX_TRADES,))])
def test_max_trades_fires_at_the_limit(trades: int, expected: tuple[Rule, ...]) -> None:
    """Twenty trades a session; the twenty-first is vetoed."""
    assert vetoes(Action.SELL, an_account(trades_in_session=trades)) == expected


@pytest.mark.parametrize(
    ("minutes_ago", "cooldown_minutes", "expected"),
    [(0, 0, ()), (9, 10, (Rule.COOLDOWN,)), (10, 10, ()), (0, 10, (Rule.COOLDOWN,))],
)
def test_cooldown_fires_for_its_minutes_after_a_stop(
    minutes_ago: int, cooldown_minutes: int, expected: tuple[Rule, ...]
) -> None:
    """0 turns it off."""
    account = an_account(last_stop_ts_ns=a_bar(960).ts_close_ns - minutes_ago * MINUTE_NS)
    assert vetoes(Action.BUY, account, cooldown_after_stop_minutes=cooldown_minutes) == expected


def test_cooldown_without_any_stop_yet_is_off() -> None:
    """No stop is no stop at the beginning of time."""
    assert vetoes(Action.BUY, cooldown_after_stop_minutes=1_440) == ()


@pytest.mark.parametrize("action", [action for action in ACTIONS if action is not Action.HOLD])
def test_invalid_now_fires_for_what_the_mask_of_now_forbids(action: Action) -> None:
    """The mask from after the await counts."""
    account = FLAT if action in ENTRIES else LONG
    assert vetoes(action, account, a_context(mask=0b111111 & ~(1 << action))) == (Rule.INVALID_NOW,)
    assert vetoes(action, account, a_context(mask=1 | 1 << action)) == ()


@pytest.mark.parametrize("account", [LONG, an_account(position_qty=-1), an_account(working=True)])
def test_invalid_now_fires_for_an_entry_into_a_position_or_a_working_order(account: AccountView) -> None:
    """Even where the mask that came with the decision has not seen it."""
    assert vetoes(Action.BUY, account, a_context(mask=0b000111)) == (Rule.INVALID_NOW,)


@pytest.mark.parametrize("rule", STANDING)
def test_enable_trail_is_blocked_near_the_threshold_only(rule: Rule) -> None:
    """The shipped table; a trail cannot raise risk elsewhere either."""
    expected = (rule,) if rule is Rule.DRAWDOWN_PROXIMITY else ()
    assert vetoes(Action.ENABLE_TRAIL, LONG, a_context(standing=RULE_BITS[rule])) == expected


@pytest.mark.parametrize("rule", STANDING)
def test_enable_trail_is_blocked_by_each_rule_of_the_documented_table(rule: Rule) -> None:
    """`risk.veto_actions: documented`."""
    documented = veto_masks("documented")
    context = a_context(standing=RULE_BITS[rule])
    assert vetoes(Action.ENABLE_TRAIL, LONG, context, veto_masks=documented) == (rule,)


@pytest.mark.parametrize("rule", STANDING)
def test_enable_risk_veto_off_lifts_three_rules_and_nothing_else(rule: Rule) -> None:
    """The limits of the account and the switches stay."""
    lifted = rule in {Rule.CONSECUTIVE_LOSSES, Rule.LOW_WIN_RATE, Rule.DRAWDOWN_PROXIMITY}
    context = a_context(standing=RULE_BITS[rule])
    assert vetoes(Action.BUY, FLAT, context, enable_risk_veto=False) == (() if lifted else (rule,))


def test_enable_risk_veto_off_leaves_the_rules_that_the_review_judges_itself() -> None:
    """Cost share, the mask, the trades of the session, the cooldown."""
    account = an_account(trades_in_session=20, last_stop_ts_ns=a_bar(960).ts_close_ns)
    context = a_context(mask=0b000001, stop_distance_ticks=19)
    found = vetoes(Action.BUY, account, context, cooldown_after_stop_minutes=5, enable_risk_veto=False)
    assert found == (Rule.COST_SHARE, Rule.INVALID_NOW, Rule.MAX_TRADES, Rule.COOLDOWN)


@given(
    st.integers(0, (1 << len(Rule)) - 1),
    st.sampled_from(HARMLESS),
    st.booleans(),
    st.sampled_from(["shipped", "documented"]),
    st.integers(0, 100),
)
def test_protection_passes_under_any_combination_of_rules(
    standing: int, action: Action, is_enabled: bool, table: Any, stop_ticks: int
) -> None:
    """HOLD, MOVE_TO_BE and DISABLE_TRAIL, as long as they are possible at all."""
    standing &= ~RULE_BITS[Rule.INVALID_NOW]
    account = an_account(position_qty=1, trades_in_session=99, last_stop_ts_ns=a_bar(960).ts_close_ns, breached=True)
    context = a_context(standing=standing, stop_distance_ticks=stop_ticks)
    verdict = review(
        action,
        account,
        context,
        enable_risk_veto=is_enabled,
        veto_masks=veto_masks(table),
        cooldown_after_stop_minutes=9,
    )
    assert isinstance(verdict, Approved)
    assert verdict.action is action


@given(st.integers(0, (1 << len(Rule)) - 1), st.integers(1, 60), st.integers(0, 40))
def test_active_rules_are_those_in_force_whatever_was_decided(standing: int, stop_ticks: int, trades: int) -> None:
    """What others judge, and cost and trades by the review itself."""
    judged_here = RULE_BITS[Rule.COST_SHARE] | RULE_BITS[Rule.MAX_TRADES]
    context = a_context(standing=standing & ~judged_here, stop_distance_ticks=stop_ticks)
    active = a_reviewer().active_rules(
        an_account(trades_in_session=trades), context.standing, context.stop_distance_ticks, context.bar.ts_close_ns
    )
    expected = set(rules_in(standing & ~judged_here))
    expected |= {Rule.COST_SHARE} if stop_ticks < 20 else set()
    expected |= {Rule.MAX_TRADES} if trades >= 20 else set()
    assert set(rules_in(active)) == expected


BREACH, DAILY = RULE_BITS[Rule.TRAILING_BREACH], RULE_BITS[Rule.DAILY_LOSS]


@pytest.mark.parametrize(
    ("account", "active", "flattens_daily", "expected"),
    [
        (LONG, BREACH, False, ExitReason.TRAILING_BREACH),
        (LONG, BREACH | DAILY, True, ExitReason.TRAILING_BREACH),
        (LONG, DAILY, True, ExitReason.DAILY_LOSS),
        (LONG, DAILY, False, None),
        (an_account(position_qty=-1), BREACH, False, ExitReason.TRAILING_BREACH),
        (FLAT, BREACH | DAILY, True, None),
        (LONG, ((1 << len(Rule)) - 1) & ~BREACH & ~DAILY, True, None),
        (LONG, 0, True, None),
    ],
)
def test_must_flatten_names_the_rule_that_closes_the_position(
    account: AccountView, active: int, flattens_daily: bool, expected: ExitReason | None
) -> None:
    """A breach always does, the daily loss where it is configured to."""
    assert a_reviewer(daily_loss_flattens=flattens_daily).must_flatten(account, active) is expected
