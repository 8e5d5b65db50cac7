"""The back end `ensemble`: several advisors are asked, and believed by their record in the market's regime.

Each member gives a distribution over the valid actions. Scores are one. Advice without scores puts its confidence on
its action and spreads the rest evenly over the others; that is a reading of a number that need not be a probability
(that of `rules` is a degree of agreement), and the weights learn what it is worth. The answer is the mixture of those
that answered, and goes through the ensemble's own calibration like any model's.

What a member is believed follows what became of its own first choice, whatever the others said: `settled`.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from threading import Lock

from msgspec import Struct

from trader.advisor.calibration import choice
from trader.advisor.hedge import ByRegime, HedgeState, Weights
from trader.advisor.outcomes import Outcome
from trader.advisor.question import Answer, Question, Scores, Trace
from trader.domain.actions import ACTIONS, Action, actions_in
from trader.domain.decisions import Advice, AdviceStatus
from trader.errors import ConfigurationError, InvariantError
from trader.ports import AdvisorBackend

VOTES_KEPT = 256
"""Questions whose outcome is awaited; the oldest is forgotten first. About 30 wait at a time."""
FLOOR = 1e-6
"""No member makes a valid action impossible: its logarithm must exist."""
ERROR_CHARS = 150

Probabilities = tuple[float | None, ...]


class Vote(Struct, frozen=True):
    """What a member said: a distribution over the valid actions, the mass behind it, its first choice and reason."""

    probabilities: Probabilities
    legal_mass: float
    first: Action
    reason: str


class EnsembleAdvisor:
    """Asks every member in order; who errs sleeps for that question. Fails only where all of them do.

    `ask` may run in another thread than `settled`.
    """

    is_calibrated = True

    def __init__(self, members: Sequence[AdvisorBackend], weights: ByRegime, legal_mass_min: float) -> None:
        """`weights` has a learner over the members, in their order; less than `legal_mass_min` is no answer."""
        self._members = tuple(members)
        self._weights = weights
        self._legal_mass_min = legal_mass_min
        self._firsts: dict[int, tuple[Action | None, ...]] = {}
        self._silent: Counter[str] = Counter()
        self._lock = Lock()
        self.is_instant = all(member.is_instant for member in self._members)
        self.identity = f"ensemble({', '.join(member.identity for member in self._members)})"

    def start(self) -> None:
        """Make every member ready; ConfigurationError names those that cannot be, the others are ready all the same."""
        away = []
        for member in self._members:
            try:
                member.start()
            except ConfigurationError as error:
                away.append(f"advisor.ensemble.members: {member.identity} cannot be made ready: {error}")
        if away:
            raise ConfigurationError("; ".join(away))

    @property
    def silent(self) -> Mapping[str, int]:
        """Questions that a member left to the others, by its identity; those that never did are not in it."""
        return self._silent

    def ask(self, question: Question) -> Answer:
        """USED with the scores of the mixture, and the reason of the heaviest member that agrees."""
        answers = [_asked(member, question) for member in self._members]
        votes = [_vote(answer, question.mask, self._legal_mass_min) for answer in answers]
        for member, vote in zip(self._members, votes, strict=True):
            if vote is None:
                self._silent[member.identity] += 1
        if not any(votes):
            return _failure(self._members, answers)
        firsts = tuple(None if vote is None else vote.first for vote in votes)
        with self._lock:
            self._remember(question.seq, firsts)
            weights = self._weights.mix(question.regime, [vote is not None for vote in votes])
        mixed = _mixture(question.mask, votes, weights)
        first = choice(mixed)
        chosen = mixed[first]
        assert chosen is not None  # noqa: S101 -- the choice is a valid action
        return Answer(
            status=AdviceStatus.USED,
            advice=Advice(action=first, confidence=chosen, reason=_reason(votes, weights, first)),
            visible_from_bar=question.seq,
            prompt_sha256=next((answer.prompt_sha256 for answer in answers if answer.prompt_sha256), None),
            scores=Scores(
                tuple(None if p is None else math.log(p) for p in mixed),
                sum(w * vote.legal_mass for w, vote in zip(weights, votes, strict=True) if vote is not None),
            ),
            is_batched=any(answer.is_batched for answer in answers),
            trace=self._trace(answers, votes, weights),
        )

    def settled(self, outcome: Outcome) -> None:
        """Believe those more whose first choice has won; who did not answer, or cannot be judged, stays as it was."""
        with self._lock:
            firsts = self._firsts.pop(outcome.seq, None)
            if firsts is not None:
                self._weights.update(outcome.regime, [_loss(outcome, first) for first in firsts])

    def state(self) -> HedgeState:
        """The weights; questions that wait for their outcome are not kept."""
        with self._lock:
            return self._weights.state()

    def restore(self, state: HedgeState) -> None:
        """Go on where another stood."""
        with self._lock:
            self._weights.restore(state)

    def close(self) -> None:
        """Make every call in progress return."""
        with ExitStack() as closing:
            for member in self._members:
                closing.callback(member.close)

    def _remember(self, seq: int, firsts: tuple[Action | None, ...]) -> None:
        self._firsts.pop(seq, None)
        self._firsts[seq] = firsts
        if len(self._firsts) > VOTES_KEPT:
            del self._firsts[next(iter(self._firsts))]

    def _trace(self, answers: Sequence[Answer], votes: Sequence[Vote | None], weights: Weights) -> Trace:
        """For the advisor log: the first prompt, and a line a member with its own reply after it."""
        traces = [answer.trace for answer in answers]
        latencies = [trace.latency_ms for trace in traces if trace is not None and trace.latency_ms is not None]
        return Trace(
            backend=self.identity,
            messages=next((trace.messages for trace in traces if trace is not None), ()),
            reply="\n".join(map(_told, self._members, answers, votes, weights)),
            latency_ms=sum(latencies) if latencies else None,
        )


def _asked(member: AdvisorBackend, question: Question) -> Answer:
    try:
        return member.ask(question)
    except InvariantError:
        raise
    except Exception as error:  # noqa: BLE001 - as the asker does: whatever a back end raises is an answer
        return Answer(status=AdviceStatus.ERROR, error=f"{type(error).__name__}: {error}"[:ERROR_CHARS])


def _vote(answer: Answer, mask: int, legal_mass_min: float) -> Vote | None:
    """A member's answer as a distribution; None where it has none to give."""
    if answer.status is not AdviceStatus.USED:
        return None
    reason = "" if answer.advice is None else answer.advice.reason
    scores = answer.scores
    if scores is not None:
        if not scores.legal_mass >= legal_mass_min:
            return None
        probabilities = tuple(None if log is None else math.exp(log) for log in scores.log_probs)
        return Vote(probabilities, scores.legal_mass, choice(probabilities), reason)
    advice = answer.advice
    if advice is None or not 0 <= advice.confidence <= 1 or not mask >> advice.action & 1:
        return None
    valid = actions_in(mask)
    rest = (1 - advice.confidence) / max(len(valid) - 1, 1)
    probabilities = tuple(
        None if not mask >> action & 1 else advice.confidence if action == advice.action else rest for action in ACTIONS
    )
    return Vote(probabilities, 1.0, advice.action, reason)


def _mixture(mask: int, votes: Sequence[Vote | None], weights: Weights) -> Probabilities:
    mixed: list[float | None] = []
    for action in ACTIONS:
        voted = [
            weight * max(vote.probabilities[action] or 0.0, FLOOR)
            for weight, vote in zip(weights, votes, strict=True)
            if vote is not None
        ]
        mixed.append(math.fsum(voted) if mask >> action & 1 else None)
    total = math.fsum(p for p in mixed if p is not None)
    return tuple(None if p is None else p / total for p in mixed)


def _reason(votes: Sequence[Vote | None], weights: Weights, action: Action) -> str:
    agreeing = [
        (weight, vote.reason) for weight, vote in zip(weights, votes, strict=True) if vote and vote.first == action
    ]
    return max(agreeing, key=lambda pair: pair[0], default=(0.0, ""))[1]


def _failure(members: Sequence[AdvisorBackend], answers: Sequence[Answer]) -> Answer:
    """Nobody answered: INVALID or MISSING where all were that, else ERROR; what each said of it."""
    statuses = {AdviceStatus.INVALID if answer.status is AdviceStatus.USED else answer.status for answer in answers}
    alike = statuses <= {AdviceStatus.INVALID} or statuses <= {AdviceStatus.MISSING}
    told = "; ".join(
        f"{member.identity}: {answer.error or 'no usable answer'}"[:ERROR_CHARS]
        for member, answer in zip(members, answers, strict=True)
    )
    return Answer(status=statuses.pop() if alike else AdviceStatus.ERROR, error=told)


def _told(member: AdvisorBackend, answer: Answer, vote: Vote | None, weight: float) -> str:
    said = (
        answer.error or "no usable answer"
        if vote is None
        else f"{vote.first.name} {vote.probabilities[vote.first]:.3f}"
    )
    reply = "" if answer.trace is None or answer.trace.reply is None else f" | {answer.trace.reply}"
    return f"{member.identity} (weight {weight:.3f}): {said}{reply}"


def _loss(outcome: Outcome, first: Action | None) -> float | None:
    won = None if first is None else outcome.won[first]
    return None if won is None else 1.0 - won
