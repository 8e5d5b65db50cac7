"""Gets a question answered without ever holding up the loop: late answers, cache, breaker, back end, in this order.

The engine writes `answer = await asker.answer(question)` on bars that are asked, and `asker.late_answer(...)` on the
others. A back end that declares itself instant (a pure function) is called in place; any other runs in one thread.
"""

from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from trader.advisor.breaker import Breaker
from trader.advisor.cache import AdviceCache
from trader.advisor.calibration import Calibration
from trader.advisor.caller import LATE, Caller
from trader.advisor.counts import AdviceCounts, AdviceTally
from trader.advisor.delay import DelayLine, Exchange
from trader.advisor.question import Answer, Question, to_step
from trader.domain.account import AccountView
from trader.domain.decisions import AdviceStatus
from trader.domain.units import SECOND_NS
from trader.errors import ConfigurationError, InvariantError
from trader.ports import AdvisorBackend

CLOSE_PATIENCE_S = 2.0
ERROR_CHARS = 500
LATE_LASTS_NS = 300 * SECOND_NS
"""An answer that comes later than the cache would have kept it is of no use; an assumed latency means what it says."""
_BREAKER_OPEN = Answer(status=AdviceStatus.BREAKER_OPEN)
_FAILURES = frozenset({AdviceStatus.ERROR, AdviceStatus.INVALID})


class AskRules(Struct, frozen=True, kw_only=True):
    """How long an answer may take. `is_patient` (every replay) waits for it whatever it takes.

    `assumed_latency_ms` is for replays: an answer that would have missed the deadline counts as late, and may be used
    from the first bar that closes once it would have come. `breaker_errors` failures in a row (errors and invalid
    replies) keep questions back for `breaker_reset_s` of bar time. `is_required`: without its advisor a run does not
    begin.
    """

    is_patient: bool
    is_required: bool
    deadline_ms: int
    assumed_latency_ms: int
    breaker_errors: int
    breaker_reset_s: int


class Asker:
    """One back end behind cache, breaker and deadline."""

    def __init__(
        self,
        backend: AdvisorBackend,
        rules: AskRules,
        cache: AdviceCache,
        *,
        calibration: Calibration | None = None,
        on_exchange: Callable[[Question, Answer], None] | None = None,
    ) -> None:
        if rules.assumed_latency_ms and not rules.is_patient:
            msg = "advisor.assumed_latency_ms is for replays; a live advisor has a latency of its own: set it to 0"
            raise ConfigurationError(msg)
        if backend.is_calibrated != (calibration is not None):
            msg = f"{backend.identity} needs a calibration if, and only if, its confidences are a model's own"
            raise InvariantError(msg)
        self._is_required = rules.is_required
        self._backend = backend
        self._cache = cache
        self._calibration = calibration
        self._on_exchange = on_exchange
        self._deadline_s = None if rules.is_patient else rules.deadline_ms / 1000
        self._breaker = Breaker(rules.breaker_errors, rules.breaker_reset_s)
        self._caller = Caller(backend.ask, self._judge)
        is_delayed = rules.assumed_latency_ms > rules.deadline_ms
        self._delay = DelayLine(rules.assumed_latency_ms) if is_delayed else None
        self._tally = AdviceTally()
        self.on_breaker: Callable[[str | None], None] | None = None
        """Told when the breaker opens, with the last failure, and with None when an answer has closed it again."""

    async def start(self) -> str | None:
        """Make the back end ready. Where it cannot be: why, or a ConfigurationError if advice is required."""
        try:
            if self._backend.is_instant:
                self._backend.start()
            else:
                await self._caller.run(self._backend.start)
        except ConfigurationError as error:
            if self._is_required:
                raise
            return str(error)
        return None

    async def answer(self, question: Question) -> Answer:
        """Answer `question`, or say why not. Raises nothing that a back end raises, but an InvariantError."""
        self._tally.asked += 1
        answer = self._late_for(question) or self._cache.find(question) or await self._ask(question)
        self._tally.note(answer)
        return answer

    def late_answer(self, seq: int, ts_close_ns: int, mask: int, account: AccountView) -> Answer | None:
        """On a bar that is not asked: the answer that was late for an earlier one, USED or STALE; None without one.

        To be called on every bar that is not asked: a late answer lasts for one bar only.
        """
        if self._caller.late is None and self._delay is None:
            return None
        answer = self._take_late(seq, ts_close_ns, mask, account.position_qty, account.trades_closed)
        if answer is not None:
            self._tally.note(answer)
        return answer

    @property
    def cache(self) -> AdviceCache:
        """The answers that may be given again: whoever keeps a run's state keeps theirs."""
        return self._cache

    @property
    def is_idle(self) -> bool:
        """Whether no call is in flight."""
        return self._caller.is_idle

    def forget(self) -> None:
        """A contract roll: what was asked about the old contract counts no more."""
        self._cache.evict()
        self._caller.forget()
        if self._delay is not None:
            self._delay.clear()

    def counts(self) -> AdviceCounts:
        """The statistics so far."""
        return self._tally.counts(self._caller.calls)

    async def close(self) -> bool:
        """End back end and thread. False where the call in flight does not end: its thread dies with the process."""
        self._backend.close()
        return await self._caller.close(CLOSE_PATIENCE_S)

    async def _ask(self, question: Question) -> Answer:
        if self._breaker.refuses(question.ts_close_ns):
            return _BREAKER_OPEN
        if self._backend.is_instant:
            self._caller.calls += 1
            answer = self._judge(question, _outcome(self._backend.ask, question))
        else:
            answer = await self._caller.call(question, self._deadline_s)
        if answer.status is not AdviceStatus.USED:
            return answer
        if self._delay is not None:
            self._delay.put(Exchange(question, answer))
            return LATE
        return self._serve(question, answer)

    def _judge(self, question: Question, outcome: object) -> Answer:
        """What a back end's reply, or the exception it raised, is worth; keeps the breaker's count."""
        if isinstance(outcome, InvariantError):
            raise outcome
        if not isinstance(outcome, Answer):
            outcome = Answer(status=AdviceStatus.ERROR, error=f"{type(outcome).__name__}: {outcome}"[:ERROR_CHARS])
        answer = self._advised(question, outcome)
        self._note_health(question, answer)
        self._tally.exchanged(answer)
        if self._on_exchange is not None and answer.trace is not None:
            self._on_exchange(question, answer)
        return answer

    def _note_health(self, question: Question, answer: Answer) -> None:
        was_open = self._breaker.is_open
        if answer.status in _FAILURES:
            self._breaker.failed(question.ts_close_ns)
        else:
            self._breaker.succeeded()
        is_open = self._breaker.is_open
        if is_open is not was_open and self.on_breaker is not None:
            self.on_breaker(answer.error or answer.status.value if is_open else None)

    def _advised(self, question: Question, answer: Answer) -> Answer:
        """Make advice of a model's answer, and look at it before anybody uses it."""
        if self._calibration is not None and answer.status is AdviceStatus.USED:
            answer = self._calibration.advise(question.seq, question.mask, answer)
        return _checked(answer, question.mask)

    def _serve(self, question: Question, answer: Answer) -> Answer:
        """Keep advice for reuse, and round it for use."""
        advice = answer.advice
        if advice is None:
            return answer
        self._cache.keep(question, advice, answer.prompt_sha256)
        rounded = to_step(advice.confidence)
        if rounded == advice.confidence:
            return answer
        return replace(answer, advice=replace(advice, confidence=rounded))

    def _late_for(self, question: Question) -> Answer | None:
        if self._caller.late is None and self._delay is None:
            return None
        answer = self._take_late(
            question.seq, question.ts_close_ns, question.mask, question.position_qty, question.trades_closed
        )
        if answer is None or answer.usable:
            return answer
        self._tally.note(answer)
        return None

    def _take_late(self, seq: int, ts_close_ns: int, mask: int, qty: int, trades_closed: int) -> Answer | None:
        late = self._caller.take_late() if self._delay is None else self._delay.take(ts_close_ns)
        if late is None:
            return None
        asked = late.question
        answer = self._serve(asked, late.answer)
        age_ns = ts_close_ns - asked.ts_close_ns
        fits = mask == asked.mask and qty == asked.position_qty and trades_closed == asked.trades_closed
        fits = fits and (self._delay is not None or age_ns <= LATE_LASTS_NS)
        self._tally.late_used += fits
        return replace(
            answer,
            status=AdviceStatus.USED if fits else AdviceStatus.STALE,
            age_s=age_ns // SECOND_NS,
            visible_from_bar=seq,
        )


def _outcome(ask: Callable[[Question], Answer], question: Question) -> object:
    try:
        return ask(question)
    except Exception as error:  # noqa: BLE001 - whatever a back end raises becomes an answer, in _judge
        return error


def _checked(answer: Answer, mask: int) -> Answer:
    match answer.status:
        case AdviceStatus.ERROR | AdviceStatus.INVALID | AdviceStatus.MISSING:
            return answer
        case AdviceStatus.USED:
            advice = answer.advice
            if advice is None or not 0 <= advice.confidence <= 1:
                return replace(answer, status=AdviceStatus.INVALID, advice=None, error=f"not an advice: {advice}")
            if not mask >> advice.action & 1:
                return replace(answer, status=AdviceStatus.MASKED)
            return answer
        case _:
            msg = f"a back end may answer used, error, invalid or missing, not {answer.status}"
            raise InvariantError(msg)
