"""When a bar may be believed, by a clock that the test holds."""

from trader.adapters.ib.bar_stream import BarStream, StreamCounts
from trader.adapters.ib.heard import Heard
from trader.domain.units import MINUTE_NS


def a_bar(minute: int, close: float = 8_000.0) -> Heard:
    """A bar of one minute."""
    return Heard(minute * MINUTE_NS, 8_000.0, max(8_000.0, close), min(8_000.0, close), close, 10)


def test_a_closed_bar_waits_for_the_grace_and_takes_what_comes_in_it() -> None:
    """Not the moment before, and as it was corrected last."""
    counts = StreamCounts()
    stream = BarStream(counts, grace_s=0.8)
    stream.update(a_bar(1), now_s=50.0)
    assert stream.due_s is None
    stream.update(a_bar(2), now_s=60.0)
    stream.update(a_bar(1, close=8_001.0), now_s=60.3)
    stream.update(a_bar(1, close=8_002.0), now_s=60.7)
    assert stream.take(60.79) is None
    assert stream.take(60.8) == a_bar(1, close=8_002.0)
    stream.update(a_bar(1, close=8_003.0), now_s=60.9)
    stream.update(a_bar(1, close=8_002.0), now_s=60.9)
    stream.update(a_bar(0), now_s=61.0)
    assert (counts.corrections, counts.revisions, counts.duplicates, counts.stragglers) == (2, 1, 1, 1)
    assert stream.take(99.0) is None


def test_bars_that_close_together_are_taken_oldest_first() -> None:
    """Also one that was told behind its successor."""
    stream = BarStream(StreamCounts(), grace_s=0.8)
    for minute in (1, 3, 2, 4):
        stream.update(a_bar(minute), now_s=10.0)
    assert [stream.take(11.0) for _ in range(4)] == [a_bar(1), a_bar(2), a_bar(3), None]
    assert stream.forming == a_bar(4)
