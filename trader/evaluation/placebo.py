"""Advice that knows nothing, and advice alone: what real advice has to beat.

Each stands where the advisor or the strategy stands; the gate asks them as it would ask the real one.
"""

from collections.abc import Callable, Sequence

import numpy as np
from msgspec.structs import replace

from trader.advisor.counts import AdviceCounts, AdviceTally
from trader.advisor.question import Answer, Question, ask_about
from trader.domain.account import AccountView
from trader.domain.actions import Action
from trader.domain.decisions import Advice, AdviceStatus, Proposal
from trader.domain.instruments import Instrument
from trader.evaluation.witness import Exchange
from trader.outlook import Outlook
from trader.ports import Advisor

HOLD = Proposal(Action.HOLD, 1.0)
INVERSE = {Action.BUY: Action.SELL, Action.SELL: Action.BUY}
_NOTHING_RECORDED = Answer(status=AdviceStatus.ERROR, error="no advice of this kind was recorded")


class ShuffledAdvisor:
    """The advice of another run in a random order, so that what it said of the market is lost.

    Advice on entries (asked while flat) and on positions is shuffled apart: what is left is how often and how surely
    each action was advised. It begins anew when it is used up. Advice that is not valid now is MASKED.
    """

    def __init__(self, exchanges: Sequence[Exchange], seed: int) -> None:
        rng = np.random.default_rng(seed)
        self._entries = _shuffled([one.advice for one in exchanges if one.is_flat], rng)
        self._positions = _shuffled([one.advice for one in exchanges if not one.is_flat], rng)
        self._given = {True: 0, False: 0}
        self._tally = AdviceTally()

    async def start(self) -> None:
        """Nothing to make ready."""

    async def answer(self, question: Question) -> Answer:
        """The next of the shuffled advices."""
        self._tally.asked += 1
        answer = self._next(question)
        self._tally.note(answer)
        return answer

    def late_answer(self, seq: int, ts_close_ns: int, mask: int, account: AccountView) -> Answer | None:
        """Never late."""
        del seq, ts_close_ns, mask, account
        return None

    def forget(self) -> None:
        """What is random needs no forgetting."""

    def counts(self) -> AdviceCounts:
        """The statistics so far; nothing here calls a model."""
        return self._tally.counts(0)

    async def close(self) -> bool:
        """Nothing to end."""
        return True

    def _next(self, question: Question) -> Answer:
        is_flat = question.position_qty == 0
        advices = self._entries if is_flat else self._positions
        if not advices:
            return _NOTHING_RECORDED
        advice = advices[self._given[is_flat] % len(advices)]
        self._given[is_flat] += 1
        return _given(advice, question)


class InvertedAdvisor:
    """Another advisor with BUY and SELL exchanged; advice on a position stays as it is."""

    def __init__(self, inner: Advisor) -> None:
        self._inner = inner

    async def start(self) -> str | None:
        """Make the other ready."""
        return await self._inner.start()

    async def answer(self, question: Question) -> Answer:
        """What the other says, the other way round."""
        return _inverted(await self._inner.answer(question), question.mask)

    def late_answer(self, seq: int, ts_close_ns: int, mask: int, account: AccountView) -> Answer | None:
        """What the other says late, the other way round."""
        answer = self._inner.late_answer(seq, ts_close_ns, mask, account)
        return None if answer is None else _inverted(answer, mask)

    def forget(self) -> None:
        """Tell the other."""
        self._inner.forget()

    def counts(self) -> AdviceCounts:
        """The other's."""
        return self._inner.counts()

    async def close(self) -> bool:
        """End the other."""
        return await self._inner.close()


class AdviceAlone:
    """A strategy that proposes what the advisor says at every bar that leaves a choice, with its confidence."""

    def __init__(self, advise: Callable[[Question], Advice | None], instrument: Instrument) -> None:
        self._advise = advise
        self._instrument = instrument
        self._seq = -1

    def propose(self, outlook: Outlook) -> Proposal:
        """The advice, or HOLD where there is none or it is not valid."""
        self._seq += 1
        mask = outlook.mask
        if not outlook.ready or not mask & (mask - 1):
            return HOLD
        advice = self._advise(ask_about(outlook, self._seq, self._instrument))
        if advice is None or not mask >> advice.action & 1:
            return HOLD
        return Proposal(advice.action, advice.confidence)


def recorded_advice(exchanges: Sequence[Exchange]) -> Callable[[Question], Advice | None]:
    """Advice by bar as another run was given it: None at the bars at which it was not."""
    by_seq = {one.seq: one.advice for one in exchanges}
    return lambda question: by_seq.get(question.seq)


def _shuffled(advices: list[Advice], rng: np.random.Generator) -> list[Advice]:
    return [advices[place] for place in rng.permutation(len(advices)).tolist()]


def _given(advice: Advice, question: Question) -> Answer:
    is_valid = question.mask >> advice.action & 1
    status = AdviceStatus.USED if is_valid else AdviceStatus.MASKED
    return Answer(status=status, advice=advice, visible_from_bar=question.seq)


def _inverted(answer: Answer, mask: int) -> Answer:
    advice = answer.usable
    if advice is None or advice.action not in INVERSE:
        return answer
    inverse = INVERSE[advice.action]
    status = answer.status if mask >> inverse & 1 else AdviceStatus.MASKED
    return replace(answer, status=status, advice=replace(advice, action=inverse))
