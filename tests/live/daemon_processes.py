"""`trader run` as a process of its own, before a gateway that the test plays."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from ib_runs import ACCOUNT, STRATEGY

from trader.gateway.gateway import Gateway

WAIT_S = 60


def sets(folder: Path, port: int) -> list[str]:
    """The options that name strategy, account and folders."""
    settings = {
        "strategy.name": STRATEGY,
        "execution.entry_window": "all",
        "state.dir": folder / "state",
        "journal.dir": folder / "logs",
        "ib.account": ACCOUNT,
        "ib.port": port,
        "ib.warmup_sessions": 1,
        "ib.grace_s": 0,
    }
    return [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]


@asynccontextmanager
async def trader(folder: Path, *options: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A command; killed if a test leaves it."""
    (folder / "xdg").mkdir(mode=0o700, exist_ok=True)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "trader", *options),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "NQ_TRADER_LOCKS": str(folder / "xdg"), "OMP_NUM_THREADS": "1"},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def daemon_options(folder: Path, port: int) -> list[str]:
    """Of `trader run`."""
    return ["run", "--feed", "ib", "--broker", "ib", "--advisor", "off", *sets(folder, port)]


async def said(process: asyncio.subprocess.Process, event: str) -> dict[str, object]:
    """Its next line about an event."""
    assert process.stdout is not None
    async with asyncio.timeout(WAIT_S):
        while line := await process.stdout.readline():
            told: dict[str, object] = json.loads(line)
            if told["event"] == event:
                return told
    msg = f"it ended and never said {event}"
    raise AssertionError(msg)


async def until_open(gateway: Gateway) -> None:
    """Play bars until there is a position."""
    async with asyncio.timeout(WAIT_S):
        await gateway.data.is_wanted.wait()
        while not gateway.account.qty(gateway.market.front):
            gateway.step()
            await asyncio.sleep(0.1)
