"""Answers that are given again."""

from typing import Any

import msgspec
import pytest
from builders import MINUTE_NS, a_question

from trader.advisor.cache import MAX_ENTRIES, AdviceCache, CacheRules, CacheState, stop_state
from trader.advisor.question import Answer, Question
from trader.domain.actions import Action
from trader.domain.decisions import Advice, AdviceStatus

RULES = CacheRules(cache_minutes=5, reuse_decay=0.8)
ADVICE = Advice(action=Action.BUY, confidence=0.7, reason="trend up", raw=0.71)


def a_cache(question: Question | None = None, advice: Advice = ADVICE) -> AdviceCache:
    cache = AdviceCache(RULES, "a model")
    first = a_question() if question is None else question
    assert cache.find(first) is None
    cache.keep(first, advice, "f00d")
    return cache


def later(minutes: int, **changes: Any) -> Question:
    now = a_question()
    return a_question(seq=now.seq + minutes, ts_close_ns=now.ts_close_ns + minutes * MINUTE_NS, **changes)


def test_find_after_two_minutes_gives_the_aged_answer() -> None:
    """The whole answer: from the cache, aged, decayed once (0.56 is 573.44/1024), visible at its own bar."""
    assert a_cache().find(later(2)) == Answer(
        status=AdviceStatus.CACHED,
        advice=Advice(action=Action.BUY, confidence=573 / 1024, reason="trend up", raw=0.71),
        from_cache=True,
        age_s=120,
        reuse=1,
        visible_from_bar=102,
        prompt_sha256="f00d",
    )


def test_find_again_decays_from_the_original() -> None:
    """0.7 x 0.8, x 0.64, x 0.512: 0.56, 0.448, 0.3584, each rounded to 1/1024 on its own."""
    cache = a_cache()
    answers = [cache.find(later(minute)) for minute in (1, 2, 3)]
    given = [(answer.reuse, answer.usable.confidence) for answer in answers if answer and answer.usable]
    assert given == [(1, 573 / 1024), (2, 459 / 1024), (3, 367 / 1024)]
    assert cache.hits == 3


@pytest.mark.parametrize(("minutes", "hits"), [(5, True), (6, False)])
def test_find_is_a_hit_for_five_minutes_of_bar_time(minutes: int, hits: bool) -> None:
    """The age is measured at the hit, from when the advice was asked for."""
    assert (a_cache().find(later(minutes)) is not None) is hits


def test_find_does_not_make_an_answer_younger() -> None:
    """A reuse does not start the five minutes again."""
    cache = a_cache()
    assert cache.find(later(4)) is not None
    assert cache.find(later(6)) is None
    assert len(cache) == 0


def test_keep_replaces_an_answer_and_its_reuses() -> None:
    """A fresh answer to the same question starts at no reuse."""
    cache = a_cache()
    cache.find(later(1))
    cache.keep(later(2), Advice(action=Action.SELL, confidence=0.5, reason=""), None)
    answer = cache.find(later(3))
    assert answer is not None
    assert answer.usable == Advice(action=Action.SELL, confidence=410 / 1024, reason="")
    assert (answer.age_s, answer.reuse) == (60, 1)


@pytest.mark.parametrize(
    ("changes", "hits"),
    [
        ({"rsi": 54.9}, True),
        ({"rsi": 55.0}, False),
        ({"rsi": 49.9}, False),
        ({"adx": 15.0}, True),
        ({"adx": 20.0}, False),
        ({"adx": 14.9}, False),
        ({"price": 12_002.49, "vwap": 12_000.0}, True),
        ({"price": 12_002.5, "vwap": 12_000.0}, False),
        ({"price": 11_999.75, "vwap": 12_000.0}, False),
        ({"price": 12_100.0, "vwap": 12_100.0}, True),
        ({"momentum": 2.4}, True),
        ({"momentum": 2.5}, False),
        ({"momentum": -0.1}, False),
        ({"win_rate": 0.59}, True),
        ({"win_rate": 0.6}, False),
        ({"win_rate": 0.49}, False),
        ({"streak": 1}, False),
        ({"regime": 1}, False),
        ({"mask": 0b000001}, False),
        ({"market": "ES"}, False),
        ({"atr": 10.5}, True),
        ({"balance_cents": 4_000_000}, True),
        ({"time_et": "2023-03-15 10:01"}, True),
    ],
)
def test_find_takes_what_looks_the_same(changes: dict[str, Any], hits: bool) -> None:
    """Buckets of the reading: RSI and ADX by 5, distances by a quarter ATR (2.5 points), win rate by 10 %."""
    assert (a_cache().find(later(1, **changes)) is not None) is hits


def test_find_with_win_rates_in_one_tenth_hits() -> None:
    """Each tenth begins its own bucket, whatever floats make of it."""
    for tenths in range(11):
        cache = a_cache(a_question(win_rate=tenths / 10))
        assert cache.find(later(1, win_rate=tenths / 10 + 0.05)) is not None


@pytest.mark.parametrize(("streak", "hits"), [(3, True), (4, True), (9, True), (2, False)])
def test_find_counts_losses_up_to_three(streak: int, hits: bool) -> None:
    """Three losses in a row and nine look the same."""
    assert (a_cache(a_question(streak=3)).find(later(1, streak=streak)) is not None) is hits


def long_question(**changes: Any) -> dict[str, Any]:
    fields = {
        "position_qty": 1,
        "entry_price": 12_000.0,
        "stop_price": 11_980.0,
        "initial_risk_cents": 40_000,
        "unrealized_cents": 10_000,
        "mask": 0b001001,
    }
    return fields | changes


@pytest.mark.parametrize(
    ("changes", "hits"),
    [
        ({"unrealized_cents": 19_999}, True),
        ({"unrealized_cents": 20_000}, False),
        ({"unrealized_cents": 9_999}, False),
        ({"stop_price": 11_999.75}, True),
        ({"stop_price": 12_000.0}, False),
        ({"trailing": True}, False),
    ],
)
def test_find_in_position_compares_profit_and_stop(changes: dict[str, Any], hits: bool) -> None:
    """Profit by a quarter R; the stop by its state: initial, break-even or better, trailing."""
    cache = a_cache(a_question(**long_question()))
    assert (cache.find(later(1, **long_question(**changes))) is not None) is hits


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        (a_question(), "none"),
        (a_question(**long_question()), "initial"),
        (a_question(**long_question(stop_price=12_000.5)), "break_even"),
        (a_question(**long_question(stop_price=12_000.5, trailing=True)), "trail"),
        (a_question(**long_question(position_qty=-1, stop_price=12_020.0)), "initial"),
        (a_question(**long_question(position_qty=-1, stop_price=11_999.5)), "break_even"),
    ],
)
def test_stop_state_reads_both_sides(question: Question, expected: str) -> None:
    """A short's stop is better when it is lower."""
    assert stop_state(question) == expected


@pytest.mark.parametrize(
    "changes",
    [{"session_open_ns": 1}, {"symbol": "NQU23"}, {"trades_closed": 1}, {"position_qty": 2}],
)
def test_find_after_session_roll_or_position_change_forgets_everything(changes: dict[str, Any]) -> None:
    """Going back does not bring the answers back either."""
    cache = a_cache()
    assert cache.find(later(1, **changes)) is None
    assert (len(cache), cache.evictions) == (0, 1)
    assert cache.find(later(2)) is None


def test_keep_of_advice_on_a_position_that_ended_drops_it() -> None:
    """A late answer must not survive what it was about."""
    cache = a_cache()
    cache.find(later(1, trades_closed=1))
    cache.keep(later(0), ADVICE, None)
    assert len(cache) == 0


def test_evict_forgets_everything() -> None:
    """A contract roll inside a session."""
    cache = a_cache()
    cache.evict()
    assert cache.find(later(1)) is None


def test_key_depends_on_the_back_end() -> None:
    """Another template, model, revision or quantisation has other answers."""
    keys = {AdviceCache(RULES, identity).key(a_question()) for identity in ("a", "b", "a")}
    assert len(keys) == 2
    assert {len(key) for key in keys} == {64}


def test_keep_is_bounded() -> None:
    """The oldest answers make room."""
    cache = AdviceCache(RULES, "a model")
    for streak in range(MAX_ENTRIES + 10):
        cache.keep(a_question(momentum=streak * 10.0), ADVICE, None)
    assert len(cache) == MAX_ENTRIES
    assert cache.find(a_question(momentum=0.0)) is None
    assert cache.find(a_question(momentum=100.0)) is not None


def test_restart_keeps_answers_with_their_age_and_reuses() -> None:
    """Through JSON: the same hit as without it, and the oldest of a full cache is still the oldest."""
    whole, again = a_cache(), AdviceCache(RULES, "a model")
    whole.find(later(1))
    again.restore(msgspec.json.decode(msgspec.json.encode(whole.state()), type=CacheState))

    assert again.state() == whole.state()
    assert again.find(later(2)) == whole.find(later(2))
    assert again.find(later(3, position_qty=1)) is None
    assert len(again) == 0


def test_restart_leaves_out_the_answers_of_another_back_end() -> None:
    """They would never be found, and would take the room of others."""
    again = AdviceCache(RULES, "another model")
    again.restore(a_cache().state())
    assert (len(again), again.state().scope) == (0, None)
