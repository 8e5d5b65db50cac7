"""The daemon's end of the control socket. A client that floods, dawdles or vanishes costs its own connection only."""

import asyncio
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import structlog

from trader.adapters.control.messages import LONGEST_REQUEST, Reply, Request, line_of, request_of
from trader.adapters.control.place import listening
from trader.errors import InputError

log = structlog.get_logger("trader.control")
MOST_CLIENTS = 100
SILENCE_S = 30.0
"""How long a connection may say nothing."""
SLOW_S = 5.0
"""How long a client may take to accept a reply."""
PARTING_S = 1.0
"""How long replies that are on their way may hold up the daemon's end."""

Answer = Callable[[Request], Awaitable[Reply]]


@asynccontextmanager
async def serving(
    folder: Path, answer: Answer, *, silence_s: float = SILENCE_S, slow_s: float = SLOW_S
) -> AsyncIterator[None]:
    """Answer requests at the folder's socket until the block ends; AccessError or InputError if it cannot be made."""
    clients = _Clients(answer, silence_s, slow_s)
    with listening(folder) as listener:
        server = await asyncio.start_unix_server(clients.serve, sock=listener, limit=LONGEST_REQUEST)
        try:
            yield
        finally:
            server.close()
            await clients.part()


class _Clients:
    """The open connections, each a task of the server's."""

    def __init__(self, answer: Answer, silence_s: float, slow_s: float) -> None:
        self._answer = answer
        self._silence_s = silence_s
        self._slow_s = slow_s
        self._tasks: set[asyncio.Task[None]] = set()
        self._listening: set[asyncio.Task[None]] = set()
        self._is_parting = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, to its end."""
        task = asyncio.current_task()
        if task is None:  # not under a running loop: cannot be
            return
        writer.transport.set_write_buffer_limits(0)  # `drain` waits until the kernel has taken all
        self._tasks.add(task)
        try:
            if len(self._tasks) > MOST_CLIENTS:
                await self._say(writer, _refusal(f"{MOST_CLIENTS} others are connected; try again"))
            else:
                await self._converse(reader, writer, task)
        except (TimeoutError, ConnectionError) as error:
            log.info("control_client_left", why=type(error).__name__)
        except asyncio.CancelledError:  # by `part` alone; Python 3.11's streams take a cancelled task for a failed one
            return
        finally:
            writer.transport.abort()
            with suppress(ConnectionError):  # it is over either way
                await writer.wait_closed()
            self._tasks.discard(task)

    async def part(self) -> None:
        """Let go of who says nothing, give replies a moment, end the rest."""
        self._is_parting = True
        for task in self._listening:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=PARTING_S)
        left = tuple(self._tasks)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _converse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, task: "asyncio.Task[None]"
    ) -> None:
        while not self._is_parting:
            self._listening.add(task)
            try:
                async with asyncio.timeout(self._silence_s):
                    line = await reader.readuntil(b"\n")
            except asyncio.IncompleteReadError:
                return
            except asyncio.LimitOverrunError:
                await self._say(writer, _refusal(f"not a request: longer than {LONGEST_REQUEST} bytes"))
                return
            finally:
                self._listening.discard(task)
            await self._say(writer, await self._reply(line))
            await asyncio.sleep(0)  # a client that sends without end leaves the loop to others

    async def _reply(self, line: bytes) -> Reply:
        try:
            request = request_of(line)
        except InputError as error:
            return _refusal(str(error))
        try:
            return await self._answer(request)
        except Exception as error:  # noqa: BLE001 - a fault must not end a run that guards a position: it is told
            told = traceback.format_exc()
            log.error("control_failed", command=request.command.value, trace=told)  # noqa: TRY400 - it is in `trace`
            return _refusal(f"{request.command.value} failed in the daemon: {error!r}; its log says more")

    async def _say(self, writer: asyncio.StreamWriter, reply: Reply) -> None:
        writer.write(line_of(reply))
        async with asyncio.timeout(self._slow_s):
            await writer.drain()


def _refusal(message: str) -> Reply:
    return Reply(ok=False, message=message)
