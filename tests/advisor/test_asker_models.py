"""A model behind the asker: made ready in its thread, calibrated, written down, counted."""

import math
import threading
from collections.abc import Callable

import pytest
from asker_builders import HOLD, LIVE, REPLAY, Held, ManualClock, Scripted, at, late, late_at, run, until
from msgspec.structs import replace

from trader.advisor.asker import Asker, AskRules
from trader.advisor.cache import AdviceCache, CacheRules
from trader.advisor.calibration import Calibration, CalibrationMode, CalibrationRules
from trader.advisor.counts import AdviceTally, Spread
from trader.advisor.question import Answer, Question, Scores, Trace
from trader.domain.actions import Action
from trader.domain.decisions import Advice, AdviceStatus
from trader.errors import ConfigurationError, InputError, InvariantError

TRACE = Trace(backend="phi3", messages=(("user", "RSI 50"),), reply=None, latency_ms=12.5)
OFF = CalibrationRules(mode=CalibrationMode.OFF, legal_mass_min=0.2, learns=True)
PATIENT_BREAKER = replace(REPLAY, breaker_reset_s=3_600)
"""Once open, open for all questions of a test."""
OPTIONAL = replace(REPLAY, is_required=False)


def scored(*probabilities: float, legal_mass: float = 0.9) -> Answer:
    """What a model makes of HOLD, BUY and SELL."""
    logs = tuple(math.log(p) for p in probabilities)
    return Answer(status=AdviceStatus.USED, scores=Scores((*logs, None, None, None), legal_mass), trace=TRACE)


class Model(Scripted):
    """Answers with scores."""

    is_calibrated = True


class Starting(Scripted):
    """A back end that fails to start as it is told; remembers in which thread it was started."""

    def __init__(self, error: Exception | None, *, is_instant: bool) -> None:
        super().__init__(HOLD, is_instant=is_instant)
        self._error = error

    def start(self) -> None:
        self.threads.add(f"start: {threading.current_thread().name}")
        if self._error is not None:
            raise self._error


def an_asker_of(
    backend: Scripted | Held,
    rules: AskRules = REPLAY,
    *,
    calibration: Calibration | None = None,
    on_exchange: Callable[[Question, Answer], None] | None = None,
    cache_minutes: int = 0,
) -> Asker:
    """An asker with all its parts."""
    cache = AdviceCache(CacheRules(cache_minutes=cache_minutes, reuse_decay=0.8), "a model")
    return Asker(backend, rules, cache, calibration=calibration, on_exchange=on_exchange)


@pytest.mark.parametrize(("is_instant", "thread"), [(False, "advisor"), (True, threading.main_thread().name)])
def test_start_of_a_back_end_happens_in_the_thread_that_will_ask_it(is_instant: bool, thread: str) -> None:
    """A model lives in one thread, from its loading on."""

    async def scenario(_: ManualClock) -> None:
        backend = Starting(None, is_instant=is_instant)
        asker = an_asker_of(backend)
        assert await asker.start() is None
        assert await asker.answer(at(0)) == HOLD
        assert backend.threads == {f"start: {thread}", thread}
        assert await asker.close()

    run(scenario)


@pytest.mark.parametrize("is_instant", [False, True])
def test_start_that_fails_raises_where_the_advisor_is_required(is_instant: bool) -> None:
    """A run that must have advice does not begin without it."""

    async def scenario(_: ManualClock) -> None:
        asker = an_asker_of(Starting(ConfigurationError("no weights"), is_instant=is_instant))
        with pytest.raises(ConfigurationError, match="no weights"):
            await asker.start()
        assert await asker.close()

    run(scenario)


@pytest.mark.parametrize("is_instant", [False, True])
def test_start_that_fails_is_told_where_the_advisor_is_not_required_and_questions_go_on(is_instant: bool) -> None:
    """The model may come back: it is asked all the same."""

    async def scenario(_: ManualClock) -> None:
        backend = Starting(ConfigurationError("no weights"), is_instant=is_instant)
        asker = an_asker_of(backend, OPTIONAL)
        assert await asker.start() == "no weights"
        assert await asker.answer(at(0)) == HOLD
        assert backend.asked == [0]
        assert await asker.close()

    run(scenario)


def test_answer_in_scores_becomes_advice_by_the_calibration() -> None:
    """The likeliest valid action, with the model's probability: 640/1024 of BUY."""

    async def scenario(_: ManualClock) -> None:
        asker = an_asker_of(Model(scored(0.25, 0.625, 0.125)), calibration=Calibration(OFF, 3.0))
        answer = await asker.answer(at(0))
        assert answer.status is AdviceStatus.USED
        assert answer.usable is not None
        assert (answer.usable.action, answer.usable.confidence) == (Action.BUY, 0.625)
        assert (answer.usable.raw, answer.usable.legal_mass) == (pytest.approx(0.625), 0.9)

    run(scenario)


def test_answer_that_leaves_little_to_valid_actions_is_invalid_and_a_failure() -> None:
    """Five of them open the breaker; none is advice."""

    async def scenario(_: ManualClock) -> None:
        backend = Model(scored(0.25, 0.625, 0.125, legal_mass=0.19))
        asker = an_asker_of(backend, PATIENT_BREAKER, calibration=Calibration(OFF, 3.0))
        answers = [await asker.answer(at(minute)) for minute in range(6)]
        assert {answer.advice for answer in answers} == {None}
        assert [answer.status for answer in answers] == [AdviceStatus.INVALID] * 5 + [AdviceStatus.BREAKER_OPEN]

    run(scenario)


@pytest.mark.parametrize("calibration", [None, Calibration(OFF, 3.0)])
def test_asker_with_a_calibration_too_few_or_too_many_is_a_contradiction(calibration: Calibration | None) -> None:
    """A model's confidences are calibrated, and nobody else's."""
    backend = Scripted(HOLD) if calibration is not None else Model(HOLD)
    with pytest.raises(InvariantError, match="calibration"):
        an_asker_of(backend, calibration=calibration)


def test_exchanges_are_told_as_they_were_judged_and_cache_hits_are_none() -> None:
    """Scores with the advice that was made of them, an error with its text; what no model said is not told."""

    async def scenario(_: ManualClock) -> None:
        told: list[tuple[int, Answer]] = []
        backend = Model(
            scored(0.25, 0.625, 0.125),
            Answer(status=AdviceStatus.ERROR, error="no memory", trace=TRACE),
            RuntimeError("no trace"),
            scored(0.25, 0.625, 0.125, legal_mass=0.1),
        )
        asker = an_asker_of(
            backend,
            calibration=Calibration(OFF, 3.0),
            on_exchange=lambda question, answer: told.append((question.seq, answer)),
            cache_minutes=5,
        )
        cached = [await asker.answer(at(minute, rsi=50.0)) for minute in (0, 1)]
        rest = [await asker.answer(at(minute)) for minute in (2, 3, 4)]
        assert cached[1].from_cache
        assert [answer.error is None for answer in rest] == [False] * 3
        assert [(seq, answer.status.value) for seq, answer in told] == [(0, "used"), (2, "error"), (4, "invalid")]
        assert told[0][1].advice == cached[0].advice
        assert told[1][1].error == "no memory"

    run(scenario)


def test_exchange_that_comes_late_is_told_once() -> None:
    """When it comes, not when it is used."""

    async def scenario(loop: ManualClock) -> None:
        told: list[int] = []
        backend = Held(replace(HOLD, trace=TRACE))
        asker = an_asker_of(backend, LIVE, on_exchange=lambda question, _: told.append(question.seq))
        assert (await late(asker, loop, at(0))).status is AdviceStatus.LATE
        assert told == []
        backend.let_go()
        await until(lambda: asker.is_idle)
        assert told == [0]
        assert late_at(asker, 1) is not None
        assert told == [0]
        assert await asker.close()

    run(scenario)


@pytest.mark.parametrize("is_instant", [False, True])
def test_exchange_that_cannot_be_written_ends_a_replay(is_instant: bool) -> None:
    """The error of a full disk reaches who asked; nobody waits for ever."""

    async def scenario(_: ManualClock) -> None:
        def refuse(question: Question, answer: Answer) -> None:
            msg = "the disk is full"
            raise InputError(msg)

        asker = an_asker_of(Scripted(replace(HOLD, trace=TRACE), is_instant=is_instant), on_exchange=refuse)
        with pytest.raises(InputError, match="the disk is full"):
            await asker.answer(at(0))
        assert await asker.close()

    run(scenario)


def test_answers_of_a_back_end_that_only_fails_are_all_asked_where_the_breaker_is_off() -> None:
    """0 errors: never."""

    async def scenario(_: ManualClock) -> None:
        backend = Scripted(RuntimeError("down"))
        asker = an_asker_of(backend, replace(PATIENT_BREAKER, breaker_errors=0))
        statuses = {(await asker.answer(at(minute))).status for minute in range(20)}
        assert (statuses, len(backend.asked)) == ({AdviceStatus.ERROR}, 20)

    run(scenario)


def test_answer_that_a_recording_lacks_is_missing_and_no_failure() -> None:
    """It leaves the proposal alone, is counted under its name, and opens no breaker."""

    async def scenario(_: ManualClock) -> None:
        missing = Answer(status=AdviceStatus.MISSING)
        backend = Model(missing)
        asker = an_asker_of(backend, PATIENT_BREAKER, calibration=Calibration(OFF, 3.0))
        answers = [await asker.answer(at(minute)) for minute in range(8)]
        assert answers == [missing] * 8
        assert missing.usable is None
        assert asker.counts().by_status[AdviceStatus.MISSING] == 8

    run(scenario)


def test_counts_of_a_model_hold_its_legal_mass_and_latency() -> None:
    """Of every call, advice or not; 0.9 and 0.1 are 0.5 in the mean."""

    async def scenario(_: ManualClock) -> None:
        backend = Model(scored(0.25, 0.625, 0.125), scored(0.25, 0.625, 0.125, legal_mass=0.1), RuntimeError("down"))
        asker = an_asker_of(backend, calibration=Calibration(OFF, 3.0))
        for minute in range(3):
            await asker.answer(at(minute))
        counts = asker.counts()
        assert counts.legal_mass_mean == pytest.approx(0.5)
        assert counts.latency_ms == Spread(p50=12.5, p95=12.5, p99=12.5)

    run(scenario)


def test_counts_of_a_written_confidence_have_no_legal_mass() -> None:
    """None, not 0."""

    async def scenario(_: ManualClock) -> None:
        advice = Advice(action=Action.BUY, confidence=0.8, reason="", verbal=0.8)
        backend = Model(Answer(status=AdviceStatus.USED, advice=advice))
        asker = an_asker_of(backend, calibration=Calibration(OFF, 3.0))
        await asker.answer(at(0))
        assert (asker.counts().legal_mass_mean, asker.counts().latency_ms) == (None, None)

    run(scenario)


@pytest.mark.parametrize(
    ("latencies_ms", "spread"),
    [
        (range(20, 0, -1), Spread(p50=10, p95=19, p99=20)),
        (range(1, 201), Spread(p50=100, p95=190, p99=198)),
        ([3, 1, 2], Spread(p50=2, p95=3, p99=3)),
    ],
)
def test_latencies_are_told_by_nearest_rank(latencies_ms: list[int], spread: Spread) -> None:
    """The value that at least so many percent do not exceed, in whatever order they came."""
    tally = AdviceTally()
    for latency_ms in latencies_ms:
        tally.exchanged(replace(HOLD, trace=replace(TRACE, latency_ms=latency_ms)))
    assert tally.counts(0).latency_ms == spread
