"""An aiohttp application on a real socket of this machine, for the time of a test."""

import asyncio
import threading
from pathlib import Path
from types import TracebackType

from aiohttp import web


class Running:
    """An application that serves in a thread of its own, on a free port or at a unix socket."""

    def __init__(self, application: web.Application, socket: Path | None = None) -> None:
        self._application = application
        self._socket = socket
        self._loop = asyncio.new_event_loop()
        self._is_up = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fake-server")
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port or 1}/v1"

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._end = asyncio.Event()
        runner = web.AppRunner(self._application, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        if self._socket is None:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.port = runner.addresses[0][1]
        else:
            await web.UnixSite(runner, str(self._socket)).start()
        self._is_up.set()
        await self._end.wait()
        await runner.cleanup()

    def __enter__(self) -> "Running":
        self._thread.start()
        assert self._is_up.wait(20)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(20)
        assert not self._thread.is_alive()
