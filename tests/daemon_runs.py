"""The daemon as a process of its own, in front of a gateway in this one."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from gateway_builders import running
from msgspec.structs import replace

from trader.adapters.columns import BarColumns
from trader.adapters.control.client import ask
from trader.adapters.control.messages import CommandName, Request, Status
from trader.gateway.gateway import Gateway
from trader.gateway.ledger import Event

ACCOUNT = "DU1234567"
ALWAYS_TRADING = Path(__file__).parent / "live" / "always_trading.py"
PATIENCE_S = 60.0
T = TypeVar("T")
ORDERS = {Event.PLACED, Event.MODIFIED, Event.REJECTED, Event.EXECUTED}


class Market:
    """A gateway in a thread of its own; `do` runs something there."""

    def __init__(self, gateway: Gateway, loop: asyncio.AbstractEventLoop) -> None:
        self._gateway = gateway
        self._loop = loop

    @property
    def port(self) -> int:
        return self._gateway.port

    def do(self, act: Callable[[Gateway], T]) -> T:
        """Run this where the gateway runs."""

        async def there() -> T:
            return act(self._gateway)

        return asyncio.run_coroutine_threadsafe(there(), self._loop).result(PATIENCE_S)

    def step(self) -> None:
        """One bar."""
        self.do(lambda gateway: gateway.step())

    def rename(self, account: str) -> None:
        """It is another account's login."""
        self.do(lambda gateway: setattr(gateway.account, "terms", replace(gateway.account.terms, name=account)))

    @property
    def resting(self) -> list[tuple[str, int]]:
        """Kind and side of every order at work."""
        return self.do(lambda gateway: [(each.kind.value, int(each.side)) for each in gateway.exchange.book.working()])

    @property
    def traded(self) -> list[Event]:
        """What the exchange has seen of orders."""
        return self.do(lambda gateway: [each.event for each in gateway.ledger.entries if each.event in ORDERS])


@contextmanager
def market(columns: BarColumns | None = None, **terms: Any) -> Iterator[Market]:
    """A gateway whose bars move when the test says so; `terms` as for `running`."""
    ready, over = threading.Event(), threading.Event()
    made: list[Market] = []

    async def play() -> None:
        async with running(columns, **terms) as gateway:
            made.append(Market(gateway, asyncio.get_running_loop()))
            ready.set()
            await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=asyncio.run, args=(play(),))
    thread.start()
    try:
        assert ready.wait(PATIENCE_S)
        yield made[0]
    finally:
        over.set()
        thread.join()


class Daemon:
    """`trader run` at work; `lines` are those that have been read of its output."""

    def __init__(self, process: "subprocess.Popen[str]", folder: Path) -> None:
        self._process = process
        self._folder = folder
        self.lines: list[dict[str, Any]] = []

    @property
    def pid(self) -> int:
        return self._process.pid

    def until(self, event: str) -> dict[str, Any]:
        """Read to a line of this name; AssertionError, with what was said, where there is none."""
        assert self._process.stdout is not None
        for text in self._process.stdout:
            self.lines.append(json.loads(text))
            if self.lines[-1]["event"] == event:
                return self.lines[-1]
        raise AssertionError((self.lines, self.end()))

    def said(self, event: str) -> list[dict[str, Any]]:
        """The lines of this name."""
        return [line for line in self.lines if line["event"] == event]

    def status(self) -> Status:
        """What `trader status` would show."""
        reply = ask(self._folder / "state", Request(command=CommandName.STATUS), patience_s=PATIENCE_S)
        assert reply.status is not None
        return reply.status

    def when(self, is_so: Callable[[Status], bool]) -> Status:
        """The status, once it is like this; AssertionError where it does not become so."""
        deadline_s = time.monotonic() + PATIENCE_S
        while not is_so(status := self.status()):
            assert time.monotonic() < deadline_s, status
        return status

    def end(self) -> tuple[int, str]:
        """Ask it to end; the exit code, and what stands on standard error. Its lines are all read then."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        return self.ended()

    def ended(self) -> tuple[int, str]:
        """The exit code and standard error of one that ends by itself."""
        said, wrong = self._process.communicate(timeout=PATIENCE_S)
        self.lines += [json.loads(text) for text in said.splitlines()]
        return self._process.returncode, wrong


def options(port: int, *changes: str, account: str | None = ACCOUNT) -> list[str]:
    """A daemon that begins with this session, trades whenever it may at any hour, and knows no nights but far ones."""
    keys = {
        "ib.port": port,
        "ib.account": account,
        "ib.warmup_sessions": 1,
        "ib.outages.restart_at": None,
        "strategy.name": str(ALWAYS_TRADING),
        "advisor.backend": "off",
        "execution.entry_window": "all",
    }
    sets = [f"{key}={json.dumps(value)}" for key, value in keys.items()]
    return [part for each in (*sets, *changes) for part in ("--set", each)]


def environment(folder: Path) -> dict[str, str]:
    """Locks of accounts lie in a folder of this test's own."""
    runtime = folder / "xdg"
    runtime.mkdir(mode=0o700, parents=True, exist_ok=True)
    return {**os.environ, "NQ_TRADER_LOCKS": str(runtime), "OMP_NUM_THREADS": "1"}


@contextmanager
def daemon(folder: Path, arguments: Sequence[str], *, broker: str = "ib") -> Iterator[Daemon]:
    """`trader run --feed ib` in a folder, killed at the end if it still runs; its locks lie in `folder`/xdg."""
    with subprocess.Popen(
        [sys.executable, "-m", "trader", "run", "--feed", "ib", "--broker", broker, *arguments],
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Daemon(process, folder)
        finally:
            process.kill()
