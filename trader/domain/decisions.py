"""From proposal to verdict: what each stage of the line hands to the next."""

from enum import StrEnum

from msgspec import Struct

from trader.domain.actions import Action


class Proposal(Struct, frozen=True, gc=False):
    """A strategy's choice under the mask. `confidence` is its probability, 0..1; `probs` has one entry an action."""

    action: Action
    confidence: float
    probs: tuple[float, ...] | None = None


class Trigger(StrEnum):
    """Why the advisor is asked."""

    LOW_CONFIDENCE = "low_confidence"
    ENTRY = "entry"
    INTERVAL = "interval"
    STATE_CHANGE = "state_change"


class NotAsked(StrEnum):
    """Why the advisor is not asked; the first that holds, in this order."""

    OFF = "off"
    HALTED = "halted"
    NOT_READY = "not_ready"
    FORCED = "forced"
    NO_TRIGGER = "no_trigger"
    COOLDOWN = "cooldown"


class AdviceStatus(StrEnum):
    """What became of a question. Only USED and CACHED advice reaches the fusion."""

    USED = "used"
    CACHED = "cached"
    LATE = "late"
    ERROR = "error"
    INVALID = "invalid"
    MASKED = "masked"
    STALE = "stale"
    BREAKER_OPEN = "breaker_open"
    MISSING = "missing"


class Advice(Struct, frozen=True, kw_only=True):
    """An advisor's answer. `confidence` is what fusion compares; the rest says how it came about.

    `raw` is the model's own probability of the action, `calibrated` that of its beating HOLD, `base_rate` how often
    this action does, `verbal` the number that the model wrote, `legal_mass` what it left to valid labels.
    """

    action: Action
    confidence: float
    reason: str
    raw: float | None = None
    base_rate: float | None = None
    calibrated: float | None = None
    verbal: float | None = None
    legal_mass: float | None = None


class FusionMethod(StrEnum):
    """Which row of the fusion table decided."""

    RL_ONLY = "rl_only"
    AGREEMENT = "agreement"
    RL_OVERRIDE = "rl_override"
    LLM_OVERRIDE = "llm_override"
    UNCERTAIN_HOLD = "uncertain_hold"
    WEIGHTED = "weighted"


class Decision(Struct, frozen=True, gc=False):
    """The fused choice. `weight` is the advisor's weight in force, 0..1."""

    method: FusionMethod
    action: Action
    confidence: float
    weight: float


class Rule(StrEnum):
    """Every rule of the risk review; the order is the order in records and reports."""

    CONSECUTIVE_LOSSES = "consecutive_losses"
    LOW_WIN_RATE = "low_win_rate"
    DRAWDOWN_PROXIMITY = "drawdown_proximity"
    TRAILING_BREACH = "trailing_breach"
    DAILY_LOSS = "daily_loss"
    COST_SHARE = "cost_share"
    INVALID_NOW = "invalid_now"
    MAX_TRADES = "max_trades"
    COOLDOWN = "cooldown"
    SESSION_WINDOW = "session_window"
    STALE_DATA = "stale_data"
    NOT_RECONCILED = "not_reconciled"
    KILL_SWITCH = "kill_switch"
