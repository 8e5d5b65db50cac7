"""From the likeliest first tokens of a reply, by their texts, to the probabilities of the valid actions. Pure.

A server names tokens by text and knows nothing of labels. A token counts for the valid action whose label it begins,
with or without a leading space, where it begins one label only. The limits of that, against reading the logits:

- Only the listed tokens (20 at most) count. A valid label without a listed token is taken for as likely as the list
  allows at most: the least likely listed token, or what the list leaves over. It adds nothing to `legal_mass`.
- A first token that begins a label may begin another word too ("S" of SELL), so `legal_mass` is an upper bound.
- Blank tokens before the label are passed over, along the path that the server chose: a lower bound there.
"""

import math
from collections.abc import Iterable, Sequence

from trader.adapters.openai.wire import LOWEST_LOGPROB, TokenLogprob
from trader.advisor.question import Scores
from trader.domain.actions import ACTIONS, Action, actions_in
from trader.errors import InputError

_SPACE_MARKS = "▁Ġ "  # SentencePiece, GPT-2's byte alphabet, plain
_BLANK_MARKS = "▁ĠĊ \t\r\n"
_LEFT_AT_LEAST = 1e-9
_TOO_LIKELY = 1.001  # probabilities that sum to more than this, rounding allowed for, are none


def read_scores(content: Sequence[TokenLogprob], mask: int) -> Scores:
    """The scores of the actions of `mask`; InputError where `content` holds no probabilities."""
    listed: dict[Action, list[float]] = {action: [] for action in actions_in(mask)}
    path, unlisted = 0.0, 0.0
    for position in content:
        top = [(each.token, each.logprob) for each in position.top_logprobs if each.logprob is not None]
        left_over = _checked_rest([logprob for _, logprob in top])
        for token, logprob in top:
            action = _begun_by(token, listed)
            if action is not None:
                listed[action].append(path + logprob)
        unlisted = path + min(*(logprob for _, logprob in top), left_over)
        if position.token.strip(_BLANK_MARKS) or position.logprob is None:
            break
        path += _checked_step(position.logprob)
    return _normalised({action: _log_sum(terms) for action, terms in listed.items()}, unlisted)


def _checked_rest(logprobs: Sequence[float]) -> float:
    """The logarithm of what the listed tokens leave to all others."""
    total = sum(math.exp(min(logprob, 1.0)) for logprob in logprobs)
    if not logprobs or not total <= _TOO_LIKELY:
        msg = "its log-probabilities are missing or sum to more than 1"
        raise InputError(msg)
    return math.log(max(1.0 - total, _LEFT_AT_LEAST))


def _checked_step(logprob: float) -> float:
    """The logarithm of the probability of a token that was passed over."""
    if not LOWEST_LOGPROB <= logprob <= math.log(_TOO_LIKELY):
        msg = f"a log-probability of {logprob:g} is none"
        raise InputError(msg)
    return logprob


def _begun_by(token: str, actions: Iterable[Action]) -> Action | None:
    word = token[1:] if token[:1] in _SPACE_MARKS else token
    if not word:
        return None
    begun = [action for action in actions if action.name.startswith(word)]
    return begun[0] if len(begun) == 1 else None


def _normalised(log_sums: dict[Action, float | None], unlisted: float) -> Scores:
    total = _log_sum([each for each in log_sums.values() if each is not None])
    filled = {action: unlisted if each is None else each for action, each in log_sums.items()}
    whole = _log_sum(list(filled.values()))
    if whole is None:
        msg = "no action is valid"
        raise InputError(msg)
    return Scores(
        log_probs=tuple(filled[action] - whole if action in filled else None for action in ACTIONS),
        legal_mass=0.0 if total is None else min(math.exp(total), 1.0),
    )


def _log_sum(terms: Sequence[float]) -> float | None:
    """log of the sum of exp(terms); None of none."""
    if not terms:
        return None
    highest = max(terms)
    return highest + math.log(math.fsum(math.exp(term - highest) for term in terms))
