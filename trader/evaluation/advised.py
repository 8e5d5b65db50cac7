"""Replays with a back end that is there already: a recording being filled, or thresholds being tried."""

from collections.abc import Mapping
from pathlib import Path

from trader import assembly
from trader.adapters.fitted import load_fitted
from trader.adapters.replay import ReplayFeed
from trader.advisor.asker import Asker
from trader.advisor.cache import AdviceCache
from trader.advisor.calibration import Calibration
from trader.advisor.outcomes import OutcomeTracker
from trader.advisors import Advising
from trader.app import Run, assemble
from trader.domain.instruments import instrument
from trader.evaluation.runs import Market
from trader.learning import Learner, Thresholds
from trader.ports import AdvisorBackend, RunLog
from trader.settings import Settings


def advised_by(
    settings: Settings, backend: AdvisorBackend, thresholds: Mapping[int, Thresholds] | None = None
) -> Advising:
    """A model's `backend` behind cache and calibration, as a replay with these settings has it.

    It begins with what `advisor.calibration.fitted` holds, or with nothing learned. `thresholds` replace the fusion's
    bounds by regime. InputError where what was fitted cannot be read.
    """
    market = instrument(settings.market)
    calibration = Calibration(assembly.calibration_rules(settings), settings.execution.target_multiple)
    path = settings.advisor.calibration.fitted
    if path is not None:
        fitted = load_fitted(Path(path))
        calibration.restore(fitted.calibration)
        thresholds = fitted.thresholds if thresholds is None else thresholds
    learner = Learner(
        OutcomeTracker(assembly.outcome_terms(settings, market)),
        assembly.fusion_rules(settings),
        calibration=calibration,
        adaptive=assembly.adaptive(settings),
        thresholds=thresholds,
    )
    cache = AdviceCache(assembly.cache_rules(settings), backend.identity)
    asker = Asker(backend, assembly.ask_rules(settings, is_patient=True), cache, calibration=calibration)
    return Advising(advisor=asker, learner=learner, record=None, identity=backend.identity)


async def replay(market: Market, settings: Settings, advising: Advising, log: RunLog | None = None) -> Run:
    """One replay over all bars, told to `log`."""
    run = assemble(settings, market.facts, log=log, advisor=advising)
    run.engine.controls.reconciled()
    try:
        await run.engine.run(ReplayFeed([market.columns]))
    finally:
        await run.advisor.close()
    return run
