"""The assumed latency of a replayed advisor: an answer counts from the first bar that closes once it would have come.

Pure. One question is under way at a time; while it is, the newest other one waits, as in service.
"""

from msgspec import Struct

from trader.advisor.question import Answer, Question

NS_PER_MS = 1_000_000


class Exchange(Struct, frozen=True, gc=False):
    """A question with its answer."""

    question: Question
    answer: Answer


class DelayLine:
    """Holds answers back by `latency_ms` of bar time."""

    def __init__(self, latency_ms: int) -> None:
        self._latency_ns = latency_ms * NS_PER_MS
        self._under_way: Exchange | None = None
        self._waiting: Exchange | None = None
        self._arrives_ns = 0

    def put(self, exchange: Exchange) -> None:
        """An answer that was computed now and will be known later; it replaces one that still waits."""
        if self._under_way is None:
            self._under_way = exchange
            self._arrives_ns = exchange.question.ts_close_ns + self._latency_ns
        else:
            self._waiting = exchange

    def take(self, ts_ns: int) -> Exchange | None:
        """The newest answer that has come by `ts_ns`, once."""
        arrived = None
        while self._under_way is not None and self._arrives_ns <= ts_ns:
            arrived = self._under_way
            self._under_way, self._waiting = self._waiting, None
            self._arrives_ns += self._latency_ns
        return arrived

    def clear(self) -> None:
        """Drop everything that is under way."""
        self._under_way = self._waiting = None
