"""One run of the daemon: bring up, trade, drain. The same for a replay, for paper trading and for a real broker."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import structlog
from msgspec import Struct

from trader.adapters.live_stamp import LiveStamp
from trader.desk import Desk
from trader.engine import Engine
from trader.live.feeds import StoppableFeed
from trader.live.keeper import Keeper
from trader.live.restoring import Restored
from trader.live.venue import OnWarm, Venue

log = structlog.get_logger("trader.run")
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Gear(Struct, frozen=True, kw_only=True):
    """What a daemon is made of. `keeper` is None where nothing is kept; `on_warm` is told of the bars it warmed up
    with, `on_up` is called when the first bar may come.

    `watch` is called about every `tick_s` seconds: what has to be looked at while no bar comes.
    """

    engine: Engine
    venue: Venue
    desk: Desk
    stamp: LiveStamp
    keeper: Keeper | None
    restored: Restored
    on_warm: OnWarm
    on_up: Callable[[], None]
    watch: Callable[[], None]
    tick_s: float


class Daemon:
    """Made of `gear`; `serve` returns when the feed ends or a signal has asked for the end."""

    def __init__(self, gear: Gear) -> None:
        self._gear = gear
        self._stopping = asyncio.Event()
        self._feed = StoppableFeed(gear.venue.feed, gear.stamp, lambda: gear.engine.parts.logbook.backlog, self._keep)

    def drain(self, why: str) -> None:
        """End after the bar at work: entries are taken back, stops stay where they are."""
        if self._stopping.is_set():
            return
        log.info("draining", signal=why, force="another SIGINT")
        self._gear.engine.controls.is_stopping = True
        self._stopping.set()
        self._feed.stop()

    async def serve(self) -> bool:
        """Run; False where the end was asked for before the first bar could come.

        What ends a background task ends the run, with its own error.
        """
        gear = self._gear
        try:
            async with self._listening(), asyncio.TaskGroup() as tasks:
                beside = [tasks.create_task(gear.venue.run()), tasks.create_task(self._tick())]
                try:
                    if not await self._bring_up(tasks):
                        return False
                    await gear.engine.run(gear.desk.between(self._feed))
                    await gear.venue.drained()
                    self._keep()
                    return True
                finally:
                    for task in beside:
                        task.cancel()
        except BaseExceptionGroup as group:
            raise first_error(group) from group

    async def _bring_up(self, tasks: asyncio.TaskGroup) -> bool:
        """Warm and reconciled; False where the end was asked for before."""
        gear = self._gear
        getting_up = tasks.create_task(gear.venue.bring_up(gear.engine, gear.restored, gear.on_warm))
        stopped = tasks.create_task(self._stopping.wait())
        await asyncio.wait({getting_up, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if not getting_up.done():
            getting_up.cancel()
            return False
        await getting_up
        gear.on_up()
        self._keep()
        return True

    def _keep(self) -> None:
        if self._gear.keeper is not None:
            self._gear.keeper.after_bar()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(self._gear.tick_s)
            self._gear.venue.tick()
            self._gear.watch()

    @asynccontextmanager
    async def _listening(self) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()

        def on_signal(received: signal.Signals) -> None:
            self.drain(received.name)
            loop.remove_signal_handler(signal.SIGINT)

        for each in _SIGNALS:
            loop.add_signal_handler(each, on_signal, each)
        try:
            yield
        finally:
            for each in _SIGNALS:
                loop.remove_signal_handler(each)


def first_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error that ended a group of tasks: the first that is no group itself."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
