"""The link to the broker, as feed, broker and composition see it."""

import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from trader.adapters.ib.foreign_client import IB
from trader.adapters.ib.hooks import ErrorHook, Hooks, LostHook, SyncHook
from trader.adapters.ib.library import Library
from trader.adapters.ib.logs import route_library_logs
from trader.adapters.ib.standing import LinkState, Standing
from trader.adapters.ib.supervisor import LinkTerms, Supervisor
from trader.adapters.ib.wire import Wire
from trader.errors import LinkError
from trader.ports import Alerts

__all__ = ["Link", "LinkState", "LinkTerms"]
T = TypeVar("T")


class Link:
    """The one connection of a daemon. `run` is its task; everything else is for those who speak over it.

    After each connection, each 1101 and 1102 and each pause of the loop, the sync hooks are awaited in the order in
    which they came, and only then is it up. `wall_ns` is the clock that the nights are told by.
    """

    def __init__(
        self,
        terms: LinkTerms,
        library: Library,
        alerts: Alerts,
        chance: random.Random,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        place = f"{terms.wire.host}:{terms.wire.port}"
        route_library_logs(library.name, terms.dial.account)
        self._hooks = Hooks()
        self._standing = Standing(place, terms.nights, terms.loop_pause_s, alerts, wall_ns)
        self._supervisor = Supervisor(terms, library, self._standing, self._hooks, alerts, chance)

    @property
    def ib(self) -> IB:
        """The library's client of the present connection, for this package only; LinkError while there is none.

        Never keep it: the next connection has another one.
        """
        return self._present().ib

    @property
    def state(self) -> LinkState:
        """What the link can do now."""
        return self._standing.state

    @property
    def is_up(self) -> bool:
        """Whether everybody is in step with the broker. Ask it immediately before anything is sent."""
        return self._standing.is_up

    @property
    def may_trade(self) -> bool:
        """False on the fallback's client id: it may close positions, and nothing else."""
        return not self._supervisor.dialer.is_fallback

    @property
    def why(self) -> str:
        """Why it stands as it does."""
        return self._standing.why

    def on_sync(self, hook: SyncHook) -> None:
        """Await this after each connection, 1101, 1102 and pause; LinkError from it means: try again."""
        self._hooks.sync.append(hook)

    def on_lost(self, hook: LostHook) -> None:
        """Call this with the reason when a connection that was made is gone, and at 1100."""
        self._hooks.lost.append(hook)

    def on_error(self, hook: ErrorHook) -> None:
        """Call this at every error of the broker: request or order id (-1: none), code, text with accounts masked."""
        self._hooks.error.append(hook)

    def heed(self, is_open: Callable[[], bool]) -> None:
        """Whether a position is open, or an order works: then somebody is told sooner that the link is away."""
        self._standing.is_open = is_open

    async def wait_up(self) -> None:
        """Until it is up; at once where it is."""
        await self._standing.wait_up()

    async def ask(self, what: str, awaitable: Awaitable[T], timeout_s: float | None = None) -> T:
        """The answer to a request that has just been sent over `ib`; `what` it is about stands in the error.

        LinkError where no answer comes in time (None: the terms') or the connection goes, RefusedError where the broker
        answers by an error. The library has one place each for the answers to open orders, positions and the time:
        never ask for the same one twice at a time.
        """
        return await self._present().ask(what, awaitable, timeout_s)

    async def probe(self) -> int:
        """The broker's time in nanoseconds, whole seconds: proves that it reads and answers. LinkError otherwise."""
        return await self._supervisor.pulse.probe(self._present())

    def resync(self, why: str) -> None:
        """Whoever finds that it is not in step asks for all sync hooks; the link is not up until they have returned."""
        self._supervisor.resync(why)

    def reclaim(self) -> None:
        """On the fallback's client id: the own one is wanted back sooner than it would be tried anyway."""
        self._supervisor.reclaim()

    async def run(self) -> None:
        """Keep the link up until it is closed. AccessError where the login is not the account and mode configured."""
        await self._supervisor.run()

    def close(self) -> None:
        """Say goodbye; `run` returns soon."""
        self._supervisor.close()

    def _present(self) -> Wire:
        wire = self._supervisor.wire
        if wire is None:
            raise LinkError(self._standing.why)
        wire.check()
        return wire
