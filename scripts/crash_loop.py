"""A loop in which a daemon can be stopped dead between any two of its steps, as by kill -9; all else goes on.

A step is one callback of the daemon's: the stretch of a task between two awaits, or what a timer or a socket calls.
Inside a step it dies before a statement of its state, a message to the broker or a line of its journal: nothing else of
a process outlives it.
"""

import contextvars
import re
import socket
import sqlite3
import threading
from asyncio.selector_events import _SelectorSocketTransport  # type: ignore[attr-defined] # to count what is sent
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any

from msgspec import Struct

from trader.adapters.state.connection import Connection, Cursor, connect
from trader.adapters.state.shapes import Kind
from trader.gateway.virtual_time import VirtualLoop

_REFERENCE = re.compile(rb"NQ[A-Z]\d+-\d+(\.[cp]\d+)?")
LIFE: contextvars.ContextVar["Life | None"] = contextvars.ContextVar("life", default=None)


class Moment(StrEnum):
    """What a daemon can die before. A death before a line leaves half of it."""

    STEP = "step"
    STATEMENT = "statement"
    SEND = "send"
    LINE = "line"


class Death(Struct, frozen=True):
    """Before the daemon's `nth` such moment, from 1 on, since it was armed."""

    moment: Moment
    nth: int


class Record:
    """What all lives have had on the disk before it was sent: the references of orders, and those sent without."""

    def __init__(self) -> None:
        self.unwritten: list[str] = []
        self._written: set[str] = set()
        self._begun: set[str] = set()

    def stated(self, sql: str, parameters: Any) -> None:
        """A statement of the state's has been made."""
        if sql.startswith("INSERT INTO kept") and parameters[1] == Kind.INTENT:
            self._begun.add(parameters[2])
        elif sql == "BEGIN IMMEDIATE":
            self._begun.clear()
        elif sql == "COMMIT":
            self._written |= self._begun

    def sent(self, message: bytes) -> None:
        """A message to the broker leaves; an order names its reference."""
        _, *fields = message.split(b"\0")
        if message[4:].startswith(b"3\0"):
            found = [field.decode() for field in fields if _REFERENCE.fullmatch(field)]
            self.unwritten += [order_ref for order_ref in found if order_ref not in self._written]


class Life:
    """One daemon's, until the death with which it is armed."""

    def __init__(self, death: Death | None, record: Record) -> None:
        self.record = record
        self.is_dead = False
        self.has_been_killed = False
        self._endings: list[Callable[[], Any]] = []
        self.arm(death)

    def arm(self, death: Death | None) -> None:
        """Count from here on; None: it lives."""
        self._death = death
        self.counts = dict.fromkeys(Moment, 0)

    def may(self, moment: Moment) -> bool:
        """Count this one; False once it is dead: then it does not happen."""
        if not self.is_dead:
            self.counts[moment] += 1
            if self._death == Death(moment, self.counts[moment]):
                self.is_dead = self.has_been_killed = True
        return not self.is_dead

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


class Rows:
    """What a statement found."""

    def __init__(self, rows: list[Any]) -> None:
        self._rows = rows

    def fetchall(self) -> list[Any]:
        return self._rows


class Mortal:
    """A connection of a life's: it refuses everything once that is over; what was not committed is not there."""

    def __init__(self, inner: Connection, life: Life) -> None:
        self._inner = inner
        self._life = life
        self._at_work = threading.Lock()  # SQLite does not bear to be closed by one thread at a statement of another's

    def execute(self, sql: str, parameters: Any = (), /) -> Cursor:
        with self._at_work:
            if not self._life.may(Moment.STATEMENT):
                raise KilledError
            quick = sql.replace("synchronous=FULL", "synchronous=OFF")
            rows = self._inner.execute(quick, parameters).fetchall()
            self._life.record.stated(sql, parameters)
            return Rows(rows)

    def close(self) -> None:
        with self._at_work:
            self._inner.close()


def connect_of(life: Life) -> Callable[[Path], Mortal]:
    """How this life opens its state."""

    def connected(path: Path) -> Mortal:
        opened = Mortal(connect(path), life)
        life.owns(opened.close)
        return opened

    return connected


class Pen:
    """A journal that a life writes to: half a line is the last of it. All else is the journal's own."""

    def __init__(self, inner: Any, life: Life) -> None:
        self._inner = inner
        self._life = life

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def write(self, line: bytes) -> None:
        was_dead = self._life.is_dead
        if self._life.may(Moment.LINE):
            self._inner.write(line)
        elif not was_dead:
            self._inner.write(line[: len(line) // 2])


class _Wire(_SelectorSocketTransport):
    """What a dead life sends stays with it."""

    def __init__(self, *args: Any) -> None:
        self._owner = LIFE.get()
        super().__init__(*args)

    def write(self, data: Any) -> None:
        if self._owner is None or self._owner.may(Moment.SEND):
            if self._owner is not None:
                self._owner.record.sent(bytes(data))
            super().write(data)

    def let_go(self) -> None:
        """It has no socket any more: whoever tidies the dead up must not touch the next one under the same number."""
        self._closing = True
        self._conn_lost = 1
        self._buffer.clear()


class CrashLoop(VirtualLoop):
    """Steps of a dead life are left out; its sockets are cut when it is buried."""

    def _lived(self, callback: Callable[..., Any], context: contextvars.Context | None) -> Callable[..., Any]:
        life = LIFE.get() if context is None else context.get(LIFE)
        if life is None:
            return callback

        def step(*args: Any) -> None:
            if life.may(Moment.STEP):
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

    def _make_socket_transport(self, sock: Any, protocol: Any, waiter: Any = None, **kwargs: Any) -> Any:
        return _Wire(self, sock, protocol, waiter, kwargs.get("extra"), kwargs.get("server"))

    def _start_serving(self, protocol_factory: Any, sock: Any, *args: Any, **kwargs: Any) -> None:
        life = LIFE.get()
        if life is not None:
            life.owns(lambda: self._cut(sock))
        super()._start_serving(protocol_factory, sock, *args, **kwargs)

    def _cut(self, held: socket.socket) -> None:
        fd = held.fileno()
        if fd < 0:
            return
        self._remove_reader(fd)
        self._remove_writer(fd)
        transport = self._transports.pop(fd, None)
        if isinstance(transport, _Wire):
            transport.let_go()
        held.close()
