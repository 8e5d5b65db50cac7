"""What advice is said to be worth, by runs made so that the answer is known."""

import numpy as np
import pytest

from trader.analysis.advice_worth import AdvisedRuns, advice_worth
from trader.analysis.evaluation_parts import PlaceboKind

BASE = np.random.default_rng(7).normal(0, 1, 250)
NOISE = np.random.default_rng(8).normal(0, 0.2, 250)


def runs(**changes: np.ndarray) -> AdvisedRuns:
    """Runs that all came to the same, unless changed."""
    return AdvisedRuns(**dict.fromkeys(("fused", "shuffled", "inverted", "rl_only"), BASE) | changes)


def test_advice_that_adds_a_tenth_of_r_a_day_adds_something():
    """A small gain over a shared large variance is seen, because sessions are compared in pairs."""
    found = advice_worth(runs(fused=BASE + 0.1 + NOISE), 1)
    assert found.kind is PlaceboKind.ADDS
    assert found.over_shuffled_r.value == pytest.approx(0.1 + NOISE.mean())


def test_advice_that_changes_nothing_adds_nothing():
    """All differences are zero: so are their intervals."""
    found = advice_worth(runs(), 1)
    assert found.kind is PlaceboKind.ADDS_NOTHING
    assert (found.over_rl_only_r.low, found.over_rl_only_r.high) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("other", "name"), [("shuffled", "shuffled in time"), ("inverted", "inverted"), ("rl_only", "no advice")]
)
def test_advice_that_fails_against_one_of_the_three_adds_nothing_and_the_sentence_names_it(other: str, name: str):
    """It beats two of them by far and equals the third."""
    gained = BASE + 0.5
    found = advice_worth(runs(fused=gained, **{other: gained}), 1)
    assert found.kind is PlaceboKind.ADDS_NOTHING
    assert f"does not beat {'the same advice ' * (other != 'rl_only')}{name}." in found.sentence


def test_advice_that_harms_adds_nothing():
    """Below its placebos with certainty is not above."""
    assert advice_worth(runs(fused=BASE - 0.5), 1).kind is PlaceboKind.ADDS_NOTHING


@pytest.mark.parametrize("sessions", [0, 1, 59])
def test_under_sixty_sessions_are_too_short(sessions: int):
    """Whatever they show."""
    short = dict.fromkeys(("shuffled", "inverted", "rl_only"), BASE[:sessions])
    found = advice_worth(runs(fused=BASE[:sessions] + 1, **short), 1)
    assert found.kind is PlaceboKind.TOO_SHORT


def test_sixty_sessions_are_enough():
    """For a gain without noise."""
    others = dict.fromkeys(("shuffled", "inverted", "rl_only"), BASE[:60])
    assert advice_worth(runs(fused=BASE[:60] + 1, **others), 1).kind is PlaceboKind.ADDS


def test_without_advice_nothing_is_compared():
    """There is no run to compare."""
    found = advice_worth(None, 1)
    assert (found.kind, found.over_shuffled_r.value) == (PlaceboKind.NO_ADVICE, None)


def test_worthless_advice_is_rarely_said_to_add_something():
    """Of 200 runs that differ from their placebos by independent noise, at most 2.5 % and chance: 11."""
    rng = np.random.default_rng(4)
    kinds = [
        advice_worth(
            AdvisedRuns(**{name: rng.normal(0, 1, 60) for name in ("fused", "shuffled", "inverted", "rl_only")}),
            seed,
        ).kind
        for seed in range(200)
    ]
    assert kinds.count(PlaceboKind.ADDS) <= 11
