"""What feed and history need of the link."""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from trader.adapters.ib.foreign import IbBar, IbBars
from trader.adapters.ib.foreign_client import IB

T = TypeVar("T")


class DataLink(Protocol):
    """The connection as far as market data goes; `Link` is one."""

    @property
    def ib(self) -> IB: ...

    @property
    def is_up(self) -> bool: ...

    async def ask(self, what: str, awaitable: Awaitable[T], timeout_s: float | None = None) -> T: ...

    async def probe(self) -> int: ...

    async def wait_up(self) -> None: ...

    def on_sync(self, hook: Callable[[], Awaitable[None]]) -> None: ...

    def on_lost(self, hook: Callable[[str], None]) -> None: ...

    def on_error(self, hook: Callable[[int, int, str], None]) -> None: ...


def bars_in(bars: IbBars) -> list[IbBar]:
    """The bars of an answer, as they are now."""
    return [bars[place] for place in range(len(bars))]
