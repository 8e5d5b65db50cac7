"""From settings to the values that the core is given: frozen records, cents, ticks. No file is read here."""

from msgspec.structs import replace

from trader.adapters.openai.options import OpenAiOptions
from trader.adapters.phi3.keeper import WorkerRules
from trader.adapters.phi3.options import ModelOptions
from trader.advisor.asker import AskRules
from trader.advisor.cache import CacheRules
from trader.advisor.calibration import CalibrationMode, CalibrationRules
from trader.advisor.gate import GateRules
from trader.advisor.hedge import ByRegime, HedgeRules
from trader.advisor.outcomes import OutcomeTerms
from trader.advisor.prompt import Example, PromptRules
from trader.book import TermsOfTrade
from trader.domain.actions import ENTRY_BITS
from trader.domain.decisions import Rule
from trader.domain.instruments import Instrument
from trader.fusion import FusionRules
from trader.kernels import book as k
from trader.learning import Adaptive
from trader.risk.limits import OrderLimits, RiskLimits, round_trip_cost_cents
from trader.risk.margin import MarginRule
from trader.risk.review import Reviewer
from trader.risk.rules import RULES, veto_masks
from trader.schedule import Window
from trader.settings import Settings

FREEZE_ABOVE_START_CENTS = 100_00
WEIGHT_FLOOR = 0.01
"""An adaptive weight begins no nearer to 0 or 1: a multiple of nothing would stay nothing."""
_KINDS = {"intraday": k.INTRADAY, "end_of_day": k.END_OF_DAY, "static": k.STATIC}


def commission_side_cents(settings: Settings, instrument: Instrument) -> int:
    """The user's own commission, or the instrument's."""
    own = settings.execution.commission_side_cents
    return instrument.commission_side_cents if own is None else own


def terms_of_trade(settings: Settings, instrument: Instrument) -> TermsOfTrade:
    """What a trade costs and how far its levels lie."""
    execution, account = settings.execution, settings.account
    freeze_at_cents = account.start_balance_cents + FREEZE_ABOVE_START_CENTS if account.trailing_freeze else 0
    return TermsOfTrade(
        commission_side_cents=commission_side_cents(settings, instrument),
        slippage_ticks=execution.slippage_ticks,
        forced_slippage_ticks=execution.slippage_ticks * execution.forced_close_slippage_factor,
        target_through_ticks=1 if execution.target_fill == "through" else 0,
        min_stop_ticks=execution.min_stop_ticks,
        min_stop_gap_ticks=execution.min_stop_gap_ticks,
        start_balance_cents=account.start_balance_cents,
        trailing_limit_cents=account.trailing_limit_cents,
        trailing_kind=_KINDS[account.trailing_kind],
        freeze_at_cents=freeze_at_cents,
        stop_atr=execution.stop_atr,
        target_multiple=execution.target_multiple,
        trail_atr=execution.trail_atr,
    )


def window(settings: Settings) -> Window:
    """The entry window in force."""
    execution = settings.execution
    times = execution.window
    return Window(
        start=f"{times.start:%H:%M}",
        end=f"{times.end:%H:%M}",
        flat_at=f"{times.flat_at:%H:%M}",
        needs_rth=execution.entry_window == "rth",
        half_day_flat_minutes=execution.half_day_flat_minutes,
        entry_end_before_flat_minutes=execution.entry_end_before_flat_minutes,
    )


def risk_limits(settings: Settings) -> RiskLimits:
    """The limits of the review."""
    risk, account = settings.risk, settings.account
    return RiskLimits(
        enable_risk_veto=risk.enable_risk_veto,
        max_consecutive_losses=risk.max_consecutive_losses,
        win_rate_window=risk.win_rate_window,
        min_win_rate_threshold=risk.min_win_rate_threshold,
        dd_buffer_threshold=risk.dd_buffer_threshold,
        trailing_limit_cents=account.trailing_limit_cents,
        daily_limit_cents=account.daily_limit_cents,
        daily_loss_flattens=account.daily_loss_flattens,
        max_trades_per_session=risk.max_trades_per_session,
        cooldown_after_stop_minutes=risk.cooldown_after_stop_minutes,
        veto_reset_minutes=risk.veto_reset_minutes,
        max_cost_share=risk.max_cost_share,
        qty=settings.execution.qty,
        veto_masks=veto_masks(risk.veto_actions),  # type: ignore[arg-type] # validated to the literals or a table
    )


def reviewer(settings: Settings, instrument: Instrument) -> Reviewer:
    """The review with its limits and the cost of one contract's round trip."""
    cost_cents = round_trip_cost_cents(
        commission_side_cents(settings, instrument), settings.execution.slippage_ticks, instrument.tick_value_cents
    )
    return Reviewer(risk_limits(settings), cost_cents, instrument.tick_value_cents)


def order_limits(settings: Settings) -> OrderLimits:
    """The limits of the last gate before a simulated broker, whose account has no margin."""
    gate, execution = settings.gate, settings.execution
    blocked = dict(zip(RULES, risk_limits(settings).veto_masks, strict=True))
    limits_trades, limits_loss = (
        blocked[rule] & ENTRY_BITS == ENTRY_BITS for rule in (Rule.MAX_TRADES, Rule.DAILY_LOSS)
    )
    return OrderLimits(
        max_order_qty=execution.qty,
        max_position_qty=execution.max_position_qty,
        collar_share=gate.collar_pct / 100,
        orders_per_minute=gate.orders_per_minute,
        price_age_s=gate.price_age_s,
        max_trades_per_session=settings.risk.max_trades_per_session if limits_trades else None,
        daily_limit_cents=settings.account.daily_limit_cents if limits_loss else None,
        margin=MarginRule.NOT_ASKED,
        initial_margin_share=gate.initial_margin_pct / 100,
    )


def order_limits_at_broker(settings: Settings) -> OrderLimits:
    """The limits of the last gate before a real broker, whose margin an entry needs.

    Positions of the day's window are closed before the broker asks for the night's margin; others may not be.
    """
    is_of_the_day = settings.execution.entry_window == "rth"
    return replace(order_limits(settings), margin=MarginRule.DAY if is_of_the_day else MarginRule.OVERNIGHT)


def fusion_rules(settings: Settings) -> FusionRules:
    """The weight and the bounds of the fusion table."""
    fusion = settings.fusion
    return FusionRules(
        llm_weight=fusion.llm_weight,
        override_high=fusion.override_high,
        override_low=fusion.override_low,
        uncertain_below=fusion.uncertain_below,
    )


def gate_rules(settings: Settings) -> GateRules:
    """When the advisor is asked."""
    fusion, advisor = settings.fusion, settings.advisor
    return GateRules(
        is_enabled=advisor.backend != "off",
        is_selective=fusion.use_selective_querying,
        confidence_threshold=fusion.confidence_threshold,
        query_interval_bars=fusion.query_interval,
        query_cooldown_bars=advisor.query_cooldown_bars,
        on_low_confidence=advisor.triggers.low_confidence,
        on_entry=advisor.triggers.entry,
        on_interval=advisor.triggers.interval,
        on_state_change=advisor.triggers.state_change,
    )


def ask_rules(settings: Settings, *, is_patient: bool) -> AskRules:
    """How long an answer may take; a replay waits for it."""
    advisor = settings.advisor
    return AskRules(
        is_patient=is_patient,
        is_required=advisor.on_unavailable == "refuse",
        deadline_ms=advisor.deadline_ms,
        assumed_latency_ms=advisor.assumed_latency_ms if is_patient else 0,
        breaker_errors=advisor.breaker_errors,
        breaker_reset_s=advisor.breaker_reset_s,
    )


def cache_rules(settings: Settings) -> CacheRules:
    """How long an answer may be reused."""
    return CacheRules(cache_minutes=settings.advisor.cache_minutes, reuse_decay=settings.advisor.reuse_decay)


def prompt_rules(settings: Settings) -> PromptRules:
    """What a model is told."""
    prompt = settings.prompt
    return PromptRules(
        system=prompt.system,
        template=prompt.context,
        template_name=prompt.template,
        examples=tuple(Example(question=example.question, reply=example.reply) for example in prompt.examples),
        chain_of_thought=prompt.chain_of_thought and settings.advisor.mode == "generate",
        anonymise=prompt.anonymise,
    )


def model_options(settings: Settings) -> ModelOptions:
    """Which model the advisor's process holds, and how it answers."""
    model, advisor = settings.llm_model, settings.advisor
    return ModelOptions(
        name=model.name,
        revision=model.revision,
        quantization=model.quantization,
        device=model.device,
        graphs=model.graphs,
        mode=advisor.mode,
        max_new_tokens=model.max_new_tokens,
        cot_max_tokens=model.cot_max_tokens,
        chain_of_thought=settings.prompt.chain_of_thought and advisor.mode == "generate",
        sample=model.sample,
        temperature=model.temperature,
        top_p=model.top_p,
        seed=model.seed,
        wants_reason=advisor.wants_reason and advisor.mode == "score",
    )


def worker_rules(settings: Settings) -> WorkerRules:
    """How long the model's process may take."""
    worker = settings.advisor.worker
    return WorkerRules(
        start_timeout_s=worker.start_timeout_s,
        reply_timeout_s=worker.reply_timeout_s,
        restart_pause_s=worker.restart_pause_s,
        memory_limit_gib=worker.memory_limit_gib,
    )


def openai_options(settings: Settings) -> OpenAiOptions:
    """Which server, and how it is asked."""
    server, model = settings.advisor.openai, settings.llm_model
    return OpenAiOptions(
        url=server.url,
        socket=server.socket,
        model=server.model,
        credential=server.credential,
        scoring=server.scoring,
        timeout_s=server.timeout_s,
        mode=settings.advisor.mode,
        max_new_tokens=model.max_new_tokens,
        sample=model.sample,
        temperature=model.temperature,
        top_p=model.top_p,
        seed=model.seed,
        chain_of_thought=settings.prompt.chain_of_thought and settings.advisor.mode == "generate",
        cot_max_tokens=model.cot_max_tokens,
    )


def calibration_rules(settings: Settings) -> CalibrationRules:
    """What becomes of a model's probabilities."""
    advisor = settings.advisor
    return CalibrationRules(
        mode=CalibrationMode(advisor.calibration.mode),
        legal_mass_min=advisor.legal_mass_min,
        learns=advisor.calibration.learns,
    )


def outcome_terms(settings: Settings, instrument: Instrument) -> OutcomeTerms:
    """Costs and distances by which an advice is judged: those of a trade."""
    terms = terms_of_trade(settings, instrument)
    return OutcomeTerms(
        ticks_per_point=instrument.ticks_per_point,
        tick_value_cents=instrument.tick_value_cents,
        commission_side_cents=terms.commission_side_cents,
        slippage_ticks=terms.slippage_ticks,
        target_through_ticks=terms.target_through_ticks,
        break_even_ticks=int(terms.as_row(instrument)[k.BREAK_EVEN]),
        trail_atr=terms.trail_atr,
    )


def adaptive(settings: Settings) -> Adaptive | None:
    """The learned weight of the advisor; None where it is fixed."""
    fusion = settings.fusion
    if fusion.mode == "fixed":
        return None
    weight = min(max(fusion.llm_weight, WEIGHT_FLOOR), 1 - WEIGHT_FLOOR)
    rules = HedgeRules(
        start=(1 - weight, weight), learning_rate=fusion.adaptive.learning_rate, share=fusion.adaptive.share
    )
    return Adaptive(weights=ByRegime(rules), weight_max=fusion.adaptive.llm_weight_max)
