"""The constrained reply, character by character."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trader.advisor.grammar import MAX_REPLY_CHARS, REASON_WORDS, WORD_CHARS, ReplyGrammar
from trader.errors import InvariantError

FLAT = ReplyGrammar(0b000111)
LONG = ReplyGrammar(0b011001)


def judged(grammar: ReplyGrammar, text: str) -> str:
    state = grammar.advance(grammar.start, text)
    return "refused" if state is None else "complete" if grammar.is_complete(state) else "unfinished"


@pytest.mark.parametrize(
    ("text", "judgement"),
    [
        ("BUY | 0.71 | trend up", "complete"),
        (" SELL | 1.00 | x", "complete"),
        ("HOLD | 0.00 | one two three four five six seven eight nine ten", "complete"),
        ("HOLD | 0.00 | one two three four five six seven eight nine ten ", "refused"),
        ("HOLD | 0.50 | wait ", "complete"),
        ("HOLD | 0.50 | ADX 18.2, RSI 55%: don't", "complete"),
        ("", "unfinished"),
        ("BU", "unfinished"),
        ("BUY", "unfinished"),
        ("BUY | 0.7", "unfinished"),
        ("BUY | 0.71 | ", "unfinished"),
        ("  BUY", "refused"),
        ("buy", "refused"),
        ("MOVE_TO_BE", "refused"),
        ("BUY|", "refused"),
        ("BUY | 1.01", "refused"),
        ("BUY | 2", "refused"),
        ("BUY | 0.711", "refused"),
        ("BUY | .7", "refused"),
        ("BUY | 0.71 | a  b", "refused"),
        ("BUY | 0.71 | a\n", "refused"),
        ("BUY | 0.71 | a|b", "refused"),
        ("BUY | 0.71 | </s>", "refused"),
        ("BUY | 0.71 | \u00e9", "refused"),
        ("BUY | 0.71 | " + "w" * WORD_CHARS, "complete"),
        ("BUY | 0.71 | " + "w" * (WORD_CHARS + 1), "refused"),
    ],
)
def test_a_text_is_a_whole_reply_or_may_become_one_or_is_refused(text: str, judgement: str) -> None:
    """The format by a table: flat, with HOLD, BUY and SELL."""
    assert judged(FLAT, text) == judgement


def test_only_the_labels_of_the_mask_are_open() -> None:
    """Long with a stop to move and to trail."""
    assert {name: judged(LONG, name) for name in ("HOLD", "BUY", "SELL", "MOVE_TO_BE", "ENABLE_TRAIL")} == {
        "HOLD": "unfinished",
        "BUY": "refused",
        "SELL": "refused",
        "MOVE_TO_BE": "unfinished",
        "ENABLE_TRAIL": "unfinished",
    }
    assert LONG.following(LONG.start) == frozenset(" HME")


def test_a_mask_without_an_action_is_refused() -> None:
    """There is no reply to constrain to."""
    with pytest.raises(InvariantError, match="no action"):
        ReplyGrammar(0)


@given(mask=st.integers(1, 63), text=st.text(max_size=12), cut=st.integers(0, 12))
def test_pieces_lead_where_the_whole_text_leads(mask: int, text: str, cut: int) -> None:
    """A token boundary changes nothing; texts out of nowhere are mostly refused, and never raise."""
    grammar = ReplyGrammar(mask)
    state = grammar.advance(grammar.start, text[:cut])
    assert (None if state is None else grammar.advance(state, text[cut:])) == grammar.advance(grammar.start, text)


def test_every_walk_ends_in_a_complete_reply_within_the_length_stated() -> None:
    """Whoever takes any open character at any place cannot get stuck, and must stop."""
    chance = random.Random(4)
    for mask in (0b000111, 0b111001, 0b000001, 0b111111):
        grammar = ReplyGrammar(mask)
        for _ in range(50):
            text, state = "", grammar.start
            while following := grammar.following(state):
                character = chance.choice(sorted(following - ({" "} if chance.random() < 0.8 else set())) or [" "])
                reached = grammar.advance(state, character)
                assert reached is not None
                text, state = text + character, reached
            assert grammar.is_complete(state)
            assert len(text) <= MAX_REPLY_CHARS
            assert len(text.split("|")[2].split()) <= REASON_WORDS
