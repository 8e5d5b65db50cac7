"""The back end `openai`: any server that speaks OpenAI's chat completions, such as vLLM, llama.cpp, Ollama, ours.

How probabilities are got is found at the start, by asking (trader/adapters/openai/finding.py). An answer that cannot
be got is an ERROR with a short text; nothing that a server does raises.
"""

import time
from collections.abc import Callable

from trader.adapters.openai.asking import Scoring, Way, complete, fields_for, scores_of
from trader.adapters.openai.client import Client
from trader.adapters.openai.credential import read_credential
from trader.adapters.openai.finding import find_way
from trader.adapters.openai.guides import line_of
from trader.adapters.openai.options import OpenAiOptions
from trader.advisor.parse import legible
from trader.advisor.prompt import Prompt
from trader.advisor.question import Answer, Question, Trace
from trader.advisor.replies import answer_from_scores, answer_from_text
from trader.domain.decisions import AdviceStatus
from trader.errors import ConfigurationError, InputError


class OpenAiBackend:
    """Asks the server one question at a time, in the calling thread; looks for it first where `start` has failed."""

    is_instant = False
    is_calibrated = True

    def __init__(self, options: OpenAiOptions, render: Callable[[Question], Prompt], prompt_identity: str) -> None:
        """ConfigurationError where the url, the credential's file or the combination of settings cannot be used."""
        if options.mode == "generate" and options.scoring == "logprobs":
            msg = (
                "advisor.mode: generate has the reply written, and advisor.openai.scoring: logprobs reads none; "
                "use mode: score, or scoring: auto, guided_choice or none"
            )
            raise ConfigurationError(msg)
        secret = None
        if options.credential is not None:
            secret = read_credential(options.credential, "advisor.openai.credential")
        self._options = options
        self._render = render
        self._prompt_identity = prompt_identity
        self._client = Client(options.url, options.socket, secret, options.timeout_s)
        self._way: Way | None = None

    @property
    def identity(self) -> str:
        """Model, way of asking, sampling and prompt; before the start, as far as they are configured."""
        options = self._options
        way = f"{options.model or '?'}:{options.scoring}" if self._way is None else self._way.name
        drawn = f":t{options.temperature:g}p{options.top_p:g}s{options.seed}" if options.sample else ""
        return f"openai:{way}:{options.mode}{drawn}:{self._prompt_identity}"

    def start(self) -> None:
        """Reach the server, choose its model and the way of asking, and have one question answered.

        ConfigurationError says what is wrong and what to do; it may be tried again.
        """
        self._found()

    def ask(self, question: Question) -> Answer:
        """USED, INVALID where the reply is no advice, ERROR where there is no reply."""
        prompt = self._render(question)
        began = time.perf_counter()
        try:
            way = self._way or self._found()  # a server that was away at the start may be back
            fields = fields_for(way, self._options, question.mask, prompt)
            choice = complete(self._client, way.model, prompt, fields)
            scores = scores_of(choice, way, question.mask) if way.scoring is Scoring.LOGPROBS else None
        except (InputError, ConfigurationError) as error:
            trace = self._trace(prompt, None, began)
            return Answer(status=AdviceStatus.ERROR, error=str(error), prompt_sha256=prompt.sha256, trace=trace)
        reply = self._client.hide(choice.message.content or "")
        trace = self._trace(prompt, legible(reply), began)
        if scores is not None:
            return answer_from_scores(question, prompt, scores, trace)
        return answer_from_text(question, prompt, line_of(way.guide, reply), trace, is_last_line=self._options.thinks)

    def close(self) -> None:
        """End the question in progress, with ERROR; any thread may call this."""
        self._client.close()

    def _found(self) -> Way:
        self._way = find_way(self._client, self._options, self._render)
        return self._way

    def _trace(self, prompt: Prompt, reply: str | None, began: float) -> Trace:
        return Trace(
            backend="openai",
            messages=tuple((each.role, each.content) for each in prompt.messages),
            reply=reply,
            latency_ms=round((time.perf_counter() - began) * 1e3, 3),
        )
