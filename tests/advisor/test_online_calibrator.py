"""The map from a number to a probability: its three stages, its shape, its memory, and how soon it is true."""

import math
from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trader.advisor.online_calibrator import (
    BETA_ABOVE,
    P_MIN,
    CalibratorState,
    OnlineCalibrator,
    fitted,
    sigmoid,
)
from trader.errors import InvariantError

BASE = 0.25


def taught(numbers: np.ndarray, won: np.ndarray) -> OnlineCalibrator:
    calibrator = OnlineCalibrator()
    for number, one in zip(numbers.tolist(), won.tolist(), strict=True):
        calibrator.update(number, won=bool(one))
    return calibrator


def some_outcomes(count: int, slope: float = 1.0, shift: float = 0.0, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Numbers between 0 and 1, and outcomes of chance sigmoid(slope x logit(number) + shift)."""
    rng = np.random.default_rng(seed)
    numbers = rng.uniform(0.02, 0.98, count)
    chances = 1 / (1 + np.exp(-slope * np.log(numbers / (1 - numbers)) - shift))
    return numbers, rng.random(count) < chances


def test_below_thirty_outcomes_half_the_number_and_half_the_base_rate():
    """However they went: too few to say more."""
    calibrator = taught(np.full(29, 0.9), np.zeros(29))
    assert calibrator.predict(0.9, BASE) == pytest.approx(0.575)
    calibrator.update(0.9, won=False)
    assert calibrator.predict(0.9, BASE) < 0.2


def test_to_five_hundred_outcomes_two_coefficients_above_three():
    """Platt's map, then the beta map."""
    numbers, won = some_outcomes(BETA_ABOVE + 20)
    assert len(taught(numbers[:BETA_ABOVE], won[:BETA_ABOVE]).state().fit) == 2
    assert len(taught(numbers, won).state().fit) == 3


@pytest.mark.parametrize("count", [400, 5_000])
def test_fit_finds_the_map_that_made_the_outcomes(count: int):
    """Half the slope and a shift of -1: within what so many coins allow."""
    numbers, won = some_outcomes(count, slope=0.5, shift=-1.0)
    calibrator = taught(numbers, won)
    for number in (0.1, 0.3, 0.5, 0.7, 0.9):
        chance = sigmoid(0.5 * math.log(number / (1 - number)) - 1.0)
        assert calibrator.predict(number, BASE) == pytest.approx(chance, abs=2.0 / math.sqrt(count))


def test_fit_is_the_maximum_of_the_posterior():
    """No coefficient a little up or down has a larger one: the penalised likelihood, written out for each outcome."""
    numbers, won = some_outcomes(700, slope=0.6, shift=-0.8)

    def posterior(a: float, b: float, c: float) -> float:
        score = a * np.log(numbers) - b * np.log(1 - numbers) + c
        q = 1 / (1 + np.exp(-score))
        data = np.where(won, np.log(q), np.log(1 - q)).sum()
        return float(data - ((a - 1) ** 2 + (b - 1) ** 2) / (2 * 0.25) - c**2 / 2)

    best = fitted(numbers, won.astype(float))
    at_best = posterior(*best)
    for i in range(3):
        for step in (-0.01, 0.01):
            assert posterior(*(value + step * (i == k) for k, value in enumerate(best))) < at_best


def test_one_sided_outcomes_stay_finite_and_are_drawn_to_the_identity():
    """All lost: likelihood alone would go to minus infinity."""
    for count in (40, 600):
        fit = fitted(np.linspace(0.05, 0.95, count), np.zeros(count))
        assert all(math.isfinite(value) for value in fit)
        assert all(slope >= 0 for slope in fit[:-1])
        assert -5 < fit[-1] < 0


NUMBER = st.one_of(st.sampled_from([0.0, 1.0, 0.5]), st.floats(0.0, 1.0))


@given(
    st.integers(0, 2**32),
    st.sampled_from([0, 29, 30, 200, 501, 700]),
    st.sampled_from(["coins", "reverse", "few", "sure"]),
)
def test_larger_number_never_means_a_smaller_probability(seed, count, kind):
    """Even where the numbers were worse than useless; and nothing is ever certain, not at 0 or 1 either."""
    rng = np.random.default_rng(seed)
    numbers = rng.choice([0.0, 1.0, 0.3, 0.9], count) if kind == "few" else rng.random(count)
    coins = rng.random(count)
    won = {"coins": coins < 0.3, "reverse": numbers < 0.5, "few": coins < 0.9, "sure": numbers > 0.5}[kind]
    calibrator = OnlineCalibrator()
    if count >= 30:
        state = calibrator.state()
        fit = fitted(numbers, won.astype(float))
        calibrator.restore(msgspec.structs.replace(state, fit=fit))
    predicted = [calibrator.predict(number, BASE) for number in np.linspace(0, 1, 101).tolist()]
    assert all(P_MIN <= p <= 1 - P_MIN for p in predicted)
    assert all(later >= earlier - 1e-12 for earlier, later in pairwise(predicted))


@pytest.mark.parametrize("count", [0, 12, 30, 33, 77, 640])
def test_restored_calibrator_goes_on_to_the_same_fits(count: int):
    """Kept as JSON after any outcome: each later prediction is the same to the last bit."""
    numbers, won = some_outcomes(count + 60, slope=0.7)
    calibrator = taught(numbers[:count], won[:count])
    other = OnlineCalibrator()
    other.restore(msgspec.json.decode(msgspec.json.encode(calibrator.state()), type=CalibratorState))
    for number, one in zip(numbers[count:].tolist(), won[count:].tolist(), strict=True):
        for each in (calibrator, other):
            each.update(number, won=one)
        assert other.predict(0.37, BASE) == calibrator.predict(0.37, BASE)
    assert other.state() == calibrator.state()


def test_old_outcomes_are_forgotten_and_a_changed_advisor_is_followed():
    """5,000 outcomes are kept. After as many of a changed world the fit is that of the changed world alone."""
    before, after = some_outcomes(600, slope=2.0, shift=2.0), some_outcomes(5_200, slope=0.5, shift=-1)
    calibrator = taught(*(np.concatenate(parts) for parts in zip(before, after, strict=True)))
    alone = taught(*after)
    assert len(calibrator) == 5_000
    assert calibrator.predict(0.5, BASE) == pytest.approx(alone.predict(0.5, BASE), abs=0.005)


@pytest.mark.parametrize("number", [-0.1, 1.1, math.nan, math.inf])
def test_number_that_is_no_probability_is_refused(number: float):
    """The parser and the scores have let none through."""
    with pytest.raises(InvariantError, match="is not a probability"):
        OnlineCalibrator().predict(number, BASE)
    with pytest.raises(InvariantError, match="is not a probability"):
        OnlineCalibrator().update(number, won=True)
