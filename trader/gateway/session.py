"""One client's connection: its socket, what it has asked to be told of, and what is on its way to it."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from msgspec import Struct

from trader.gateway.contracts import Contract
from trader.gateway.layouts import error
from trader.gateway.wire import Fields, Frames, WireError, agreed_version, decode, encode

WAITING_MAX_BYTES = 64 << 20
"""A client that reads so little that more waits for it is cut off, as the broker does."""


class HistoryFeed(Struct, frozen=True, kw_only=True):
    """A history that is kept up to date."""

    contract: Contract
    size_minutes: int
    is_epoch: bool


class Subscriptions(Struct, kw_only=True):
    """What a client wants to be told of, by its request ids."""

    history: dict[int, HistoryFeed] = {}
    real_time: dict[int, Contract] = {}
    quotes: dict[int, Contract] = {}
    profit: set[int] = set()
    positions: bool = False
    account: bool = False
    data_type: int = 1

    @property
    def market(self) -> bool:
        """Whether it wants anything of the market."""
        return bool(self.history or self.real_time or self.quotes)

    def forget_market(self) -> None:
        """The market data subscriptions are lost."""
        self.history.clear()
        self.real_time.clear()
        self.quotes.clear()


class Tap(Protocol):
    """Stands between the gateway and a client's socket: what it writes is what the client gets."""

    def __call__(self, session: "Session", fields: Fields, frame: bytes) -> None: ...


class Owner(Protocol):
    """Who holds the sessions."""

    @property
    def tap(self) -> Tap | None:
        """Who stands before the sockets, if anybody."""
        ...

    def admits(self, session: "Session") -> bool:
        """Whether a connection that has just been made may stay."""
        ...

    def take(self, session: "Session", fields: list[str]) -> None:
        """A request of the client."""
        ...

    def lost(self, session: "Session") -> None:
        """The connection is gone."""
        ...


class Session(asyncio.Protocol):
    """Speaks with one client. `client_id` is None until it has said who it is; `on_lost` hears that it has gone."""

    def __init__(self, owner: Owner, connected_at: Callable[[], str]) -> None:
        self.client_id: int | None = None
        self.wants = Subscriptions()
        self.is_silent = False
        self.on_lost: Callable[[], None] = _nothing
        self._owner = owner
        self._connected_at = connected_at
        self._frames = Frames()
        self._is_agreed = False
        self._transport: asyncio.Transport | None = None
        self._room = asyncio.Event()
        self._room.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio's."""
        if isinstance(transport, asyncio.Transport):
            self._transport = transport
        if not self._owner.admits(self):
            self.reset()

    def data_received(self, data: bytes) -> None:
        """asyncio's: whole frames go to the owner; what is not the protocol ends the connection."""
        if self.is_silent:
            return
        try:
            for body in self._frames.feed(data):
                self._take(body)
        except WireError as wrong:
            self.send(error(-1, 505, f"Fatal Error: {wrong}"))
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio's."""
        del exc
        self._transport = None
        self._room.set()
        self._owner.lost(self)
        self.on_lost()

    def pause_writing(self) -> None:
        """asyncio's."""
        self._room.clear()

    def resume_writing(self) -> None:
        """asyncio's."""
        self._room.set()

    @property
    def is_open(self) -> bool:
        """Whether the client can be spoken to."""
        return self._transport is not None and not self._transport.is_closing()

    def send(self, fields: Fields) -> None:
        """Send a message, by way of whoever stands in between."""
        tap = self._owner.tap
        frame = encode(fields)
        if tap is None:
            self.write(frame)
        else:
            tap(self, fields, frame)

    def write(self, data: bytes) -> None:
        """Bytes as they are; a client that does not read them for too long is cut off."""
        if self._transport is None or self.is_silent:
            return
        self._transport.write(data)
        if self._transport.get_write_buffer_size() > WAITING_MAX_BYTES:
            self.reset()

    async def has_room(self) -> None:
        """Until the client has read what is on its way, more or less; a silent one is not waited for."""
        if not self.is_silent:
            await self._room.wait()

    def close(self) -> None:
        """End the connection when everything is written."""
        if self._transport is not None:
            self._transport.close()

    def reset(self) -> None:
        """Cut the connection: what is on its way is lost."""
        if self._transport is not None:
            self._transport.abort()

    def fall_silent(self) -> None:
        """Stay connected, and neither read nor say anything from now on."""
        self.is_silent = True
        if self._transport is not None:
            self._transport.pause_reading()

    def _take(self, body: bytes) -> None:
        if self._is_agreed:
            self._owner.take(self, decode(body))
            return
        version = agreed_version(body)
        self._is_agreed = True
        self.write(encode([version, self._connected_at()]))


def _nothing() -> None:
    """Nobody wants to know."""
