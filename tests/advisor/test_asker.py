"""Answers in bounded time, whatever the back end does."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from builders import MINUTE_NS, a_question, an_account
from msgspec.structs import replace

from trader.advisor.asker import Asker, AskRules
from trader.advisor.cache import AdviceCache, CacheRules
from trader.advisor.counts import AdviceCounts
from trader.advisor.question import Answer, Question
from trader.domain.actions import Action
from trader.domain.decisions import Advice, AdviceStatus
from trader.errors import ConfigurationError, InvariantError

REPLAY = AskRules(is_patient=True, deadline_ms=250, assumed_latency_ms=0, breaker_errors=5, breaker_reset_s=60)
LIVE = replace(REPLAY, is_patient=False)
HOLD = Answer(status=AdviceStatus.USED, advice=Advice(action=Action.HOLD, confidence=0.5, reason="calm"))
FLAT = an_account()
PATIENCE_S = 20.0  # of the machine's clock: a guard against a test that hangs, never waited for


class ManualClock(asyncio.SelectorEventLoop):
    """An event loop whose time moves only when told."""

    now_s = 0.0

    def time(self) -> float:
        return self.now_s

    def pass_time(self, seconds: float) -> None:
        self.now_s += seconds
        self.call_soon_threadsafe(lambda: None)


class Scripted:
    """Answers what it is told to: an Answer, or an exception to raise. Remembers what it was asked, and where."""

    identity = "scripted"

    def __init__(self, *replies: Answer | BaseException, is_instant: bool = True) -> None:
        self.is_instant = is_instant
        self.asked: list[int] = []
        self.threads: set[str] = set()
        self._replies = list(replies)

    def ask(self, question: Question) -> Answer:
        self.asked.append(question.seq)
        self.threads.add(threading.current_thread().name)
        reply = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
        if isinstance(reply, BaseException):
            raise reply
        return reply

    def close(self) -> None:
        pass


class Held:
    """Hangs in every call until let go; `close` lets go for good unless it is stubborn."""

    is_instant = False
    identity = "held"

    def __init__(self, *replies: Answer | BaseException, is_stubborn: bool = False) -> None:
        self._inner = Scripted(*(replies or (HOLD,)))
        self._turns = threading.Semaphore(0)
        self._is_stubborn = is_stubborn

    @property
    def threads(self) -> set[str]:
        return self._inner.threads

    @property
    def asked(self) -> list[int]:
        return self._inner.asked

    def ask(self, question: Question) -> Answer:
        assert self._turns.acquire(timeout=PATIENCE_S)
        return self._inner.ask(question)

    def let_go(self, calls: int = 1) -> None:
        self._turns.release(calls)

    def close(self) -> None:
        if not self._is_stubborn:
            self._turns.release(100)


def an_asker(backend: Scripted | Held, rules: AskRules = REPLAY, cache_minutes: int = 0) -> Asker:
    return Asker(backend, rules, AdviceCache(CacheRules(cache_minutes=cache_minutes, reuse_decay=0.8), "a model"))


def at(minute: int, **changes: Any) -> Question:
    """A question that no other minute's resembles, unless its rsi is given."""
    zero = a_question()
    changes = {"rsi": minute % 20 * 5.0} | changes
    return replace(zero, seq=minute, ts_close_ns=zero.ts_close_ns + minute * MINUTE_NS, **changes)


def late_at(asker: Asker, minute: int, mask: int = 0b000111, **account: Any) -> Answer | None:
    return asker.late_answer(minute, at(minute).ts_close_ns, mask, an_account(**account))


def run(scenario: Callable[[ManualClock], Coroutine[Any, Any, None]]) -> None:
    """Run in a loop with a manual clock; afterwards no advisor thread may be left."""

    async def guarded() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, ManualClock)
        await scenario(loop)

    with asyncio.Runner(loop_factory=ManualClock) as runner:
        runner.run(guarded())
    assert "advisor" not in {thread.name for thread in threading.enumerate()}


async def until(is_so: Callable[[], bool]) -> None:
    """Let the loop turn until another thread has done its part."""
    while not is_so():  # noqa: ASYNC110 -- turns of the loop; there is no event to wait for but the asker's own state
        await asyncio.sleep(0)


async def late(asker: Asker, loop: ManualClock, question: Question) -> Answer:
    """Ask, and let the deadline pass."""
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(asker.answer(question))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        loop.pass_time(0.251)
    return asking.result()


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


def test_answer_that_misses_the_deadline_serves_the_next_bar() -> None:
    """Late for its own bar; used, undecayed, at the next one; gone after that."""

    async def scenario(loop: ManualClock) -> None:
        backend = Held()
        asker = an_asker(backend, LIVE)
        assert await late(asker, loop, at(0)) == Answer(status=AdviceStatus.LATE)
        assert late_at(asker, 0) is None
        backend.let_go()
        await until(lambda: asker.is_idle)
        expected = replace(HOLD, age_s=60, visible_from_bar=1)
        assert late_at(asker, 1) == expected
        assert late_at(asker, 2) is None
        assert asker.counts().late_used == 1
        assert await asker.close()

    run(scenario)


@pytest.mark.parametrize(
    ("mask", "account"),
    [(0b000001, {}), (0b000111, {"position_qty": 1}), (0b000111, {"trades_closed": 1})],
)
def test_late_answer_on_a_changed_position_or_mask_is_stale(mask: int, account: dict[str, int]) -> None:
    """What it was asked about is no more."""

    async def scenario(loop: ManualClock) -> None:
        backend = Held()
        asker = an_asker(backend, LIVE)
        await late(asker, loop, at(0))
        backend.let_go()
        await until(lambda: asker.is_idle)
        answer = late_at(asker, 1, mask, **account)
        assert answer is not None
        assert (answer.status, answer.usable, answer.visible_from_bar) == (AdviceStatus.STALE, None, 1)
        assert asker.counts().by_status[AdviceStatus.STALE] == 1
        assert await asker.close()

    run(scenario)


def test_late_answer_when_the_next_bar_asks_again_answers_it() -> None:
    """No second call for what is already known."""

    async def scenario(loop: ManualClock) -> None:
        backend = Held()
        asker = an_asker(backend, LIVE)
        await late(asker, loop, at(0))
        backend.let_go()
        await until(lambda: asker.is_idle)
        assert await asker.answer(at(1)) == replace(HOLD, age_s=60, visible_from_bar=1)
        assert backend.asked == [0]
        assert await asker.close()

    run(scenario)


def test_late_answer_that_is_stale_when_the_next_bar_asks_is_asked_anew() -> None:
    """The position has changed: the old answer is counted and dropped, the question goes out."""

    async def scenario(loop: ManualClock) -> None:
        backend = Held()
        asker = an_asker(backend, LIVE)
        await late(asker, loop, at(0))
        backend.let_go(2)
        await until(lambda: asker.is_idle)
        assert await asker.answer(at(1, position_qty=1)) == HOLD
        assert backend.asked == [0, 1]
        assert asker.counts().by_status[AdviceStatus.STALE] == 1
        assert await asker.close()

    run(scenario)


def test_late_error_is_not_served_but_counts_for_the_breaker() -> None:
    """Five calls that failed after their deadline close the door."""

    async def scenario(loop: ManualClock) -> None:
        backend = Held(RuntimeError("down"))
        asker = an_asker(backend, LIVE)
        for minute in range(5):
            await late(asker, loop, at(minute))
            backend.let_go()
            await until(lambda: asker.is_idle)
            assert late_at(asker, minute) is None
        again = replace(at(4), seq=5)
        assert (await asker.answer(again)).status is AdviceStatus.BREAKER_OPEN
        assert await asker.close()

    run(scenario)


def test_question_while_one_is_in_flight_waits_and_the_newest_wins() -> None:
    """One call at a time: the question of bar 4 is replaced by that of bar 8, which is asked when the first ends."""

    async def scenario(loop: ManualClock) -> None:
        backend = Held()
        asker = an_asker(backend, LIVE)
        statuses = [(await late(asker, loop, at(minute))).status for minute in (0, 4, 8)]
        assert statuses == [AdviceStatus.LATE] * 3
        backend.let_go(2)
        await until(lambda: asker.is_idle)
        assert backend.asked == [0, 8]
        assert asker.counts().model_calls == 2
        assert late_at(asker, 9) == replace(HOLD, age_s=60, visible_from_bar=9)
        assert await asker.close()

    run(scenario)


def test_question_that_waited_is_answered_when_the_call_before_it_ends_in_time() -> None:
    """A busy back end is no reason to give up before the deadline."""

    async def scenario(loop: ManualClock) -> None:
        backend = Held()
        asker = an_asker(backend, LIVE)
        await late(asker, loop, at(0))
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(asker.answer(at(4)))
            await asyncio.sleep(0)
            backend.let_go(2)
        assert asking.result() == HOLD
        assert await asker.close()

    run(scenario)


def test_broken_invariant_of_a_late_call_is_raised_at_the_next_question() -> None:
    """It cannot be lost because nobody waited."""

    async def scenario(loop: ManualClock) -> None:
        backend = Held(InvariantError("impossible"))
        asker = an_asker(backend, LIVE)
        await late(asker, loop, at(0))
        backend.let_go()
        await until(lambda: asker.is_idle)
        with pytest.raises(InvariantError, match="impossible"):
            await asker.answer(at(1))
        assert await asker.close()

    run(scenario)


@pytest.mark.parametrize(
    ("latency_ms", "visible_at"), [(0, 0), (250, 0), (251, 1), (60_000, 1), (60_001, 2), (150_000, 3)]
)
def test_assumed_latency_shifts_the_bar_from_which_an_answer_is_visible(latency_ms: int, visible_at: int) -> None:
    """Within the deadline it serves its own bar; otherwise the first that closes once it would have come."""

    async def scenario(_: ManualClock) -> None:
        asker = an_asker(Scripted(HOLD), replace(REPLAY, assumed_latency_ms=latency_ms))
        own = await asker.answer(at(0))
        if visible_at == 0:
            assert own == HOLD
        else:
            assert own == Answer(status=AdviceStatus.LATE)
        found = {minute: answer for minute in range(1, 6) if (answer := late_at(asker, minute)) is not None}
        expected = replace(HOLD, age_s=60 * visible_at, visible_from_bar=visible_at)
        assert found == ({visible_at: expected} if visible_at else {})

    run(scenario)


def test_assumed_latency_keeps_an_answer_out_of_the_cache_until_it_has_come() -> None:
    """The cache must not know the future."""

    async def scenario(_: ManualClock) -> None:
        backend = Scripted(HOLD)
        asker = an_asker(backend, replace(REPLAY, assumed_latency_ms=150_000), cache_minutes=5)
        await asker.answer(at(0, rsi=50.0))
        assert (await asker.answer(at(1, rsi=50.0))).status is AdviceStatus.LATE
        assert late_at(asker, 3) is not None
        assert (await asker.answer(at(4, rsi=50.0))).status is AdviceStatus.CACHED

    run(scenario)


def test_assumed_latency_of_a_live_advisor_is_refused() -> None:
    """It has a latency of its own."""
    with pytest.raises(ConfigurationError, match="assumed_latency_ms"):
        an_asker(Scripted(HOLD), replace(LIVE, assumed_latency_ms=1))


def test_forget_drops_late_and_kept_answers() -> None:
    """After a roll nothing about the old contract counts."""

    async def scenario(loop: ManualClock) -> None:
        backend = Held()
        asker = an_asker(backend, LIVE, cache_minutes=5)
        await late(asker, loop, at(0, rsi=50.0))
        backend.let_go(2)
        await until(lambda: asker.is_idle)
        asker.forget()
        assert late_at(asker, 1) is None
        assert (await asker.answer(at(2, rsi=50.0))).status is AdviceStatus.USED
        assert backend.asked == [0, 2]
        assert await asker.close()

    run(scenario)


def test_forget_while_a_question_is_in_flight_drops_its_answer_too() -> None:
    """An answer about the old contract that comes after the roll is not used."""

    async def scenario(loop: ManualClock) -> None:
        backend = Held()
        asker = an_asker(backend, LIVE)
        await late(asker, loop, at(0))
        asker.forget()
        backend.let_go()
        await until(lambda: asker.is_idle)
        assert late_at(asker, 1) is None
        assert await asker.close()

    run(scenario)


def test_close_while_a_call_hangs_lets_the_back_end_end_it() -> None:
    """`close` of the back end makes the call return; no thread is left."""

    async def scenario(loop: ManualClock) -> None:
        asker = an_asker(Held(), LIVE)
        await late(asker, loop, at(0))
        await late(asker, loop, at(1))
        assert await asker.close()

    run(scenario)


def test_close_while_a_call_cannot_be_ended_gives_up_on_it() -> None:
    """The thread is a daemon: it does not keep the process."""

    async def scenario(loop: ManualClock) -> None:
        backend = Held(is_stubborn=True)
        asker = an_asker(backend, LIVE)
        await late(asker, loop, at(0))
        async with asyncio.TaskGroup() as group:
            closing = group.create_task(asker.close())
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            loop.pass_time(2.1)
        assert not closing.result()
        (thread,) = [thread for thread in threading.enumerate() if thread.name == "advisor"]
        assert thread.daemon
        backend.let_go()
        thread.join(PATIENCE_S)

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
