"""The model in the daemon's own process: the same answers, weaker bounds."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from builders import a_question
from worker_builders import PROMPTS, a_backend

from trader.adapters.phi3.options import ModelOptions
from trader.adapters.phi3.thread_backend import ThreadBackend
from trader.advisor.prompt import Prompt
from trader.advisor.question import Scores
from trader.domain.actions import Action
from trader.domain.decisions import AdviceStatus
from trader.errors import ConfigurationError, InvariantError

SCORES = Scores((-0.5, -1.5, -1.7, None, None, None), 0.9)  # not quite a distribution
HALVES = Scores((-0.6931471805599453, -0.6931471805599453, None, None, None, None), 0.9)


class Model:
    """Answers at once, raises, or writes until stopped."""

    def __init__(self, scores: Scores | Exception = HALVES, *, is_slow: bool = False) -> None:
        self.scores = scores
        self.is_slow = is_slow
        self.probes: tuple[Prompt, ...] | None = None
        self.writes = threading.Event()

    def prepare(self, probes: tuple[Prompt, ...]) -> None:
        self.probes = probes

    def score(self, prompt: Prompt, mask: int) -> Scores:
        if isinstance(self.scores, Exception):
            raise self.scores
        return self.scores

    def generate(self, prompt: Prompt, mask: int, should_stop: Callable[[], bool]) -> str:
        self.writes.set()
        while self.is_slow:
            if should_stop():
                raise RuntimeError
        return "SELL | 0.6 | below a falling VWAP"


def started(model: Model, **options: Any) -> ThreadBackend:
    backend = ThreadBackend(ModelOptions(name="x", **options), PROMPTS, make=lambda _: model)  # type: ignore[arg-type]
    backend.start()
    return backend


def test_scores_and_texts_become_answers() -> None:
    """As with the process; the model is warmed up first."""
    model = Model()
    scored = started(model).ask(a_question(mask=0b11))
    assert (scored.status, scored.scores, model.probes) == (AdviceStatus.USED, HALVES, PROMPTS.probes)
    written = started(model, mode="generate").ask(a_question())
    assert written.advice is not None
    assert (written.advice.action, written.advice.verbal) == (Action.SELL, 0.6)


@pytest.mark.parametrize(
    ("error", "words"),
    [(ValueError("a bad day"), "ValueError: a bad day"), (MemoryError(), "out of memory")],
)
def test_model_that_raises_is_an_error(error: Exception, words: str) -> None:
    """Of this question only."""
    model = Model(error)
    backend = started(model)
    answer = backend.ask(a_question())
    assert (answer.status, answer.error) == (AdviceStatus.ERROR, words)
    model.scores = HALVES
    assert backend.ask(a_question(mask=0b11)).status is AdviceStatus.USED


def test_scores_that_are_none_are_invalid() -> None:
    """Probabilities that do not sum to one."""
    assert started(Model(SCORES)).ask(a_question()).status is AdviceStatus.INVALID


def test_close_ends_a_generation() -> None:
    """At its next token."""
    model = Model(is_slow=True)
    backend = started(model, mode="generate")
    errors: list[str | None] = []
    asking = threading.Thread(target=lambda: errors.append(backend.ask(a_question()).error))
    asking.start()
    assert model.writes.wait(20)
    backend.close()
    asking.join(20)
    assert errors == ["the advisor was closed"]


def test_closed_model_is_asked_nothing() -> None:
    """As with the process: an error, and at once."""
    backend = started(Model())
    backend.close()
    answer = backend.ask(a_question(mask=0b11))
    assert (answer.status, answer.error) == (AdviceStatus.ERROR, "the advisor was closed")


@pytest.mark.parametrize("error", [ConfigurationError("no such model"), RuntimeError("no such model")])
def test_model_that_does_not_load_is_a_configuration_error(error: Exception) -> None:
    """Whatever the libraries raise."""

    def make(options: ModelOptions) -> Any:
        raise error

    with pytest.raises(ConfigurationError, match="no such model"):
        ThreadBackend(ModelOptions(name="x"), PROMPTS, make=make).start()


def test_reasons_need_the_process() -> None:
    """There is nothing off the decision's path here."""
    with pytest.raises(ConfigurationError, match="isolation: process"):
        ThreadBackend(ModelOptions(name="x", wants_reason=True), PROMPTS)


def test_model_asked_before_its_start_is_this_programs_error() -> None:
    """Not an answer."""
    with pytest.raises(InvariantError, match="before it was started"):
        ThreadBackend(ModelOptions(name="x"), PROMPTS).ask(a_question())


def test_both_isolations_have_one_identity() -> None:
    """Where the model runs does not change what it says."""
    options = ModelOptions(name="faulty", mode="generate")
    assert ThreadBackend(options, PROMPTS).identity == a_backend().identity
