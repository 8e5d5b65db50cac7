"""Answers in bounded time, whatever the back end does."""

import asyncio
import threading

import pytest
from asker_builders import HOLD, Held, ManualClock, Scripted, an_asker, at, run
from msgspec.structs import replace

from trader.advisor.counts import AdviceCounts
from trader.advisor.question import Answer
from trader.domain.actions import Action
from trader.domain.decisions import Advice, AdviceStatus
from trader.errors import InvariantError


def test_answer_of_an_instant_back_end_is_given_in_place() -> None:
    """No thread, no turn of the loop."""

    async def scenario(_: ManualClock) -> None:
        backend = Scripted(HOLD)
        asker = an_asker(backend)
        asking = asker.answer(at(0))
        with pytest.raises(StopIteration) as ended:
            asking.send(None)
        assert ended.value.value == HOLD
        assert backend.threads == {threading.main_thread().name}
        assert await asker.close()

    run(scenario)


def test_answer_of_a_slow_back_end_comes_from_its_own_thread() -> None:
    """A replay waits for it, without a deadline."""

    async def scenario(loop: ManualClock) -> None:
        backend = Held()
        asker = an_asker(backend)
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(asker.answer(at(0)))
            await asyncio.sleep(0)
            loop.pass_time(3_600)
            await asyncio.sleep(0)
            assert not asking.done()
            backend.let_go()
        assert asking.result() == HOLD
        assert backend.threads == {"advisor"}
        assert await asker.close()

    run(scenario)


def test_answer_with_an_odd_confidence_is_rounded_for_use() -> None:
    """0.7 is 716.8/1024: 717."""

    async def scenario(_: ManualClock) -> None:
        advice = Advice(action=Action.BUY, confidence=0.7, reason="")
        asker = an_asker(Scripted(Answer(status=AdviceStatus.USED, advice=advice)))
        assert (await asker.answer(at(0))).usable == replace(advice, confidence=717 / 1024)

    run(scenario)


def test_answer_to_a_question_like_the_last_comes_from_the_cache() -> None:
    """Asked twice, called once."""

    async def scenario(_: ManualClock) -> None:
        backend = Scripted(HOLD)
        asker = an_asker(backend, cache_minutes=5)
        answers = [await asker.answer(at(minute, rsi=50.0)) for minute in (0, 5)]
        assert [answer.status for answer in answers] == [AdviceStatus.USED, AdviceStatus.CACHED]
        assert backend.asked == [0]
        assert (asker.counts().asked, asker.counts().model_calls) == (2, 1)

    run(scenario)


@pytest.mark.parametrize("is_instant", [True, False])
@pytest.mark.parametrize("error", [RuntimeError("no tokens"), MemoryError(), KeyError("x")])
def test_answer_of_a_back_end_that_raises_is_an_error(error: Exception, is_instant: bool) -> None:
    """The loop sees a value that names what happened."""

    async def scenario(_: ManualClock) -> None:
        asker = an_asker(Scripted(error, is_instant=is_instant))
        answer = await asker.answer(at(0))
        assert (answer.status, answer.usable) == (AdviceStatus.ERROR, None)
        assert answer.error is not None
        assert type(error).__name__ in answer.error
        assert await asker.close()

    run(scenario)


def test_answer_of_a_back_end_that_ends_its_thread_is_an_error() -> None:
    """A library that calls sys.exit does not take the thread with it."""

    async def scenario(_: ManualClock) -> None:
        asker = an_asker(Scripted(SystemExit(3), HOLD, is_instant=False))
        answers = [(await asker.answer(at(minute))).status for minute in (0, 1)]
        assert answers == [AdviceStatus.ERROR, AdviceStatus.USED]
        assert await asker.close()

    run(scenario)


@pytest.mark.parametrize("is_instant", [True, False])
def test_answer_of_a_back_end_with_a_broken_invariant_raises(is_instant: bool) -> None:
    """A contradiction inside the program is never turned into advice."""

    async def scenario(_: ManualClock) -> None:
        asker = an_asker(Scripted(InvariantError("impossible"), is_instant=is_instant))
        with pytest.raises(InvariantError, match="impossible"):
            await asker.answer(at(0))
        assert await asker.close()

    run(scenario)


@pytest.mark.parametrize("confidence", [1.001, -0.001, float("nan"), float("inf")])
def test_answer_with_an_impossible_confidence_is_invalid(confidence: float) -> None:
    """It is never clamped."""

    async def scenario(_: ManualClock) -> None:
        advice = Advice(action=Action.BUY, confidence=confidence, reason="")
        answer = await an_asker(Scripted(Answer(status=AdviceStatus.USED, advice=advice))).answer(at(0))
        assert (answer.status, answer.advice) == (AdviceStatus.INVALID, None)

    run(scenario)


def test_answer_outside_the_mask_is_masked_and_not_kept() -> None:
    """Discarded and counted, but it is no error of the back end and does not come back from the cache."""

    async def scenario(_: ManualClock) -> None:
        advice = Advice(action=Action.ENABLE_TRAIL, confidence=0.9, reason="")
        backend = Scripted(Answer(status=AdviceStatus.USED, advice=advice))
        asker = an_asker(backend, cache_minutes=5)
        answers = [await asker.answer(at(minute, rsi=50.0)) for minute in range(6)]
        assert {answer.status for answer in answers} == {AdviceStatus.MASKED}
        assert answers[0].advice == advice
        assert answers[0].usable is None
        assert len(backend.asked) == 6

    run(scenario)


@pytest.mark.parametrize("failure", [RuntimeError("down"), Answer(status=AdviceStatus.INVALID, error="garbage")])
def test_answer_after_five_failures_is_refused_until_a_retry_works(failure: Exception | Answer) -> None:
    """A minute of bar time later one question tries again; its success ends the refusals."""

    async def scenario(_: ManualClock) -> None:
        backend = Scripted(*[failure] * 5, HOLD)
        asker = an_asker(backend)
        seconds = 1_000_000_000
        questions = [replace(at(0), seq=i, ts_close_ns=i * 10 * seconds) for i in range(12)]
        statuses = [(await asker.answer(question)).status for question in questions]
        refused = AdviceStatus.BREAKER_OPEN
        assert statuses[5:] == [refused] * 5 + [AdviceStatus.USED] * 2
        assert backend.asked == [0, 1, 2, 3, 4, 10, 11]

    run(scenario)


def test_breaker_is_told_once_when_it_opens_and_once_when_it_closes() -> None:
    """With what failed last; a retry that fails is no news."""

    async def scenario(_: ManualClock) -> None:
        down = [RuntimeError(f"down {number}") for number in range(6)]
        asker = an_asker(Scripted(*down, HOLD))
        told: list[str | None] = []
        asker.on_breaker = told.append
        for minute in range(8):
            await asker.answer(at(minute))
        assert told == ["RuntimeError: down 4", None]

    run(scenario)


def test_counts_name_every_outcome() -> None:
    """What the report reads."""

    async def scenario(_: ManualClock) -> None:
        masked = Answer(status=AdviceStatus.USED, advice=Advice(action=Action.MOVE_TO_BE, confidence=0.5, reason=""))
        asker = an_asker(Scripted(HOLD, masked, RuntimeError("down"), HOLD), cache_minutes=5)
        for minute in (0, 1, 2):
            await asker.answer(at(minute))
        await asker.answer(at(3, rsi=0.0))
        nothing = dict.fromkeys(AdviceStatus, 0)
        seen = {AdviceStatus.USED: 1, AdviceStatus.MASKED: 1, AdviceStatus.ERROR: 1, AdviceStatus.CACHED: 1}
        assert asker.counts() == AdviceCounts(asked=4, model_calls=3, late_used=0, by_status=nothing | seen)

    run(scenario)
