"""What the link measures time by: pauses of the loop, the broker's pulse, and waits that grow."""

import asyncio
import random
from collections.abc import Callable

from trader.adapters.ib.wire import Wire
from trader.domain.units import SECOND_NS
from trader.errors import LinkError

_PROBE_SHARE = 0.9  # an unanswered probe is given up before the next one is due


class PauseClock:
    """Ticks while it is started, and says when the loop or the machine stood still for over `pause_s` (0: never).

    A process that was stopped, a machine that slept, a computation that did not let go: the world may have changed.
    A machine that sleeps stops the loop's clock too, so the wall's is compared with it.
    """

    def __init__(self, pause_s: float, tick_s: float, wall_ns: Callable[[], int]) -> None:
        self._pause_s = pause_s
        self._tick_s = tick_s
        self._wall_ns = wall_ns
        self._due_at = 0.0
        self._due_ns = 0
        self._timer: asyncio.TimerHandle | None = None
        self._on_pause: Callable[[float], None] = _ignore
        self._on_tick: Callable[[], None] = _nothing

    @property
    def is_late(self) -> bool:
        """Whether the loop has stood still, even before the tick that will say so has had its turn."""
        return self._timer is not None and self._late_s > self._pause_s > 0

    def start(self, on_pause: Callable[[float], None], on_tick: Callable[[], None]) -> None:
        """Begin to tick. `on_pause` gets the seconds of a pause."""
        self._on_pause, self._on_tick = on_pause, on_tick
        self._arm()

    def stop(self) -> None:
        """Tick no more."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None

    @property
    def _late_s(self) -> float:
        asleep_s = (self._wall_ns() - self._due_ns) / SECOND_NS
        return max(asyncio.get_running_loop().time() - self._due_at, asleep_s)

    def _arm(self) -> None:
        loop = asyncio.get_running_loop()
        self._due_at = loop.time() + self._tick_s
        self._due_ns = self._wall_ns() + round(self._tick_s * SECOND_NS)
        self._timer = loop.call_at(self._due_at, self._tick)

    def _tick(self) -> None:
        late_s, is_late = self._late_s, self.is_late
        self._arm()
        if is_late:
            self._on_pause(late_s)
        self._on_tick()


class Pulse:
    """Asks the broker for its time: whoever answers both reads and writes. One question at a time.

    `every_s` apart (0: only when somebody wants to know); it is dead after `misses_max` without an answer.
    """

    def __init__(self, every_s: float, misses_max: int) -> None:
        self.misses = 0
        self._every_s = every_s
        self._misses_max = misses_max
        self._asked_at = 0.0
        self._asking = asyncio.Lock()

    @property
    def is_dead(self) -> bool:
        """Whether too many questions in a row have had no answer."""
        return self.misses >= self._misses_max

    @property
    def due_in_s(self) -> float | None:
        """Seconds until it is to be felt again, None: never."""
        if not self._every_s:
            return None
        return self._asked_at + self._every_s - asyncio.get_running_loop().time()

    def begin(self) -> None:
        """A new connection, just heard."""
        self._asked_at = asyncio.get_running_loop().time()
        self.misses = 0

    async def probe(self, wire: Wire) -> int:
        """The broker's time in nanoseconds, whole seconds. LinkError where it does not come."""
        async with self._asking:
            wire.check()
            self._asked_at = asyncio.get_running_loop().time()
            try:
                moment = await wire.ask("the time", wire.ib.reqCurrentTimeAsync(), self._every_s * _PROBE_SHARE or None)
            except LinkError:
                self.misses += 1
                raise
            self.misses = 0
            return round(moment.timestamp()) * SECOND_NS


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


def _nothing() -> None:
    """Nobody listens."""


def _ignore(seconds: float) -> None:
    del seconds
