"""What `trader advisor fit` has found, in an evaluation: the runs beside the headline have it where it counts."""

import asyncio

import pytest
from evaluation_builders import PLACEBO_SEED, done, market, no_progress
from prefill_builders import HEAD

from trader.adapters.fitted import Fitted, write_fitted
from trader.adapters.recording_file import RecordingFile
from trader.advisor.calibration import Calibration, CalibrationMode, CalibrationRules
from trader.advisor.hedge import REGIMES
from trader.analysis.evaluation import RunName
from trader.analysis.fit import Worth
from trader.evaluation.runs import plan_runs, trade_beside
from trader.learning import Thresholds

NOTHING = Worth(trades=0, mean_r=None, questions=0, stood_in=0, missing=0)


def fitted_to_the_dice() -> Fitted:
    """Bounds, and a calibration that has learned nothing."""
    rules = CalibrationRules(mode=CalibrationMode.RELATIVE, legal_mass_min=0.2, learns=True)
    return Fitted(
        head=HEAD,
        market="NQ",
        bars_source="a test",
        bars_sha256="0",
        first_session="2021-01-04",
        last_session="2021-12-31",
        strategy="ppo",
        calibration=Calibration(rules, 3.0).state(),
        thresholds=dict.fromkeys(REGIMES, Thresholds(override_high=0.8, uncertain_below=0.4)),
        before=NOTHING,
        after=NOTHING,
        tried=(),
    )


@pytest.fixture(scope="module")
def overrides(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, str]:
    """The settings of a run on a recording, with what was fitted to it."""
    folder = tmp_path_factory.mktemp("fitted")
    recording, fitted = folder / "r.jsonl", folder / "fit.json"
    RecordingFile(recording, HEAD).close()
    write_fitted(fitted, fitted_to_the_dice())
    return (
        "advisor.backend=recorded",
        f"advisor.recorded_from={recording}",
        f"advisor.calibration.fitted={fitted}",
    )


@pytest.mark.parametrize(
    "name", [RunName.RL_ONLY, RunName.ADVICE_ONLY, RunName.PLACEBO_SHUFFLED, RunName.PLACEBO_INVERTED, RunName.FLAT]
)
def test_run_beside_a_headline_with_a_fit_is_made(overrides: tuple[str, str, str], name: RunName) -> None:
    """Without the advisor there is nothing that the fit belongs to; in its place another meets the same bounds."""
    headline = done(*overrides, sessions=2)
    plan = plan_runs(headline.settings, PLACEBO_SEED)
    made = asyncio.run(trade_beside(market(2), headline, name, plan, no_progress))
    assert made.report.run.sessions == headline.report.run.sessions == 2
