"""The back end `rules`: a vote of trend, VWAP and RSI. No model, no randomness, no memory; the demo's advisor.

Three votes of -1, 0 or +1:

- trend: the regime where there is one (ADX above 25, by the directional index), else the sign of the 20-bar momentum
  where ADX is at least 20 and the move at least half an ATR;
- VWAP: the side of the price, where it is at least a quarter of an ATR away;
- RSI: +1 from 55 on, -1 from 45 down; an exhausted market (75 and above, 25 and below) votes the other way.

Flat: a sum of +2 or more says BUY, of -2 or less SELL, anything else HOLD. In a position the sum is taken in its
direction: at 1 R of profit, or in profit with a sum of -2 or less, MOVE_TO_BE; with a stop that may trail and a sum of
at least 1, ENABLE_TRAIL; with a trail on, a sum of 3 and ADX of at least 40, DISABLE_TRAIL (let it run to its target);
else HOLD. Only valid actions are advised: the next in this order takes the place of one that is not.

Confidence is 0.5 + 0.1 for each vote of the sum + up to 0.15 for strength (ADX from 20 to 40), in steps of 1/1024; a
HOLD says 0.5 + 0.1 for each vote that is missing from 2. It is a degree of agreement, not a probability.
"""

from trader.advisor.question import Answer, Question, to_step
from trader.domain.actions import Action
from trader.domain.decisions import Advice, AdviceStatus

TREND_ADX = 20.0
STRONG_ADX = 40.0
TREND_MOVE_ATR = 0.5
VWAP_BAND_ATR = 0.25
RSI_FIRM, RSI_WEAK = 55.0, 45.0
RSI_OVERBOUGHT, RSI_OVERSOLD = 75.0, 25.0
ENTRY_VOTES = 2
ALL_VOTES = 3
PER_VOTE = 0.1
FOR_STRENGTH = 0.15

_TREND_WORDS = ("no trend", "trend up", "trend down")  # by vote: index -1 is the last
_VWAP_WORDS = ("near VWAP", "above VWAP", "below VWAP")
_RSI_WORDS = ("RSI neutral", "RSI for longs", "RSI for shorts")


class RulesAdvisor:
    """Deterministic advice from the question alone."""

    is_instant = True
    is_calibrated = False
    identity = "rules-1"

    def start(self) -> None:
        """Nothing to make ready."""

    def ask(self, question: Question) -> Answer:
        """Always an advice inside the valid actions."""
        votes = (_trend_vote(question), _vwap_vote(question), _rsi_vote(question))
        total = sum(votes)
        if question.position_qty == 0:
            action, confidence = _when_flat(question, total)
        else:
            action, confidence = _in_position(question, total if question.position_qty > 0 else -total)
        return Answer(
            status=AdviceStatus.USED,
            advice=Advice(action=action, confidence=to_step(confidence), reason=_REASONS[votes]),
            visible_from_bar=question.seq,
        )

    def close(self) -> None:
        """Nothing to end."""


def _trend_vote(question: Question) -> int:
    if question.regime:
        return question.regime
    momentum = question.momentum
    if question.adx < TREND_ADX or abs(momentum) < TREND_MOVE_ATR * question.atr:
        return 0
    return _sign(momentum)


def _vwap_vote(question: Question) -> int:
    distance = question.price - question.vwap
    return 0 if abs(distance) < VWAP_BAND_ATR * question.atr else _sign(distance)


def _rsi_vote(question: Question) -> int:
    rsi = question.rsi
    if rsi >= RSI_OVERBOUGHT:
        return -1
    if rsi <= RSI_OVERSOLD:
        return 1
    return (rsi >= RSI_FIRM) - (rsi <= RSI_WEAK)


def _when_flat(question: Question, total: int) -> tuple[Action, float]:
    votes = abs(total)
    action = Action.BUY if total > 0 else Action.SELL
    if votes >= ENTRY_VOTES and _is_valid(question, action):
        return action, _conviction(question, votes)
    return Action.HOLD, _calm(votes)


def _in_position(question: Question, aligned: int) -> tuple[Action, float]:
    profit_cents = question.unrealized_cents
    at_one_r = profit_cents >= question.initial_risk_cents > 0
    turning = profit_cents > 0 and aligned <= -ENTRY_VOTES
    if (at_one_r or turning) and _is_valid(question, Action.MOVE_TO_BE):
        return Action.MOVE_TO_BE, _conviction(question, max(abs(aligned), 1))
    if aligned >= 1 and _is_valid(question, Action.ENABLE_TRAIL):
        return Action.ENABLE_TRAIL, _conviction(question, aligned)
    lets_run = aligned == ALL_VOTES and question.adx >= STRONG_ADX
    if lets_run and _is_valid(question, Action.DISABLE_TRAIL):
        return Action.DISABLE_TRAIL, _conviction(question, aligned)
    return Action.HOLD, _calm(abs(aligned))


def _conviction(question: Question, votes: int) -> float:
    strength = min(max((question.adx - TREND_ADX) / (STRONG_ADX - TREND_ADX), 0.0), 1.0)
    return 0.5 + PER_VOTE * votes + FOR_STRENGTH * strength


def _calm(votes: int) -> float:
    return 0.5 + PER_VOTE * max(ENTRY_VOTES - votes, 0)


def _is_valid(question: Question, action: Action) -> bool:
    return question.mask >> action & 1 == 1


def _sign(number: float) -> int:
    return (number > 0) - (number < 0)


_REASONS = {
    (trend, vwap, rsi): f"{_TREND_WORDS[trend]}, {_VWAP_WORDS[vwap]}, {_RSI_WORDS[rsi]}"
    for trend in (-1, 0, 1)
    for vwap in (-1, 0, 1)
    for rsi in (-1, 0, 1)
}
