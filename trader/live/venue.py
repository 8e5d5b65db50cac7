"""Where a daemon's bars come from and its orders go: what differs between a replay and Interactive Brokers."""

from collections.abc import Callable, Sequence
from typing import Protocol

from trader.adapters.control.messages import LinkStatus
from trader.adapters.replay import ReplayFeed
from trader.domain.bars import Bar
from trader.engine import Engine
from trader.live.restoring import Restored
from trader.ports import Feed

OnWarm = Callable[[tuple[Bar, ...]], None]
"""Is told which bars the engine was warmed up with, before the first bar is booked: the log begins with them."""


class Venue(Protocol):
    """One run's. `run` is its background task; `bring_up` ends when entries may begin.

    `bring_up` warms the engine up, says by `on_warm` with which bars, books what was missed, and sees that book and
    broker agree. `tick` is called about once a second, `drained` awaited at the end. `reconcile` compares book and
    broker anew, LinkError where that takes too long; `link` is how the connection stands, None where there is none.
    """

    @property
    def feed(self) -> Feed: ...

    async def run(self) -> None: ...

    async def bring_up(self, engine: Engine, restored: Restored, on_warm: OnWarm) -> None: ...

    def tick(self) -> None: ...

    async def reconcile(self) -> None: ...

    def link(self) -> LinkStatus | None: ...

    async def drained(self) -> None: ...


class ReplayVenue:
    """Recorded bars and the simulated broker: nothing is connected, and the book is always right."""

    def __init__(self, feed: ReplayFeed, before: Sequence[Bar] = ()) -> None:
        """`before` are the bars up to the one at which an earlier run stood."""
        self._feed = feed
        self._before = before

    @property
    def feed(self) -> Feed:
        """The bars that are left."""
        return self._feed

    async def run(self) -> None:
        """Nothing goes on beside a replay."""

    async def bring_up(self, engine: Engine, restored: Restored, on_warm: OnWarm) -> None:
        """Take in what came before, and begin."""
        del restored
        engine.warm_up(self._before)
        on_warm(tuple(self._before))
        engine.controls.reconciled()

    def tick(self) -> None:
        """Time is the bars'."""

    async def reconcile(self) -> None:
        """Nobody to compare with."""

    def link(self) -> None:
        """There is none."""

    async def drained(self) -> None:
        """Nothing is on its way."""
