"""The one task that keeps the link up: connects, lets everybody get in step, feels the pulse, and connects again."""

import asyncio
import random
from contextlib import suppress

import structlog
from msgspec import Struct

from trader.adapters.ib.clocks import Backoff, Pulse
from trader.adapters.ib.dialing import Dialer, DialTerms
from trader.adapters.ib.hooks import Hooks
from trader.adapters.ib.library import Library
from trader.adapters.ib.nights import NightTerms
from trader.adapters.ib.standing import CLOSED, LinkState, Standing
from trader.adapters.ib.wire import NO_REQUEST, Wire, WireTerms
from trader.domain.alerts import AlertKind
from trader.domain.masking import masked
from trader.errors import LinkError
from trader.ports import Alerts

log = structlog.get_logger("trader.link")
CUT_CODES = frozenset({1100, 2110})
RESTORED_CODES = frozenset({1101, 1102})


class LinkTerms(Struct, frozen=True, kw_only=True):
    """Every figure of the link. Seconds.

    `probe_every_s` 0 sends no probes, `loop_pause_s` 0 looks for no pauses. After `sync_tries` failed synchronisations,
    each at most `sync_timeout_s`, and after `lost_max_s` of 1100, the connection is made anew. With the fallback id it
    tries the own one again every `own_id_every_s`, and after `own_id_soon_s` where that is asked for.
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
    own_id_soon_s: float


class Supervisor:
    """Runs the link. `wire` is the connection of the moment, None while there is none."""

    def __init__(
        self,
        terms: LinkTerms,
        library: Library,
        standing: Standing,
        hooks: Hooks,
        alerts: Alerts,
        chance: random.Random,
    ) -> None:
        self.wire: Wire | None = None
        self.dialer = Dialer(library, terms.wire, terms.dial)
        self.pulse = Pulse(terms.probe_every_s, terms.probe_misses)
        self._terms = terms
        self._library = library
        self._standing = standing
        self._hooks = hooks
        self._alerts = alerts
        self._backoff = Backoff(terms.backoff_first_s, terms.backoff_max_s, chance)
        self._changes = 0  # each of them asks for a synchronisation; `_synced` is the last one that has had it
        self._synced = 0
        self._cut_at: float | None = None
        self._is_limited = False
        self._wants_own_id = False
        self._is_closed = False
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Until it is closed. AccessError where the login is not the account and mode that are configured."""
        # The library asks for the thread's loop, which a runner with a loop of its own kind does not set.
        asyncio.set_event_loop(asyncio.get_running_loop())
        dial, wire = self._terms.dial, self._terms.wire
        log.info(
            "connecting",
            to=f"{wire.host}:{wire.port}",
            account=masked(dial.account) if dial.account else "any, for bars only",
            client_id=dial.client_id,
            library=f"{self._library.name} {self._library.version}",
        )
        self._standing.start(lambda seconds: self.resync(f"the loop stood still for {seconds:.1f} s"))
        try:
            while not self._is_closed:
                try:
                    await self._connection()
                except LinkError as error:
                    self._gone(str(error))
                    self._hooks.check()
                    if not self._is_closed:
                        await self._rest(self._backoff.next_s())
        finally:
            self._standing.stop()
            self._gone(CLOSED)

    def close(self) -> None:
        """Say goodbye; `run` returns soon."""
        self._is_closed = True
        self.dialer.hang_up()
        if self.wire is not None:
            self.wire.end(CLOSED)
        self._wake.set()

    def resync(self, why: str) -> None:
        """What was in step may not be any more: all sync hooks, before it is up again."""
        if self._cut_at is None:
            self._change(LinkState.SYNCING, why)

    def reclaim(self) -> None:
        """Try the own client id again soon, where this is the fallback's."""
        if self.dialer.is_fallback and not self._wants_own_id:
            self._wants_own_id = True
            self._wake.set()

    async def _connection(self) -> None:
        """One connection, from the first try to its end: always a LinkError."""
        self._cut_at = None
        self._standing.move(LinkState.CONNECTING)
        self.wire = await self.dialer.dial(self._error, self._lost)
        self._changes += 1
        self.pulse.begin()
        if self.dialer.is_fallback and not self._is_limited:
            why = f"client id {self._terms.dial.client_id} is in use (326): connected as the fallback"
            self._alerts.alert(AlertKind.LINK_LIMITED, why=why, effect="it may only flatten; end the other connection")
        self._is_limited = self.dialer.is_fallback
        await self._serve(self.wire)

    async def _serve(self, wire: Wire) -> None:
        terms, clock = self._terms, asyncio.get_running_loop().time
        begun_at = clock()
        self._wants_own_id = False
        failures = 0
        while True:
            wire.check()
            self._hooks.check()
            due_in_s = self.pulse.due_in_s
            if self._cut_at is not None:
                await self._wait_restored(self._cut_at + terms.lost_max_s - clock())
            elif self._synced != self._changes:
                failures = await self._sync(wire, failures)
            elif self.pulse.is_dead:
                self._declare_dead(wire)
            elif self.dialer.is_fallback and clock() - begun_at >= self._own_id_after_s:
                msg = f"trying client id {terms.dial.client_id} again"
                raise LinkError(msg)
            elif due_in_s is not None and due_in_s <= 0:
                await self._probe(wire)
            else:
                await self._rest(min(due_in_s or self._own_id_after_s, self._own_id_after_s))

    @property
    def _own_id_after_s(self) -> float:
        return self._terms.own_id_soon_s if self._wants_own_id else self._terms.own_id_every_s

    async def _wait_restored(self, left_s: float) -> None:
        self._standing.move(LinkState.LOST)
        if left_s <= 0:
            msg = f"the gateway has been without the broker for {self._terms.lost_max_s:g} s"
            raise LinkError(msg)
        await self._rest(left_s)

    async def _sync(self, wire: Wire, failures: int) -> int:
        """Let everybody get in step, then be up; the number of failures in a row."""
        changes = self._changes
        self._standing.move(LinkState.SYNCING)
        self.pulse.misses = 0  # those of a pause or an outage say nothing of the peer
        try:
            await self._call_hooks(wire)
        except (LinkError, TimeoutError, ConnectionError) as error:  # the last is the library's, of a socket that went
            wire.check()
            why = str(error) or f"not in step within {self._terms.sync_timeout_s:g} s"
            if failures + 1 >= self._terms.sync_tries:
                raise LinkError(why) from None
            log.warning("link_sync_failed", why=why)
            self._standing.why = why
            await self._rest(self._backoff.next_s())
            return failures + 1
        wire.check()
        if changes == self._changes:
            self._synced = changes
            self._backoff.reset()
            self._standing.move(LinkState.UP, "in step with the broker")
        return 0

    async def _call_hooks(self, wire: Wire) -> None:
        """One after the other, and the pulse is felt meanwhile: a link that falls silent ends what they wait for."""
        failed: Exception | None = None
        async with asyncio.TaskGroup() as tasks:
            feeling = tasks.create_task(self._feel(wire))
            try:
                async with asyncio.timeout(self._terms.sync_timeout_s):
                    for hook in self._hooks.sync:
                        await hook()
            except Exception as error:  # noqa: BLE001 -- raised below, as it is and in no group
                failed = error
            finally:
                feeling.cancel()
        if failed is not None:
            raise failed

    async def _feel(self, wire: Wire) -> None:
        """Probe when it is due, until the pulse is dead. Behind a gateway without the broker nobody answers."""
        while wire.lost is None and not self.pulse.is_dead:
            due_in_s = self.pulse.due_in_s
            if due_in_s is None:
                return
            if due_in_s > 0:
                await asyncio.sleep(due_in_s)
            elif self._cut_at is not None:
                await asyncio.sleep(self._terms.probe_every_s)
            else:
                await self._felt(wire)
        if wire.lost is None:
            self._declare_dead(wire)

    async def _probe(self, wire: Wire) -> None:
        """Feel the pulse once; whatever happens meanwhile comes first, and the answer is not waited for any more."""
        self._wake.clear()
        async with asyncio.TaskGroup() as tasks:
            both = tasks.create_task(self._felt(wire)), tasks.create_task(self._wake.wait())
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            for each in both:
                each.cancel()

    async def _felt(self, wire: Wire) -> None:
        with suppress(LinkError, ConnectionError):  # the second is the library's, of a socket that went
            await self.pulse.probe(wire)

    def _declare_dead(self, wire: Wire) -> None:
        wire.end(f"no answer to {self.pulse.misses} probes; last bytes {wire.silent_s:.1f} s ago", is_dead=True)

    async def _rest(self, seconds: float) -> None:
        """Until something happens, but not longer."""
        self._wake.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()

    def _gone(self, why: str) -> None:
        """There is no connection any more."""
        wire, self.wire = self.wire, None
        if wire is not None:
            wire.end(why)
        self._standing.move(LinkState.DOWN, why)

    def _error(self, request: int, code: int, text: str) -> None:
        """The broker's, told by a wire."""
        if request == NO_REQUEST and code in CUT_CODES:
            self._cut_at = asyncio.get_running_loop().time()
            self._change(LinkState.LOST, f"the broker says {code}: {text}")
        elif request == NO_REQUEST and code in RESTORED_CODES:
            self._cut_at = None
            self._change(LinkState.SYNCING, f"the broker says {code}: {text}")
        self._hooks.tell_error(request, code, text)
        if self._hooks.broken is not None:
            self._wake.set()

    def _lost(self, why: str) -> None:
        """The connection is gone; the supervisor will see it when its turn comes, everybody else is told now."""
        self._standing.move(LinkState.DOWN, why)
        self._wake.set()
        self._hooks.tell_lost(why)

    def _change(self, state: LinkState, why: str) -> None:
        if self.wire is None or self.wire.lost is not None:
            return
        self._changes += 1
        self._standing.move(state, why)
        self._wake.set()
        if state is LinkState.LOST:
            self._hooks.tell_lost(why)
