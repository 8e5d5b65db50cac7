"""Late answers, the question that waits, assumed latency, and the end of it all."""

import asyncio
import threading

import pytest
from asker_builders import (
    HOLD,
    LIVE,
    PATIENCE_S,
    REPLAY,
    Held,
    ManualClock,
    Scripted,
    an_asker,
    at,
    late,
    late_at,
    run,
    until,
)
from msgspec.structs import replace

from trader.advisor.question import Answer
from trader.domain.decisions import AdviceStatus
from trader.errors import ConfigurationError, InvariantError


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


@pytest.mark.parametrize(("minute", "status"), [(5, AdviceStatus.USED), (6, AdviceStatus.STALE)])
def test_late_answer_of_a_model_that_was_away_for_minutes_is_stale(minute: int, status: AdviceStatus) -> None:
    """Nothing older than five minutes of bar time is used, however unchanged the position."""

    async def scenario(loop: ManualClock) -> None:
        backend = Held()
        asker = an_asker(backend, LIVE)
        await late(asker, loop, at(0))
        backend.let_go()
        await until(lambda: asker.is_idle)
        answer = late_at(asker, minute)
        assert answer is not None
        assert (answer.status, answer.age_s) == (status, 60 * minute)
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
