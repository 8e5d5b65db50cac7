"""One month's bars kept up to date: asked for, listened to below the library, and ended."""

from collections.abc import Callable
from contextlib import suppress

from trader.adapters.ib.contract import Pinned, as_contract
from trader.adapters.ib.data_client import DataLink, bars_in
from trader.adapters.ib.foreign import IbBar
from trader.adapters.ib.foreign_client import IB
from trader.adapters.ib.heard import Heard, heard
from trader.adapters.ib.history import EPOCH_DATES, SIZES, WHAT
from trader.adapters.ib.library import Library
from trader.domain.units import MINUTE_NS
from trader.errors import LinkError

_NONE = -1


class Subscription:
    """`on_update` is told of each update of the subscription that is in force, late corrections too.

    The library passes on only what is newer than what it has: after an empty first list nothing at all, and no
    correction of a bar once the next one has begun. So its callback is listened to, and it is left to do as it likes.
    """

    def __init__(self, link: DataLink, library: Library, bar_ns: int, on_update: Callable[[Heard], None]) -> None:
        self.request_id = _NONE
        self._link = link
        self._library = library
        self._size = SIZES[bar_ns // MINUTE_NS]
        self.on_update = on_update
        self._heard_ib: IB | None = None
        self._early: list[tuple[int, Heard]] | None = None

    async def ask(self, pinned: Pinned, span_s: int) -> list[Heard]:
        """Subscribe; the bars of the last `span_s` seconds, the last of them perhaps still forming. LinkError."""
        self.cancel()
        ib = self._link.ib
        self._listen(ib)
        self._early = []
        try:
            bars = await self._link.ask(
                f"bars of {pinned.symbol}",
                ib.reqHistoricalDataAsync(
                    as_contract(self._library, pinned),
                    "",
                    f"{span_s} S",
                    self._size,
                    WHAT,
                    useRTH=False,
                    formatDate=EPOCH_DATES,
                    keepUpToDate=True,
                ),
            )
            self.request_id = bars.reqId
            told = [heard(bar) for bar in bars_in(bars)]
            return told + [bar for request_id, bar in self._early if request_id == bars.reqId]
        finally:
            self._early = None

    def cancel(self) -> None:
        """Listen no more, and tell the broker."""
        request_id, self.request_id = self.request_id, _NONE
        if request_id == _NONE:
            return
        with suppress(LinkError, ConnectionError):  # with its connection it has ended anyway
            ib = self._link.ib
            if ib is self._heard_ib:
                ib.client.cancelHistoricalData(request_id)

    def _listen(self, ib: IB) -> None:
        if self._heard_ib is ib:
            return
        self._heard_ib = ib
        callbacks = ib.wrapper
        pass_on = callbacks.historicalDataUpdate

        def update(request_id: int, bar: IbBar) -> None:
            if request_id == self.request_id:
                self.on_update(heard(bar))
            elif self._early is not None:
                self._early.append((request_id, heard(bar)))
            pass_on(request_id, bar)

        callbacks.historicalDataUpdate = update
