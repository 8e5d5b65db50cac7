"""Faulty workers behind the real asker, its thread and an event loop: every bar is answered, nothing piles up.

How soon is measured by scripts/campaign_advisor_faults.py.
"""

import asyncio
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from builders import MINUTE_NS, a_question, an_account
from msgspec.structs import replace
from phi3_builders import a_prompt, options
from worker_builders import PATIENCE_S, RULES, a_backend, children, fds, keepers, wait_until

from trader.adapters.phi3.keeper import WorkerRules
from trader.adapters.phi3.worker_backend import Prompts, WorkerBackend
from trader.advisor.asker import Asker, AskRules
from trader.advisor.cache import AdviceCache, CacheRules
from trader.advisor.calibration import Calibration, CalibrationMode, CalibrationRules
from trader.advisor.question import Answer, Question
from trader.domain.decisions import AdviceStatus

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="counts what is left behind in /proc")
LIVE = AskRules(
    is_patient=False, is_required=True, deadline_ms=20, assumed_latency_ms=0, breaker_errors=0, breaker_reset_s=60
)
AS_IT_IS = CalibrationRules(mode=CalibrationMode.OFF, legal_mass_min=0.2, learns=False)
REPLY_S = 0.15
KINDS = ("exit", "kill", "close", "garbage", "gigabyte", "endless", "memory", "device", "flood", "raise", "slow")


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """No process, thread or file descriptor more than before."""
    before = len(children()), threading.active_count(), fds()
    yield
    assert (len(children()), threading.active_count(), fds()) == before


def an_asker(backend: WorkerBackend) -> Asker:
    cache = AdviceCache(CacheRules(cache_minutes=0, reuse_decay=0.8), "a model")
    return Asker(backend, LIVE, cache, calibration=Calibration(AS_IT_IS, 3.0))


def at(minute: int, what: str) -> Question:
    zero = a_question(market_name=what)
    return replace(zero, seq=minute, ts_close_ns=zero.ts_close_ns + minute * MINUTE_NS)


async def until_answered(asker: Asker, minute: int) -> Answer:
    """Ask an honest question a bar until a worker answers it; nothing that was late is left over for other bars."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            answer = await asker.answer(at(minute, "answer"))
            if answer.status is AdviceStatus.USED:
                break
            assert answer.status in {AdviceStatus.LATE, AdviceStatus.ERROR}, answer
            await asyncio.sleep(0.002)  # a bar later; the worker starts meanwhile
            minute += 1
        while not asker.is_idle:  # noqa: ASYNC110 -- turns of the loop: the asker posts the end of a call to it
            await asyncio.sleep(0)
    asker.late_answer(minute, at(minute, "").ts_close_ns, 0b111, an_account())
    return answer


@pytest.mark.parametrize("fault", ["exit", "hang", "lock", "garbage", "gigabyte", "memory"])
def test_bars_under_a_fault_have_no_advice_and_it_comes_back(fault: str) -> None:
    """Late while the worker is silent, errors once it is known to be of no use, advice when there is a new one."""

    async def scenario() -> None:
        asker = an_asker(a_backend(reply_timeout_s=REPLY_S))
        assert await asker.start() is None
        before = await until_answered(asker, 0)
        answers = [await asker.answer(at(1_000 + minute, fault)) for minute in range(12)]
        assert {answer.status for answer in answers} <= {AdviceStatus.LATE, AdviceStatus.ERROR}
        assert all(answer.usable is None for answer in answers)
        assert asker.late_answer(2_000, at(2_000, "").ts_close_ns, 0b111, an_account()) is None
        after = await until_answered(asker, 3_000)
        assert after.usable == before.usable
        assert await asker.close()

    asyncio.run(scenario())


def test_forty_faults_leave_as_many_threads_processes_and_descriptors_as_one() -> None:
    """Whatever they were; one asker, one keeper, one worker."""

    async def scenario() -> None:
        backend = a_backend(reply_timeout_s=REPLY_S)
        asker = an_asker(backend)
        await asker.start()
        await until_answered(asker, 0)
        flat = len(children()), threading.active_count(), keepers(), fds()
        met: Counter[str] = Counter()
        minute = 1_000
        async with asyncio.timeout(PATIENCE_S):
            while met.total() < 40:
                fault = KINDS[met.total() % len(KINDS)]
                if backend.is_ready and asker.is_idle:
                    met[fault] += 1
                    await asker.answer(at(minute, fault))
                minute += 1
                await asyncio.sleep(0.001)  # bars go by, and workers start
        assert backend.starts > 30
        await until_answered(asker, minute)
        assert (len(children()), threading.active_count(), keepers(), fds()) == flat
        assert await asker.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("doing", ["hang", "lock", "answer"])
def test_close_in_the_middle_of_a_question_leaves_nothing(tmp_path: Path, doing: str) -> None:
    """The asker's thread ends too, as its call returns."""

    async def scenario() -> None:
        asker = an_asker(a_backend(name=str(tmp_path)))
        await asker.start()
        await asker.answer(at(0, doing))
        assert await asker.close()

    asyncio.run(scenario())


def test_daemon_goes_on_while_the_worker_keeps_its_interpreters_lock(tmp_path: Path) -> None:
    """The lock is that of another process: this one's threads and timers never wait for it."""

    async def scenario() -> None:
        asker = an_asker(a_backend(name=str(tmp_path)))
        await asker.start()
        assert (await asker.answer(at(0, "lock"))).status is AdviceStatus.LATE
        await asyncio.to_thread(wait_until, (tmp_path / "begun").exists)
        for _ in range(1_000):
            await asyncio.sleep(0)
        assert not asker.is_idle
        assert await asker.close()

    asyncio.run(scenario())


def test_model_that_cannot_be_loaded_leaves_the_strategy_alone(tmp_path: Path) -> None:
    """Where the run may begin without advice: it is told why, and so is every question."""
    (tmp_path / "start-refuse").touch()

    async def scenario() -> None:
        backend = a_backend(name=str(tmp_path))
        cache = AdviceCache(CacheRules(cache_minutes=0, reuse_decay=0.8), "a model")
        rules = replace(LIVE, is_required=False)
        asker = Asker(backend, rules, cache, calibration=Calibration(AS_IT_IS, 3.0))
        why = await asker.start()
        assert why == "the language model did not start: there is no such model; give a folder"
        answer = await asker.answer(at(0, "answer"))
        assert (answer.status, answer.error) == (AdviceStatus.ERROR, why)
        assert await asker.close()

    asyncio.run(scenario())


def test_real_model_answers_through_its_process_as_in_this_one(tiny_phi3: Path, tiny_model: object) -> None:
    """The production command, the tiny model, a limit on its memory; other threads and prefixes round otherwise."""
    prompts = Prompts(
        render=lambda question: a_prompt(question.price), identity="p1", probes=(a_prompt(1.0), a_prompt(99_999.75))
    )
    rules = WorkerRules(**RULES | {"memory_limit_gib": 8.0})
    backend = WorkerBackend(options(tiny_phi3), prompts, rules)
    backend.start()
    answer = backend.ask(a_question(price=15_123.5))
    assert backend.model_identity == tiny_model.identity  # type: ignore[attr-defined]
    backend.close()
    assert answer.scores is not None
    here = tiny_model.score(a_prompt(15_123.5), 0b111)  # type: ignore[attr-defined]
    assert answer.scores.log_probs[:3] == pytest.approx(here.log_probs[:3], abs=1e-4)
    assert answer.scores.legal_mass == pytest.approx(here.legal_mass, abs=1e-4)


def test_daemons_end_of_the_back_end_imports_no_torch() -> None:
    """It would take ten seconds, and the memory."""
    code = "import sys, trader.adapters.phi3.worker_backend; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
