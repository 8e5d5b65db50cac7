"""Puts the advisor together, and what learns of it: from settings to back end, cache, calibration and weights."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from trader import assembly
from trader.adapters.ensemble_advisor import EnsembleAdvisor
from trader.adapters.fitted import Fitted, load_fitted
from trader.adapters.learned_file import LearnedFile
from trader.adapters.off_advisor import OffAdvisor
from trader.adapters.recorded_advisor import RecordedAdvisor
from trader.adapters.recording import RecordedAnswers
from trader.adapters.recording_file import is_recording
from trader.adapters.rules_advisor import RulesAdvisor
from trader.advisor.asker import Asker
from trader.advisor.cache import AdviceCache
from trader.advisor.calibration import Calibration, CalibrationRules
from trader.advisor.outcomes import OutcomeTracker
from trader.analysis.log import Kind, LogReader, open_log
from trader.backends import configured_backend, prompt_maker, recorded_from
from trader.domain.instruments import Instrument
from trader.errors import ConfigurationError, InputError, InvariantError
from trader.exchange_log import ExchangeLog
from trader.learning import Learned, Learner, Thresholds
from trader.ports import Advisor, AdvisorBackend
from trader.records import AdvisorRecord, StartRecord
from trader.settings import Settings

ID_DIGITS = 16
BATCHED = " batched"
"""What the identity of a recording ends with whose answers were computed many at a time."""


class Advising(Struct, frozen=True, kw_only=True):
    """The advisor of a run, what learns of it (None where nothing does), and what the manifest says of both."""

    advisor: Advisor
    learner: Learner | None
    record: AdvisorRecord | None
    identity: str
    kept: LearnedFile | None = None
    ensemble: EnsembleAdvisor | None = None

    def keep(self) -> None:
        """Write down what was learned so far, where it is kept from run to run."""
        if self.kept is not None and self.learner is not None:
            self.kept.keep(self.learner.learned())

    def close(self) -> None:
        """Wait until that has been written."""
        if self.kept is not None:
            self.kept.close()


class AdvisorChoice(Struct, frozen=True, kw_only=True):
    """What the run asks of its advisor. `is_patient` waits for answers, as every replay does.

    `state_dir` is where live runs keep what they have learned; a replay begins with nothing, and leaves nothing.
    """

    is_patient: bool
    exchanges: ExchangeLog | None = None
    state_dir: Path | None = None


def advising(settings: Settings, market: Instrument, choice: AdvisorChoice) -> Advising:
    """Everything that the settings ask for; ConfigurationError where it does not fit together. Nothing is started."""
    match settings.advisor.backend:
        case "off":
            return given(settings, market, OffAdvisor(), "off", choice.state_dir)
        case "rules":
            cache = AdviceCache(assembly.cache_rules(settings), "rules")
            rules = assembly.ask_rules(settings, is_patient=choice.is_patient)
            asker = Asker(RulesAdvisor(), rules, cache)
            return given(settings, market, asker, "rules", choice.state_dir)
        case "recorded" if not is_recording(recorded_from(settings)):
            return _from_log(settings, market)
        case "recorded" | "phi3" | "openai" | "ensemble":
            return _by_model(settings, market, choice)


def given(
    settings: Settings, market: Instrument, advisor: Advisor, identity: str, state_dir: Path | None = None
) -> Advising:
    """An advisor that is there already, and whose confidence is taken as it is."""
    learner = _learner(settings, market, _Taught(thresholds=_thresholds(settings, market, None)))
    kept = _kept(state_dir, settings, identity, learner)
    learned = _restored(kept, learner)
    if learned is None:
        return Advising(advisor=advisor, learner=learner, record=None, identity=identity, kept=kept)
    record = AdvisorRecord(
        backend=settings.advisor.backend,
        identity=identity,
        is_batched=False,
        knowledge_until=None,
        anonymised=False,
        fitted=None,
        fitted_until=None,
        learned=msgspec.to_builtins(learned),
    )
    identity = f"{identity}:{_digest(record)}"
    return Advising(advisor=advisor, learner=learner, record=record, identity=identity, kept=kept)


def _from_log(settings: Settings, market: Instrument) -> Advising:
    """What a log's advisor said, with what its run had learned before: its weights go the same way again."""
    log = open_log(recorded_from(settings))
    record = _model_of(log)
    advisor = RecordedAdvisor(entry.bar() for entry in log.entries() if entry.kind is Kind.BAR)
    thresholds = _thresholds(settings, market, None if record is None else record.identity)
    learner = _learner(settings, market, _Taught(thresholds=thresholds))
    if learner is not None and record is not None and record.learned is not None:
        learner.restore(msgspec.convert(record.learned, Learned))
    identity = f"recorded:{recorded_from(settings).name}"
    return Advising(advisor=advisor, learner=learner, record=record, identity=identity)


def _by_model(settings: Settings, market: Instrument, choice: AdvisorChoice) -> Advising:
    if not choice.is_patient:
        _demand_named_server(settings)
    told = _untold if choice.exchanges is None else choice.exchanges.reason
    backend = configured_backend(settings, prompt_maker(settings), told, is_patient=choice.is_patient)
    return behind(settings, market, backend, choice)


def behind(
    settings: Settings,
    market: Instrument,
    backend: AdvisorBackend,
    choice: AdvisorChoice,
    thresholds: Mapping[int, Thresholds] | None = None,
) -> Advising:
    """A model's `backend` behind cache and calibration; `thresholds` replace the fusion's bounds by regime.

    It begins with what `advisor.calibration.fitted` holds, then with what live runs have learned.
    """
    calibration = Calibration(assembly.calibration_rules(settings), settings.execution.target_multiple)
    fitted = _fitted(settings, market, backend.identity)
    if fitted is not None:
        calibration.restore(replace(fitted.calibration, pending=()))
        thresholds = fitted.thresholds if thresholds is None else thresholds
    ensemble = backend if isinstance(backend, EnsembleAdvisor) else None
    learner = _learner(settings, market, _Taught(calibration=calibration, ensemble=ensemble, thresholds=thresholds))
    start = "" if fitted is None else fitted.sha256
    kept = _kept(choice.state_dir, settings, backend.identity + start, learner)
    learned = _restored(kept, learner)
    exchanges = choice.exchanges
    asker = Asker(
        backend,
        assembly.ask_rules(settings, is_patient=choice.is_patient),
        AdviceCache(assembly.cache_rules(settings), backend.identity),
        calibration=calibration,
        on_exchange=None if exchanges is None else exchanges.exchange,
    )
    record = _record(settings, backend, fitted, learned)
    made_by = _MadeBy(
        record=record,
        calibration=assembly.calibration_rules(settings),
        breaker_errors=settings.advisor.breaker_errors,
        breaker_reset_s=settings.advisor.breaker_reset_s,
    )
    identity = f"{settings.advisor.backend}:{_digest(made_by)}"
    return Advising(advisor=asker, learner=learner, record=record, identity=identity, kept=kept, ensemble=ensemble)


def _untold(prompt_sha256: str, text: str) -> None:
    """Nobody keeps reasons."""


def _demand_named_server(settings: Settings) -> None:
    """What a live run learns is kept under the server's model: it must be known before the server is asked."""
    advisor = settings.advisor
    asks = advisor.backend == "openai" or (advisor.backend == "ensemble" and "openai" in advisor.ensemble.members)
    if asks and (advisor.openai.model is None or advisor.openai.scoring == "auto"):
        msg = (
            "advisor.openai: a run on bars as they come must name its model, and scoring as logprobs, guided_choice or "
            "none: what it learns belongs to them; `trader advisor ask` shows what the server has"
        )
        raise ConfigurationError(msg)


def _fitted(settings: Settings, market: Instrument, identity: str | None) -> Fitted | None:
    """What `trader advisor fit` has found; ConfigurationError where it is of another market or model."""
    path = settings.advisor.calibration.fitted
    if path is None:
        return None
    fitted = load_fitted(Path(path))
    if fitted.market != market.symbol:
        msg = f"advisor.calibration.fitted: {path} was fitted on {fitted.market}, this is {market.symbol}; fit it anew"
        raise ConfigurationError(msg)
    low = settings.fusion.override_low
    if any(bounds.override_high < low for bounds in fitted.thresholds.values()):
        msg = f"advisor.calibration.fitted: {path} has an override_high below fusion.override_low {low}; fit it anew"
        raise ConfigurationError(msg)
    if identity is None or identity.removesuffix(BATCHED) != fitted.head.identity:
        msg = (
            f"advisor.calibration.fitted: {path} was fitted to {fitted.head.identity}, the advisor here is "
            f"{identity or settings.advisor.backend}; fit it anew, or set it to null"
        )
        raise ConfigurationError(msg)
    return fitted


def _thresholds(settings: Settings, market: Instrument, identity: str | None) -> Mapping[int, Thresholds] | None:
    fitted = _fitted(settings, market, identity)
    return None if fitted is None else fitted.thresholds


def _kept(folder: Path | None, settings: Settings, identity: str, learner: Learner | None) -> LearnedFile | None:
    """Where it is kept: a market's outcomes and a strategy's record are of no use to another, in one folder or not."""
    if folder is None or learner is None:
        return None
    return LearnedFile(folder, f"{settings.market} {settings.strategy.name} {identity}")


def _restored(kept: LearnedFile | None, learner: Learner | None) -> Learned | None:
    learned = None if kept is None else kept.read()
    if kept is None or learner is None or learned is None:
        return None
    fresh = learner.learned()
    try:
        learner.restore(learned)
    except (InvariantError, ValueError) as error:  # figures that no run has written
        learner.restore(fresh)
        kept.set_aside(str(error))
        return None
    return learned


class _MadeBy(Struct, frozen=True, kw_only=True):
    """What makes a model's advice and is no part of the configuration's hash; see trader/settings/advice.py."""

    record: AdvisorRecord
    calibration: CalibrationRules
    breaker_errors: int
    breaker_reset_s: int


def _digest(said: Struct) -> str:
    return hashlib.sha256(msgspec.json.encode(said)).hexdigest()[:ID_DIGITS]


def _model_of(log: LogReader) -> AdvisorRecord | None:
    """The model that was recorded, if one was: what it may know it still may know. A part of a run has its run's.

    InputError where the run's first line is not there to say.
    """
    for part in (log, LogReader(log.path.parent, is_run=True)):
        first = next(iter(part.entries()), None)
        if first is not None and first.kind is Kind.START:
            start = first.record()
            return start.advisor if isinstance(start, StartRecord) else None
    msg = (
        f"{log.path}: the first file of this run is not there, and nobody knows whose advice it holds; "
        "put all files of the run into one folder, and name that"
    )
    raise InputError(msg)


class _Taught(Struct, frozen=True, kw_only=True):
    """What else learns from outcomes, or has learned beforehand."""

    calibration: Calibration | None = None
    ensemble: EnsembleAdvisor | None = None
    thresholds: Mapping[int, Thresholds] | None = None


def _learner(settings: Settings, market: Instrument, taught: _Taught) -> Learner | None:
    """What follows outcomes, where anything does."""
    adaptive = assembly.adaptive(settings)
    if adaptive is None and taught.calibration is None and taught.thresholds is None:
        return None
    return Learner(
        OutcomeTracker(assembly.outcome_terms(settings, market)),
        assembly.fusion_rules(settings),
        calibration=taught.calibration,
        adaptive=adaptive,
        thresholds=taught.thresholds,
        ensemble=taught.ensemble,
    )


def _record(
    settings: Settings, backend: AdvisorBackend, fitted: Fitted | None, learned: Learned | None
) -> AdvisorRecord:
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
        fitted=None if fitted is None else fitted.sha256,
        fitted_until=None if fitted is None else fitted.last_session,
        learned=None if learned is None else msgspec.to_builtins(learned),
    )
