"""Whether calibration learns what an advisor's numbers mean: advisors made to be wrong in known ways.

A trial is a stream of questions. Each has a true chance that buying beats holding, drawn from a logistic-normal law;
the advisor states a distortion of it; the outcome is a coin of the true chance, known 30 questions later. The first
2,000 teach, the next 8,000 are measured as they come: predicted first and learned later, or with learning at an end.
"""

from collections import deque
from enum import StrEnum

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from trader.advisor.calibration import Calibration, CalibrationMode, CalibrationRules
from trader.advisor.outcomes import Outcome
from trader.advisor.question import Answer, Scores
from trader.domain.actions import Action
from trader.domain.decisions import Advice, AdviceStatus

Floats = NDArray[np.float64]

TAUGHT = 2_000
MEASURED = 8_000
BINS = 10
ECE_MAX = 0.03
LOSS_MARGIN = 0.002
"""What calibration may cost an advisor that needs none, in nats."""
LATE_BY = 30

_HOLD_OR_BUY = 1 << Action.HOLD | 1 << Action.BUY
_SPREAD = 1.2
_SURE = 1e-4


class Distortion(StrEnum):
    """How an advisor's number differs from the truth."""

    NONE = "none"
    OVER_CONFIDENT = "over_confident"
    UNDER_CONFIDENT = "under_confident"
    SHIFTED_SIGMOID = "shifted_sigmoid"
    POWER = "power"
    BASE_RATE = "base_rate"


class Path(StrEnum):
    """What the calibration is given: a written number for one action, or the probabilities of two labels."""

    WRITTEN = "written"
    LABELS = "labels"


class Trial(Struct, frozen=True, kw_only=True):
    """`base_rate` is the chance of a middling question, 0.5 or what a bracket of 1 to 3 wins without skill.

    `goes_on`: what is measured teaches too, as in use; otherwise a frozen copy is measured.
    """

    distortion: Distortion
    path: Path
    base_rate: float
    seed: int
    goes_on: bool = True


class TrialResult(Struct, frozen=True, kw_only=True):
    """Of the measured questions: expected calibration error (10 bins of equal mass), log-losses in nats a question.

    `raw_loss` is of the advisor's own number for what it advised, `written_loss` of what a talkative model writes.
    `true_loss` is the best possible. `is_good`: within the bounds of the issue.
    """

    trial: Trial
    ece: float
    true_ece: float
    loss: float
    raw_loss: float
    written_loss: float
    true_loss: float

    @property
    def is_good(self) -> bool:
        """Calibrated, better than the advisor's own numbers where they are wrong, hardly worse where they are right."""
        if self.trial.distortion is Distortion.NONE:
            return self.ece <= ECE_MAX and self.loss <= self.raw_loss + LOSS_MARGIN
        return self.ece <= ECE_MAX and self.loss < min(self.raw_loss, self.written_loss)


def run_trial(trial: Trial) -> TrialResult:
    """One advisor from its first question to its last; the same result for the same trial."""
    rng = np.random.default_rng([trial.seed, list(Distortion).index(trial.distortion), int(trial.base_rate * 1_000)])
    count = TAUGHT + MEASURED
    chances = _sigmoid(_logit(np.array(trial.base_rate)) + _SPREAD * rng.standard_normal(count))
    numbers = distorted(chances, trial.distortion)
    buying_won = rng.random(count) < chances
    measured = _advice(trial, numbers, buying_won)[TAUGHT:]
    is_buy = np.array([one.action is Action.BUY for one in measured])
    won_advised = np.where(is_buy, buying_won[TAUGHT:], ~buying_won[TAUGHT:])
    raw = np.where(is_buy, numbers[TAUGHT:], 1 - numbers[TAUGHT:])
    truth = np.where(is_buy, chances[TAUGHT:], 1 - chances[TAUGHT:])
    stated = np.array([one.confidence for one in measured])
    return TrialResult(
        trial=trial,
        ece=calibration_error(stated, won_advised),
        true_ece=calibration_error(truth, won_advised),
        loss=log_loss(stated, won_advised),
        raw_loss=log_loss(raw, won_advised),
        written_loss=log_loss(_written(raw), won_advised),
        true_loss=log_loss(truth, won_advised),
    )


def _advice(trial: Trial, numbers: Floats, buying_won: NDArray[np.bool_]) -> list[Advice]:
    calibration = _calibration(trial, learns=True)
    waiting: deque[Outcome] = deque()
    advised = []
    for seq, (number, won) in enumerate(zip(numbers.tolist(), buying_won.tolist(), strict=True)):
        if seq == TAUGHT and not trial.goes_on:
            frozen = _calibration(trial, learns=False)
            frozen.restore(calibration.state())
            calibration = frozen
        answer = calibration.advise(seq, _HOLD_OR_BUY, _answer(trial.path, number))
        assert answer.advice is not None  # noqa: S101 -- every answer here has valid labels
        advised.append(answer.advice)
        waiting.append(_outcome(seq, won=won))
        if len(waiting) > LATE_BY:
            calibration.settle(waiting.popleft())
    return advised


def _calibration(trial: Trial, *, learns: bool) -> Calibration:
    rules = CalibrationRules(mode=CalibrationMode.PROBABILITY, legal_mass_min=0.2, learns=learns)
    return Calibration(rules, target_multiple=1.0 / trial.base_rate - 1.0)


def distorted(chances: Floats, distortion: Distortion) -> Floats:
    """What an advisor states where the truth is `chances`; each form keeps their order."""
    match distortion:
        case Distortion.NONE:
            return chances
        case Distortion.OVER_CONFIDENT:
            return _sigmoid(2.5 * _logit(chances))
        case Distortion.UNDER_CONFIDENT:
            return _sigmoid(0.4 * _logit(chances))
        case Distortion.SHIFTED_SIGMOID:
            return _sigmoid(1.5 * _logit(chances) + 1.5)
        case Distortion.POWER:
            return chances**0.4
        case Distortion.BASE_RATE:
            return 4 * chances / (1 + 3 * chances)


def calibration_error(stated: Floats, won: NDArray[np.bool_], bins: int = BINS) -> float:
    """Expected calibration error: mean of |stated - won| over bins of equal mass; both arrays of shape (n,)."""
    order = np.argsort(stated, kind="stable")
    gaps = [
        abs(float(stated[part].mean() - won[part].mean())) * len(part) / len(order)
        for part in np.array_split(order, bins)
    ]
    return sum(gaps)


def log_loss(stated: Floats, won: NDArray[np.bool_]) -> float:
    """Mean of -ln of the probability of what happened, in nats; both arrays of shape (n,)."""
    sure = np.clip(stated, _SURE, 1 - _SURE)
    return float(-np.log(np.where(won, sure, 1 - sure)).mean())


def _answer(path: Path, number: float) -> Answer:
    if path is Path.WRITTEN:
        advice = Advice(action=Action.BUY, confidence=number, reason="", verbal=number)
        return Answer(status=AdviceStatus.USED, advice=advice)
    logs = np.log([1 - number, number]).tolist()
    return Answer(status=AdviceStatus.USED, scores=Scores((*logs, None, None, None, None), 1.0))


def _outcome(seq: int, *, won: bool) -> Outcome:
    nothing = (None,) * 4
    return Outcome(
        seq=seq, regime=0, mask=_HOLD_OR_BUY, net_cents=(0, 1 if won else -1, *nothing), won=(not won, won, *nothing)
    )


def _written(numbers: Floats) -> Floats:
    """What a model writes that is never in doubt: 0.60 to 0.95, in steps of 0.05."""
    return np.round((0.6 + 0.35 * numbers) * 20) / 20


def _sigmoid(scores: Floats) -> Floats:
    return 0.5 + 0.5 * np.tanh(0.5 * scores)


def _logit(chances: Floats) -> Floats:
    return np.log(chances) - np.log1p(-chances)
