"""An event loop whose clock jumps: a night of timers over real sockets of this machine passes in a second.

For tests and campaigns that hold a gateway and its clients in one process:

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(main())
"""

import asyncio
import selectors
from collections.abc import Callable
from typing import Any

MOMENT_S = 0.0
"""Real seconds for which sockets are listened to before the clock jumps; bytes on loopback are there at once."""
BUSY_S = 0.0005
"""Real seconds between two looks at whether somebody beside the loop is still at work."""


class _Jumping(selectors.DefaultSelector):
    """Whenever nothing is ready, the time until the next timer has passed."""

    def __init__(self, moment_s: float) -> None:
        super().__init__()
        self.now_s = 0.0
        self.is_awaited: Callable[[], bool] = _nobody
        self._moment_s = moment_s

    def select(self, timeout: float | None = None) -> list[Any]:
        """Selector's."""
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        ready = super().select(min(timeout, self._moment_s))
        while not ready and self.is_awaited():
            ready = super().select(BUSY_S)
        if not ready and self.is_awaited is not _nobody:
            ready = super().select(0)  # who was awaited may have come to an end between the two looks
        if not ready:
            self.now_s += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """Its `time` starts at 0 and moves only while everybody waits. `skip` makes it stand still for a while.

    While `is_awaited` says that a thread is at work for somebody in the loop, time waits too.
    """

    def __init__(self, moment_s: float = MOMENT_S) -> None:
        self._jumping = _Jumping(moment_s)
        super().__init__(self._jumping)

    def time(self) -> float:
        """Virtual seconds."""
        return self._jumping.now_s

    def wait_for(self, is_awaited: Callable[[], bool]) -> None:
        """Let no time pass while this is true."""
        self._jumping.is_awaited = is_awaited

    def skip(self, seconds: float) -> None:
        """So many seconds pass during which the loop does nothing, as in a process that is stopped."""
        self._jumping.now_s += seconds


def _nobody() -> bool:
    return False
