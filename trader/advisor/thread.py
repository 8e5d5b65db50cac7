"""One thread for one blocking call at a time.

A daemon thread, unlike those of ThreadPoolExecutor: a back end that hangs for good must not keep the process from
ending. What a call returns or raises is posted to the loop that asked.
"""

import contextlib
import threading
from asyncio import AbstractEventLoop
from collections.abc import Callable
from queue import SimpleQueue

Job = tuple[AbstractEventLoop, Callable[[], object], Callable[[object], None]]


class CallThread:
    """Runs jobs in order until stopped; at most one is given at a time by its owner."""

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, loop: AbstractEventLoop, call: Callable[[], object], on_end: Callable[[object], None]) -> None:
        """Run `call` in the thread; `on_end` gets its result, or the exception it raised, in the loop."""
        self._jobs.put((loop, call, on_end))

    def stop(self, *, wait: bool) -> None:
        """End the thread after the job in progress; `wait` only when there is none."""
        self._jobs.put(None)
        if wait:
            self._thread.join()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            loop, call, on_end = job
            try:
                outcome = call()
            except BaseException as error:  # noqa: BLE001 - whatever a back end raises becomes an answer, in the loop
                outcome = error
            with contextlib.suppress(RuntimeError):  # the loop has been closed: nobody waits any more
                loop.call_soon_threadsafe(on_end, outcome)
