"""One connection to the broker, from its making to its end. The next one is a new object: after a lost socket the
library's orders are frozen and its subscriptions dead, without a word.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

from msgspec import Struct

from trader.adapters.ib.foreign import IbContract
from trader.adapters.ib.foreign_client import IB, Transport
from trader.adapters.ib.library import Library
from trader.adapters.ib.logs import without_accounts
from trader.errors import LinkError, RefusedError

T = TypeVar("T")
IN_USE, PORT_MOVED = 326, 1300
REFUSALS = frozenset({IN_USE, 501, 502, 503, 504, PORT_MOVED})
"""Errors of the start that concern no request, after which there will be no connection."""
DATA_FARMS = frozenset({2103, 2104, 2105, 2106, 2107, 2108, 2119, 2157, 2158})
NO_REQUEST = -1
_KEEPALIVE = (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 2))


class WireTerms(Struct, frozen=True, kw_only=True):
    """Where to connect, and how long to wait, in seconds: for the connection and each answer of the start; for the
    answer to a request."""

    host: str
    port: int
    connect_timeout_s: float
    request_timeout_s: float


class InUseError(LinkError):
    """The client id is another connection's (326): most often our own one that has not ended at the broker yet."""


class Wire:
    """One connection. `lost` says why it is gone, None while it is not; `on_lost` is told once.

    `on_error` gets every error of the broker: the request's or order's id (-1: none), its code and text.
    """

    def __init__(
        self,
        library: Library,
        terms: WireTerms,
        account: str,
        on_error: Callable[[int, int, str], None],
        on_lost: Callable[[str], None],
    ) -> None:
        self.ib: IB = library.ib()
        self.lost: str | None = None
        self._bytes_at = asyncio.get_running_loop().time()
        self._request_error = library.request_error
        self._terms = terms
        self._account = account
        self._on_error = on_error
        self._on_lost = on_lost
        self._in_use = False
        self._is_open = False
        self._remark = ""
        self._waiting: set[asyncio.Timeout] = set()
        # The library empties a refused request's answer unless it is told to say so; and it wants an account summary
        # of its own after 1102, in a task that nobody awaits.
        self.ib.RaiseRequestErrors = True
        # It would hold back what comes after 45 messages in a second, a probe and a stop alike; orders and requests for
        # history are paced where they are made.
        self.ib.client.MaxRequests = 0
        self.ib.errorEvent.clear()
        self.ib.errorEvent.connect(self._error)
        self.ib.disconnectedEvent.connect(self._disconnected)
        self.ib.client.conn.disconnected.connect(self._disconnected)
        self.ib.client.conn.hasData.connect(self._bytes)

    async def open(self, client_id: int) -> None:
        """Connect, and see that every answer of the start came. LinkError, InUseError where it is not there yet."""
        try:
            await self._start(client_id)
        except (OSError, TimeoutError, LinkError, self._request_error) as error:
            why = self._why(error)
            raise (InUseError(why) if self._in_use else LinkError(why)) from None
        else:
            self._is_open, self._remark = True, ""
        finally:
            if not self._is_open:
                self.end("not opened")

    async def _start(self, client_id: int) -> None:
        terms = self._terms
        steps = 4  # the socket, the ids, the first answers, the executions: the library's timeout is for each
        async with self._until(steps * terms.connect_timeout_s):
            await self.ib.connectAsync(
                terms.host, terms.port, clientId=client_id, timeout=terms.connect_timeout_s, account=self._account
            )
        keep_alive(self.ib.client.conn.transport)
        # The library goes on without answers that never come, and then knows no orders: asked again, each must.
        await self.ask("open orders", self.ib.reqOpenOrdersAsync())
        await self.ask("positions", self.ib.reqPositionsAsync())
        await self.ask("executions", self.ib.reqExecutionsAsync())

    async def ask(self, what: str, awaitable: Awaitable[T], timeout_s: float | None = None) -> T:
        """The answer to a request that has been sent. LinkError where it does not come, RefusedError on an error."""
        limit_s = self._terms.request_timeout_s if timeout_s is None else timeout_s
        try:
            async with self._until(limit_s):
                return await awaitable
        except TimeoutError:
            msg = self.lost or f"no answer to the question for {what} in {limit_s:g} s{self._remark}"
            raise LinkError(msg) from None
        except ConnectionError as error:
            self.lose(str(error))
            raise LinkError(self.lost or str(error)) from None
        except self._request_error as error:
            code, text = getattr(error, "code", 0), getattr(error, "message", "")
            msg = f"{what}: the broker says {code}: {without_accounts(text, self._account)}"
            raise RefusedError(msg, code) from None

    def check(self) -> None:
        """LinkError where the connection is gone."""
        if self.lost is not None:
            raise LinkError(self.lost)

    @property
    def silent_s(self) -> float:
        """Seconds since the last bytes came."""
        return asyncio.get_running_loop().time() - self._bytes_at

    def lose(self, why: str) -> None:
        """The connection is gone, or as good as gone: whoever waits for an answer is told. Once."""
        if self.lost is not None:
            return
        self.lost = why
        now = asyncio.get_running_loop().time()
        for limit in self._waiting:
            if not limit.expired():
                limit.reschedule(now)
        if self._is_open:
            self._on_lost(why)

    def end(self, why: str, *, is_dead: bool = False) -> None:
        """Let go of the connection. A dead one is cut: its peer will not take what is still to be written."""
        self.lose(why)
        transport = self.ib.client.conn.transport
        if transport is None:
            return
        if is_dead:
            transport.abort()
            return
        with suppress(RuntimeError):  # a loop's objection to closing what is closed
            self.ib.disconnect()
        asyncio.get_running_loop().call_later(self._terms.request_timeout_s, transport.abort)

    @asynccontextmanager
    async def _until(self, seconds: float) -> AsyncIterator[None]:
        """A time limit that ends at once when the connection is lost."""
        async with asyncio.timeout(seconds) as limit:
            self._waiting.add(limit)
            task = asyncio.current_task()
            cancels = 0 if task is None else task.cancelling()
            try:
                yield
            finally:
                self._waiting.discard(limit)
            if task is not None and task.cancelling() > cancels:
                # Before Python 3.12 asyncio.wait_for, which the library waits with, loses a cancellation that comes
                # together with the answer; whoever ends a task would wait for it for ever.
                raise asyncio.CancelledError

    def _why(self, error: Exception) -> str:
        terms = self._terms
        if self.lost is not None:
            why = self.lost
        elif isinstance(error, TimeoutError):
            why = f"something listens there, and does not answer in {terms.connect_timeout_s:g} s"
        elif isinstance(error, ConnectionRefusedError):
            why = "nothing listens there"
        else:
            why = str(error) or type(error).__name__
        return f"{terms.host}:{terms.port}: {why}{self._remark if self._remark not in why else ''}"

    def _error(self, request: int, code: int, text: str, contract: IbContract | None) -> None:
        del contract
        said = without_accounts(text, self._account)
        if request == NO_REQUEST and code in DATA_FARMS:
            pass  # they come by the dozen, and concern the market data only
        elif request == NO_REQUEST and not self._is_open:
            self._remark = f"; the broker says {code}: {said}"
            if code in REFUSALS:
                self._in_use = code == IN_USE
                self.lose(f"the broker says {code}: {said}")
        elif request == NO_REQUEST and code == PORT_MOVED:
            self.lose(f"the broker says {code}: {said}")
        self._on_error(request, code, said)

    def _disconnected(self, message: str = "") -> None:
        self.lose(message or "the connection was closed at the other end")

    def _bytes(self, received: bytes) -> None:
        del received
        self._bytes_at = asyncio.get_running_loop().time()


def keep_alive(transport: Transport | None) -> None:
    """Let the system find out too that a peer is gone, in about 20 s."""
    held = None if transport is None else transport.get_extra_info("socket")
    if held is None:
        return
    held.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, seconds in _KEEPALIVE:
        if hasattr(socket, name):
            held.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), seconds)
