"""From a model's text or scores to an answer."""

import math
from typing import Any

import pytest
from builders import a_question

from trader.advisor.parse import MAX_CHARS
from trader.advisor.prompt import Message, Prompt
from trader.advisor.question import Answer, Scores, Trace
from trader.advisor.replies import answer_from_scores, answer_from_text
from trader.domain.actions import Action
from trader.domain.decisions import Advice, AdviceStatus

PROMPT = Prompt(messages=(Message("user", "What now?"),), sha256="ab" * 32)
QUESTION = a_question(seq=77, mask=0b000111)
TRACE = Trace(backend="fake", messages=(("user", "What now?"),), latency_ms=3.5)
THIRD = math.log(1 / 3)
EVEN = Scores((THIRD, THIRD, THIRD, None, None, None), 0.9)


def an_answer(status: AdviceStatus, **fields: Any) -> Answer:
    return Answer(status=status, prompt_sha256="ab" * 32, visible_from_bar=77, **fields)


def test_a_written_reply_becomes_advice_with_its_verbal_confidence() -> None:
    """Raw and verbal are the number that the model wrote; the trace keeps the text."""
    assert answer_from_text(QUESTION, PROMPT, "SELL | 62% | below VWAP", TRACE) == an_answer(
        AdviceStatus.USED,
        advice=Advice(action=Action.SELL, confidence=0.62, reason="below VWAP", raw=0.62, verbal=0.62),
        trace=Trace(backend="fake", messages=TRACE.messages, reply="SELL | 62% | below VWAP", latency_ms=3.5),
    )


def test_an_action_that_is_not_valid_is_left_to_the_asker() -> None:
    """It is advice; that it cannot be followed is another matter."""
    answer = answer_from_text(QUESTION, PROMPT, "ENABLE_TRAIL | 0.6 | run", None)
    assert (answer.status, answer.advice and answer.advice.action) == (AdviceStatus.USED, Action.ENABLE_TRAIL)


def test_a_text_that_is_no_reply_is_invalid_with_its_text() -> None:
    """Never a default; the error names why, and the trace holds no more than what was read."""
    answer = answer_from_text(QUESTION, PROMPT, "no idea " * 1_000_000, TRACE)
    assert (answer.status, answer.advice, answer.scores) == (AdviceStatus.INVALID, None, None)
    assert answer.error is not None
    assert answer.error.startswith("the reply is no advice (too_long): 'no idea no idea")
    assert len(answer.error) == 300
    assert answer.trace is not None
    assert answer.trace.reply == ("no idea " * 1_000_000)[:MAX_CHARS]


def test_a_reply_that_thinks_first_is_read_at_its_end() -> None:
    """As a server without constraints gives it."""
    answer = answer_from_text(QUESTION, PROMPT, "ADX is low.\nHOLD | 0.6 | no trend", None, is_last_line=True)
    assert (answer.advice and answer.advice.action) == Action.HOLD


@pytest.mark.parametrize("is_batched", [False, True])
def test_scores_over_the_valid_actions_are_passed_on(is_batched: bool) -> None:
    """No advice yet: the calibration makes it."""
    assert answer_from_scores(QUESTION, PROMPT, EVEN, TRACE, is_batched=is_batched) == an_answer(
        AdviceStatus.USED, scores=EVEN, is_batched=is_batched, trace=TRACE
    )


@pytest.mark.parametrize(
    ("scores", "error"),
    [
        (Scores((THIRD, THIRD, THIRD), 0.9), "not those of the valid actions"),
        (Scores((THIRD, THIRD, None, THIRD, None, None), 0.9), "not those of the valid actions"),
        (Scores((THIRD, THIRD, THIRD, THIRD, None, None), 0.9), "not those of the valid actions"),
        (Scores((), 0.9), "not those of the valid actions"),
        (Scores((math.nan, THIRD, THIRD, None, None, None), 0.9), "not logarithms"),
        (Scores((-math.inf, math.log(0.5), math.log(0.5), None, None, None), 0.9), "not logarithms"),
        (Scores((1.0, THIRD, THIRD, None, None, None), 0.9), "not logarithms"),
        (Scores((THIRD, THIRD, -2.0, None, None, None), 0.9), "sum to 0.802002"),
        (Scores((THIRD, THIRD, THIRD, None, None, None), math.nan), "legal mass of nan"),
        (Scores((THIRD, THIRD, THIRD, None, None, None), 1.1), "legal mass of 1.1"),
        (Scores((THIRD, THIRD, THIRD, None, None, None), -0.1), "legal mass of -0.1"),
    ],
)
def test_scores_that_are_no_distribution_are_invalid(scores: Scores, error: str) -> None:
    """Garbage from a model or a server stops here."""
    answer = answer_from_scores(QUESTION, PROMPT, scores, TRACE)
    assert (answer.status, answer.scores, answer.prompt_sha256) == (AdviceStatus.INVALID, None, PROMPT.sha256)
    assert answer.error is not None
    assert error in answer.error
