"""The back end `recorded` answers from a recording as the model did, and says what it was never asked."""

import hashlib
import math

import pytest
from builders import a_question
from msgspec.structs import replace
from recording_builders import HEAD

from trader.adapters.recording import RecordedAnswers
from trader.adapters.recording_file import Key, Recorded, Recording
from trader.advisor.prompt import Message, Prompt
from trader.advisor.question import Question, Scores
from trader.domain.actions import Action
from trader.domain.decisions import AdviceStatus
from trader.errors import ConfigurationError

EVEN = Scores((math.log(0.5), math.log(0.25), math.log(0.25), None, None, None), 0.9)


def render(question: Question) -> Prompt:
    """A prompt that tells the price, and nothing else."""
    content = f"{question.price:.2f}"
    return Prompt(messages=(Message("user", content),), sha256=hashlib.sha256(content.encode()).hexdigest())


def a_backend(recorded: dict[Question, Recorded], **head: object) -> RecordedAnswers:
    answers = {Key(render(question).sha256, question.mask): answer for question, answer in recorded.items()}
    return RecordedAnswers(Recording(replace(HEAD, **head), answers), render, "prompts-1")


QUESTION = a_question(seq=7, price=12_000.0)


def test_recorded_scores_are_answered_as_the_model_gave_them():
    """Scores without advice, visible at the bar that asks, with the exchange for the advisor log."""
    answer = a_backend({QUESTION: EVEN}).ask(QUESTION)
    assert (answer.status, answer.scores, answer.advice) == (AdviceStatus.USED, EVEN, None)
    assert (answer.visible_from_bar, answer.prompt_sha256) == (7, render(QUESTION).sha256)
    assert answer.is_batched
    assert answer.trace is not None
    assert answer.trace.messages == (("user", "12000.00"),)


def test_recorded_scores_that_were_computed_one_by_one_are_not_called_batched():
    """The mark comes from the recording."""
    backend = a_backend({QUESTION: EVEN}, batched=False)
    assert not backend.is_batched
    assert not backend.ask(QUESTION).is_batched
    assert (backend.identity, a_backend({}).identity) == (HEAD.identity, f"{HEAD.identity} batched")


def test_recorded_reply_is_parsed_again():
    """The text is what was recorded; the parser makes the advice of it, or refuses it as it did then."""
    backend = a_backend({QUESTION: "BUY | 0.80 | trend up"}, mode="generate", batched=False)
    answer = backend.ask(QUESTION)
    assert answer.status is AdviceStatus.USED
    assert answer.advice is not None
    assert (answer.advice.action, answer.advice.verbal) == (Action.BUY, 0.8)
    assert a_backend({QUESTION: "perhaps"}).ask(QUESTION).status is AdviceStatus.INVALID


def test_recorded_answers_say_what_is_missing():
    """The same prompt with other valid actions is another question."""
    backend = a_backend({QUESTION: EVEN})
    for question in (replace(QUESTION, mask=0b11), replace(QUESTION, price=11_000.0)):
        answer = backend.ask(question)
        assert (answer.status, answer.advice, answer.scores) == (AdviceStatus.MISSING, None, None)
        assert answer.prompt_sha256 == render(question).sha256


def test_recorded_answers_to_other_prompts_are_refused_at_the_start():
    """Not one of them would be found."""
    a_backend({}).start()
    with pytest.raises(ConfigurationError, match=r"prompts-2.*prompts-1.*prefill"):
        a_backend({}, prompt="prompts-2").start()
