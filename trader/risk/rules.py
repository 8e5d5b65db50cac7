"""The rules of the review as bits, and which actions each of them blocks."""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Literal

from trader.domain.actions import ENTRY_BITS, HOLD_ONLY, Action
from trader.domain.decisions import Rule
from trader.errors import ConfigurationError
from trader.kernels import rules as k

RULES: tuple[Rule, ...] = tuple(Rule)
RULE_BITS: dict[Rule, int] = {rule: 1 << i for i, rule in enumerate(RULES)}
ALL_ACTIONS = (1 << len(Action)) - 1

LIMIT_BITS = k.OPTIONAL | RULE_BITS[Rule.TRAILING_BREACH] | RULE_BITS[Rule.DAILY_LOSS] | RULE_BITS[Rule.MAX_TRADES]
"""What is logged as an event when it is hit and when it ends: the limits, not switches, clock or a single trade."""

_RAISES_RISK = ENTRY_BITS | 1 << Action.ENABLE_TRAIL  # by the original's account of it: a trail cannot raise risk

VetoTable = Literal["shipped", "documented"] | Mapping[Rule, Iterable[Action]]


def veto_masks(table: VetoTable) -> tuple[int, ...]:
    """The actions that each rule blocks, as masks in the order of `Rule`.

    A mapping replaces the shipped lists of the rules that it names. ConfigurationError where it blocks an action that
    every veto must let through. INVALID_NOW has no list: it blocks whatever the mask forbids.
    """
    shipped = dict.fromkeys(RULES, ENTRY_BITS) | {Rule.DRAWDOWN_PROXIMITY: _RAISES_RISK}
    if table == "shipped":
        blocked = shipped
    elif table == "documented":
        blocked = dict.fromkeys(RULES, _RAISES_RISK)
    else:
        blocked = shipped | {rule: _mask_of(rule, actions) for rule, actions in table.items()}
    blocked[Rule.INVALID_NOW] = ALL_ACTIONS & ~HOLD_ONLY
    return tuple(blocked[rule] for rule in RULES)


def _mask_of(rule: Rule, actions: Iterable[Action]) -> int:
    mask = 0
    for action in actions:
        mask |= 1 << action
    if rule is Rule.INVALID_NOW or mask & ~_RAISES_RISK:
        msg = f"risk.veto_actions: {rule} cannot block that; a rule may block BUY, SELL and ENABLE_TRAIL"
        raise ConfigurationError(msg)
    return mask


@cache
def rules_in(bits: int) -> tuple[Rule, ...]:
    """The rules whose bits are set, in the order of `Rule`."""
    return tuple(rule for rule in RULES if bits & RULE_BITS[rule])
