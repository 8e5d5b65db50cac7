"""Puts model back ends together: prompts with their sources, worker, server, ensemble, recording. Starts nothing."""

from collections.abc import Callable
from pathlib import Path

from trader import assembly
from trader.adapters.context import (
    EconomicCalendar,
    RecentHeadlines,
    load_events,
    load_headlines,
    open_correlated,
)
from trader.adapters.ensemble_advisor import EnsembleAdvisor
from trader.adapters.phi3.thread_backend import ThreadBackend
from trader.adapters.phi3.worker_backend import Prompts, WorkerBackend
from trader.adapters.recording import RecordedAnswers
from trader.adapters.recording_file import read_recording
from trader.adapters.rules_advisor import RulesAdvisor
from trader.advisor.hedge import ByRegime, HedgeRules
from trader.advisor.probes import probe_questions
from trader.advisor.prompt import ContextSource, PromptMaker
from trader.domain.instruments import instrument
from trader.domain.sessions import Calendar
from trader.errors import ConfigurationError
from trader.ports import AdvisorBackend
from trader.settings import Settings


def prompt_maker(settings: Settings) -> PromptMaker:
    """Who renders questions, with the files that the settings name; InputError where one cannot be read."""
    prompt = settings.prompt
    sources: list[ContextSource] = []
    if prompt.calendar_file is not None:
        sources.append(EconomicCalendar(load_events(Path(prompt.calendar_file)), prompt.calendar_minutes))
    if prompt.headlines_file is not None:
        headlines = load_headlines(Path(prompt.headlines_file))
        sources.append(RecentHeadlines(headlines, prompt.headlines_minutes, prompt.headlines_max))
    if prompt.correlated_file is not None:
        if prompt.correlated_market is None:
            msg = "prompt.correlated_file needs prompt.correlated_market, the root of its market, such as ES"
            raise ConfigurationError(msg)
        other = instrument(prompt.correlated_market)
        path = Path(prompt.correlated_file)
        sources.append(open_correlated(path, market=other, calendar=Calendar.load(), anonymise=prompt.anonymise))
    return PromptMaker(assembly.prompt_rules(settings), sources)


def configured_backend(
    settings: Settings, prompts: PromptMaker, on_reason: Callable[[str, str], None], *, is_patient: bool
) -> AdvisorBackend:
    """The model back end that the settings name, or the recording in its place; not started.

    `is_patient` in replays, which alone may use a recording.
    """
    name = settings.advisor.backend
    if name == "recorded":
        return _from_recording(settings, prompts, is_patient=is_patient)
    if name != "ensemble":
        return model_backend(settings, name, prompts, on_reason, is_patient=is_patient)
    members = settings.advisor.ensemble.members
    adaptive = settings.fusion.adaptive
    rules = HedgeRules(
        start=(1 / len(members),) * len(members), learning_rate=adaptive.learning_rate, share=adaptive.share
    )
    backends = [model_backend(settings, member, prompts, on_reason, is_patient=is_patient) for member in members]
    return EnsembleAdvisor(backends, ByRegime(rules), settings.advisor.legal_mass_min)


def model_backend(
    settings: Settings,
    name: str,
    prompts: PromptMaker,
    on_reason: Callable[[str, str], None],
    *,
    is_patient: bool = False,
) -> AdvisorBackend:
    """The back end of that name with its model or server; not started. `is_patient` waits for a model that has died."""
    probes = tuple(prompts.render(question) for question in probe_questions(instrument(settings.market)))
    made = Prompts(render=prompts.render, identity=prompts.identity, probes=probes)
    match name:
        case "rules":
            return RulesAdvisor()
        case "openai":
            from trader.adapters.openai.backend import OpenAiBackend  # noqa: PLC0415 -- aiohttp, for those who ask a server

            return OpenAiBackend(assembly.openai_options(settings), prompts.render, prompts.identity)
        case "phi3" if settings.advisor.worker.isolation == "thread":
            return ThreadBackend(assembly.model_options(settings), made)
        case "phi3":
            rules = assembly.worker_rules(settings)
            waits_s = rules.start_timeout_s if is_patient else 0.0
            options = assembly.model_options(settings)
            return WorkerBackend(options, made, rules, on_reason=on_reason, waits_s=waits_s)
        case _:
            msg = f"advisor.backend: {name} is no model"
            raise ConfigurationError(msg)


def recorded_from(settings: Settings) -> Path:
    """The log or recording that answers."""
    return Path(settings.advisor.recorded_from or "")


def _from_recording(settings: Settings, prompts: PromptMaker, *, is_patient: bool) -> RecordedAnswers:
    if not is_patient:
        msg = (
            f"advisor.recorded_from: {recorded_from(settings).name} is a recording, and answers backtests only; "
            "use backend phi3, openai or rules for bars as they come"
        )
        raise ConfigurationError(msg)
    return RecordedAnswers(read_recording(recorded_from(settings)), prompts.render, prompts.identity)
