"""Requests to one server, one at a time, in the calling thread: small bounded answers, or an InputError in few words.

Each call runs a private event loop, so that a timeout or `close` from another thread ends it wherever it is. Redirects
are not followed, proxies and cookies not used, compressed replies refused. No text of a server that has been sent a
token is repeated without the token covered.
"""

import asyncio
import threading
from collections.abc import Coroutine
from contextlib import suppress

import aiohttp
import msgspec
from yarl import URL

from trader.adapters.openai.credential import Secret
from trader.adapters.openai.listening import is_loopback
from trader.adapters.openai.wire import ErrorBody
from trader.errors import ConfigurationError, InputError

MAX_REPLY_BYTES = 1 << 20
SHOWN_CHARS = 160
_CLOSE_PATIENCE_S = 5.0
_REFUSED = frozenset({401, 403})
_NOT_NOW = frozenset({429, 502, 503, 504})


class AwayError(InputError):
    """The server did not answer at all, or not now: nothing is known of what it offers."""


class Client:
    """Speaks to the server at `url` (its path included), over the unix socket `socket` where one is given.

    ConfigurationError for an url that is none, or that would carry the token over a network in the clear.
    """

    def __init__(self, url: str, socket: str | None, secret: Secret | None, timeout_s: float) -> None:
        self._url = _checked_url(url, is_private=socket is not None or secret is None)
        self._socket = socket
        self._secret = secret
        self._timeout_s = timeout_s
        self._runner: asyncio.Runner | None = None
        self._task: asyncio.Task[bytes] | None = None
        self._turn = threading.Lock()
        self._is_closed = False

    @property
    def place(self) -> str:
        """Where the server is, for people."""
        return self._socket or f"{self._url.host}:{self._url.port}"

    def get(self, path: str) -> bytes:
        """The body of a 200 answer to GET `url`/`path`; InputError for whatever else happens."""
        return self._request("GET", path, None)

    def post(self, path: str, body: bytes) -> bytes:
        """The body of a 200 answer to the JSON `body`; InputError for whatever else happens."""
        return self._request("POST", path, body)

    def hide(self, text: str) -> str:
        """`text` without the token."""
        return text if self._secret is None else self._secret.hidden_in(text)

    def close(self) -> None:
        """End the request in progress, which raises InputError; nothing can be asked afterwards. Any thread."""
        self._is_closed = True
        task = self._task
        if task is not None:
            with suppress(RuntimeError):  # the request has just ended, and its loop been closed
                task.get_loop().call_soon_threadsafe(task.cancel)
        closing = threading.Thread(target=self._shut, name="advisor-http-close", daemon=True)
        closing.start()
        closing.join(_CLOSE_PATIENCE_S)

    def _shut(self) -> None:
        with self._turn:
            runner, self._runner = self._runner, None
            if runner is not None:
                runner.close()

    def _request(self, method: str, path: str, body: bytes | None) -> bytes:
        with self._turn:
            if self._is_closed:
                raise AwayError(_CLOSED)
            if self._runner is None:
                self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
            return self._run(self._runner, self._exchange(method, path, body))

    def _run(self, runner: asyncio.Runner, exchange: Coroutine[None, None, bytes]) -> bytes:
        try:
            return runner.run(exchange)
        except asyncio.CancelledError:
            raise AwayError(_CLOSED) from None
        except TimeoutError:
            msg = f"no answer from {self.place} within {self._timeout_s:g} s"
        except aiohttp.ClientConnectorError as error:
            msg = f"cannot connect to {self.place} ({error.os_error.strerror or type(error.os_error).__name__})"
        except (aiohttp.ClientError, OSError, ValueError) as error:  # their texts may hold a request's headers
            msg = f"the exchange with {self.place} failed ({type(error).__name__})"
        finally:
            self._task = None
        raise AwayError(msg) from None

    async def _exchange(self, method: str, path: str, body: bytes | None) -> bytes:
        self._task = asyncio.current_task()
        if self._is_closed:
            raise asyncio.CancelledError
        async with (
            aiohttp.ClientSession(
                connector=_connector(self._socket),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=self._timeout_s),
                auto_decompress=False,
                trust_env=False,
            ) as session,
            session.request(
                method, self._url / path, data=body, headers=self._headers(), allow_redirects=False
            ) as response,
        ):
            content = await _bounded(response, self.place)
            if response.status != 200:
                kind = AwayError if response.status in _NOT_NOW else InputError
                raise kind(self._refusal(response.status, content))
            if response.headers.get("Content-Encoding", "identity") != "identity":
                msg = f"{self.place} compresses its answer unasked"
                raise InputError(msg)
            return content

    def _headers(self) -> dict[str, str]:
        headers = {"Accept": "application/json", "Accept-Encoding": "identity", "Content-Type": "application/json"}
        if self._secret is not None:
            headers["Authorization"] = f"Bearer {self._secret.reveal()}"
        return headers

    def _refusal(self, status: int, content: bytes) -> str:
        where = f"{self.place} answered HTTP {status}"
        if status in _REFUSED:
            return f"{where}: it does not accept the token" if self._secret else f"{where}: it wants a token"
        if 300 <= status < 400:
            return f"{where}: redirects are not followed"
        try:
            message = msgspec.json.decode(content, type=ErrorBody).error.message
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return where
        shown = "".join(each if each.isprintable() else " " for each in self.hide(message))
        return f"{where}: {shown[:SHOWN_CHARS]}"


_CLOSED = "the back end has been closed"


def _connector(unix_socket: str | None) -> aiohttp.BaseConnector:
    # One connection a question: a kept one may have been dropped by the server since the last bar, unnoticed.
    if unix_socket is not None:
        return aiohttp.UnixConnector(path=unix_socket, force_close=True)
    return aiohttp.TCPConnector(force_close=True)


async def _bounded(response: aiohttp.ClientResponse, place: str) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in response.content.iter_any():
        size += len(part)
        if size > MAX_REPLY_BYTES:
            msg = f"{place} sends more than {MAX_REPLY_BYTES:,} bytes"
            raise InputError(msg)
        parts.append(part)
    return b"".join(parts)


def _checked_url(text: str, *, is_private: bool) -> URL:
    try:
        url = URL(text)
        is_complete = url.scheme in {"http", "https"} and bool(url.host) and url.port is not None
    except ValueError:
        is_complete = False
    if not is_complete or url.user is not None or url.password is not None or url.query_string or url.fragment:
        msg = (
            "advisor.openai.url must be http(s)://host:port/path without user, password or query, such as "
            "http://127.0.0.1:8000/v1; a token belongs in the file that advisor.openai.credential names"
        )
        raise ConfigurationError(msg)
    if not is_private and url.scheme == "http" and not is_loopback(url.host or ""):
        msg = f"advisor.openai.url: the token would cross the network unencrypted to {url.host}; use https or a tunnel"
        raise ConfigurationError(msg)
    return url.with_path(url.path.rstrip("/") or "/")
