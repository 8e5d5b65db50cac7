"""The keys of the advisor: who advises, what it is told, which language model, how its answers are calibrated.

What changes the advice is marked ASIDE all the same: the log holds the advice, and `ids.advisor` names what made it.
"""

from datetime import date
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, PlainSerializer, model_validator

from trader.settings.marks import ASIDE, Section
from trader.settings.values import Device, Share, day

Path = Annotated[str | None, Field(min_length=1)]
Day = Annotated[
    date | None,
    BeforeValidator(day),
    PlainSerializer(lambda at: None if at is None else at.isoformat(), when_used="json"),
]
Backend = Literal["rules", "phi3", "openai", "ensemble", "recorded", "off"]


class TriggerSettings(Section):
    """Which reasons may send a question to the advisor."""

    low_confidence: bool
    entry: bool
    interval: bool
    state_change: bool


class CalibrationSettings(Section):
    """What becomes of a model's probabilities before fusion sees them."""

    mode: Literal["relative", "probability", "off"]
    fitted: Path
    learns: bool


class OpenAiSettings(Section):
    """The server behind `backend: openai`."""

    url: Annotated[str, Field(min_length=1)]
    socket: Path
    model: Annotated[str | None, Field(min_length=1)]
    credential: Path
    scoring: Literal["auto", "logprobs", "guided_choice", "none"]
    timeout_s: Annotated[float, Field(gt=0, le=600)]


class EnsembleSettings(Section):
    """The members of `backend: ensemble`, and how fast their weights follow their record."""

    members: Annotated[tuple[Literal["rules", "phi3", "openai"], ...], Field(min_length=1, strict=False)]

    @model_validator(mode="after")
    def _each_member_is_named_once(self) -> Self:
        if len(set(self.members)) < len(self.members):
            msg = f"members: {', '.join(self.members)} names one twice; it would say the same twice, name it once"
            raise ValueError(msg)
        return self


class WorkerSettings(Section):
    """The process that holds the model."""

    isolation: Literal["process", "thread"]
    start_timeout_s: Annotated[float, Field(gt=0, le=3_600)]
    reply_timeout_s: Annotated[float, Field(gt=0, le=600)]
    restart_pause_s: Annotated[float, Field(ge=0, le=3_600)]
    memory_limit_gib: Annotated[float | None, Field(gt=0, le=1_024)]


class AdvisorSettings(Section):
    """Who advises, how long it may take, and how long an answer lasts."""

    backend: Annotated[Backend, ASIDE]
    recorded_from: Annotated[Path, ASIDE]
    mode: Annotated[Literal["score", "generate"], ASIDE]
    wants_reason: Annotated[bool, ASIDE]
    on_unavailable: Annotated[Literal["refuse", "rl_only"], ASIDE]
    triggers: TriggerSettings
    query_cooldown_bars: Annotated[int, Field(ge=0, le=1_000)]
    deadline_ms: Annotated[int, Field(ge=1, le=60_000)]
    assumed_latency_ms: Annotated[int, Field(ge=0, le=3_600_000)]
    cache_minutes: Annotated[int, Field(ge=0, le=1_440)]
    reuse_decay: Annotated[float, Field(gt=0, le=1)]
    breaker_errors: Annotated[int, Field(ge=0, le=1_000), ASIDE]
    breaker_reset_s: Annotated[int, Field(ge=1, le=86_400), ASIDE]
    legal_mass_min: Annotated[Share, ASIDE]
    calibration: Annotated[CalibrationSettings, ASIDE]
    worker: Annotated[WorkerSettings, ASIDE]
    openai: Annotated[OpenAiSettings, ASIDE]
    ensemble: Annotated[EnsembleSettings, ASIDE]

    @model_validator(mode="after")
    def _recorded_advice_has_a_source(self) -> Self:
        if self.backend == "recorded" and self.recorded_from is None:
            msg = (
                "backend: recorded needs recorded_from, the decision log that holds the advice, or the recording that "
                "`trader advisor prefill` made"
            )
            raise ValueError(msg)
        return self


class ExampleSettings(Section):
    """One worked example: a rendered context, and the reply that it should have had."""

    question: Annotated[str, Field(min_length=1)]
    reply: Annotated[str, Field(min_length=1)]


class PromptSettings(Section):
    """What the model is told. The templates take the fields of spec advisor.md."""

    system: Annotated[str, Field(min_length=1)]
    template: Literal["context_template", "context_template_cached"]
    context_template: Annotated[str, Field(min_length=1)]
    context_template_cached: Annotated[str, Field(min_length=1)]
    examples: Annotated[tuple[ExampleSettings, ...], Field(max_length=8, strict=False)]
    chain_of_thought: bool
    anonymise: bool
    calendar_file: Path
    calendar_minutes: Annotated[int, Field(ge=1, le=10_080)]
    correlated_file: Path
    correlated_market: Annotated[str | None, Field(min_length=1)]
    headlines_file: Path
    headlines_minutes: Annotated[int, Field(ge=1, le=10_080)]
    headlines_max: Annotated[int, Field(ge=1, le=20)]

    @property
    def context(self) -> str:
        """The template in force."""
        return self.context_template if self.template == "context_template" else self.context_template_cached


class LlmModelSettings(Section):
    """The language model of the advisor's model back ends."""

    name: Annotated[str, Field(min_length=1)]
    revision: Annotated[str | None, Field(min_length=1)]
    quantization: Literal["int8", "int4", "none"]
    device: Device
    graphs: Literal["auto", "on", "off"]
    max_new_tokens: Annotated[int, Field(ge=1, le=4_096)]
    cot_max_tokens: Annotated[int, Field(ge=1, le=4_096)]
    sample: bool
    temperature: Annotated[float, Field(ge=0, le=2)]
    top_p: Annotated[float, Field(gt=0, le=1)]
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)]
    knowledge_until: Day
