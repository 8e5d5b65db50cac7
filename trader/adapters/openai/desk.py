"""Where requests wait for the one model: first come, first served, a bounded number of them."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from trader.advisor.thread import CallThread

T = TypeVar("T")


class FullError(Exception):
    """As many wait as may. Never leaves this package."""


class Desk:
    """Runs one call at a time in a thread of its own; at most `waiting_max` wait for their turn."""

    def __init__(self, waiting_max: int) -> None:
        self._waiting_max = waiting_max
        self._waiting = 0
        self._turn = asyncio.Lock()
        self._thread = CallThread("advisor-model")

    async def serve(self, call: Callable[[], T]) -> T:
        """What `call` returns or raises; FullError at once where the queue is full.

        Who goes away while waiting leaves the queue; a call that has begun keeps its turn to its end.
        """
        if self._waiting >= self._waiting_max:
            raise FullError
        self._waiting += 1
        try:
            await self._turn.acquire()
        finally:
            self._waiting -= 1
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()
        self._thread.submit(loop, call, partial(self._ended, done))
        return await done

    def close(self) -> None:
        """End the thread after the call in progress, without waiting for it."""
        self._thread.stop(wait=False)

    def _ended(self, done: "asyncio.Future[T]", outcome: object) -> None:
        self._turn.release()
        if done.done():
            return
        if isinstance(outcome, BaseException):
            done.set_exception(outcome)
        else:
            done.set_result(outcome)  # type: ignore[arg-type] # what `call` returned
