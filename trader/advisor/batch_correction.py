"""Takes out of a model's label probabilities what it says whatever it is asked. Pure.

Batch calibration (Zhou et al., 2023, "Batch Calibration: Rethinking Calibration for In-Context Learning and Prompt
Engineering") in its running form: from each label's log-probability its mean over earlier answers with the same valid
actions is subtracted, and the rest is normalised again.
"""

import math

from msgspec import Struct

PRIOR_ANSWERS = 20.0
"""The uniform distribution counts as much as so many answers."""
MEMORY_ANSWERS = 1_000
"""A mean of so many answers at least; from then on each answer fades by one part in so many."""
LOG_PROB_MIN = -16.0
"""Lower log-probabilities (1e-7) count as this one: a single impossible label must not own a mean."""

LogProbs = tuple[float | None, ...]


class MeanState(Struct, frozen=True):
    """Means of log-probabilities by action, None where `mask` does not allow it, over `answers` answers."""

    mask: int
    answers: int
    means: LogProbs


class BatchCorrection:
    """Running means by mask: at most one for each set of valid actions."""

    def __init__(self) -> None:
        self._states: dict[int, MeanState] = {}

    def corrected(self, mask: int, log_probs: LogProbs) -> tuple[float | None, ...]:
        """Probabilities by action that sum to 1 over the valid ones, None elsewhere; by answers before this one."""
        state = self._states.get(mask)
        means = _start(log_probs) if state is None else state.means
        shifted = [
            None if own is None else max(own, LOG_PROB_MIN) - (mean or 0.0)
            for own, mean in zip(log_probs, means, strict=True)
        ]
        top = max(value for value in shifted if value is not None)
        odds = [None if value is None else math.exp(value - top) for value in shifted]
        total = sum(value for value in odds if value is not None)
        return tuple(None if value is None else value / total for value in odds)

    def learn(self, mask: int, log_probs: LogProbs) -> None:
        """Let an answer into the means, after it has been corrected by those before it."""
        state = self._states.get(mask)
        answers, means = (0, _start(log_probs)) if state is None else (state.answers, state.means)
        share = 1.0 / (PRIOR_ANSWERS + min(answers + 1, MEMORY_ANSWERS))
        moved = tuple(
            None if own is None or mean is None else mean + share * (max(own, LOG_PROB_MIN) - mean)
            for own, mean in zip(log_probs, means, strict=True)
        )
        self._states[mask] = MeanState(mask, answers + 1, moved)

    def state(self) -> tuple[MeanState, ...]:
        """By mask, in the order in which they were first met."""
        return tuple(self._states.values())

    def restore(self, state: tuple[MeanState, ...]) -> None:
        """Take over what another has learned."""
        self._states = {one.mask: one for one in state}


def _start(log_probs: LogProbs) -> LogProbs:
    """Uniform over the valid actions."""
    level = -math.log(sum(own is not None for own in log_probs))
    return tuple(None if own is None else level for own in log_probs)
