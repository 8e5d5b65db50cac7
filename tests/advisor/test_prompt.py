"""What the model is told, letter by letter."""

import hashlib
import re
from typing import Any

import pytest
from builders import a_question
from hypothesis import given
from hypothesis import strategies as st
from prompt_builders import Said, shipped_rules

from trader.advisor.prompt import Example, Message, PromptMaker, PromptRules
from trader.errors import ConfigurationError

SYSTEM = (
    "You are a professional futures trader analyzing NQ (Nasdaq-100 E-mini). Provide concise trading advice based on "
    "market context and risk management.\n"
    "Available actions: HOLD, BUY, SELL, MOVE_TO_BE, ENABLE_TRAIL, DISABLE_TRAIL\n"
    "Respond format: ACTION | confidence (0-1) | brief_reason (max 10 words)\n"
    "Guidelines:\n"
    "- Consider trend strength, momentum, and support/resistance\n"
    "- Factor in recent performance and risk metrics\n"
    "- Be decisive but cautious with low confidence\n"
    "- Prioritize capital preservation on losing streaks"
)
TEMPLATE = (
    "Market: {market_name}\n"
    "Time: {current_time} ET\n"
    "Price: ${current_price:.2f}\n"
    "\n"
    "Trend Analysis:\n"
    "- ADX: {adx:.1f} (trend strength)\n"
    "- Price vs VWAP: {vwap_distance:+.2%}\n"
    "- RSI: {rsi:.1f}\n"
    "- Momentum: {momentum:.1f}\n"
    "\n"
    "Position: {position_status}\n"
    "Unrealized P&L: ${unrealized_pnl:+.0f}\n"
    "\n"
    "Recent Performance:\n"
    "- Win Rate: {win_rate:.1%}\n"
    "- Consecutive Losses: {consecutive_losses}\n"
    "- Account Balance: ${balance:.0f}\n"
    "\n"
    "What is your recommended action?"
)
LONG = a_question(
    time_et="2023-03-15 10:31",
    price=12_010.25,
    adx=31.46,
    rsi=62.04,
    vwap=12_000.0,
    vwap_distance=0.000854,
    momentum=21.5,
    mask=0b011001,
    position_qty=1,
    entry_price=12_000.25,
    stop_price=11_985.0,
    trailing=True,
    unrealized_cents=19_550,
    initial_risk_cents=30_500,
    win_rate=0.375,
    streak=2,
    balance_cents=5_012_345,
    atr=10.0,
)


def told(rules: PromptRules, *sources: Said, **question: Any) -> str:
    return PromptMaker(rules, sources).render(a_question(**question)).messages[-1].content


def test_the_shipped_system_text_and_template_are_those_of_the_specification() -> None:
    """Verbatim, and the second template has the same lines in another order."""
    rules = shipped_rules()
    assert rules.system == SYSTEM
    assert rules.template == TEMPLATE
    other = shipped_rules("context_template_cached").template
    assert sorted(filter(None, other.splitlines())) == sorted(filter(None, TEMPLATE.splitlines()))


def test_a_prompt_in_a_position_tells_raw_figures_in_the_units_of_the_template() -> None:
    """The whole text: a fraction printed as percent, cents as dollars, entry, stop and trail, valid actions only."""
    prompt = PromptMaker(shipped_rules()).render(LONG)
    assert prompt.messages == (
        Message("system", SYSTEM),
        Message(
            "user",
            "Market: E-mini Nasdaq-100\n"
            "Time: 2023-03-15 10:31 ET\n"
            "Price: $12010.25\n"
            "\n"
            "Trend Analysis:\n"
            "- ADX: 31.5 (trend strength)\n"
            "- Price vs VWAP: +0.09%\n"
            "- RSI: 62.0\n"
            "- Momentum: 21.5\n"
            "\n"
            "Position: LONG 1 @ 12000.25, stop 11985.00, trailing\n"
            "Unrealized P&L: $+196\n"
            "\n"
            "Recent Performance:\n"
            "- Win Rate: 37.5%\n"
            "- Consecutive Losses: 2\n"
            "- Account Balance: $50123\n"
            "\n"
            "What is your recommended action?\n"
            "Valid now: HOLD, MOVE_TO_BE, ENABLE_TRAIL",
        ),
    )


def test_the_cached_template_tells_what_changes_most_last() -> None:
    """The clock is the last figure, the account the first; a short without a trail."""
    question = {"position_qty": -2, "entry_price": 12_020.5, "stop_price": 12_035.0, "unrealized_cents": -4_000}
    assert told(shipped_rules("context_template_cached"), mask=0b001001, price=12_021.5, **question) == (
        "Market: E-mini Nasdaq-100\n"
        "\n"
        "Recent Performance:\n"
        "- Account Balance: $50000\n"
        "- Win Rate: 50.0%\n"
        "- Consecutive Losses: 0\n"
        "\n"
        "Position: SHORT 2 @ 12020.50, stop 12035.00\n"
        "Unrealized P&L: $-40\n"
        "\n"
        "Trend Analysis:\n"
        "- ADX: 18.0 (trend strength)\n"
        "- RSI: 50.0\n"
        "- Momentum: 0.0\n"
        "- Price vs VWAP: +0.00%\n"
        "\n"
        "Price: $12021.50\n"
        "Time: 2023-03-15 10:00 ET\n"
        "\n"
        "What is your recommended action?\n"
        "Valid now: HOLD, MOVE_TO_BE"
    )


def test_a_flat_account_is_told_as_flat() -> None:
    """Neither entry nor stop."""
    assert "\nPosition: FLAT\nUnrealized P&L: $+0\n" in told(shipped_rules())


@given(mask=st.integers(1, 63))
def test_the_last_line_names_the_valid_actions_in_their_order(mask: int) -> None:
    """Whatever the mask is."""
    names = ["HOLD", "BUY", "SELL", "MOVE_TO_BE", "ENABLE_TRAIL", "DISABLE_TRAIL"]
    valid = ", ".join(name for place, name in enumerate(names) if mask >> place & 1)
    assert told(shipped_rules(), mask=mask).splitlines()[-1] == f"Valid now: {valid}"


def test_the_same_question_has_the_same_hash_and_any_other_another() -> None:
    """The hash is over roles, lengths and contents."""
    maker = PromptMaker(shipped_rules())
    prompt = maker.render(LONG)
    text = "".join(f"{message.role}:{len(message.content)}:{message.content}" for message in prompt.messages)
    assert prompt == PromptMaker(shipped_rules()).render(LONG)
    assert prompt.sha256 == hashlib.sha256(text.encode()).hexdigest()
    assert prompt.sha256 != maker.render(a_question()).sha256


def test_the_identity_changes_with_whatever_is_constant() -> None:
    """Each rule, and each source by what it is and what it holds; never with the question."""
    example = Example(question="Market: X", reply="BUY | 0.7 | trend up")
    makers = [
        PromptMaker(shipped_rules()),
        PromptMaker(shipped_rules("context_template_cached")),
        PromptMaker(shipped_rules(system="Trade.")),
        PromptMaker(shipped_rules(anonymise=True)),
        PromptMaker(shipped_rules(chain_of_thought=True)),
        PromptMaker(shipped_rules(examples=(example,))),
        PromptMaker(shipped_rules(), [Said("a")]),
        PromptMaker(shipped_rules(), [Said("a", identity="2")]),
    ]
    assert len({maker.identity for maker in makers}) == len(makers)
    assert makers[0].identity == PromptMaker(shipped_rules()).identity
    assert re.fullmatch("[0-9a-f]{64}", makers[0].identity)


def test_examples_are_turns_before_the_question_and_the_constant_part_ends_with_them() -> None:
    """What never changes comes first."""
    example = Example(question="ADX: 12 {not a field}", reply="HOLD | 0.60 | no trend")
    maker = PromptMaker(shipped_rules(examples=(example,)))
    assert maker.constant == (
        Message("system", SYSTEM),
        Message("user", "ADX: 12 {not a field}"),
        Message("assistant", "HOLD | 0.60 | no trend"),
    )
    assert maker.render(LONG).messages[:-1] == maker.constant


def test_thinking_first_is_asked_for_below_the_system_text() -> None:
    """The system text stays whole."""
    system = PromptMaker(shipped_rules(chain_of_thought=True)).constant[0].content
    assert system.startswith(f"{SYSTEM}\nThink it through step by step first")


def test_a_sample_has_the_shape_of_a_prompt_without_a_question() -> None:
    """For warming up a model before the first bar."""
    maker = PromptMaker(shipped_rules(), [Said("a")])
    sample = maker.sample(0b000111)
    assert sample.messages[0] == Message("system", SYSTEM)
    assert sample.messages[-1].content.endswith("\nValid now: HOLD, BUY, SELL")
    assert "{" not in sample.messages[-1].content


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"system": " \n"}, "prompt.system is empty; restore"),
        ({"system": "Trade.<|end|>"}, r"prompt.system holds <\|end\|>"),
        ({"system": "Trade.</s>"}, "prompt.system holds </s>"),
        ({"template": " "}, "prompt.context_template is empty"),
        ({"template": "<|user|>"}, r"prompt.context_template holds <\|user\|>"),
        ({"template": "<|{market_name}|>"}, r"prompt.context_template holds <\|{market_name}\|>"),
        ({"template": "{rsl:.1f}"}, r"{rsl}, which is unknown; did you mean {rsi}\? Known are market_name, current_"),
        ({"template": "{}"}, "{}, which is unknown; Known are market_name"),
        ({"template": "{adx.real}"}, "{adx.real}, which is unknown"),
        ({"template": "{adx[0]}"}, r"{adx\[0\]}, which is unknown"),
        ({"template": "{adx"}, "prompt.context_template cannot be read: .*write a brace that is no field twice: {{ or"),
        ({"template": "50% } {adx}"}, "cannot be read"),
        ({"template": "{market_name:.1f}"}, "{market_name} is a text, and its format '.1f' cannot be used"),
        ({"template": "{consecutive_losses:s}"}, "{consecutive_losses} is a whole number, and its format 's'"),
        ({"template": "{adx!r}"}, "{adx} is a number"),
        ({"template": "{adx:{rsi}}"}, "is more than a sign, a width and a precision"),
        ({"template": "{adx:999999999}"}, "is more than a sign, a width and a precision"),
        ({"template": "{adx:.999999f}"}, "is more than a sign, a width and a precision"),
        ({"examples": (Example(question="a", reply="buy it"),)}, r"prompt.examples\[0\].reply 'buy it' is no reply"),
        (
            {"examples": (Example(question="<|assistant|>", reply="BUY | 0.7 | up"),)},
            r"prompt.examples\[0\].question holds <\|assistant\|>",
        ),
    ],
)
def test_a_text_that_cannot_be_used_is_refused_at_the_start(changes: dict[str, Any], message: str) -> None:
    """With the key, what is wrong and what to do."""
    with pytest.raises(ConfigurationError, match=message):
        PromptMaker(shipped_rules(**changes))


def test_a_template_of_ones_own_may_use_any_field_and_leave_any_out() -> None:
    """One paragraph, literal braces, alignment and thousands."""
    rules = shipped_rules(template="{market_name:<20}|{current_price:,.1f}|{consecutive_losses:03d}|{{x}}")
    assert told(rules, streak=4) == "E-mini Nasdaq-100   |12,000.0|004|{x}\nValid now: HOLD, BUY, SELL"
