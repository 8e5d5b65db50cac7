"""Puts the advisor together, and what learns of it: from settings to back end, cache, calibration and weights."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec import Struct

from trader import assembly
from trader.adapters.off_advisor import OffAdvisor
from trader.adapters.openai.backend import OpenAiBackend
from trader.adapters.phi3.thread_backend import ThreadBackend
from trader.adapters.phi3.worker_backend import Prompts, WorkerBackend
from trader.adapters.recorded_advisor import RecordedAdvisor
from trader.adapters.recording import RecordedAnswers
from trader.adapters.recording_file import is_recording, read_recording
from trader.adapters.rules_advisor import RulesAdvisor
from trader.advisor.asker import Asker
from trader.advisor.cache import AdviceCache
from trader.advisor.calibration import Calibration
from trader.advisor.outcomes import OutcomeTracker
from trader.advisor.prompt import PromptMaker
from trader.analysis.log import Kind, open_log
from trader.domain.instruments import Instrument
from trader.errors import ConfigurationError
from trader.exchange_log import ExchangeLog
from trader.learning import Learned, Learner
from trader.ports import Advisor, AdvisorBackend
from trader.records import AdvisorRecord
from trader.settings import Settings

ID_DIGITS = 16


class Advising(Struct, frozen=True, kw_only=True):
    """The advisor of a run, what learns of it (None where nothing does), and what the manifest says of both."""

    advisor: Advisor
    learner: Learner | None
    record: AdvisorRecord | None
    identity: str


class AdvisorChoice(Struct, frozen=True, kw_only=True):
    """What the run asks of its advisor. `is_patient` waits for answers, as every replay does.

    `learned` is what an earlier run has taught; only a live run goes on from it.
    """

    is_patient: bool
    exchanges: ExchangeLog | None = None
    learned: Learned | None = None


def advising(settings: Settings, market: Instrument, choice: AdvisorChoice) -> Advising:
    """Everything that the settings ask for; ConfigurationError where it does not fit together. Nothing is started."""
    match settings.advisor.backend:
        case "off":
            return given(settings, market, OffAdvisor(), "off")
        case "rules":
            cache = AdviceCache(assembly.cache_rules(settings), "rules")
            rules = assembly.ask_rules(settings, is_patient=choice.is_patient)
            return given(settings, market, Asker(RulesAdvisor(), rules, cache), "rules")
        case "recorded" if not is_recording(_recorded_from(settings)):
            return given(settings, market, _from_log(settings), f"recorded:{_recorded_from(settings).name}")
        case "recorded" | "phi3" | "openai" | "ensemble":
            return _by_model(settings, market, choice)


def given(settings: Settings, market: Instrument, advisor: Advisor, identity: str) -> Advising:
    """An advisor that is there already, and whose confidence is taken as it is."""
    return Advising(advisor=advisor, learner=_learner(settings, market), record=None, identity=identity)


def _by_model(settings: Settings, market: Instrument, choice: AdvisorChoice) -> Advising:
    prompts = PromptMaker(assembly.prompt_rules(settings))
    backend = _backend(settings, prompts, choice)
    calibration = Calibration(assembly.calibration_rules(settings), settings.execution.target_multiple)
    learner = _learner(settings, market, calibration)
    if learner is not None and choice.learned is not None:
        learner.restore(choice.learned)
    exchanges = choice.exchanges
    asker = Asker(
        backend,
        assembly.ask_rules(settings, is_patient=choice.is_patient),
        AdviceCache(assembly.cache_rules(settings), backend.identity),
        calibration=calibration,
        on_exchange=None if exchanges is None else exchanges.exchange,
    )
    record = _record(settings, backend, choice)
    digest = hashlib.sha256(msgspec.json.encode(record)).hexdigest()[:ID_DIGITS]
    return Advising(advisor=asker, learner=learner, record=record, identity=f"{settings.advisor.backend}:{digest}")


def _backend(settings: Settings, prompts: PromptMaker, choice: AdvisorChoice) -> AdvisorBackend:
    name = settings.advisor.backend
    if name == "recorded":
        return _from_recording(settings, prompts, choice)
    return model_backend(settings, name, prompts, _told(choice))


def model_backend(
    settings: Settings, name: str, prompts: PromptMaker, on_reason: Callable[[str, str], None]
) -> AdvisorBackend:
    """The back end of that name with its model or server; not started."""
    made = Prompts(render=prompts.render, identity=prompts.identity)
    match name:
        case "rules":
            return RulesAdvisor()
        case "openai":
            return OpenAiBackend(assembly.openai_options(settings), prompts.render, prompts.identity)
        case "phi3" if settings.advisor.worker.isolation == "thread":
            return ThreadBackend(assembly.model_options(settings), made)
        case "phi3":
            rules = assembly.worker_rules(settings)
            return WorkerBackend(assembly.model_options(settings), made, rules, on_reason=on_reason)
        case _:
            msg = f"advisor.backend: {name} is no model"
            raise ConfigurationError(msg)


def _told(choice: AdvisorChoice) -> Callable[[str, str], None]:
    return _untold if choice.exchanges is None else choice.exchanges.reason


def _untold(prompt_sha256: str, text: str) -> None:
    """Nobody keeps reasons."""


def _recorded_from(settings: Settings) -> Path:
    return Path(settings.advisor.recorded_from or "")


def _from_log(settings: Settings) -> RecordedAdvisor:
    log = open_log(_recorded_from(settings))
    return RecordedAdvisor(entry.bar() for entry in log.entries() if entry.kind is Kind.BAR)


def _from_recording(settings: Settings, prompts: PromptMaker, choice: AdvisorChoice) -> RecordedAnswers:
    if not choice.is_patient:
        msg = (
            f"advisor.recorded_from: {_recorded_from(settings).name} is a recording, and answers backtests only; "
            "use backend phi3, openai or rules for bars as they come"
        )
        raise ConfigurationError(msg)
    return RecordedAnswers(read_recording(_recorded_from(settings)), prompts.render, prompts.identity)


def _learner(settings: Settings, market: Instrument, calibration: Calibration | None = None) -> Learner | None:
    """What follows outcomes, where anything does."""
    adaptive = assembly.adaptive(settings)
    if adaptive is None and calibration is None:
        return None
    tracker = OutcomeTracker(assembly.outcome_terms(settings, market))
    return Learner(tracker, assembly.fusion_rules(settings), calibration=calibration, adaptive=adaptive)


def _record(settings: Settings, backend: AdvisorBackend, choice: AdvisorChoice) -> AdvisorRecord:
    until = settings.llm_model.knowledge_until
    name: str = settings.advisor.backend
    knows = None if until is None else until.isoformat()
    hides, is_batched = settings.prompt.anonymise, False
    if isinstance(backend, RecordedAnswers):
        head = backend.head
        name, knows, hides, is_batched = head.backend, head.knowledge_until, head.anonymised, head.batched
    return AdvisorRecord(
        backend=name,
        identity=backend.identity,
        is_batched=is_batched,
        knowledge_until=knows,
        anonymised=hides,
        fitted=None,
        fitted_until=None,
        learned=None if choice.learned is None else msgspec.to_builtins(choice.learned),
    )
