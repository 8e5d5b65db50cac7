"""Whom to believe more: weights over experts that follow their losses. Pure.

Fixed-share Hedge (Herbster and Warmuth, 1998) over experts of whom some may sleep (Freund, Schapire, Singer and
Warmuth, 1997). An update with learning rate eta and share alpha, W being the weight of those awake before it:

    v_i = w_i exp(-eta loss_i) W / sum over the awake of w_j exp(-eta loss_j)
    w_i = (1 - alpha) v_i + alpha W s_i / sum over the awake of s_j          s the start weights

Who sleeps keeps their weight. What holds, with losses in [0, 1] and the learner's loss that of its mix over the awake:

- Regret to expert i over the T rounds in which i was awake <= ln(1 / s_i) / eta + eta T / 8 + T ln(1 / (1 - alpha)) /
  eta. Each such round multiplies w_i by at least (1 - alpha) exp(-eta loss_i) / sum of mix_j exp(-eta loss_j), w_i
  never exceeds 1, and by Hoeffding's lemma -ln of that sum is at least eta mix.loss - eta^2 / 8.
- Nobody asleep, against a sequence of experts that changes m times in T rounds: <= [ln(1 / s_first) + sum over the
  changes of ln(1 / (alpha s_new)) + (T - m) ln(1 / (1 - alpha))] / eta + eta T / 8.
- Late outcomes are late updates. Each update between a round's mix and its own moves a mix by at most tanh(eta / 4) +
  alpha in total variation, so D of them in all add at most D (tanh(eta / 4) + alpha). For two experts, or alpha 0, or
  nobody asleep: with more, a share can lift a light expert far against those that slept.
"""

import math
from collections.abc import Sequence

from msgspec import Struct

from trader.errors import InvariantError

REGIMES = (-1, 0, 1)
WEIGHT_MIN = 1e-300
"""Smaller weights are shown as this one; inside they are logarithms, and are not lost."""

_SUM_TOLERANCE = 1e-9

Weights = tuple[float, ...]


class HedgeRules(Struct, frozen=True, kw_only=True):
    """`start` weights, above 0, sum to 1; `learning_rate` is eta, above 0; `share` is alpha, 0 up to below 1."""

    start: Weights
    learning_rate: float
    share: float


class HedgeState(Struct, frozen=True):
    """Logarithms of the weights, by regime (-1, 0, 1) and expert."""

    log_weights: tuple[Weights, ...]


class FixedShare:
    """One learner over K experts."""

    def __init__(self, rules: HedgeRules) -> None:
        if not _is_distribution(rules.start) or not rules.learning_rate > 0 or not 0 <= rules.share < 1:
            msg = f"{rules} needs start weights above 0 that sum to 1, a learning rate above 0 and a share below 1"
            raise InvariantError(msg)
        self._rules = rules
        self._log_start = tuple(math.log(weight) for weight in rules.start)
        self._logs = self._log_start

    @property
    def log_weights(self) -> Weights:
        """As they are kept."""
        return self._logs

    def weights(self) -> Weights:
        """All experts' weights: positive, summing to 1."""
        return tuple(max(math.exp(log), WEIGHT_MIN) for log in self._logs)

    def mix(self, awake: Sequence[bool]) -> Weights:
        """The weights among those who are awake: 0 for the others, 1 in sum."""
        logs = [log for log, is_awake in zip(self._logs, awake, strict=True) if is_awake]
        total = _log_sum(logs)
        return tuple(
            math.exp(log - total) if is_awake else 0.0 for log, is_awake in zip(self._logs, awake, strict=True)
        )

    def update(self, losses: Sequence[float | None]) -> None:
        """What a round cost each expert, in [0, 1]; None for one that slept in it."""
        awake = [i for i, loss in enumerate(losses) if loss is not None]
        if len(losses) != len(self._logs) or not all(0.0 <= losses[i] <= 1.0 for i in awake):  # type: ignore[operator]
            msg = f"losses {losses} are not {len(self._logs)} numbers within [0, 1] or None"
            raise InvariantError(msg)
        if len(awake) < 2:
            return  # alone, an expert keeps its weight
        logs = list(self._logs)
        for i, log in zip(awake, self._moved(awake, losses), strict=True):
            logs[i] = log
        total = _log_sum(logs)  # 0 but for rounding, which must not pile up
        self._logs = tuple(log - total for log in logs)

    def restore(self, log_weights: Weights) -> None:
        """Go on where another stood."""
        if len(log_weights) != len(self._logs) or not abs(_log_sum(log_weights)) < _SUM_TOLERANCE:
            msg = f"{log_weights} are not the logarithms of {len(self._logs)} weights that sum to 1"
            raise InvariantError(msg)
        self._logs = log_weights

    def _moved(self, awake: Sequence[int], losses: Sequence[float | None]) -> list[float]:
        """The awake experts' new logarithms: by loss, then a share of their common weight back by start weight."""
        rules = self._rules
        before = _log_sum([self._logs[i] for i in awake])
        by_loss = [self._logs[i] - rules.learning_rate * (losses[i] or 0.0) for i in awake]
        back_up = before - _log_sum(by_loss)
        if rules.share == 0.0:
            return [log + back_up for log in by_loss]
        stay = math.log1p(-rules.share) + back_up
        give = math.log(rules.share) + before - _log_sum([self._log_start[i] for i in awake])
        return [_log_sum((log + stay, self._log_start[i] + give)) for log, i in zip(by_loss, awake, strict=True)]


class ByRegime:
    """A learner for each market regime, with the same rules."""

    def __init__(self, rules: HedgeRules) -> None:
        self._learners = {regime: FixedShare(rules) for regime in REGIMES}

    def weights(self, regime: int) -> Weights:
        """All experts' weights in this regime."""
        return self._learners[regime].weights()

    def mix(self, regime: int, awake: Sequence[bool]) -> Weights:
        """The weights in this regime among those who are awake."""
        return self._learners[regime].mix(awake)

    def update(self, regime: int, losses: Sequence[float | None]) -> None:
        """What a round in this regime cost each expert, in [0, 1]; None for one that slept in it."""
        self._learners[regime].update(losses)

    def state(self) -> HedgeState:
        """All that was learned."""
        return HedgeState(tuple(self._learners[regime].log_weights for regime in REGIMES))

    def restore(self, state: HedgeState) -> None:
        """Go on where another stood."""
        for regime, log_weights in zip(REGIMES, state.log_weights, strict=True):
            self._learners[regime].restore(log_weights)


def capped(weights: Weights, expert: int, cap: float) -> Weights:
    """The weights with `expert`'s at most `cap`; what is cut goes to the others in proportion."""
    others = sum(weights) - weights[expert]
    if weights[expert] <= cap or others <= 0.0:
        return weights
    stretch = (1.0 - cap) / others
    return tuple(cap if i == expert else weight * stretch for i, weight in enumerate(weights))


def extra_loss(taken: Weights, learned: Weights, losses: Sequence[float | None]) -> float:
    """What a round cost beyond the learner's own mix: the price of a cap, below 0 where it has saved something."""
    return sum((own - free) * loss for own, free, loss in zip(taken, learned, losses, strict=True) if loss is not None)


def _log_sum(logs: Sequence[float]) -> float:
    if not logs:
        msg = "no expert is awake: there is nobody to believe"
        raise InvariantError(msg)
    top = max(logs)
    return top + math.log(sum(math.exp(log - top) for log in logs))


def _is_distribution(weights: Weights) -> bool:
    return all(weight > 0.0 for weight in weights) and abs(sum(weights) - 1.0) < _SUM_TOLERANCE
