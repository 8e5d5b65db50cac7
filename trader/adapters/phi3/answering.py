"""What both ways to hold the model, a process and a thread, have in common: who it is, and an answer of a reply."""

from pathlib import Path
from typing import assert_never

from trader.adapters.phi3.options import ModelOptions
from trader.adapters.phi3.protocol import Failed, Reply, Scored, Written
from trader.advisor.prompt import Prompt
from trader.advisor.question import Answer, Question, Trace
from trader.advisor.replies import answer_from_scores, answer_from_text
from trader.domain.decisions import AdviceStatus

BACKEND = "phi3"


def identity_of(options: ModelOptions, prompt_identity: str) -> str:
    """Everything that makes two answers to the same question differ, known without the model.

    A folder counts by its own name: logs move between machines.
    """
    parts = [BACKEND, _model_of(options), options.quantization, options.mode]
    if options.mode == "generate":
        parts.append(f"tokens={options.max_new_tokens}")
        if options.chain_of_thought:
            parts.append(f"thought={options.cot_max_tokens}")
        if options.sample:
            parts.append(f"temperature={options.temperature:g} top_p={options.top_p:g} seed={options.seed}")
    return " ".join([*parts, f"prompt={prompt_identity}"])


def _model_of(options: ModelOptions) -> str:
    path = Path(options.name)
    name = path.name if path.is_absolute() or options.revision is None else options.name
    return name if options.revision is None else f"{name}@{options.revision}"


def answer_of(
    options: ModelOptions, question: Question, prompt: Prompt, reply: Reply | str, latency_ms: float | None
) -> Answer:
    """What a reply, or a text that says why there is none, is worth as an answer. `latency_ms` is wall clock."""
    messages = tuple((message.role, message.content) for message in prompt.messages)
    trace = Trace(backend=BACKEND, messages=messages, latency_ms=latency_ms)
    match reply:
        case Scored():
            return answer_from_scores(question, prompt, reply.scores, trace)
        case Written():
            return answer_from_text(question, prompt, reply.text, trace, is_last_line=options.chain_of_thought)
        case Failed():
            return _error(prompt, reply.message, trace)
        case str():
            return _error(prompt, reply, trace)
        case _ as never:
            assert_never(never)


def _error(prompt: Prompt, message: str, trace: Trace) -> Answer:
    return Answer(status=AdviceStatus.ERROR, prompt_sha256=prompt.sha256, error=message, trace=trace)
