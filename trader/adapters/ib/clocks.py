"""Two clocks of the link: one that notices when the loop stood still, and one that waits longer after each failure."""

import asyncio
import random
from collections.abc import Callable


class PauseClock:
    """Ticks while it is started, and says when the loop stood still for more than `pause_s` (0: never).

    A process that was stopped, a machine that was suspended with its clocks going, a computation that did not let go:
    the world may have changed meanwhile. `on_tick` is called on each tick.
    """

    def __init__(
        self, pause_s: float, tick_s: float, on_pause: Callable[[float], None], on_tick: Callable[[], None]
    ) -> None:
        self._pause_s = pause_s
        self._tick_s = tick_s
        self._on_pause = on_pause
        self._on_tick = on_tick
        self._due_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_late(self) -> bool:
        """Whether the loop has stood still, before the tick that will say so has had its turn."""
        if self._timer is None or not self._pause_s:
            return False
        return asyncio.get_running_loop().time() - self._due_at > self._pause_s

    def start(self) -> None:
        """Begin to tick."""
        loop = asyncio.get_running_loop()
        self._due_at = loop.time() + self._tick_s
        self._timer = loop.call_at(self._due_at, self._tick)

    def stop(self) -> None:
        """Tick no more."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None

    def _tick(self) -> None:
        late_s = asyncio.get_running_loop().time() - self._due_at
        is_late = self.is_late
        self.start()
        if is_late:
            self._on_pause(late_s)
        self._on_tick()


class Backoff:
    """Seconds to wait after each failure: twice as long each time up to a limit, and a random part of it off."""

    def __init__(self, first_s: float, longest_s: float, chance: random.Random) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._chance = chance
        self._failures = 0

    def next_s(self) -> float:
        """How long to wait now: between half and all of the wait."""
        wait_s = min(self._longest_s, self._first_s * 2.0 ** min(self._failures, 32))
        self._failures += 1
        return wait_s * self._chance.uniform(0.5, 1.0)

    def reset(self) -> None:
        """It worked: begin again at the first wait."""
        self._failures = 0
