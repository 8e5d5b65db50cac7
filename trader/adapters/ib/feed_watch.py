"""Watches the feed from beside: is it stale, has its stream died, may the account have live data at all."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog
from msgspec import Struct

from trader.adapters.ib.data_trouble import Trouble, trouble_of
from trader.adapters.ib.slots import Slots
from trader.adapters.ib.staleness import Staleness
from trader.domain.alerts import AlertKind
from trader.domain.units import SECOND_NS
from trader.errors import LinkError
from trader.ports import Alerts

log = structlog.get_logger("trader.feed")
_BARS, _QUOTES = "bars", "quotes"
_NO_ENTRIES = "no entries until live bars come again; stops stay at the broker"


class WatchTerms(Struct, frozen=True, kw_only=True):
    """Seconds. Stale is a bar and `stale_after_s` without news. After `quiet_s` of silence, and again after as long,
    the bars are subscribed to anew; data that was refused is asked for again after `rights_retry_s`. `every_s`: a look.
    """

    stale_after_s: float
    quiet_s: float
    rights_retry_s: float
    every_s: float


class FeedWatch:
    """`on_stale` is told of each change. `renew` subscribes again; a LinkError from it is tried again."""

    def __init__(
        self,
        terms: WatchTerms,
        slots: Slots,
        alerts: Alerts,
        now_ns: Callable[[], int],
        renew: Callable[[], Awaitable[None]],
    ) -> None:
        self.on_stale: Callable[[bool], None] | None = None
        self._terms = terms
        self._alerts = alerts
        self._now_ns = now_ns
        self._renew = renew
        self._staleness = Staleness(slots, round(terms.stale_after_s * SECOND_NS))
        self._denied: dict[str, str] = {}
        self._told = False
        self._is_dead = False
        self._renewed_s = float("-inf")
        self._wake = asyncio.Event()

    @property
    def is_stale(self) -> bool:
        """Whether nothing may be entered on what the feed says."""
        return bool(self._denied) or self._staleness.is_stale

    @property
    def denied(self) -> str | None:
        """Why the account gets no live data; None where nothing speaks against it."""
        return next(iter(self._denied.values()), None)

    def linked(self) -> None:
        """The link is in step, and the bars were asked for."""
        self._staleness.linked(self._now_ns())

    def ended(self) -> None:
        """The subscription has ended, or could not begin."""
        self._is_dead = True
        self._wake.set()

    def lost(self, why: str) -> None:
        """The link is gone."""
        del why
        self._staleness.linked(None)

    def heard(self, ts_open_ns: int, *, began: bool) -> None:
        """An update of a bar came, or a bar began with it."""
        now_ns = self._now_ns()
        self._denied.pop(_BARS, None)
        if began:
            self._staleness.began(ts_open_ns, now_ns)
            self._tell()
        else:
            self._staleness.heard(now_ns)

    def right(self, why: str | None) -> None:
        """A quote has shown that data is live (None), or why it is not."""
        self._deny(_QUOTES, why)

    def error(self, is_ours: bool, code: int, text: str) -> None:  # noqa: FBT001 -- whether it is the subscription's
        """The broker's word on a request: of the subscription, or of anything else."""
        source = _BARS if is_ours else _QUOTES
        match trouble_of(code, text):
            case Trouble.NO_RIGHT:
                self._deny(
                    source, f"no right to live data ({code}: {text}): subscribe to the exchange's data for the API user"
                )
            case Trouble.COMPETING:
                self._deny(source, f"another session of this user gets the data ({code}: {text}): end it")
            case Trouble.LOST_STREAM | Trouble.TRY_AGAIN | Trouble.NO_DATA if is_ours:
                log.warning("bars_ended", code=code, text=text)
                self.ended()
            case _:
                pass

    def _deny(self, source: str, why: str | None) -> None:
        """Live data is denied, or (None) has come, as bars or as quotes: each of them only proves itself."""
        if why is None:
            self._denied.pop(source, None)
        else:
            if not self._denied:
                self._alerts.alert(AlertKind.STALE_BARS, why=why, effect=_NO_ENTRIES)
            self._denied[source] = why
        self._tell()

    async def run(self) -> None:
        """Look, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            self._wake.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._terms.every_s):
                    await self._wake.wait()
            self._look()
            wait_s = self._terms.rights_retry_s if self._denied else self._terms.quiet_s
            if self._needs_renewal() and loop.time() - self._renewed_s >= wait_s:
                self._renewed_s = loop.time()
                await self._renew_once()

    def _needs_renewal(self) -> bool:
        silence_s = self._staleness.silence_ns(self._now_ns()) / SECOND_NS
        return self._is_dead or bool(self._denied) or silence_s >= self._terms.quiet_s

    async def _renew_once(self) -> None:
        try:
            await self._renew()
        except (LinkError, ConnectionError) as error:  # the second is the library's, of a socket that went
            log.warning("bars_not_renewed", why=str(error))
        else:
            self._is_dead = False

    def _look(self) -> None:
        was = self._staleness.is_stale
        if self._staleness.look(self._now_ns()) and not was:
            why = f"no new bar for {self._terms.stale_after_s:g} s longer than a bar, inside the market's hours"
            self._alerts.alert(AlertKind.STALE_BARS, why=why, effect=_NO_ENTRIES)
        self._tell()

    def _tell(self) -> None:
        if self._told != self.is_stale:
            self._told = self.is_stale
            log.warning("bars_stale", is_stale=self._told)
            if self.on_stale is not None:
                self.on_stale(self._told)
