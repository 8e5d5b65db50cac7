"""Advisors that are wrong in known ways: calibration finds them out; and the yardsticks by which that is said."""

import math

import numpy as np
import pytest
from msgspec.structs import replace

from trader.evaluation.calibration_trials import (
    ECE_MAX,
    LOSS_MARGIN,
    Distortion,
    Path,
    Trial,
    calibration_error,
    distorted,
    log_loss,
    run_trial,
)


@pytest.mark.parametrize("distortion", Distortion)
@pytest.mark.parametrize(("path", "base_rate", "seed"), [(Path.WRITTEN, 0.25, 1), (Path.LABELS, 0.5, 2)])
def test_advisor_of_known_distortion_is_calibrated_after_two_thousand_outcomes(
    distortion: Distortion, path: Path, base_rate: float, seed: int
) -> None:
    """Error at most 0.03 on the next 8,000; better than its own numbers where these are wrong."""
    result = run_trial(Trial(distortion=distortion, path=path, base_rate=base_rate, seed=seed))
    assert result.ece <= ECE_MAX
    if distortion is Distortion.NONE:
        assert result.loss <= result.raw_loss + LOSS_MARGIN
    else:
        assert result.loss < min(result.raw_loss, result.written_loss)
    assert result.is_good


def test_calibration_error_is_the_gap_between_word_and_deed_over_bins_of_equal_mass():
    """Ten bins of two: 0.9 said and half won in each is 0.4; a word that is kept is 0."""
    won = np.array([True, False] * 10)
    assert calibration_error(np.full(20, 0.9), won) == pytest.approx(0.4)
    assert calibration_error(np.full(20, 0.5), won) == 0.0
    said = np.array([0.2] * 10 + [0.8] * 10)
    kept = np.array([True, False, False, False, False] * 2 + [True, True, True, True, False] * 2)
    assert calibration_error(said, kept, bins=2) == pytest.approx(0.0)
    assert calibration_error(said, ~kept, bins=2) == pytest.approx(0.6)


def test_log_loss_is_the_surprise_at_what_happened():
    """In nats; no number is taken for a certainty."""
    assert log_loss(np.array([0.5, 0.25]), np.array([True, False])) == pytest.approx(-math.log(0.5 * 0.75) / 2)
    assert log_loss(np.array([0.0]), np.array([True])) == pytest.approx(-math.log(1e-4))


def test_learning_that_has_ended_is_measured_apart():
    """The same advisor and the same coins; what was learned from 2,000 outcomes serves 8,000 questions as it is."""
    trial = Trial(distortion=Distortion.OVER_CONFIDENT, path=Path.WRITTEN, base_rate=0.25, seed=1)
    live, frozen = run_trial(trial), run_trial(replace(trial, goes_on=False))
    assert (frozen.raw_loss, frozen.true_loss) == (live.raw_loss, live.true_loss)
    assert frozen.loss != live.loss
    assert frozen.is_good


def test_distortions_keep_the_order_of_chances_and_miss_the_truth():
    """A larger chance gets a larger number from each; only one states the chances as they are."""
    chances = np.linspace(0.02, 0.98, 49)
    for distortion in Distortion:
        numbers = distorted(chances, distortion)
        assert (np.diff(numbers) > 0).all()
        assert ((numbers > 0) & (numbers < 1)).all()
        assert bool((numbers == chances).all()) is (distortion is Distortion.NONE)
