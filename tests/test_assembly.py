"""Every setting reaches the part that it is for, in that part's unit, and no other."""

from collections.abc import Callable
from functools import partial

import advisor_wiring
import ib_wiring
import pytest
from line_builders import settings_with
from msgspec import Struct
from msgspec.structs import asdict, replace

from trader import assembly
from trader.domain.actions import Action
from trader.domain.decisions import Rule
from trader.domain.instruments import instrument
from trader.kernels import book as k
from trader.risk.margin import MarginRule
from trader.risk.rules import veto_masks
from trader.settings import Settings
from trader.settings.keys import marks_by_key

NQ = instrument("NQ")
TERMS = partial(assembly.terms_of_trade, instrument=NQ)
WINDOW = assembly.window
RISK = assembly.risk_limits
ORDERS = assembly.order_limits
FUSION = assembly.fusion_rules
GATE = assembly.gate_rules
ASK = partial(assembly.ask_rules, is_patient=True)
CACHE = assembly.cache_rules
PROMPT = assembly.prompt_rules

WIRING: list[advisor_wiring.Wire] = [
    *advisor_wiring.WIRING,
    *ib_wiring.WIRING,
    ("execution.max_position_qty=4", ORDERS, {"max_position_qty": 4}),
    ("execution.min_stop_ticks=33", TERMS, {"min_stop_ticks": 33}),
    ("execution.min_stop_gap_ticks=5", TERMS, {"min_stop_gap_ticks": 5}),
    ("execution.windows.rth.start=10:01", WINDOW, {"start": "10:01"}),
    ("execution.windows.rth.end=14:59", WINDOW, {"end": "14:59"}),
    ("execution.windows.rth.flat_at=15:31", WINDOW, {"flat_at": "15:31"}),
    ("execution.half_day_flat_minutes=7", WINDOW, {"half_day_flat_minutes": 7}),
    ("execution.entry_end_before_flat_minutes=9", WINDOW, {"entry_end_before_flat_minutes": 9}),
    ("execution.stop_atr=2.25", TERMS, {"stop_atr": 2.25}),
    ("execution.target_multiple=2.5", TERMS, {"target_multiple": 2.5}),
    ("execution.trail_atr=0.75", TERMS, {"trail_atr": 0.75}),
    ("execution.slippage_ticks=3", TERMS, {"slippage_ticks": 3, "forced_slippage_ticks": 6}),
    ("execution.forced_close_slippage_factor=5", TERMS, {"forced_slippage_ticks": 5}),
    ("execution.target_fill=touch", TERMS, {"target_through_ticks": 0}),
    ("execution.commission_side_usd=1.29", TERMS, {"commission_side_cents": 129}),
    ("account.start_balance_usd=25000.50", TERMS, {"start_balance_cents": 25_000_50}),
    ("account.trailing_kind=end_of_day", TERMS, {"trailing_kind": k.END_OF_DAY}),
    ("account.trailing_kind=static", TERMS, {"trailing_kind": k.STATIC}),
    ("account.trailing_freeze=true", TERMS, {"freeze_at_cents": 50_100_00}),
    ("account.trailing_limit_usd=1500.25", TERMS, {"trailing_limit_cents": 1_500_25}),
    ("account.trailing_limit_usd=1500.25", RISK, {"trailing_limit_cents": 1_500_25}),
    ("account.daily_limit_usd=750.10", RISK, {"daily_limit_cents": 750_10}),
    ("account.daily_limit_usd=750.10", ORDERS, {"daily_limit_cents": 750_10}),
    ("account.daily_loss_flattens=true", RISK, {"daily_loss_flattens": True}),
    ("risk.max_consecutive_losses=7", RISK, {"max_consecutive_losses": 7}),
    ("risk.min_win_rate_threshold=0.31", RISK, {"min_win_rate_threshold": 0.31}),
    ("risk.dd_buffer_threshold=0.11", RISK, {"dd_buffer_threshold": 0.11}),
    ("risk.enable_risk_veto=false", RISK, {"enable_risk_veto": False}),
    ("risk.win_rate_window=12", RISK, {"win_rate_window": 12}),
    ("risk.max_trades_per_session=2", RISK, {"max_trades_per_session": 2}),
    ("risk.max_trades_per_session=2", ORDERS, {"max_trades_per_session": 2}),
    ("risk.cooldown_after_stop_minutes=13", RISK, {"cooldown_after_stop_minutes": 13}),
    ("risk.veto_reset_minutes=61", RISK, {"veto_reset_minutes": 61}),
    ("risk.max_cost_share=0.2", RISK, {"max_cost_share": 0.2}),
    ("risk.veto_actions={cooldown: [SELL]}", RISK, {"veto_masks": veto_masks({Rule.COOLDOWN: [Action.SELL]})}),
    ("gate.collar_pct=0.25", ORDERS, {"collar_share": 0.0025}),
    ("gate.orders_per_minute=6", ORDERS, {"orders_per_minute": 6}),
    ("gate.price_age_s=2.5", ORDERS, {"price_age_s": 2.5}),
    ("gate.initial_margin_pct=25", ORDERS, {"initial_margin_share": 0.25}),
    ("fusion.llm_weight=0.44", FUSION, {"llm_weight": 0.44}),
    ("fusion.override_high=0.91", FUSION, {"override_high": 0.91}),
    ("fusion.override_low=0.61", FUSION, {"override_low": 0.61}),
    ("fusion.uncertain_below=0.51", FUSION, {"uncertain_below": 0.51}),
    ("fusion.confidence_threshold=0.66", GATE, {"confidence_threshold": 0.66}),
    ("fusion.use_selective_querying=false", GATE, {"is_selective": False}),
    ("fusion.query_interval=8", GATE, {"query_interval_bars": 8}),
    ("advisor.backend=rules", GATE, {"is_enabled": True}),
    ("advisor.query_cooldown_bars=1", GATE, {"query_cooldown_bars": 1}),
    ("advisor.triggers.low_confidence=false", GATE, {"on_low_confidence": False}),
    ("advisor.triggers.entry=false", GATE, {"on_entry": False}),
    ("advisor.triggers.interval=false", GATE, {"on_interval": False}),
    ("advisor.triggers.state_change=false", GATE, {"on_state_change": False}),
    ("advisor.deadline_ms=90", ASK, {"deadline_ms": 90}),
    ("advisor.assumed_latency_ms=1500", ASK, {"assumed_latency_ms": 1500}),
    ("advisor.breaker_errors=2", ASK, {"breaker_errors": 2}),
    ("advisor.breaker_reset_s=30", ASK, {"breaker_reset_s": 30}),
    ("advisor.cache_minutes=2", CACHE, {"cache_minutes": 2}),
    ("advisor.reuse_decay=0.9", CACHE, {"reuse_decay": 0.9}),
]
PARTS = (TERMS, WINDOW, RISK, ORDERS, FUSION, GATE, ASK, CACHE, *advisor_wiring.PARTS, *ib_wiring.PARTS)

ELSEWHERE = {
    "market", "strategy.name", "strategy.options", "policy.bundle", "policy.allow_mismatch", "advisor.recorded_from",
    "account.on_exhausted", "journal.dir", "journal.queue_records", "state.dir",
}  # fmt: skip
"""What `trader.app` and the commands read themselves."""
ALL_WINDOW = {"execution.entry_window"} | {f"execution.windows.all.{name}" for name in ("start", "end", "flat_at")}
SIZE = {"execution.qty"}
FOR_LATER = {"fusion.calibrate_rl"}
"""Checked by the schema; the parts that they are for come later, and config/*.yaml says so."""


def changes(part: Callable[[Settings], Struct], *overrides: str) -> dict[str, object]:
    """The fields of a part that differ from the shipped paper settings."""
    before, after = asdict(part(settings_with())), asdict(part(settings_with(*overrides)))
    return {name: value for name, value in after.items() if value != before[name]}


@pytest.mark.parametrize(("override", "part", "expected"), WIRING)
def test_setting_reaches_its_part_in_its_unit(
    override: str, part: Callable[[Settings], Struct], expected: dict[str, object]
) -> None:
    """Dollars become cents, per cent a share; a field that should not move does not."""
    assert changes(part, override) == expected


@pytest.mark.parametrize("override", sorted({override for override, _, _ in WIRING}))
def test_setting_reaches_no_other_part(override: str) -> None:
    """What the table above does not name stays as it was."""
    named = [part for other, part, _ in WIRING if other == override]

    assert [changes(part, override) for part in PARTS if part not in named] == [{}] * (len(PARTS) - len(named))


def test_every_setting_is_wired_or_known_not_to_be() -> None:
    """A key that is added without a part to act on is found here."""
    wired = {override.partition("=")[0] for override, _, _ in WIRING}

    of_the_advisor = advisor_wiring.TOGETHER | advisor_wiring.FILES
    of_the_broker = ib_wiring.WINDOWS | ib_wiring.TOGETHER | ib_wiring.ELSEWHERE
    assert wired | ELSEWHERE | ALL_WINDOW | SIZE | FOR_LATER | of_the_advisor | of_the_broker == set(marks_by_key())


def test_last_gate_limits_what_the_review_limits() -> None:
    """A rule that the operator's table lets through on one side is the review's alone."""
    lifted = "risk.veto_actions={daily_loss: [], max_trades: [BUY, ENABLE_TRAIL]}"
    assert changes(ORDERS, lifted) == {"daily_limit_cents": None, "max_trades_per_session": None}


def test_margin_is_asked_before_a_real_broker_only() -> None:
    """Of the day, where its window closes every position by day, else of the night too."""
    found = [
        (assembly.order_limits(settings).margin, assembly.order_limits_at_broker(settings).margin)
        for settings in (settings_with("execution.entry_window=rth"), settings_with("execution.entry_window=all"))
    ]
    simulated = MarginRule.NOT_ASKED
    assert found == [(simulated, MarginRule.DAY), (simulated, MarginRule.OVERNIGHT)]
    assert replace(assembly.order_limits_at_broker(settings_with()), margin=simulated) == ORDERS(settings_with())


def test_prompt_takes_the_template_that_is_named() -> None:
    """Two are shipped, and either may be changed."""
    cached = "prompt.template=context_template_cached"
    assert changes(PROMPT, cached, 'prompt.context_template_cached="{adx:.0f}"') == {
        "template": "{adx:.0f}",
        "template_name": "context_template_cached",
    }
    assert changes(PROMPT, 'prompt.context_template_cached="{adx:.0f}"') == {}


def test_chain_of_thought_is_for_written_replies_only() -> None:
    """A scored answer has no room for it."""
    assert changes(PROMPT, "prompt.chain_of_thought=true") == {}
    thinks = ("prompt.chain_of_thought=true", "advisor.mode=generate")
    assert changes(PROMPT, *thinks) == {"chain_of_thought": True}
    for part in (advisor_wiring.MODEL, advisor_wiring.SERVER):
        assert changes(part, *thinks) == {"mode": "generate", "chain_of_thought": True}


def test_reason_afterwards_is_for_scored_answers_only() -> None:
    """A written one brings its own."""
    assert changes(advisor_wiring.MODEL, "advisor.wants_reason=true", "advisor.mode=generate") == {"mode": "generate"}


def test_adaptive_weight_begins_at_the_configured_one_and_is_capped() -> None:
    """Fixed learns nothing; a weight of 0 would stay 0, and begins at a hundredth."""
    keys = ("fusion.mode=adaptive", "fusion.adaptive.learning_rate=0.1", "fusion.adaptive.llm_weight_max=0.35")
    assert assembly.adaptive(settings_with()) is None
    made = assembly.adaptive(settings_with(*keys, "fusion.llm_weight=0.4", "fusion.adaptive.share=0.02"))
    assert made is not None
    assert (made.weights.weights(0), made.weight_max) == (pytest.approx((0.6, 0.4)), 0.35)
    least = assembly.adaptive(settings_with(*keys, "fusion.llm_weight=0"))
    assert least is not None
    assert least.weights.weights(1) == pytest.approx((0.99, 0.01))


def test_advice_is_judged_by_the_costs_and_distances_of_a_trade() -> None:
    """Outcomes are worth nothing if they are cheaper than trades."""
    settings = settings_with("execution.slippage_ticks=3", "execution.commission_side_usd=1.5", "execution.trail_atr=2")
    terms, trade = assembly.outcome_terms(settings, NQ), TERMS(settings)
    assert (terms.slippage_ticks, terms.commission_side_cents, terms.trail_atr) == (3, 150, 2.0)
    assert (terms.target_through_ticks, terms.tick_value_cents) == (trade.target_through_ticks, NQ.tick_value_cents)
    assert terms.break_even_ticks == k.break_even_ticks(150, 3, NQ.tick_value_cents)


def test_entry_window_all_has_its_own_times_and_needs_no_cash_market() -> None:
    """The other window is chosen whole."""
    chosen = changes(WINDOW, "execution.entry_window=all", "execution.windows.all.start=18:07")

    assert chosen == {"start": "18:07", "end": "16:30", "flat_at": "16:50", "needs_rth": False}


def test_qty_is_the_size_of_an_entry_and_the_limit_of_an_order() -> None:
    """Two parts agree on it."""
    overrides = ("execution.qty=2", "execution.max_position_qty=2")

    assert changes(RISK, *overrides) == {"qty": 2}
    assert changes(ORDERS, *overrides) == {"max_order_qty": 2, "max_position_qty": 2}


def test_live_advisor_has_no_assumed_latency() -> None:
    """It has one of its own."""
    rules = assembly.ask_rules(settings_with("advisor.assumed_latency_ms=1500"), is_patient=False)

    assert (rules.is_patient, rules.assumed_latency_ms) == (False, 0)
