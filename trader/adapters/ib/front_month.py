"""The month that is traded now: pinned at the first connection, and exchanged for the next one by the roll rule."""

import asyncio

import structlog

from trader.adapters.ib.contract import Pinned, resolve, roll_from_ns
from trader.adapters.ib.data_client import DataLink
from trader.adapters.ib.history import History
from trader.adapters.ib.library import Library
from trader.domain.instruments import Instrument
from trader.domain.sessions import Calendar
from trader.errors import LinkError

log = structlog.get_logger("trader.feed")


class FrontMonth:
    """Which month it is, and the offset to the next one."""

    def __init__(self, link: DataLink, library: Library, market: Instrument, calendar: Calendar) -> None:
        self._link = link
        self._library = library
        self._market = market
        self._calendar = calendar
        self._pinned: Pinned | None = None
        self._until_ns = 0

    @property
    def pinned(self) -> Pinned:
        """The month; LinkError before the broker has been asked."""
        if self._pinned is None:
            msg = "the broker has not been asked for the contract yet"
            raise LinkError(msg)
        return self._pinned

    @property
    def until_ns(self) -> int:
        """From when on another month is the front by the rule: the close of this one's last session."""
        return self._until_ns

    @property
    def is_pinned(self) -> bool:
        """Whether the broker has been asked."""
        return self._pinned is not None

    def pin(self, month: Pinned) -> None:
        """This is it from now on."""
        self._pinned = month
        self._until_ns = roll_from_ns(self._calendar, month.symbol)
        log.info("contract_pinned", contract=month.symbol, con_id=month.con_id, expiry=month.expiry)

    async def at(self, now_ns: int) -> Pinned:
        """The front month at a moment, as the broker knows it."""
        return await resolve(self._link, self._library, self._market, self._calendar, now_ns)

    async def offset_to(self, new: Pinned, history: History, before_ns: int) -> float:
        """New minus old close in points before a moment; LinkError where it is not known."""
        return await history.offset(self.pinned, new, before_ns)


class Retry:
    """Lets something be tried once in so many seconds of the loop's clock."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._after_s = float("-inf")

    def is_due(self) -> bool:
        """Whether to try now, which counts as tried."""
        now_s = asyncio.get_running_loop().time()
        if now_s < self._after_s:
            return False
        self._after_s = now_s + self._every_s
        return True
