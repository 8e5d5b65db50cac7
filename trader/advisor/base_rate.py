"""How often an action beats HOLD, whoever advised it: what relative confidence is measured against. Pure."""

from msgspec import Struct

from trader.domain.actions import ACTION_COUNT, ENTRY_BITS

PRIOR_OUTCOMES = 20.0
"""The prior counts as much as so many outcomes."""
MEMORY_OUTCOMES = 5_000
"""An outcome's weight falls by one part in so many with each later one: markets change."""


class RateState(Struct, frozen=True):
    """One action's wins and outcomes, both faded by age."""

    wins: float
    count: float


class BaseRates:
    """Rates by action, shrunk to their priors; strictly between 0 and 1.

    Prior: an entry without skill wins 1 in 1 + `target_multiple`, as its target is so many times as far as its stop;
    other actions one in two.
    """

    def __init__(self, target_multiple: float) -> None:
        entry = 1.0 / (1.0 + target_multiple)
        self._priors = tuple(entry if ENTRY_BITS >> i & 1 else 0.5 for i in range(ACTION_COUNT))
        self._wins = [0.0] * ACTION_COUNT
        self._counts = [0.0] * ACTION_COUNT

    def rate(self, action: int) -> float:
        """P(the action beats HOLD), 0..1 exclusive."""
        prior = self._priors[action]
        return (PRIOR_OUTCOMES * prior + self._wins[action]) / (PRIOR_OUTCOMES + self._counts[action])

    def update(self, action: int, *, won: bool) -> None:
        """One more outcome, of an action that was valid, advised or not."""
        keep = 1.0 - 1.0 / MEMORY_OUTCOMES
        self._wins[action] = self._wins[action] * keep + won
        self._counts[action] = self._counts[action] * keep + 1.0

    def state(self) -> tuple[RateState, ...]:
        """By action."""
        return tuple(RateState(wins, count) for wins, count in zip(self._wins, self._counts, strict=True))

    def restore(self, state: tuple[RateState, ...]) -> None:
        """Take over what another has counted."""
        self._wins = [one.wins for one in state]
        self._counts = [one.count for one in state]
