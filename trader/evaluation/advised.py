"""Replays with a back end that is there already: a recording being filled, or thresholds being tried."""

from collections.abc import Mapping

from trader.adapters.replay import ReplayFeed
from trader.advisors import Advising, AdvisorChoice, behind
from trader.app import Run, assemble
from trader.domain.instruments import instrument
from trader.evaluation.runs import Market
from trader.learning import Thresholds
from trader.ports import AdvisorBackend, RunLog
from trader.settings import Settings


def advised_by(
    settings: Settings, backend: AdvisorBackend, thresholds: Mapping[int, Thresholds] | None = None
) -> Advising:
    """A model's `backend` behind cache and calibration, as a replay with these settings has it.

    It begins with what `advisor.calibration.fitted` holds, or with nothing learned. `thresholds` replace the fusion's
    bounds by regime. InputError where what was fitted cannot be read.
    """
    choice = AdvisorChoice(is_patient=True)
    return behind(settings, instrument(settings.market), backend, choice, thresholds)


async def replay(market: Market, settings: Settings, advising: Advising, log: RunLog | None = None) -> Run:
    """One replay over all bars, told to `log`."""
    run = assemble(settings, market.facts, log=log, advisor=advising)
    run.engine.controls.reconciled()
    try:
        await run.engine.run(ReplayFeed([market.columns]))
    finally:
        await run.advisor.close()
    return run
