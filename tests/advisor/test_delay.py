"""Assumed latency in bar time."""

from builders import MINUTE_NS, a_question

from trader.advisor.delay import DelayLine, Exchange
from trader.advisor.question import Answer
from trader.domain.decisions import AdviceStatus

ANSWER = Answer(status=AdviceStatus.USED)
ZERO_NS = a_question().ts_close_ns


def asked_at(minute: int) -> Exchange:
    return Exchange(a_question(seq=minute, ts_close_ns=ZERO_NS + minute * MINUTE_NS), ANSWER)


def seqs(line: DelayLine, minutes: range) -> dict[int, int]:
    """Which question's answer arrives at which minute."""
    arrived = {minute: line.take(ZERO_NS + minute * MINUTE_NS) for minute in minutes}
    return {minute: exchange.question.seq for minute, exchange in arrived.items() if exchange is not None}


def test_take_gives_an_answer_at_the_first_bar_after_its_arrival() -> None:
    """90 s after minute 0 is first seen at minute 2, and once."""
    line = DelayLine(90_000)
    line.put(asked_at(0))
    assert seqs(line, range(1, 6)) == {2: 0}


def test_take_gives_an_answer_that_arrives_with_the_close() -> None:
    """Exactly one bar later it is there."""
    line = DelayLine(60_000)
    line.put(asked_at(0))
    assert seqs(line, range(3)) == {1: 0}


def test_put_while_one_is_under_way_keeps_the_newest() -> None:
    """Of the questions at 2 and 4, the one at 4 follows the one at 0, five minutes after it arrived."""
    line = DelayLine(300_000)
    for minute in (0, 2, 4):
        line.put(asked_at(minute))
    assert seqs(line, range(5, 20)) == {5: 0, 10: 4}


def test_take_after_a_gap_gives_the_newest_that_has_come() -> None:
    """Over a break both have arrived; the later one counts."""
    line = DelayLine(60_000)
    line.put(asked_at(0))
    line.put(asked_at(0))
    line.put(asked_at(1))
    assert seqs(line, range(60, 62)) == {60: 1}


def test_clear_drops_what_is_under_way() -> None:
    """A roll: nothing of the old contract arrives."""
    line = DelayLine(60_000)
    line.put(asked_at(0))
    line.put(asked_at(1))
    line.clear()
    assert seqs(line, range(1, 9)) == {}
