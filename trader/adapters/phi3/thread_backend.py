"""The back end `phi3` with `isolation: thread`: the model lives in the asker's thread of the daemon's own process.

The bound is weaker than a process's. A question still cannot hold up a bar beyond its deadline as long as the model's
code lets other threads run; a C call that keeps the interpreter's lock stops the loop and everything in it, stops
included, memory that runs out is the daemon's, a crash is the daemon's, and a call that hangs is never ended. There is
no way to restart. It saves a process where there is little memory, and lets a replay be debugged; not for live trading.
"""

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from trader.adapters.phi3.answering import answer_of, identity_of
from trader.adapters.phi3.options import ModelOptions
from trader.adapters.phi3.protocol import Reply, Scored, Written
from trader.adapters.phi3.worker import load, text_of
from trader.adapters.phi3.worker_backend import Prompts
from trader.advisor.question import Answer, Question
from trader.errors import ConfigurationError, InvariantError

if TYPE_CHECKING:
    from trader.adapters.phi3.model import Phi3Model
    from trader.advisor.prompt import Prompt


CLOSED = "the advisor was closed"


class ThreadBackend:
    """One model in this process. Reasons are not written: there is nowhere off the decision's path to write them."""

    is_instant = False
    is_calibrated = True

    def __init__(
        self,
        options: ModelOptions,
        prompts: Prompts,
        *,
        make: "Callable[[ModelOptions], Phi3Model]" = load,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing is loaded before `start`. `clock` gives seconds and never goes back."""
        if options.wants_reason:
            msg = "advisor.wants_reason needs advisor.worker.isolation: process; turn one of them off"
            raise ConfigurationError(msg)
        self.identity = identity_of(options, prompts.identity)
        self._options = options
        self._render = prompts.render
        self._probes = prompts.probes
        self._make = make
        self._clock = clock
        self._model: Phi3Model | None = None
        self._closing = threading.Event()

    def start(self) -> None:
        """Load the model in the caller's thread; ConfigurationError where that fails."""
        try:
            model = self._make(self._options)
            model.prepare(self._probes)
        except ConfigurationError:
            raise
        except Exception as error:  # whatever loading raises means that there is no model
            msg = f"the language model did not start: {text_of(error)}"
            raise ConfigurationError(msg) from error
        self._model = model

    def ask(self, question: Question) -> Answer:
        """USED, INVALID or ERROR; takes as long as the model takes."""
        model = self._model
        if model is None:
            msg = "the model was asked before it was started"
            raise InvariantError(msg)
        prompt = self._render(question)
        asked_s = self._clock()
        reply: Reply | str
        try:
            reply = self._reply(model, prompt, question.mask)
        except Exception as error:  # noqa: BLE001 - whatever the model raises is told as the answer's error
            reply = CLOSED if self._closing.is_set() else text_of(error)
        return answer_of(self._options, question, prompt, reply, (self._clock() - asked_s) * 1_000)

    def close(self) -> None:
        """End a generation in progress within a token; nothing ends a pass over the prompt."""
        self._closing.set()

    def _reply(self, model: "Phi3Model", prompt: "Prompt", mask: int) -> Reply | str:
        if self._closing.is_set():
            return CLOSED
        if self._options.mode == "score":
            return Scored(id=0, scores=model.score(prompt, mask))
        return Written(id=0, text=model.generate(prompt, mask, self._closing.is_set))
