"""From a model's number to the probability that its advice beats HOLD, learned from what became of it. Pure.

By outcomes known so far: below 30 half the number, half the base rate; to 500 Platt's (1999) sigmoid(a logit p + b);
above that beta calibration (Kull, Silva Filho and Flach, 2017), sigmoid(a ln p - b ln(1 - p) + c). Both are fitted by
Newton's method to the last 5,000 outcomes under normal priors around the identity (a = b = 1, c = 0; standard
deviation 0.5 of a slope, 1 of the constant), slopes never below 0: a larger number never means a smaller probability.
A fit is renewed when outcomes have grown by a fiftieth, five at least; it starts from the identity, so that it depends
on the outcomes alone.
"""

import math
from collections import deque

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from trader.errors import InvariantError

PLATT_FROM = 30
BETA_ABOVE = 500
WINDOW_OUTCOMES = 5_000
IDENTITY_SHARE = 0.5
"""What an unproven number counts for against the base rate."""
SLOPE_SD = 0.5
CONSTANT_SD = 1.0
P_MIN = 1e-4
"""Numbers in are taken, and probabilities out are given, no nearer to 0 and 1 than this."""
REFIT_SHARE = 50
REFIT_OUTCOMES = 5

_NEWTON_STEPS = 50
_HALVINGS = 30
_CONVERGED = 1e-10
_SCORES, _SLOPES, _BENDS = "nk,k->n", "nk,n->k", "nk,nl->kl"  # not BLAS, whose last bits depend on its threads

Floats = NDArray[np.float64]


class CalibratorState(Struct, frozen=True, kw_only=True):
    """The outcomes in the window, oldest first, the fit in force (slopes, then the constant; empty before the first)
    and how many outcomes have come since."""

    numbers: tuple[float, ...]
    won: tuple[bool, ...]
    fit: tuple[float, ...]
    since_fit: int


class OnlineCalibrator:
    """One action's calibrator. Predict first, update later."""

    def __init__(self) -> None:
        self._numbers: deque[float] = deque(maxlen=WINDOW_OUTCOMES)
        self._won: deque[bool] = deque(maxlen=WINDOW_OUTCOMES)
        self._fit: tuple[float, ...] = ()
        self._since_fit = 0

    def __len__(self) -> int:
        return len(self._numbers)

    def predict(self, number: float, base_rate: float) -> float:
        """P(beats HOLD) for the model's `number` (0..1), within P_MIN of 0 and 1; never falls as `number` rises."""
        _refuse_outside(number)
        fit = self._fit
        if not fit:
            return _clipped(IDENTITY_SHARE * number + (1.0 - IDENTITY_SHARE) * base_rate)
        p = _clipped(number)
        rising, falling = math.log(p), math.log1p(-p)
        score = fit[0] * (rising - falling) if len(fit) == 2 else fit[0] * rising - fit[1] * falling
        return _clipped(sigmoid(score + fit[-1]))

    def update(self, number: float, *, won: bool) -> None:
        """What became of advice that was given with `number`."""
        _refuse_outside(number)
        self._numbers.append(number)
        self._won.append(won)
        self._since_fit += 1
        count = len(self._numbers)
        due = max(REFIT_OUTCOMES, count // REFIT_SHARE)
        if count >= PLATT_FROM and (self._since_fit >= due or not self._fit):
            self._fit = fitted(np.array(self._numbers), np.array(self._won, dtype=np.float64))
            self._since_fit = 0

    def state(self) -> CalibratorState:
        """All that it knows."""
        return CalibratorState(
            numbers=tuple(self._numbers), won=tuple(self._won), fit=self._fit, since_fit=self._since_fit
        )

    def restore(self, state: CalibratorState) -> None:
        """Go on where another stood."""
        self._numbers = deque(state.numbers, maxlen=WINDOW_OUTCOMES)
        self._won = deque(state.won, maxlen=WINDOW_OUTCOMES)
        self._fit = state.fit
        self._since_fit = state.since_fit


def fitted(numbers: Floats, won: Floats) -> tuple[float, ...]:
    """Slopes and constant of the map that belongs to n outcomes (n,): two values to BETA_ABOVE, three above."""
    p = np.clip(numbers, P_MIN, 1.0 - P_MIN)
    rising, falling = np.log(p), -np.log1p(-p)
    slopes = [rising, falling] if len(p) > BETA_ABOVE else [rising + falling]
    columns = np.column_stack([*slopes, np.ones_like(p)])
    prior = np.array([1.0] * len(slopes) + [0.0])
    precision = np.array([SLOPE_SD**-2] * len(slopes) + [CONSTANT_SD**-2])
    free = np.ones(len(prior), dtype=bool)
    while True:  # at most once a slope: each round takes one out, or ends
        best = _newton(columns, won, prior, precision, free)
        lowest = int(np.argmin(best[:-1]))
        if best[lowest] >= 0.0:
            return tuple(best.tolist())
        free[lowest] = False


def _newton(columns: Floats, won: Floats, prior: Floats, precision: Floats, free: NDArray[np.bool_]) -> Floats:
    """The maximum of the posterior over the `free` coefficients, the others 0; steps that go too far are halved."""
    at = np.where(free, prior, 0.0)
    loss = _loss(columns, won, prior, precision, at)
    for _ in range(_NEWTON_STEPS):
        q = 0.5 + 0.5 * np.tanh(0.5 * np.einsum(_SCORES, columns, at))
        slope = np.einsum(_SLOPES, columns, q - won) + precision * (at - prior)
        bend = np.einsum(_BENDS, columns * (q * (1.0 - q))[:, None], columns) + np.diag(precision)
        step = np.zeros_like(at)
        step[free] = np.linalg.solve(bend[np.ix_(free, free)], slope[free])
        for _ in range(_HALVINGS):
            ahead = _loss(columns, won, prior, precision, at - step)
            if ahead <= loss:
                break
            step *= 0.5
        else:
            return at
        at, loss = at - step, ahead
        if float(np.abs(step).max()) < _CONVERGED:
            return at
    return at


def _loss(columns: Floats, won: Floats, prior: Floats, precision: Floats, at: Floats) -> float:
    score = np.einsum(_SCORES, columns, at)
    data = np.logaddexp(0.0, score) - won * score
    return float(data.sum() + 0.5 * (precision * (at - prior) ** 2).sum())


def sigmoid(score: float) -> float:
    """1 / (1 + exp(-score)), for any finite score."""
    return 0.5 + 0.5 * math.tanh(0.5 * score)


def logit(p: float) -> float:
    """ln(p / (1 - p)) for p in 0..1 exclusive."""
    return math.log(p) - math.log1p(-p)


def _clipped(p: float) -> float:
    return min(max(p, P_MIN), 1.0 - P_MIN)


def _refuse_outside(number: float) -> None:
    if not 0.0 <= number <= 1.0:
        msg = f"{number} is not a probability"
        raise InvariantError(msg)
