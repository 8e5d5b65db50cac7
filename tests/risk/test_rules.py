"""Which rule blocks what."""

import pytest

from trader.domain.actions import ACTIONS, Action
from trader.domain.decisions import Rule
from trader.errors import ConfigurationError
from trader.kernels import rules as kernel
from trader.risk.rules import RULE_BITS, RULES, rules_in, veto_masks

ENTRIES = {Action.BUY, Action.SELL}
ENTRIES_AND_TRAIL = ENTRIES | {Action.ENABLE_TRAIL}


def blocked(masks: tuple[int, ...], rule: Rule) -> set[Action]:
    return {action for action in ACTIONS if masks[RULES.index(rule)] >> action & 1}


def test_shipped_table_blocks_entries_and_near_the_threshold_the_trail() -> None:
    """As the specification's table says."""
    masks = veto_masks("shipped")
    special = {
        Rule.DRAWDOWN_PROXIMITY: ENTRIES_AND_TRAIL,
        Rule.INVALID_NOW: set(ACTIONS) - {Action.HOLD},
    }
    assert {rule: blocked(masks, rule) for rule in Rule} == dict.fromkeys(Rule, ENTRIES) | special


def test_documented_table_blocks_the_trail_under_each_rule() -> None:
    """The original list."""
    masks = veto_masks("documented")
    everywhere = dict.fromkeys(Rule, ENTRIES_AND_TRAIL) | {Rule.INVALID_NOW: set(ACTIONS) - {Action.HOLD}}
    assert {rule: blocked(masks, rule) for rule in Rule} == everywhere


def test_own_table_changes_the_rules_that_it_names() -> None:
    """The others keep their shipped lists."""
    masks = veto_masks({Rule.CONSECUTIVE_LOSSES: [Action.BUY], Rule.DRAWDOWN_PROXIMITY: []})
    assert blocked(masks, Rule.CONSECUTIVE_LOSSES) == {Action.BUY}
    assert blocked(masks, Rule.DRAWDOWN_PROXIMITY) == set()
    assert blocked(masks, Rule.KILL_SWITCH) == ENTRIES


@pytest.mark.parametrize("action", [Action.HOLD, Action.MOVE_TO_BE, Action.DISABLE_TRAIL])
def test_own_table_that_blocks_what_every_veto_allows_is_refused(action: Action) -> None:
    """Protection stays possible."""
    with pytest.raises(ConfigurationError, match="daily_loss"):
        veto_masks({Rule.DAILY_LOSS: [action]})


def test_own_table_for_invalid_now_is_refused() -> None:
    """It blocks whatever the mask forbids."""
    with pytest.raises(ConfigurationError, match="invalid_now"):
        veto_masks({Rule.INVALID_NOW: [Action.BUY]})


def test_rules_in_lists_them_in_the_order_of_the_enum() -> None:
    """Bit i is rule i."""
    assert rules_in(0) == ()
    assert rules_in(0b1_0000_0000_0010) == (Rule.LOW_WIN_RATE, Rule.KILL_SWITCH)
    assert rules_in((1 << len(Rule)) - 1) == tuple(Rule)


def test_kernel_knows_each_rule_by_the_bit_of_its_name() -> None:
    """One order of rules for reviews, records and training."""
    assert {rule: getattr(kernel, rule.name) for rule in Rule} == RULE_BITS
    assert sum(RULE_BITS.values()) == kernel.EVERY_RULE
