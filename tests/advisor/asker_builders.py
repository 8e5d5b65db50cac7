"""Back ends that hang or fail, and an event loop whose clock moves when told."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from builders import MINUTE_NS, a_question, an_account
from msgspec.structs import replace

from trader.advisor.asker import Asker, AskRules
from trader.advisor.cache import AdviceCache, CacheRules
from trader.advisor.question import Answer, Question
from trader.domain.actions import Action
from trader.domain.decisions import Advice, AdviceStatus

REPLAY = AskRules(
    is_patient=True, is_required=True, deadline_ms=250, assumed_latency_ms=0, breaker_errors=5, breaker_reset_s=60
)
LIVE = replace(REPLAY, is_patient=False)
HOLD = Answer(status=AdviceStatus.USED, advice=Advice(action=Action.HOLD, confidence=0.5, reason="calm"))
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
    is_calibrated = False

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

    def start(self) -> None:
        pass

    def close(self) -> None:
        pass


class Held:
    """Hangs in every call until let go; `close` lets go for good unless it is stubborn."""

    is_instant = False
    is_calibrated = False
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

    def start(self) -> None:
        pass

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
