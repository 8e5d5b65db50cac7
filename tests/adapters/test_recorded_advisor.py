"""Advice from a decision log."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from builders import a_question, an_account

from trader.adapters.recorded_advisor import RecordedAdvisor
from trader.advisor.question import Answer
from trader.domain.actions import Action
from trader.domain.decisions import Advice, AdviceStatus
from trader.errors import InputError
from trader.records import Canonical, LlmRecord, QueryRecord

CLOSE_NS = a_question().ts_close_ns
NOTHING = LlmRecord(
    action=None,
    confidence=None,
    raw=None,
    calibrated=None,
    base_rate=None,
    verbal=None,
    legal_mass=None,
    reason=None,
    status="late",
    from_cache=False,
    age_s=0,
    reuse=0,
    prompt_sha256=None,
    visible_from_bar=None,
)


def a_record(seq: int, *, asked: bool = True, **llm: Any) -> Canonical:
    """The parts of a record that the advisor reads; its bar closes when `a_question` is asked."""
    fields = {name: getattr(NOTHING, name) for name in LlmRecord.__struct_fields__} | llm
    query = QueryRecord(asked=asked, triggers=(), skipped_because=None)
    bar = SimpleNamespace(close_utc="2023-03-15T14:00:00Z")
    return cast("Canonical", SimpleNamespace(seq=seq, bar=bar, query=query, llm=LlmRecord(**fields)))


def used(seq: int, action: str = "BUY", confidence: float = 0.559570, **llm: Any) -> Canonical:
    return a_record(seq, status="used", action=action, confidence=confidence, visible_from_bar=seq, **llm)


async def answered(advisor: RecordedAdvisor, seq: int, mask: int = 0b000111) -> Answer:
    return await advisor.answer(a_question(seq=seq, mask=mask))


async def test_answer_gives_the_recorded_one_whole() -> None:
    """Cached, decayed and aged as it was; 0.559570 in the record is 573/1024."""
    advisor = RecordedAdvisor(
        [
            a_record(
                8,
                status="cached",
                action="SELL",
                confidence=0.559570,
                raw=0.7,
                calibrated=0.4,
                base_rate=0.3,
                verbal=0.8,
                legal_mass=0.9,
                reason="trend down",
                from_cache=True,
                age_s=240,
                reuse=1,
                prompt_sha256="f00d",
                visible_from_bar=8,
            )
        ]
    )
    assert await answered(advisor, 8) == Answer(
        status=AdviceStatus.CACHED,
        advice=Advice(
            action=Action.SELL,
            confidence=573 / 1024,
            reason="trend down",
            raw=0.7,
            calibrated=0.4,
            base_rate=0.3,
            verbal=0.8,
            legal_mass=0.9,
        ),
        from_cache=True,
        age_s=240,
        reuse=1,
        prompt_sha256="f00d",
        visible_from_bar=8,
    )


@pytest.mark.parametrize("status", ["late", "error", "invalid", "breaker_open"])
async def test_answer_without_advice_repeats_why(status: str) -> None:
    """What had no advice then has none now."""
    advisor = RecordedAdvisor([a_record(3, status=status)])
    assert await answered(advisor, 3) == Answer(status=AdviceStatus(status))


async def test_answer_at_a_bar_that_the_log_did_not_ask_is_an_error() -> None:
    """Another configuration asks elsewhere: nothing is invented, and the proposal stands."""
    silent = cast("Canonical", SimpleNamespace(seq=3, llm=None))
    advisor = RecordedAdvisor([silent, used(4)])
    answer = await answered(advisor, 3)
    assert (answer.status, answer.usable) == (AdviceStatus.ERROR, None)
    assert advisor.counts().by_status[AdviceStatus.ERROR] == 1


async def test_answer_that_is_not_valid_now_is_masked() -> None:
    """The log's mask need not be this run's."""
    answer = await answered(RecordedAdvisor([used(3)]), 3, mask=0b001001)
    assert (answer.status, answer.usable) == (AdviceStatus.MASKED, None)


async def test_answer_is_served_at_the_bar_from_which_it_is_visible() -> None:
    """Not at the bar of its record."""
    advisor = RecordedAdvisor([a_record(3, status="used", action="HOLD", confidence=0.5, visible_from_bar=5)])
    assert (await answered(advisor, 3)).status is AdviceStatus.ERROR
    assert (await answered(advisor, 5)).status is AdviceStatus.USED


def test_late_answer_of_a_bar_that_was_not_asked_is_repeated() -> None:
    """What arrived late then serves the same bar now."""
    advisor = RecordedAdvisor([a_record(3, status="late"), used(4, asked=False, age_s=60)])
    assert advisor.late_answer(3, CLOSE_NS, 0b000111, an_account()) is None
    answer = advisor.late_answer(4, CLOSE_NS, 0b000111, an_account())
    assert answer is not None
    assert (answer.status, answer.age_s) == (AdviceStatus.USED, 60)
    assert advisor.counts().late_used == 1
    assert advisor.late_answer(5, CLOSE_NS, 0b000111, an_account()) is None


def test_late_answer_of_a_bar_that_was_asked_is_not_given_unasked() -> None:
    """Advice is for those who ask."""
    assert RecordedAdvisor([used(4)]).late_answer(4, CLOSE_NS, 0b000111, an_account()) is None


async def test_answer_of_a_log_of_other_bars_is_an_error_that_names_both() -> None:
    """Bar 4 of another file is another minute: its advice says nothing about this one."""
    late = RecordedAdvisor([used(4, asked=False)])
    asked = RecordedAdvisor([used(4)])
    fault = "its bar 4 closed at 2023-03-15T14:00:00Z, this run's at 2023-03-15T14:01:00Z"

    with pytest.raises(InputError, match=fault):
        await asked.answer(a_question(seq=4, ts_close_ns=CLOSE_NS + 60_000_000_000))
    with pytest.raises(InputError, match=fault):
        late.late_answer(4, CLOSE_NS + 60_000_000_000, 0b000111, an_account())


@pytest.mark.parametrize("llm", [{"status": "used", "action": "PANIC"}, {"status": "perhaps", "action": "BUY"}])
def test_record_that_cannot_be_read_is_refused(llm: dict[str, Any]) -> None:
    """The error names the record."""
    with pytest.raises(InputError, match="record 7"):
        RecordedAdvisor([a_record(7, confidence=0.5, **llm)])


async def test_close_has_nothing_to_end() -> None:
    """And calls no model."""
    advisor = RecordedAdvisor([used(4)])
    await answered(advisor, 4)
    advisor.forget()
    assert await advisor.close()
    assert (advisor.counts().asked, advisor.counts().model_calls) == (1, 0)
