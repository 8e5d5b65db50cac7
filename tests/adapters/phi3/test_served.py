"""The tiny model behind `trader advisor serve`: the back end `openai` gets what the back end `phi3` gets."""

from typing import TYPE_CHECKING

import pytest
from builders import a_question
from running_server import Running

from trader.adapters.openai.backend import OpenAiBackend
from trader.adapters.openai.options import OpenAiOptions
from trader.adapters.openai.server import ServedModel, Server, ServerRules
from trader.advisor.prompt import Message, Prompt, prompt_of
from trader.advisor.question import Question

if TYPE_CHECKING:
    from trader.adapters.phi3.model import Phi3Model


def render(question: Question) -> Prompt:
    """A short prompt in the prompt's own form."""
    return prompt_of((Message("system", "You trade."), Message("user", f"RSI {question.rsi:.1f}. Your action?")))


@pytest.mark.parametrize("mask", [0b000111, 0b011001])
def test_served_scores_are_the_models_own(tiny_model: "Phi3Model", mask: int) -> None:
    """To the last bit, after HTTP and JSON."""
    served = ServedModel(identity=tiny_model.identity, mode="score", ask=tiny_model.score, is_ready=lambda: True)
    server = Server(served, ServerRules(secret=None, checks_host=True, waiting_max=1))
    question = a_question(mask=mask, rsi=61.4)
    with Running(server.application()) as running:
        backend = OpenAiBackend(_options(running.url), render, "prompt")
        backend.start()
        answer = backend.ask(question)
        backend.close()
    server.close()

    assert answer.scores == tiny_model.score(render(question), mask)


def _options(url: str) -> OpenAiOptions:
    return OpenAiOptions(
        url=url,
        socket=None,
        model=None,
        credential=None,
        scoring="auto",
        timeout_s=60,
        mode="score",
        max_new_tokens=50,
        sample=False,
        temperature=0.7,
        top_p=0.9,
        seed=1,
    )
