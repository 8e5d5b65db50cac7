"""From what a model gave to an Answer: its text through the parser, its scores through their checks. Pure."""

import math

from msgspec.structs import replace

from trader.advisor.parse import Refused, legible, parse_reply
from trader.advisor.prompt import Prompt
from trader.advisor.question import Answer, Question, Scores, Trace
from trader.domain.actions import ACTIONS
from trader.domain.decisions import Advice, AdviceStatus

SUM_TOLERANCE = 1e-4
"""How far from 1 the probabilities of the valid labels may sum: they may come from float32, or from text."""

MAX_ERROR_CHARS = 300


def answer_from_text(
    question: Question, prompt: Prompt, text: str, trace: Trace | None, *, is_last_line: bool = False
) -> Answer:
    """USED with the advice of a written reply, INVALID where it is none.

    The number that the model wrote is the advice's confidence, its `raw` and its `verbal`. An action outside the mask
    stays as it is: the asker marks it. `is_last_line` is for replies that think aloud before the line that counts.
    `trace` keeps the text, as far as it is read, where it has none yet.
    """
    parsed = parse_reply(text, is_last_line=is_last_line)
    answer = _answer(question, prompt, _with_reply(trace, text))
    if isinstance(parsed, Refused):
        return _invalid(answer, f"the reply is no advice ({parsed.why.value}): {parsed.raw!r}")
    advice = Advice(
        action=parsed.action,
        confidence=parsed.confidence,
        reason=parsed.reason,
        raw=parsed.confidence,
        verbal=parsed.confidence,
    )
    return replace(answer, advice=advice)


def answer_from_scores(
    question: Question, prompt: Prompt, scores: Scores, trace: Trace | None, *, is_batched: bool = False
) -> Answer:
    """USED with scores and no advice, INVALID where they are no distribution over the valid actions.

    `is_batched`: they were computed many at a time. Whether `legal_mass` suffices is the calibration's to judge.
    """
    answer = _answer(question, prompt, trace)
    fault = fault_in(scores, question.mask)
    return replace(answer, scores=scores, is_batched=is_batched) if fault is None else _invalid(answer, fault)


def _answer(question: Question, prompt: Prompt, trace: Trace | None) -> Answer:
    return Answer(status=AdviceStatus.USED, trace=trace, prompt_sha256=prompt.sha256, visible_from_bar=question.seq)


def _invalid(answer: Answer, error: str) -> Answer:
    return replace(answer, status=AdviceStatus.INVALID, error=error[:MAX_ERROR_CHARS])


def fault_in(scores: Scores, mask: int) -> str | None:
    """What is wrong with scores of the actions in `mask`, None where nothing is."""
    log_probs = scores.log_probs
    has = sum(1 << place for place, log_prob in enumerate(log_probs) if log_prob is not None)
    if len(log_probs) != len(ACTIONS) or has != mask:
        return f"log_probs {log_probs} are not those of the valid actions {mask:#08b}"
    numbers = [log_prob for log_prob in log_probs if log_prob is not None]
    if not all(math.isfinite(number) and number <= SUM_TOLERANCE for number in numbers):
        return f"log_probs {log_probs} are not logarithms of probabilities"
    total = math.fsum(map(math.exp, numbers))
    if abs(total - 1) > SUM_TOLERANCE:
        return f"the probabilities of the valid actions sum to {total:.6f}, not to 1"
    if not 0 <= scores.legal_mass <= 1 + SUM_TOLERANCE:
        return f"a legal mass of {scores.legal_mass} is no probability"
    return None


def _with_reply(trace: Trace | None, text: str) -> Trace | None:
    return trace if trace is None or trace.reply is not None else replace(trace, reply=legible(text))
