"""The tables say what the format's automaton says, token by token."""

import random

from trader.adapters.phi3.constrained import Constraint, TokenTable
from trader.advisor.grammar import ReplyGrammar

PIECES = (
    " ",
    "HOLD",
    "BUY",
    "SELL",
    "MOVE_",
    "TO_BE",
    " |",
    "| ",
    "0.",
    "1.0",
    "0",
    "7",
    ".",
    "trend",
    "up",
    "<",
    "é",
    "\n",
)


def test_allowed_tokens_are_those_that_the_automaton_takes() -> None:
    """In every state on the way of random replies; the end where one is complete, a token without text never."""
    rng = random.Random(4)
    made = {"".join(rng.choices(PIECES, k=rng.randint(1, 4))) for _ in range(600)}
    texts: list[str | None] = [None, "", *sorted(made)]
    ends = (len(texts), len(texts) + 2)
    constraint = Constraint(0b001101, TokenTable(texts, len(texts) + 5, ends))
    grammar = ReplyGrammar(0b001101)
    state, seen = constraint.start, set()
    for _ in range(400):
        allowed = constraint.allowed(state)
        expected = [bool(text) and grammar.advance(state, text) is not None for text in texts]
        expected += [len(texts) + at in ends and grammar.is_complete(state) for at in range(5)]
        assert allowed.tolist() == expected
        token = rng.choice([at for at, is_allowed in enumerate(expected) if is_allowed])
        seen.add(state)
        state = constraint.advance(state, token) or constraint.start
    assert len(seen) > 50
