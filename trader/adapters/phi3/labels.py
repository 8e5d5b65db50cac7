"""The tokens that an action's label begins with, and what a model's logits say of them."""

import math
from collections import Counter
from itertools import takewhile
from typing import TYPE_CHECKING

from trader.advisor.prompt import Message
from trader.advisor.question import Scores
from trader.domain.actions import ACTIONS, actions_in
from trader.errors import ConfigurationError

if TYPE_CHECKING:
    from torch import Tensor

    from trader.adapters.phi3.chat import Chat

FIRST_TOKENS = tuple[frozenset[int], ...]
CONTEXT = (Message("system", "Advise."), Message("user", "What is your recommended action?"))
# At the answer's position with and without a space; and behind a bar, as some templates swallow a space there.
CARRIERS = ("", " ", "|", "| ")


def label_tokens(chat: "Chat") -> FIRST_TOKENS:
    """For each action the tokens that its label may begin with, encoded where the answer stands.

    Raises ConfigurationError where two labels share one: a single pass could not tell them apart.
    """
    context = chat.render(CONTEXT)
    found = tuple(frozenset(_firsts(chat, context, action.name)) for action in ACTIONS)
    shared = [token for token, count in Counter(token for tokens in found for token in tokens).items() if count > 1]
    if shared or not all(found):
        labels = [
            action.name for action, tokens in zip(ACTIONS, found, strict=True) if {*shared} & tokens or not tokens
        ]
        msg = (
            f"the model's tokenizer does not tell the labels {', '.join(labels)} apart by their first token: set "
            "advisor.mode to generate, or take a model with Phi-3's tokenizer"
        )
        raise ConfigurationError(msg)
    return found


def _firsts(chat: "Chat", context: str, label: str) -> list[int]:
    """The first token of `label` behind each carrier in turn, where it begins a token at all."""
    firsts = []
    for carrier in CARRIERS:
        before, whole = chat.tokens_of(context + carrier), chat.tokens_of(context + carrier + label)
        common = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(before, whole, strict=False)))
        tail = whole[common:]
        if tail and chat.text_of(tail).strip() == label:
            firsts.append(tail[0])
    return firsts


def scores_of(logits: "Tensor", labels: FIRST_TOKENS, mask: int) -> Scores:
    """What `logits` (one float32 for each token of the vocabulary) say of the actions in `mask`.

    Probabilities are taken over the whole vocabulary in float64. Raises ArithmeticError where they are not finite.
    """
    # On the CPU first: Apple's GPU knows no float64.
    log_probs = logits.cpu().double().log_softmax(-1)
    valid = actions_in(mask)
    sums = {action: float(log_probs[sorted(labels[action])].logsumexp(0)) for action in valid}
    largest = max(sums.values())
    total = largest + math.log(sum(math.exp(value - largest) for value in sums.values()))
    if not math.isfinite(total):
        msg = f"the model gave no finite probability to any of {', '.join(action.name for action in valid)}"
        raise ArithmeticError(msg)
    return Scores(
        log_probs=tuple(sums[action] - total if action in sums else None for action in ACTIONS),
        legal_mass=min(1.0, math.exp(total)),
    )
