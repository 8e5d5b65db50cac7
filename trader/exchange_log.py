"""The advisor log: what was said to a model and by it, for people. It is beside the decision log and proves nothing.

Reasons that a model writes after its answer come from another thread, and are kept until the loop comes by.
"""

from collections import deque
from math import exp

import msgspec

from trader.advisor.parse import legible
from trader.advisor.question import Answer, Question
from trader.asides import AsideLine, ExchangeRecord, ReasonRecord
from trader.clock_text import utc_text
from trader.domain.actions import ACTIONS
from trader.ports import Journal
from trader.record_parts import ACTION_NAMES

KEPT_REASONS = 1_000
_encode = msgspec.json.Encoder().encode


class ExchangeLog:
    """Writes through the run's journal; `reason` may be called from any thread, everything else from the loop.

    Nothing is kept before it is connected, nor where there is no log.
    """

    def __init__(self) -> None:
        self._journal: Journal | None = None
        self._reasons: deque[ReasonRecord] = deque(maxlen=KEPT_REASONS)

    def connect(self, journal: Journal) -> None:
        """Write there from now on."""
        self._journal = journal

    def exchange(self, question: Question, answer: Answer) -> None:
        """An answer came, on time or late; only those with a trace came from a model."""
        self.flush()
        self._write(AsideLine(exchange=_record(question, answer)))

    def reason(self, prompt_sha256: str, text: str) -> None:
        """What the model wrote afterwards about its answer to that prompt."""
        self._reasons.append(ReasonRecord(prompt_sha256=prompt_sha256, text=legible(text)))

    def flush(self) -> None:
        """Write the reasons that have come."""
        while self._reasons:
            self._write(AsideLine(reason=self._reasons.popleft()))

    def _write(self, line: AsideLine) -> None:
        if self._journal is not None:
            self._journal.aside(_encode(line) + b"\n")


def _record(question: Question, answer: Answer) -> ExchangeRecord:
    trace, advice, scores = answer.trace, answer.advice, answer.scores
    return ExchangeRecord(
        seq=question.seq,
        close_utc=utc_text(question.ts_close_ns),
        backend="" if trace is None else trace.backend,
        prompt_sha256=answer.prompt_sha256,
        valid=tuple(action.name for action in ACTIONS if question.mask >> action & 1),
        messages=() if trace is None else trace.messages,
        reply=None if trace is None else trace.reply,
        probabilities=None
        if scores is None
        else {ACTION_NAMES[i]: exp(value) for i, value in enumerate(scores.log_probs) if value is not None},
        legal_mass=None if scores is None else scores.legal_mass,
        is_batched=answer.is_batched,
        status=answer.status.value,
        action=None if advice is None else ACTION_NAMES[advice.action],
        confidence=None if advice is None else advice.confidence,
        raw=None if advice is None else advice.raw,
        calibrated=None if advice is None else advice.calibrated,
        base_rate=None if advice is None else advice.base_rate,
        verbal=None if advice is None else advice.verbal,
        reason=None if advice is None else advice.reason,
        latency_ms=None if trace is None else trace.latency_ms,
        error=None if answer.error is None else legible(answer.error),
    )
