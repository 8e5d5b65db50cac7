"""The back end `recorded`: answers from a decision log, at the bars from which they were visible, with the final
confidence. It stands where the asker stands: cache, decay and lateness are already in what was recorded.
"""

from collections.abc import Iterable

from msgspec import Struct

from trader.advisor.counts import AdviceCounts, AdviceTally
from trader.advisor.question import Answer, Question, to_step
from trader.clock_text import utc_text
from trader.domain.account import AccountView
from trader.domain.actions import Action
from trader.domain.decisions import Advice, AdviceStatus
from trader.errors import InputError
from trader.records import Canonical, LlmRecord

_NOT_RECORDED = Answer(status=AdviceStatus.ERROR, error="the log holds no answer that was visible at this bar")


class _Recorded(Struct, frozen=True):
    """`close_utc` is when the bar closed at which the log shows the answer; None where it shows an earlier bar."""

    answer: Answer
    was_asked: bool
    close_utc: str | None


class RecordedAdvisor:
    """Answers by seq. A question that the log cannot answer ends in ERROR, and so leaves the proposal alone."""

    def __init__(self, records: Iterable[Canonical]) -> None:
        """Keep the answers of `records`; InputError where one names an unknown action or status."""
        self._by_seq = {
            seq: _Recorded(answer, record.query.asked, record.bar.close_utc if seq == record.seq else None)
            for record in records
            if (answer := answer_from(record.llm, record.seq)) is not None
            for seq in [record.seq if answer.visible_from_bar is None else answer.visible_from_bar]
        }
        self._tally = AdviceTally()

    async def start(self) -> None:
        """Nothing to make ready."""

    async def answer(self, question: Question) -> Answer:
        """What was recorded for this bar; advice that is not valid now is MASKED.

        InputError where the log's bar of this seq is another one: advice on other bars would be taken for advice.
        """
        self._tally.asked += 1
        recorded = self._at(question.seq, question.ts_close_ns)
        answer = _NOT_RECORDED if recorded is None else _under(recorded.answer, question.mask)
        self._tally.note(answer)
        return answer

    def late_answer(self, seq: int, ts_close_ns: int, mask: int, account: AccountView) -> Answer | None:  # noqa: ARG002 - the port's
        """The answer that the log shows at a bar that was not asked; InputError as above."""
        recorded = self._at(seq, ts_close_ns)
        if recorded is None or recorded.was_asked:
            return None
        answer = _under(recorded.answer, mask)
        self._tally.late_used += answer.usable is not None
        self._tally.note(answer)
        return answer

    def forget(self) -> None:
        """A roll: the log knows of it."""

    def counts(self) -> AdviceCounts:
        """The statistics so far; nothing here calls a model."""
        return self._tally.counts(0)

    async def close(self) -> bool:
        """Nothing to end."""
        return True

    def _at(self, seq: int, ts_close_ns: int) -> _Recorded | None:
        recorded = self._by_seq.get(seq)
        if recorded is None or recorded.close_utc is None or recorded.close_utc == utc_text(ts_close_ns):
            return recorded
        msg = (
            f"advisor.recorded_from is a log of other bars: its bar {seq} closed at {recorded.close_utc}, this run's "
            f"at {utc_text(ts_close_ns)}; give the same bars, --from and --to"
        )
        raise InputError(msg)


def answer_from(llm: LlmRecord | None, seq: int) -> Answer | None:
    """The answer that a record holds, None where its bar had none; InputError names `seq` where it cannot be read."""
    if llm is None:
        return None
    try:
        return Answer(
            status=AdviceStatus(llm.status),
            advice=_advice_from(llm),
            from_cache=llm.from_cache,
            age_s=llm.age_s,
            reuse=llm.reuse,
            visible_from_bar=llm.visible_from_bar,
            prompt_sha256=llm.prompt_sha256,
        )
    except (ValueError, KeyError) as error:
        msg = f"record {seq}: llm.action {llm.action!r} with status {llm.status!r} is no answer: {error}"
        raise InputError(msg) from error


def _advice_from(llm: LlmRecord) -> Advice | None:
    if llm.action is None or llm.confidence is None:
        return None
    return Advice(
        action=Action[llm.action],
        confidence=to_step(llm.confidence),
        reason=llm.reason or "",
        raw=llm.raw,
        calibrated=llm.calibrated,
        base_rate=llm.base_rate,
        verbal=llm.verbal,
        legal_mass=llm.legal_mass,
    )


def _under(answer: Answer, mask: int) -> Answer:
    advice = answer.usable
    if advice is None or mask >> advice.action & 1:
        return answer
    return Answer(
        status=AdviceStatus.MASKED,
        advice=advice,
        from_cache=answer.from_cache,
        age_s=answer.age_s,
        reuse=answer.reuse,
        visible_from_bar=answer.visible_from_bar,
        prompt_sha256=answer.prompt_sha256,
    )
