"""The listening socket and the clients: who may connect, which client ids are in use, what is dispatched where."""

import asyncio
from collections.abc import Callable, Iterator, Mapping

from trader.gateway.layouts import Request, error
from trader.gateway.session import Session, Tap
from trader.gateway.wire import Cursor, WireError

HOST = "127.0.0.1"
CLIENTS_MAX = 32
"""As many clients as the broker's own gateway takes."""

Handler = Callable[[Session, list[str]], None]
Gate = Callable[[Session, int, list[str]], bool]
"""Whether a request, its number first, is served."""


class Server:
    """Listens on loopback. Requests pass the `gate`, which may answer in place of who serves them.

    `is_refusing` cuts new connections off; ids in `held_ids` count as in use. `is_empty` is set while nobody is
    connected.
    """

    def __init__(self, connected_at: Callable[[], str], on_clients: Callable[[bool], None]) -> None:
        self.tap: Tap | None = None
        self.gate: Gate = _open
        self.is_refusing = False
        self.held_ids: set[int] = set()
        self.is_empty = asyncio.Event()
        self.is_empty.set()
        self.port = 0
        self._handlers: dict[int, Handler] = {}
        self._sessions: list[Session] = []
        self._connected_at = connected_at
        self._on_clients = on_clients
        self._listening: asyncio.Server | None = None

    def serve(self, handlers: Mapping[Request, Handler]) -> None:
        """Take these requests; any other is answered by an error."""
        self._handlers.update({int(request): handler for request, handler in handlers.items()})

    async def start(self, port: int) -> None:
        """Listen; port 0 takes a free one. OSError where the port is taken."""
        loop = asyncio.get_running_loop()
        self._listening = await loop.create_server(lambda: Session(self, self._connected_at), HOST, port)
        self.port = self._listening.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening, and let every client go."""
        if self._listening is None:
            return
        self._listening.close()
        for session in list(self._sessions):
            session.reset()
        await self._listening.wait_closed()
        self._listening = None

    @property
    def sessions(self) -> Iterator[Session]:
        """The clients that have said who they are, and hear."""
        return (each for each in list(self._sessions) if each.client_id is not None and each.is_open)

    def session_of(self, client_id: int) -> Session | None:
        """The connection of a client, None while it is not connected."""
        return next((each for each in self.sessions if each.client_id == client_id), None)

    def admits(self, session: Session) -> bool:
        """Session's."""
        if self.is_refusing or len(self._sessions) >= CLIENTS_MAX:
            return False
        self._sessions.append(session)
        self.is_empty.clear()
        return True

    def lost(self, session: Session) -> None:
        """Session's."""
        if session in self._sessions:
            self._sessions.remove(session)
            if not self._sessions:
                self.is_empty.set()
            self._on_clients(any(True for _ in self.sessions))

    def take(self, session: Session, fields: list[str]) -> None:
        """Session's: dispatch by the first field."""
        number = Cursor(fields).whole()
        if session.client_id is None and number != Request.START_API:
            msg = "the first request has to be startApi"
            raise WireError(msg)
        handler = self._handlers.get(number)
        if handler is None:
            session.send(error(-1, 505, f"Fatal Error: Unknown message id {number}."))
        elif self.gate(session, number, fields):
            handler(session, fields)

    def enter(self, session: Session, client_id: int) -> bool:
        """Give a connection its client id; False, with error 326 and the end of it, where that is in use."""
        if client_id in self.held_ids or self.session_of(client_id) is not None:
            session.send(
                error(-1, 326, "Unable to connect as the client id is already in use. Retry with a unique client id.")
            )
            session.close()
            return False
        session.client_id = client_id
        self._on_clients(True)  # noqa: FBT003 -- the one thing that is told
        return True


def _open(session: Session, number: int, fields: list[str]) -> bool:
    """Everything is served."""
    del session, number, fields
    return True
