"""Replies that are advice, and the many that are not."""

import random
import re
import unicodedata
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trader.advisor.grammar import REASON_WORDS, ReplyGrammar
from trader.advisor.parse import ALIASES, MAX_CHARS, MAX_WORDS, Parsed, Refusal, Refused, parse_reply
from trader.domain.actions import Action, actions_in

GOOD = (
    "BUY | 0.71 | trend and momentum agree",
    "SELL | 0.5 | below VWAP",
    "HOLD | 85% | no trend, wait",
    "MOVE_TO_BE | 1 | one R of profit",
    "ENABLE_TRAIL | .9 | strong trend in our favour",
    "disable trail | 0.33 | let it run to the target",
)
NOISE = "|%.-+eE_ 0123456789\n\r\t\u200b\uff5c\u00bd\u00b2\u2028\ud800\0abcBUYSELHODnaif*#`<>"


@pytest.mark.parametrize(
    ("text", "action", "confidence", "reason"),
    [
        ("BUY | 0.71 | trend up", Action.BUY, 0.71, "trend up"),
        ("SELL|1|x", Action.SELL, 1.0, "x"),
        ("HOLD | 0 | no edge", Action.HOLD, 0.0, "no edge"),
        ("HOLD | 0.00 | no edge", Action.HOLD, 0.0, "no edge"),
        ("  HOLD  |  .5  |  two   spaces  ", Action.HOLD, 0.5, "two spaces"),
        ("\n \r\n\tBUY | 0.6 | late first line\nSELL | 0.9 | second", Action.BUY, 0.6, "late first line"),
        ("BUY | 70% | percent", Action.BUY, 0.7, "percent"),
        ("BUY | 62.5 % | percent", Action.BUY, 0.625, "percent"),
        ("BUY | 0.7% | taken at its word", Action.BUY, 0.007, "taken at its word"),
        ("BUY | +0.7 | signed", Action.BUY, 0.7, "signed"),
        ("MOVE_TO_BE | 0.6 | safe", Action.MOVE_TO_BE, 0.6, "safe"),
        ("move to breakeven | 0.6 | safe", Action.MOVE_TO_BE, 0.6, "safe"),
        ("Enable trail | 0.6 | safe", Action.ENABLE_TRAIL, 0.6, "safe"),
        ("DISABLE TRAIL | 0.6 | run", Action.DISABLE_TRAIL, 0.6, "run"),
        ("\uff22\uff35\uff39 \uff5c \uff10\uff0e\uff17 \uff5c wide", Action.BUY, 0.7, "wide"),
        ("BUY\u00a0|\u00a00.7\u00a0|\u00a0no-break", Action.BUY, 0.7, "no-break"),
        ("BUY | 0.7 | bell\x07 and \ud800 half", Action.BUY, 0.7, "bell and half"),
    ],
)
def test_a_reply_in_the_format_is_advice(text: str, action: Action, confidence: float, reason: str) -> None:
    """Labels, aliases, numbers and blanks that are taken."""
    assert parse_reply(text) == Parsed(action=action, confidence=confidence, reason=reason, is_cut=False)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", Refusal.EMPTY),
        (" \n\t\u2028", Refusal.EMPTY),
        (" " * 3_000 + "BUY | 0.7 | far away", Refusal.TOO_LONG),
        ("BUY | 0.7 | " + "w" * 3_000, Refusal.TOO_LONG),
        ("BUY", Refusal.NOT_THREE_FIELDS),
        ("BUY 0.7 trend", Refusal.NOT_THREE_FIELDS),
        ("BUY | 0.7", Refusal.NOT_THREE_FIELDS),
        ("BUY | 0.7 | trend | up", Refusal.NOT_THREE_FIELDS),
        ("I would say:\nBUY | 0.7 | trend", Refusal.NOT_THREE_FIELDS),
        ("```\nBUY | 0.7 | trend\n```", Refusal.NOT_THREE_FIELDS),
        ("BUY | 0.7 | trend<|end|>", Refusal.NOT_THREE_FIELDS),
        ("**BUY** | 0.7 | trend", Refusal.UNKNOWN_ACTION),
        ("ACTION: BUY | 0.7 | trend", Refusal.UNKNOWN_ACTION),
        ("BUY or SELL | 0.7 | trend", Refusal.UNKNOWN_ACTION),
        ("LONG | 0.7 | names a position as well", Refusal.UNKNOWN_ACTION),
        ("bUY | 0.7 | trend", Refusal.UNKNOWN_ACTION),
        ("ENABLE_TRA\u0131L | 0.7 | dotless", Refusal.UNKNOWN_ACTION),
        ("\u0412UY | 0.7 | Cyrillic", Refusal.UNKNOWN_ACTION),
        (" | 0.7 | trend", Refusal.UNKNOWN_ACTION),
        ("0.7 | BUY | trend", Refusal.UNKNOWN_ACTION),
        ("BUY |  | trend", Refusal.NOT_A_NUMBER),
        ("BUY | high | trend", Refusal.NOT_A_NUMBER),
        ("BUY | nan | trend", Refusal.NOT_A_NUMBER),
        ("BUY | inf | trend", Refusal.NOT_A_NUMBER),
        ("BUY | 1e-1 | trend", Refusal.NOT_A_NUMBER),
        ("BUY | 0,7 | trend", Refusal.NOT_A_NUMBER),
        ("BUY | 0.7. | trend", Refusal.NOT_A_NUMBER),
        ("BUY | 0.7/1 | trend", Refusal.NOT_A_NUMBER),
        ("BUY | 0_7 | trend", Refusal.NOT_A_NUMBER),
        ("BUY | 0.7\u00b2 | raised", Refusal.NOT_A_NUMBER),
        ("BUY | \u00bd | half", Refusal.NOT_A_NUMBER),
        ("BUY | \u0660.\u0667 | Arabic", Refusal.NOT_A_NUMBER),
        ("BUY | 0." + "7" * 400 + " | long", Refusal.NOT_A_NUMBER),
        ("BUY | 1.01 | trend", Refusal.OUT_OF_RANGE),
        ("BUY | 70 | trend", Refusal.OUT_OF_RANGE),
        ("BUY | 101% | trend", Refusal.OUT_OF_RANGE),
        ("BUY | -0.7 | trend", Refusal.OUT_OF_RANGE),
        ("BUY | 0.7 | ", Refusal.NO_REASON),
        ("BUY | 0.7 | \u200b\x00", Refusal.NO_REASON),
    ],
)
def test_any_other_reply_is_refused_with_its_text(text: str, why: Refusal) -> None:
    """Nothing is guessed, repaired or clamped."""
    assert parse_reply(text) == Refused(why=why, raw=text[:MAX_CHARS])


def test_every_refusal_is_in_the_table() -> None:
    """A reason that nothing can cause would be dead code."""
    table = test_any_other_reply_is_refused_with_its_text.pytestmark[0].args[1]
    assert {why for _, why in table} == set(Refusal)


def test_a_reason_of_more_than_ten_words_is_cut_and_says_so() -> None:
    """The action and the number are as good with a talkative reason."""
    assert parse_reply("BUY | 0.7 | 1 2 3 4 5 6 7 8 9 10 11 12") == Parsed(
        action=Action.BUY, confidence=0.7, reason="1 2 3 4 5 6 7 8 9 10", is_cut=True
    )
    assert parse_reply("BUY | 0.7 | " + "w" * 300) == Parsed(
        action=Action.BUY, confidence=0.7, reason="w" * 200, is_cut=True
    )


def test_a_reply_that_thinks_first_is_read_from_its_last_line() -> None:
    """Thoughts that look like a reply do not count; a last line that begins before the part that is read is refused."""
    thoughts = "BUY | 0.9 | a first idea\nBut ADX is low.\n"
    held = Parsed(action=Action.HOLD, confidence=0.6, reason="no trend", is_cut=False)
    assert parse_reply(thoughts + "HOLD | 0.6 | no trend\n\n", is_last_line=True) == held
    assert parse_reply("x" * 5_000 + "\nHOLD | 0.6 | no trend", is_last_line=True) == held
    assert parse_reply("x" * 5_000 + "HOLD | 0.6 | no trend", is_last_line=True) == Refused(
        why=Refusal.TOO_LONG, raw="x" * (MAX_CHARS - 21) + "HOLD | 0.6 | no trend"
    )


def test_a_refused_text_can_be_written_down() -> None:
    """Half a surrogate pair cannot be encoded; it becomes a question mark."""
    assert parse_reply("BUY \ud800") == Refused(why=Refusal.NOT_THREE_FIELDS, raw="BUY ?")


def assert_not_invented(text: str) -> None:
    """An accepted reply holds a spelling of its action and its number, in this order, in one line; else it is refused.

    Found by searching, not by the parser's way of splitting.
    """
    parsed = parse_reply(text)
    if isinstance(parsed, Refused):
        assert len(parsed.raw) <= MAX_CHARS
        return
    assert 0 <= parsed.confidence <= 1
    assert 1 <= len(parsed.reason.split()) <= MAX_WORDS
    assert parsed.reason.isprintable()
    normal = unicodedata.normalize("NFKC", text)
    spellings = [spelling for spelling, action in ALIASES.items() if action is parsed.action]
    for spelling in spellings:
        for found in re.finditer(rf"(?<!\w){spelling}\s*\|\s*\+?([0-9]*\.?[0-9]+)(\s*%)?\s*\|", normal):
            if Decimal(found[1]) / (100 if found[2] else 1) == Decimal(repr(parsed.confidence)):
                return
    pytest.fail(f"{parsed} was made of {text!r}")


@given(st.text(max_size=80))
def test_text_out_of_nowhere_is_never_advice_that_it_does_not_contain(text: str) -> None:
    """Any text, and any text for a reason."""
    assert_not_invented(text)
    assert_not_invented(f"BUY | 0.7 | {text}")
    assert_not_invented(f"{text} | 0.7 | why")
    assert_not_invented(f"BUY | {text} | why")


def mangled(chance: random.Random) -> str:
    """A good reply with one to four insertions, deletions, exchanges, doublings or cuts."""
    text = chance.choice(GOOD)
    for _ in range(chance.randint(1, 4)):
        at, to = sorted(chance.randrange(len(text) + 1) for _ in range(2))
        match chance.randrange(6):
            case 0:
                text = text[:at] + chance.choice(NOISE) + text[at:]
            case 1:
                text = text[:at] + text[at + 1 :]
            case 2:
                text = text[:at] + chance.choice(NOISE) + text[at + 1 :]
            case 3:
                text = text[:to] + text[at:to] + text[to:]
            case 4:
                text = text[:at] + text[to:]
            case _:
                text = text[:at] + chance.choice(GOOD) + text[at:]
    return text


def test_ten_thousand_mangled_replies_invent_no_advice() -> None:
    """No exception; and the sample has both kinds, or it would show nothing."""
    chance = random.Random(20_230_315)
    texts = [mangled(chance) for _ in range(10_000)]
    for text in texts:
        assert_not_invented(text)
    accepted = sum(isinstance(parse_reply(text), Parsed) for text in texts)
    assert 1_000 < accepted < 9_000


@given(mask=st.integers(1, 63), data=st.data())
def test_whatever_the_grammar_calls_complete_parses_to_a_valid_action(mask: int, data: st.DataObject) -> None:
    """The constrained format lies inside the parsed one, uncut, at every place where a reply may end."""
    grammar = ReplyGrammar(mask)
    text, state = "", grammar.start
    while following := grammar.following(state):
        character = data.draw(st.sampled_from(sorted(following)))
        reached = grammar.advance(state, character)
        assert reached is not None
        text, state = text + character, reached
        if grammar.is_complete(state):
            parsed = parse_reply(text)
            assert isinstance(parsed, Parsed), text
            assert parsed.action in actions_in(mask)
            assert (parsed.confidence, parsed.is_cut) == (float(text.split("|")[1]), False)
            if len(parsed.reason.split()) == REASON_WORDS or data.draw(st.integers(0, 9)) == 0:
                return
