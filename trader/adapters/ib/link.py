"""The link to the broker: one task that connects, keeps in step, notices silence, and connects again."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from enum import StrEnum
from typing import TypeVar

import structlog
from msgspec import Struct

from trader.adapters.ib.clocks import Backoff, PauseClock
from trader.adapters.ib.dialing import Dialer, DialTerms
from trader.adapters.ib.foreign import IB
from trader.adapters.ib.library import Library
from trader.adapters.ib.nights import Nights, NightTerms, OutageWatch
from trader.adapters.ib.wire import Wire, WireTerms
from trader.domain.alerts import AlertKind
from trader.domain.units import SECOND_NS
from trader.errors import LinkError
from trader.ports import Alerts

log = structlog.get_logger("trader.link")
T = TypeVar("T")
SyncHook = Callable[[], Awaitable[None]]
LostHook = Callable[[str], None]
ErrorHook = Callable[[int, int, str], None]

CUT_CODES = frozenset({1100, 2110})
RESTORED_CODES = frozenset({1101, 1102})
_PROBE_SHARE = 0.9  # an unanswered probe is given up before the next one is due
_TICK_S = 0.25
_SAYS_NOTHING_OF_A_REQUEST = -1


class LinkState(StrEnum):
    """What the link can do."""

    DOWN = "down"
    CONNECTING = "connecting"
    SYNCING = "syncing"
    UP = "up"
    LOST = "lost"  # connected to a gateway that has lost the broker (1100)
    EXPECTED_OUTAGE = "expected_outage"


class LinkTerms(Struct, frozen=True, kw_only=True):
    """Every figure of the link. Seconds.

    `probe_every_s` 0 sends no probes, `loop_pause_s` 0 looks for no pauses. After `sync_tries` failed synchronisations,
    each at most `sync_timeout_s`, and after `lost_max_s` of 1100, the connection is made anew. With the fallback id it
    tries the own one again every `own_id_every_s`.
    """

    wire: WireTerms
    dial: DialTerms
    nights: NightTerms
    probe_every_s: float
    probe_misses: int
    backoff_first_s: float
    backoff_max_s: float
    loop_pause_s: float
    sync_tries: int
    sync_timeout_s: float
    lost_max_s: float
    own_id_every_s: float


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
        self._terms = terms
        self._alerts = alerts
        self._wall_ns = wall_ns
        self._dialer = Dialer(library, terms.wire, terms.dial)
        self._backoff = Backoff(terms.backoff_first_s, terms.backoff_max_s, chance)
        self._watch = OutageWatch(Nights(terms.nights), terms.nights)
        tick_s = min(_TICK_S, terms.loop_pause_s / 4) if terms.loop_pause_s else _TICK_S
        self._clock = PauseClock(terms.loop_pause_s, tick_s, self._paused, self._ticked)
        self._hooks: tuple[list[SyncHook], list[LostHook], list[ErrorHook]] = ([], [], [])
        self._wire: Wire | None = None
        self._state = LinkState.DOWN
        self._why = "not connected yet"
        self._changes = 0  # each asks for a synchronisation; `_synced` is the last one that had it
        self._synced = -1
        self._cut_at: float | None = None
        self._probed_at = 0.0
        self._misses = 0
        self._broken: Exception | None = None
        self._is_closed = False
        self._probing = asyncio.Lock()
        self._wake = asyncio.Event()
        self._up = asyncio.Event()

    @property
    def ib(self) -> IB:
        """The library's client of the present connection, for this package only; LinkError while there is none.

        Never keep it: the next connection has another one.
        """
        return self._present().ib

    @property
    def state(self) -> LinkState:
        """What the link can do now."""
        is_away = self._state in {LinkState.DOWN, LinkState.CONNECTING, LinkState.LOST}
        if is_away and self._watch.is_expected(self._wall_ns()):
            return LinkState.EXPECTED_OUTAGE
        return self._state

    @property
    def is_up(self) -> bool:
        """Whether everybody is in step with the broker; ask it immediately before anything is sent."""
        return self._state is LinkState.UP and not self._clock.is_late

    @property
    def may_trade(self) -> bool:
        """False on the fallback's client id: it may close positions, and nothing else."""
        return not self._dialer.is_fallback

    @property
    def why(self) -> str:
        """Why it is not up, or was not the last time."""
        return self._why

    @property
    def silent_s(self) -> float:
        """Seconds since the last bytes of the broker, 0 while there is no connection."""
        return 0.0 if self._wire is None else asyncio.get_running_loop().time() - self._wire.bytes_at

    def on_sync(self, hook: SyncHook) -> None:
        """Await this after each connection, 1101, 1102 and pause; LinkError from it means: try again."""
        self._hooks[0].append(hook)

    def on_lost(self, hook: LostHook) -> None:
        """Call this when a connection that was made is gone, and at 1100, with the reason."""
        self._hooks[1].append(hook)

    def on_error(self, hook: ErrorHook) -> None:
        """Call this at every error of the broker: request or order id (-1: none), code, text."""
        self._hooks[2].append(hook)

    async def wait_up(self) -> None:
        """Until it is up; at once where it is."""
        while not self.is_up:
            self._up.clear()
            await self._up.wait()

    async def ask(self, what: str, awaitable: Awaitable[T], timeout_s: float | None = None) -> T:
        """The answer to a request that has just been sent over `ib`; `what` it is about stands in the error.

        LinkError where no answer comes in time (None: the terms') or the connection goes, RefusedError where the broker
        answers by an error. The library has one place for the answers to each of open orders, positions, executions'
        lists and the time: never ask for the same one twice at a time.
        """
        return await self._present().ask(what, awaitable, timeout_s)

    async def probe(self) -> int:
        """The broker's time in nanoseconds, whole seconds: proves that it reads and answers. LinkError otherwise."""
        every_s = self._terms.probe_every_s
        async with self._probing:
            wire = self._present()
            self._probed_at = asyncio.get_running_loop().time()
            try:
                moment = await wire.ask("the time", wire.ib.reqCurrentTimeAsync(), every_s * _PROBE_SHARE or None)
            except LinkError:
                self._misses += 1
                raise
            self._misses = 0
            return round(moment.timestamp()) * SECOND_NS

    async def run(self) -> None:
        """Keep the link up until it is closed. AccessError where the login is not the account and mode configured."""
        self._move(LinkState.DOWN, self._why)
        self._clock.start()
        try:
            while not self._is_closed:
                try:
                    await self._connection()
                except LinkError as error:
                    self._gone(str(error))
                    if not self._is_closed:
                        await self._rest(self._backoff.next_s())
        finally:
            self._clock.stop()
            self._gone("closed")

    def close(self) -> None:
        """Say goodbye; `run` returns soon."""
        self._is_closed = True
        if self._wire is not None:
            self._wire.end("closed", is_dead=False)
        self._wake.set()

    async def _connection(self) -> None:
        """One connection, from the first try to its end: always a LinkError."""
        self._cut_at = None
        self._misses = 0
        self._move(LinkState.CONNECTING, self._why)
        self._wire = await self._dialer.dial(self._error, self._lost)
        self._changes += 1
        if self._dialer.is_fallback:
            why = f"client id {self._terms.dial.client_id} is in use (326): connected as the fallback"
            self._alerts.alert(AlertKind.LINK_LIMITED, why=why, effect="it may only flatten; end the other connection")
        if self._cut_at is not None:
            self._move(LinkState.LOST, "connected to a gateway that has lost the broker")
        await self._serve(self._wire)

    async def _serve(self, wire: Wire) -> None:
        terms, loop = self._terms, asyncio.get_running_loop()
        own_id_at = loop.time() + terms.own_id_every_s
        failures = 0
        self._probed_at = loop.time()
        while True:
            wire.check()
            if self._broken is not None:
                raise self._broken
            now = loop.time()
            wait_s = self._probed_at + terms.probe_every_s - now if terms.probe_every_s else terms.lost_max_s
            if self._cut_at is not None:
                left_s = self._cut_at + terms.lost_max_s - now
                if left_s <= 0:
                    msg = f"the gateway has been without the broker for {terms.lost_max_s:g} s"
                    raise LinkError(msg)
                await self._rest(left_s)
            elif self._synced != self._changes:
                failures = await self._sync(wire, failures)
            elif self._misses >= terms.probe_misses:
                msg = f"no answer to {self._misses} probes; the last bytes came {self.silent_s:.1f} s ago"
                raise LinkError(msg)
            elif self._dialer.is_fallback and now >= own_id_at:
                msg = f"trying client id {terms.dial.client_id} again"
                raise LinkError(msg)
            elif wait_s <= 0:
                await self._probe_once()
            else:
                await self._rest(wait_s)

    async def _probe_once(self) -> None:
        changes = self._changes
        with suppress(LinkError):
            await self.probe()
        if changes != self._changes:
            self._misses = 0  # a pause or an outage meanwhile: silence says nothing of the peer

    async def _sync(self, wire: Wire, failures: int) -> int:
        """Let everybody get in step, then be up; the number of failures in a row."""
        changes = self._changes
        self._move(LinkState.SYNCING, self._why)
        try:
            async with asyncio.timeout(self._terms.sync_timeout_s):
                for hook in self._hooks[0]:
                    await hook()
        except (LinkError, TimeoutError) as error:
            wire.check()
            why = str(error) or f"not in step within {self._terms.sync_timeout_s:g} s"
            if failures + 1 >= self._terms.sync_tries:
                raise LinkError(why) from None
            log.warning("link_sync_failed", why=why)
            await self._rest(self._backoff.next_s())
            return failures + 1
        wire.check()
        if changes == self._changes:
            self._synced = changes
            self._backoff.reset()
            self._move(LinkState.UP, self._why)
        return 0

    async def _rest(self, seconds: float) -> None:
        """Until something happens, but not longer."""
        self._wake.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()

    def _present(self) -> Wire:
        if self._wire is None:
            raise LinkError(self._why)
        self._wire.check()
        return self._wire

    def _move(self, state: LinkState, why: str) -> None:
        if state is not self._state:
            log.info("link_state", state=state.value, was=self._state.value, why=why)
        self._state, self._why = state, why
        if state is LinkState.UP:
            self._watch.up(self._wall_ns())
            self._up.set()
        else:
            self._watch.down(self._wall_ns())

    def _gone(self, why: str) -> None:
        """There is no connection any more."""
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.end(why)
        self._move(LinkState.DOWN, why)

    def _error(self, request: int, code: int, text: str) -> None:
        loop = asyncio.get_running_loop()
        if request == _SAYS_NOTHING_OF_A_REQUEST and code in CUT_CODES:
            self._cut_at = loop.time()
            self._change(LinkState.LOST, f"the broker says {code}: {text}")
        elif request == _SAYS_NOTHING_OF_A_REQUEST and code in RESTORED_CODES:
            self._cut_at = None
            self._change(LinkState.SYNCING, f"the broker says {code}: {text}")
        for hook in self._hooks[2]:
            self._guard(hook, request, code, text)

    def _lost(self, why: str) -> None:
        """The connection that was made is gone; the supervisor will see it, everybody else is told now."""
        self._move(LinkState.DOWN, why)
        self._wake.set()
        for hook in self._hooks[1]:
            self._guard(hook, why)

    def _change(self, state: LinkState, why: str) -> None:
        """What was in step may not be any more."""
        if self._wire is None or self._wire.lost is not None:
            return
        self._changes += 1
        self._misses = 0
        self._move(state, why)
        self._wake.set()
        if state is LinkState.LOST:
            for hook in self._hooks[1]:
                self._guard(hook, why)

    def _paused(self, seconds: float) -> None:
        if self._cut_at is None:
            self._change(LinkState.SYNCING, f"the loop stood still for {seconds:.1f} s")

    def _ticked(self) -> None:
        why = self._watch.alarm(self._wall_ns())
        if why is not None:
            wire = self._terms.wire
            self._alerts.alert(
                AlertKind.LINK_DOWN,
                why=f"the broker at {wire.host}:{wire.port} is {why}: {self._why}",
                effect="no entries; stops stay at the broker; it keeps trying. See that TWS or IB Gateway runs and is "
                f"logged in, and that its API port is {wire.port}",
            )

    def _guard(self, hook: Callable[..., None], *args: object) -> None:
        """The library would log what a listener raises, and go on; here it ends the daemon."""
        try:
            hook(*args)
        except Exception as error:  # noqa: BLE001 -- raised again by the supervisor, at once
            self._broken = error
            self._wake.set()
