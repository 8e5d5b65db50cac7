"""Makes advice of a model's probabilities, and learns from what became of it. Pure.

Order (spec advisor.md): labels, running batch correction, the chosen action's calibrator, its base rate, relative.
Everything predicts first and learns later, so that no advice has seen its own outcome.
"""

import math
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from trader.advisor.base_rate import BaseRates, RateState
from trader.advisor.batch_correction import BatchCorrection, MeanState
from trader.advisor.online_calibrator import CalibratorState, OnlineCalibrator, logit, sigmoid
from trader.advisor.outcomes import Outcome
from trader.advisor.question import Answer, Scores, to_step
from trader.domain.actions import ACTION_COUNT, Action
from trader.domain.decisions import Advice, AdviceStatus

PENDING_MAX = 256
"""Advice that waits for its outcome; the oldest is forgotten first. About 30 wait at a time."""


class CalibrationMode(StrEnum):
    """What an advice's confidence is; the settings' names."""

    RELATIVE = "relative"
    PROBABILITY = "probability"
    OFF = "off"


class CalibrationRules(Struct, frozen=True, kw_only=True):
    """`legal_mass_min` is what a model must leave to valid labels, 0..1; without `learns` everything stays as it is.

    Confidence: RELATIVE sigmoid(logit calibrated - logit base rate), 0.5 = no better than this action usually is;
    PROBABILITY the calibrated one; OFF the model's own after the batch correction, or the one that it wrote.
    """

    mode: CalibrationMode
    legal_mass_min: float
    learns: bool


class Pending(Struct, frozen=True, gc=False):
    """Advice on bar `seq` that waits for its outcome, and the number that its calibrator was given."""

    seq: int
    action: int
    number: float


class CalibrationState(Struct, frozen=True, kw_only=True):
    """All that a calibration has learned; `calibrators` and `rates` by action."""

    calibrators: tuple[CalibratorState, ...]
    rates: tuple[RateState, ...]
    means: tuple[MeanState, ...]
    pending: tuple[Pending, ...]


class Calibration:
    """One model's calibration: a calibrator and a base rate for each action, and the labels' running means."""

    def __init__(self, rules: CalibrationRules, target_multiple: float) -> None:
        self._rules = rules
        self._labels = BatchCorrection()
        self._rates = BaseRates(target_multiple)
        self._calibrators = tuple(OnlineCalibrator() for _ in range(ACTION_COUNT))
        self._pending: dict[int, Pending] = {}

    def advise(self, seq: int, mask: int, answer: Answer) -> Answer:
        """The answer to the question of bar `seq` with its advice, not yet rounded.

        From scores: the valid action with the largest corrected probability; INVALID where the valid labels have less
        than `legal_mass_min`. From a written confidence: that number, calibrated. Anything else is returned as it came.
        """
        if answer.status is not AdviceStatus.USED:
            return answer
        if answer.scores is not None:
            return self._advise_by_scores(seq, mask, answer, answer.scores)
        advice = answer.advice
        if advice is None or advice.verbal is None or not mask >> advice.action & 1:
            return answer
        verbal = advice.verbal
        return replace(answer, advice=self._calibrated(seq, replace(advice, raw=verbal), verbal))

    def settle(self, outcome: Outcome) -> None:
        """Learn what became of a question, whatever was advised; the calibrator learns what it had a part in."""
        pending = self._pending.pop(outcome.seq, None)
        if not self._rules.learns:
            return
        for action, won in enumerate(outcome.won):
            if won is not None:
                self._rates.update(action, won=won)
                if pending is not None and pending.action == action:
                    self._calibrators[action].update(pending.number, won=won)

    def state(self) -> CalibrationState:
        """All that it has learned."""
        return CalibrationState(
            calibrators=tuple(one.state() for one in self._calibrators),
            rates=self._rates.state(),
            means=self._labels.state(),
            pending=tuple(self._pending.values()),
        )

    def restore(self, state: CalibrationState) -> None:
        """Go on where another stood."""
        for own, kept in zip(self._calibrators, state.calibrators, strict=True):
            own.restore(kept)
        self._rates.restore(state.rates)
        self._labels.restore(state.means)
        self._pending = {one.seq: one for one in state.pending}

    def _advise_by_scores(self, seq: int, mask: int, answer: Answer, scores: Scores) -> Answer:
        if not scores.legal_mass >= self._rules.legal_mass_min:
            msg = (
                f"the labels of the valid actions hold {scores.legal_mass:.3f} of the probability, less than "
                f"advisor.legal_mass_min ({self._rules.legal_mass_min})"
            )
            return replace(answer, status=AdviceStatus.INVALID, advice=None, visible_from_bar=None, error=msg)
        corrected = self._labels.corrected(mask, scores.log_probs)
        if self._rules.learns:
            self._labels.learn(mask, scores.log_probs)
        action = choice(corrected)
        own, number = scores.log_probs[action], corrected[action]
        assert own is not None  # noqa: S101 -- the choice is a valid action
        assert number is not None  # noqa: S101
        advice = Advice(
            action=action,
            confidence=number,
            reason="" if answer.advice is None else answer.advice.reason,
            raw=min(math.exp(own), 1.0),
            legal_mass=scores.legal_mass,
        )
        return replace(answer, advice=self._calibrated(seq, advice, number))

    def _calibrated(self, seq: int, advice: Advice, number: float) -> Advice:
        """Put calibrated probability, base rate and confidence to an advice, and remember what they came from."""
        base_rate = self._rates.rate(advice.action)
        calibrated = self._calibrators[advice.action].predict(number, base_rate)
        self._pending.pop(seq, None)
        self._pending[seq] = Pending(seq, int(advice.action), number)
        if len(self._pending) > PENDING_MAX:
            del self._pending[next(iter(self._pending))]
        match self._rules.mode:
            case CalibrationMode.RELATIVE:
                confidence = sigmoid(logit(calibrated) - logit(base_rate))
            case CalibrationMode.PROBABILITY:
                confidence = calibrated
            case CalibrationMode.OFF:
                confidence = number
        return replace(advice, confidence=confidence, calibrated=calibrated, base_rate=base_rate)


def choice(probabilities: tuple[float | None, ...]) -> Action:
    """The action of the largest probability, in steps of 1/1024; HOLD where two share it.

    So that the last bits of a sum, which differ from machine to machine, decide nothing.
    """
    steps = [-1.0 if p is None else to_step(p) for p in probabilities]
    top = max(steps)
    return Action.HOLD if steps.count(top) > 1 else Action(steps.index(top))
