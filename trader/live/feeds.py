"""Feeds as a daemon hands them to its engine: they end when they are told to, and mark each bar's arrival."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable

from trader.adapters.live_stamp import LiveStamp
from trader.domain.bars import Bar
from trader.ports import Feed

BACKLOG_LINES = 256
"""Lines of the log that a replay lets pile up before it waits for the writer; a live feed cannot wait."""
WRITER_PAUSE_S = 0.001


class StoppableFeed:
    """A feed that ends when it is told to, also in the middle of waiting for a bar.

    `after_bar` is called once a bar has been decided and its orders have left.
    """

    def __init__(self, feed: Feed, stamp: LiveStamp, backlog: Callable[[], int], after_bar: Callable[[], None]) -> None:
        self._feed = feed
        self._backlog = backlog
        self._stamp = stamp
        self._after_bar = after_bar
        self._is_stopping = False
        self._wait: asyncio.Timeout | None = None

    def stop(self) -> None:
        """No bar after the one at work."""
        self._is_stopping = True
        if self._wait is not None:
            self._wait.reschedule(0)

    async def chunks(self) -> AsyncIterator[Iterable[Bar]]:
        """The feed's bars one by one, as they come."""
        source = aiter(self._feed.chunks())
        while not self._is_stopping:
            try:
                async with asyncio.timeout(None) as self._wait:
                    chunk = await anext(source)
            except StopAsyncIteration:
                return
            except TimeoutError:
                if not self._is_stopping:
                    raise
                return
            finally:
                self._wait = None
            for bar in chunk:
                if self._is_stopping:
                    return
                while self._backlog() > BACKLOG_LINES:  # noqa: ASYNC110 -- the writer is a thread, it sets no event
                    await asyncio.sleep(WRITER_PAUSE_S)
                self._stamp.received()
                yield (bar,)
                self._after_bar()
