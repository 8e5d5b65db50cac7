"""The real command on a disk that is full from one moment on: everything of it, and what it says as well."""

import asyncio
import os
import resource
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
from daemon_processes import daemon_options, until_open
from gateway_builders import running
from ib_runs import HISTORY, WAIT_S, quiet_bars

from trader.adapters.control.messages import CommandName, Reply, Request
from trader.analysis.verify import Status as LogStatus
from trader.analysis.verify import verify
from trader.gateway.checker import check
from trader.gateway.gateway import Gateway
from trader.gateway.layouts import Request as Asked
from trader.gateway.session import Session


@asynccontextmanager
async def daemon(folder: Path, gateway: Gateway) -> AsyncIterator[asyncio.subprocess.Process]:
    """`trader run` whose lines go into a file of the same disk."""
    (folder / "xdg").mkdir(mode=0o700, exist_ok=True)
    env = {**os.environ, "NQ_TRADER_LOCKS": str(folder / "xdg"), "OMP_NUM_THREADS": "1"}
    with (folder / "lines").open("ab") as lines:
        options = daemon_options(folder, gateway.port)
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", "trader", *options, stdout=lines, env=env)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def say(folder: Path, command: CommandName) -> Reply:
    """What the daemon replies at its socket."""
    async with asyncio.timeout(WAIT_S):
        reader, writer = await asyncio.open_unix_connection(str(folder / "state" / "control.sock"))
        writer.write(msgspec.json.encode(Request(command=command)) + b"\n")
        reply = msgspec.json.decode(await reader.readline(), type=Reply)
        writer.close()
        return reply


async def play_until_told(gateway: Gateway, folder: Path) -> None:
    """Bars, until the daemon's status says that neither state nor log can be kept."""
    async with asyncio.timeout(6 * WAIT_S):
        while not (folder / "state" / "control.sock").exists():  # noqa: ASYNC110 -- another process makes it
            await asyncio.sleep(0.05)
        while True:
            status = (await say(folder, CommandName.STATUS)).status
            assert status is not None
            if "protect_only" in status.state and not status.log_is_healthy:
                assert not status.may_enter
                return
            gateway.step()
            await asyncio.sleep(0.1)


async def test_daemon_on_a_full_disk_closes_when_told_and_goes_on_after_it_is_mended(tmp_path: Path) -> None:
    """Nothing is entered, the stop stays, it drains with exit code 0; the next start trades on, from equal books."""
    async with running(quiet_bars(), history_bars=HISTORY) as gateway:
        async with daemon(tmp_path, gateway) as first:
            await until_open(gateway)
            _, hard = resource.prlimit(first.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(first.pid, resource.RLIMIT_FSIZE, (0, hard))
            await play_until_told(gateway, tmp_path)
            sent = len(gateway.exchange.book.everything)
            assert [each.kind.value for each in gateway.exchange.book.working()] == ["LMT", "STP"]
            assert (await say(tmp_path, CommandName.FLATTEN)).ok
            while gateway.account.qty(gateway.market.front):
                gateway.step()
                await asyncio.sleep(0.05)
            assert (await say(tmp_path, CommandName.RESUME)).ok
            for _ in range(3):
                gateway.step()
                await asyncio.sleep(0.1)
            assert len(gateway.exchange.book.everything) == sent + 1  # the close
            first.send_signal(signal.SIGTERM)
            assert await first.wait() == 0
        (log,) = (tmp_path / "logs").iterdir()
        assert verify(log).status is LogStatus.NOT_CLOSED
        gateway.data.is_wanted.clear()
        async with daemon(tmp_path, gateway) as second:
            await until_open(gateway)
            second.send_signal(signal.SIGTERM)
            assert await second.wait() == 0
        assert check(gateway.ledger.entries, until_s=gateway.ledger.now_s).is_clean


def full_from_history_on(gateway: Gateway, process: asyncio.subprocess.Process) -> None:
    """The disk fills up when this daemon asks for the bars before, which it writes down at its start."""
    take = gateway.server.take

    def heard(session: Session, fields: list[str]) -> None:
        if fields[0] == str(Asked.HISTORY) and process.returncode is None:
            _, hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (0, hard))
        take(session, fields)

    gateway.server.take = heard  # type: ignore[method-assign]


async def test_start_on_a_disk_that_fills_up_protects_what_is_open_and_ends_without(tmp_path: Path) -> None:
    """With a position it stays, enters nothing and closes when told; with nothing open it ends, exit code 1 or 66."""
    async with running(quiet_bars(), history_bars=HISTORY) as gateway:
        async with daemon(tmp_path, gateway) as first:
            await until_open(gateway)
            first.send_signal(signal.SIGTERM)
            assert await first.wait() == 0
        async with daemon(tmp_path, gateway) as second:
            full_from_history_on(gateway, second)
            await play_until_told(gateway, tmp_path)
            assert [each.kind.value for each in gateway.exchange.book.working()] == ["LMT", "STP"]
            assert (await say(tmp_path, CommandName.FLATTEN)).ok
            while gateway.account.qty(gateway.market.front):
                gateway.step()
                await asyncio.sleep(0.05)
            second.send_signal(signal.SIGTERM)
            assert await second.wait() == 0
        sent = len(gateway.exchange.book.everything)
        (tmp_path / "other").mkdir()
        async with daemon(tmp_path / "other", gateway) as third:
            full_from_history_on(gateway, third)
            assert await third.wait() in {1, 66}  # state.db or the kept warm-up, whichever the disk refuses first
        assert len(gateway.exchange.book.everything) == sent
        assert check(gateway.ledger.entries, until_s=gateway.ledger.now_s).is_clean
