"""Probabilistic and deflated Sharpe ratios against the papers' own examples."""

import math

import numpy as np
import pytest

from trader.analysis.sharpe import Moments, luck_session, moments, probabilistic_sharpe, sharpe_evidence


def seen(sharpe: float, sessions: int, skewness: float = 0.0, kurtosis: float = 3.0) -> Moments:
    """Moments as a paper states them."""
    return Moments(sessions=sessions, sharpe_session=sharpe, skewness=skewness, kurtosis=kurtosis)


def test_probabilistic_sharpe_is_that_of_the_hedge_fund_example():
    """Bailey & Lopez de Prado (2012): 24 months at 0.458, 0.982 if normal, 0.913 with skewness and kurtosis."""
    assert probabilistic_sharpe(seen(0.458, 24)) == pytest.approx(0.982, abs=5e-4)
    assert probabilistic_sharpe(seen(0.458, 24, -2.448, 10.164)) == pytest.approx(0.913, abs=5e-4)


def test_luck_and_deflated_sharpe_are_those_of_the_numerical_example():
    """Bailey & Lopez de Prado (2014): 100 trials, variance 1/2 a year, 1,250 days, ratio 2.5: 0.1132 and 0.9004."""
    luck = luck_session(100, 0.5 / 250)
    assert luck == pytest.approx(0.1132, abs=5e-5)
    example = seen(2.5 / math.sqrt(250), 1_250, -3, 10)
    assert probabilistic_sharpe(example, luck) == pytest.approx(0.9004, abs=5e-5)
    assert probabilistic_sharpe(example, luck_session(46, 0.5 / 250)) == pytest.approx(0.9505, abs=5e-5)


def test_luck_is_near_the_best_of_simulated_trials():
    """The mean of the best of 50 standard normals, over 4,000 draws; the formula is that of large numbers."""
    best = np.random.default_rng(3).standard_normal((4_000, 50)).max(axis=1).mean()
    assert luck_session(50, 1.0) == pytest.approx(best, abs=0.05)


def test_a_single_trial_needs_no_deflation():
    """Nothing was chosen: luck is 0 and both probabilities agree."""
    values = np.random.default_rng(1).normal(0.1, 1, 200)
    alone = sharpe_evidence(values, [0.1], trials_file="t.jsonl")
    assert (alone.trials, alone.expected_best, alone.deflated) == (1, 0.0, alone.probabilistic)


def test_more_trials_leave_less():
    """The same result among ten trials is worth less than among two."""
    values = np.random.default_rng(1).normal(0.1, 1, 200)
    two, ten = (sharpe_evidence(values, [0.1, -0.1] * pairs, trials_file="t.jsonl") for pairs in (1, 5))
    assert (two.trials, ten.trials) == (2, 10)
    assert two.deflated is not None
    assert ten.deflated is not None
    assert two.probabilistic == ten.probabilistic > two.deflated > ten.deflated


def test_moments_of_a_known_sample():
    """0, 0, 0, 1 in equal parts, as a coin of 1/4: skewness (1 - 2p) / root(p q), kurtosis 3 + (1 - 6pq) / pq."""
    found = moments(np.array([0.0, 0, 0, 1] * 10))
    assert found is not None
    assert found.skewness == pytest.approx(0.5 / math.sqrt(3 / 16))
    assert found.kurtosis == pytest.approx(3 + (1 - 18 / 16) / (3 / 16))
    assert found.sharpe_session == pytest.approx(0.25 / math.sqrt(3 / 16 * 40 / 39))


@pytest.mark.parametrize("values", [np.ones(19), np.zeros(50), np.empty(0)])
def test_too_few_or_equal_sessions_have_no_evidence(values: np.ndarray):
    """There is no ratio to judge."""
    found = sharpe_evidence(values, [], trials_file="t.jsonl")
    assert (found.daily_sharpe, found.probabilistic, found.deflated) == (None, None, None)
    assert found.sessions == len(values)
