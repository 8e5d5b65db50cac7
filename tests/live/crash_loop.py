"""A loop in which a daemon can be stopped dead between any two of its steps, as by kill -9; all else goes on.

A step is one callback of the daemon's: the stretch of a task between two awaits, or what a timer or a socket calls.
"""

import contextvars
import socket
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trader.adapters.state.connection import Connection, Cursor, connect
from trader.gateway.virtual_time import VirtualLoop

LIFE: contextvars.ContextVar["Life | None"] = contextvars.ContextVar("life", default=None)


class Life:
    """One daemon's: it dies before its step `dies_at`, or its statement `breaks_at` (0: never), whichever is first."""

    def __init__(self, dies_at: int, breaks_at: int = 0) -> None:
        self.steps = 0
        self.statements = 0
        self.is_dead = False
        self._dies_at = dies_at
        self._breaks_at = breaks_at
        self._endings: list[Callable[[], Any]] = []

    def may_step(self) -> bool:
        """Count a step; False once it is dead."""
        if not self.is_dead:
            self.steps += 1
            if self.steps == self._dies_at:
                self.die()
        return not self.is_dead

    def may_state(self) -> bool:
        """Count a statement of the state's; False once it is dead."""
        self.statements += 1
        if self.statements == self._breaks_at:
            self.is_dead = True
        return not self.is_dead

    def spare(self) -> None:
        """It will not be killed any more."""
        self._dies_at = self._breaks_at = 0

    def die(self) -> None:
        """Nothing of it happens any more."""
        self.is_dead = True

    def owns(self, ending: Callable[[], Any]) -> None:
        """What the system does when a process is gone."""
        self._endings.append(ending)

    def bury(self) -> None:
        """Close what it had open."""
        self.is_dead = True
        while self._endings:
            self._endings.pop()()


class KilledError(sqlite3.OperationalError):
    """A statement of a process that is no more."""


class Mortal:
    """A connection of a life's: it refuses everything once that is over; what was not committed is not there."""

    def __init__(self, inner: Connection, life: Life) -> None:
        self._inner = inner
        self._life = life

    def execute(self, sql: str, parameters: Any = (), /) -> Cursor:
        if not self._life.may_state():
            raise KilledError("killed")
        return self._inner.execute(sql.replace("synchronous=FULL", "synchronous=OFF"), parameters)

    def close(self) -> None:
        self._inner.close()


def connect_of(life: Life) -> Callable[[Path], Mortal]:
    """How this life opens its state."""

    def connected(path: Path) -> Mortal:
        opened = connect(path)
        life.owns(opened.close)
        return Mortal(opened, life)

    return connected


class CrashLoop(VirtualLoop):
    """Steps of a dead life are left out; its sockets are cut when it is buried."""

    def _lived(self, callback: Callable[..., Any], context: contextvars.Context | None) -> Callable[..., Any]:
        life = LIFE.get() if context is None else context.get(LIFE)
        if life is None:
            return callback

        def step(*args: Any) -> None:
            if life.may_step():
                callback(*args)
            else:  # what is left of its sockets would keep the loop awake, and time from moving
                life.bury()

        return step

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> Any:
        return super().call_soon(self._lived(callback, context), *args, context=context)

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> Any:
        return super().call_soon_threadsafe(self._lived(callback, context), *args, context=context)

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> Any:
        return super().call_at(when, self._lived(callback, context), *args, context=context)

    def _add_reader(self, fd: Any, callback: Any, *args: Any) -> Any:
        return super()._add_reader(fd, self._lived(callback, None), *args)

    async def sock_connect(self, sock: Any, address: Any) -> None:
        life = LIFE.get()
        if life is not None:  # from here on, not from the connection on: a death between them leaves neither behind
            life.owns(lambda: self._cut(sock))
        await super().sock_connect(sock, address)

    async def create_unix_server(self, *args: Any, **kwargs: Any) -> Any:
        server = await super().create_unix_server(*args, **kwargs)
        life = LIFE.get()
        if life is not None:
            life.owns(server.close)
        return server

    def _cut(self, held: socket.socket) -> None:
        fd = held.fileno()
        if fd >= 0:
            self._remove_reader(fd)
            self._remove_writer(fd)
            self._transports.pop(fd, None)
            held.close()
