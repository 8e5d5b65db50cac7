"""From listed tokens to the actions' probabilities."""

import math

import pytest

from trader.adapters.openai.labels import read_scores
from trader.adapters.openai.wire import TokenLogprob, TopLogprob
from trader.advisor.question import Scores
from trader.errors import InputError

FLAT = 0b000111
IN_POSITION = 0b111001


def read(mask: int, **tokens: float) -> Scores:
    """The scores of one position with these tokens; a leading underscore stands for a space."""
    return read_all(mask, {name.replace("_", " ", 1) if name[0] == "_" else name: p for name, p in tokens.items()})


def read_all(mask: int, *positions: dict[str, float]) -> Scores:
    content = []
    for position in positions:
        top = tuple(TopLogprob(token, math.log(probability)) for token, probability in position.items())
        content.append(TokenLogprob(top[0].token, top[0].logprob, top))
    return read_scores(content, mask)


def probabilities(scores: Scores) -> list[float | None]:
    return [None if each is None else round(math.exp(each), 9) for each in scores.log_probs]


def test_both_spellings_and_all_prefixes_of_a_label_count_for_it():
    """With and without the leading space, however the tokenizer cuts."""
    scores = read_all(FLAT, {"B": 0.1, " BUY": 0.2, "BU": 0.1, "▁SE": 0.1, "ĠHOLD": 0.3})

    assert probabilities(scores) == [0.375, 0.5, 0.125, None, None, None]
    assert scores.legal_mass == pytest.approx(0.8)


def test_words_that_go_on_beyond_a_label_or_are_other_words_do_not_count():
    """BUYING is no BUY, nor is Buy the label."""
    scores = read_all(
        FLAT, {"BUY": 0.4, "BUYING": 0.1, "Buy": 0.1, "": 0.1, " ": 0.1, "  BUY": 0.1, "HOLD": 0.05, "S": 0.05}
    )

    assert scores.legal_mass == pytest.approx(0.5)


def test_empty_token_is_no_label_even_where_one_is_valid():
    """The end of a text, such as a special token, is shown as nothing."""
    assert read_all(0b000001, {"": 0.5, "HOLD": 0.2}).legal_mass == pytest.approx(0.2)


def test_labels_that_are_not_valid_do_not_count():
    """In a position BUY is a word like any other."""
    scores = read(IN_POSITION, BUY=0.5, HOLD=0.2, MOVE=0.1, EN=0.1, DIS=0.1)

    assert probabilities(scores) == [0.4, None, None, 0.2, 0.2, 0.2]
    assert scores.legal_mass == pytest.approx(0.5)


def test_unlisted_label_is_as_likely_as_the_list_allows_at_most():
    """No likelier than the least likely listed token, nor than what is left; and no legal mass."""
    scores = read(FLAT, BUY=0.6, HOLD=0.2, The=0.05)
    assert probabilities(scores)[2] == pytest.approx(0.05 / 0.85)
    assert scores.legal_mass == pytest.approx(0.8)

    scores = read(FLAT, BUY=0.6, HOLD=0.39)
    assert probabilities(scores)[2] == pytest.approx(0.01)


def test_no_label_listed_leaves_all_equal_and_no_mass():
    """Which is below any demand on legal mass: not an answer."""
    scores = read(FLAT, The=0.9, I=0.05)

    assert probabilities(scores)[:3] == pytest.approx([1 / 3] * 3)
    assert scores.legal_mass == 0


def test_blank_tokens_are_passed_over_on_the_path_that_was_taken():
    """Mass beside and behind the blank token adds up."""
    scores = read_all(FLAT, {"\n": 0.5, "BUY": 0.3}, {"BUY": 0.4, "SELL": 0.4, "HOLD": 0.2})

    assert probabilities(scores) == [0.125, 0.625, 0.25, None, None, None]
    assert scores.legal_mass == pytest.approx(0.8)


def test_position_after_a_label_is_not_read():
    """What follows BUY is the reason, not another answer."""
    scores = read_all(FLAT, {"BUY": 0.6, "HOLD": 0.2, "SELL": 0.2}, {"SELL": 1.0})

    assert probabilities(scores) == [0.2, 0.6, 0.2, None, None, None]


@pytest.mark.parametrize("logprobs", [[0.0, 0.0], [0.5], [math.log(0.7), math.log(0.4)]])
def test_numbers_that_are_no_probabilities_are_refused(logprobs):
    """They sum to more than 1."""
    top = tuple(TopLogprob(token, each) for token, each in zip("BS", logprobs, strict=False))
    with pytest.raises(InputError, match="more than 1"):
        read_scores([TokenLogprob("B", logprobs[0], top)], FLAT)


def test_minus_infinity_in_either_spelling_is_no_probability():
    """null of llama.cpp, -9999 of vLLM."""
    top = (TopLogprob("BUY", -0.1), TopLogprob("SELL", None), TopLogprob("HOLD", -9_999.0))
    scores = read_scores([TokenLogprob("BUY", -0.1, top)], FLAT)

    assert scores.log_probs[1] == pytest.approx(0.0, abs=1e-9)
    assert scores.log_probs[0] == pytest.approx(-9_998.9)
    assert all(each is None or math.isfinite(each) for each in scores.log_probs)


def test_empty_list_is_refused():
    """A server that was asked for none, or gives none."""
    with pytest.raises(InputError, match="missing"):
        read_scores([TokenLogprob("BUY", -0.1)], FLAT)


@pytest.mark.parametrize("logprob", [1e308, 0.1, -1e308])
def test_blank_token_of_no_possible_probability_is_refused(logprob):
    """Whatever is read behind it would be multiplied by it."""
    blank = TokenLogprob(" ", logprob, (TopLogprob(" ", -0.1),))
    label = TokenLogprob("HOLD", -0.1, (TopLogprob("HOLD", -0.1),))
    with pytest.raises(InputError, match="is none"):
        read_scores((blank, label), FLAT)
