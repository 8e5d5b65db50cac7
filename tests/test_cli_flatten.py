"""`trader flatten` with no daemon, a stopped one and one of another kind: what it does, says and ends with."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from gateway_builders import bracket, client_of, running, until

from trader.adapters.control.messages import CommandName, Reply, Request
from trader.adapters.state.kill_file import KillFile
from trader.adapters.state.lock import StateLock
from trader.adapters.state.records import AccountIdentity, BrokerName, Mode
from trader.commands import control, flatten
from trader.errors import AccessError, ConfigurationError, UnreachableError
from trader.gateway.gateway import Gateway
from trader.options import FileOptions

ACCOUNT = "DU1234567"
ME = AccountIdentity(mode=Mode.PAPER, broker=BrokerName.IB, account=ACCOUNT, instrument="NQ")
PATIENCE_S = 0.2
STAND_IN = """
import sys
from pathlib import Path
from trader.adapters.control.place import listening
from trader.adapters.state.kill_file import KillFile
from trader.adapters.state.lock import StateLock
from trader.adapters.state.records import AccountIdentity, BrokerName, Mode
folder = Path(sys.argv[1])
me = AccountIdentity(mode=Mode.PAPER, broker=BrokerName.IB, account="DU1234567", instrument="NQ")
with StateLock(folder, me, Path(sys.argv[2]), "run one"), listening(folder) as listener:
    print("up", flush=True)
    heard, _ = listener.accept()
    print(heard.recv(4096).decode().strip(), KillFile(folder).exists, flush=True)
"""


class Played:
    """A gateway in a thread of its own, with a position that a daemon has left; `ask` runs something there."""

    def __init__(self, gateway: Gateway, loop: asyncio.AbstractEventLoop) -> None:
        self.gateway = gateway
        self.port = gateway.port
        self._loop = loop

    def position(self) -> tuple[int, int]:
        """Contracts held, and orders that work."""

        async def look() -> tuple[int, int]:
            exchange = self.gateway.exchange
            return self.gateway.account.qty(self.gateway.market.front), len(list(exchange.book.working()))

        return asyncio.run_coroutine_threadsafe(look(), self._loop).result(10)


@contextmanager
def played() -> Iterator[Played]:
    """The command has the main thread, where its client library must be."""
    ready, over = threading.Event(), threading.Event()
    made: list[Played] = []

    async def play() -> None:
        async with running() as gateway:
            async with client_of(gateway) as ib:
                trades = bracket(ib, "BUY", 1, 7_900.0, 8_300.0, "NQ-7")
                await until(lambda: trades[0].orderStatus.status == "Filled", ib)
            made.append(Played(gateway, asyncio.get_running_loop()))
            ready.set()
            await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=asyncio.run, args=(play(),))
    thread.start()
    try:
        assert ready.wait(20)
        yield made[0]
    finally:
        over.set()
        thread.join()


def files(port: int, *overrides: str) -> FileOptions:
    """The options that the daemon was started with."""
    return FileOptions(overrides=[f"ib.account={ACCOUNT}", f"ib.port={port}", "ib.request_timeout_s=2", *overrides])


def left_behind(tmp_path: Path, identity: AccountIdentity = ME) -> Path:
    """The state folder of a daemon that has died."""
    with StateLock(tmp_path / "state", identity, tmp_path / "runtime", "run one"):
        return tmp_path / "state"


@contextmanager
def stopped(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """A process that has lock and socket of the folder, and is stopped."""
    command = [sys.executable, "-c", STAND_IN, str(tmp_path / "state"), str(tmp_path / "runtime")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "up\n"
            process.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, process.pid, os.WSTOPPED)
            yield process
        finally:
            process.kill()


def test_absent_daemon_is_done_without_and_the_account_stays_taken(tmp_path: Path, capsys: Any) -> None:
    """Flat at the broker, every step told, KILL in the folder, no whole account number."""
    state = left_behind(tmp_path)
    with played() as broker:
        assert broker.position() == (1, 2)
        assert flatten.run(files(broker.port), state, as_json=False, patience_s=PATIENCE_S) == 0
        assert broker.position() == (0, 0)
    said = capsys.readouterr().out
    note = KillFile(state).read()
    assert note is not None
    assert (note.by, note.pid) == ("trader flatten", os.getpid())
    assert "position +1 NQH0: SELL 1 at market sent\nthe close has filled\n" in said
    assert "flat: no NQ position and no orders at the broker\nthe file KILL stays" in said
    assert ACCOUNT not in said


def test_stopped_daemon_is_gone_round_and_sees_the_kill_file_when_it_goes_on(tmp_path: Path, capsys: Any) -> None:
    """It holds lock and socket, and answers nothing; what it reads later it must not do any more."""
    with played() as broker, stopped(tmp_path) as daemon:
        state = tmp_path / "state"
        assert flatten.run(files(broker.port), state, as_json=True, patience_s=PATIENCE_S) == 0
        assert broker.position() == (0, 0)
        said = capsys.readouterr()
        assert msgspec.json.decode(said.out, type=Reply) == Reply(
            ok=True, message="flat: no NQ position and no orders at the broker"
        )
        assert "did not answer within 0.2 s" in said.err
        daemon.send_signal(signal.SIGCONT)
        assert daemon.stdout is not None
        assert daemon.stdout.readline() == '{"command":"flatten"} True\n'


def test_close_that_does_not_fill_is_1_and_the_stop_stays(tmp_path: Path, capsys: Any) -> None:
    """The market is closed: nothing is left behind that could fill later."""
    state = left_behind(tmp_path)
    with played() as broker:
        broker.gateway.exchange.fills_at_once = False
        options = files(broker.port, "ib.request_timeout_s=0.5")
        assert flatten.run(options, state, as_json=False, patience_s=PATIENCE_S) == 1
        assert broker.position() == (1, 2)
    assert "the broker still tells of +1 NQH0" in capsys.readouterr().out
    assert KillFile(state).exists


def test_gateway_away_is_75_and_the_account_stays_taken(tmp_path: Path, capsys: Any) -> None:
    """The daemon must not wake up into it; the operator repeats, or closes by hand."""
    state = left_behind(tmp_path)
    with played() as broker:
        port = broker.port
    with pytest.raises(UnreachableError, match="repeat `trader flatten`, or close by hand") as caught:
        flatten.run(files(port), state, as_json=False, patience_s=PATIENCE_S)
    assert caught.value.exit_code == 75
    assert KillFile(state).exists
    assert ACCOUNT not in str(caught.value) + capsys.readouterr().out
    with pytest.raises(UnreachableError, match=r"KILL is there: trader flatten \(pid .*trader resume --clear-kill"):
        control.run(Request(command=CommandName.STATUS), state, as_json=False)


def test_account_that_the_application_has_not_is_77_and_sends_nothing(tmp_path: Path) -> None:
    """The state folder agrees with the configuration; the login does not."""
    other = AccountIdentity(mode=Mode.PAPER, broker=BrokerName.IB, account="DU7654321", instrument="NQ")
    state = left_behind(tmp_path, other)
    with played() as broker:
        with pytest.raises(AccessError, match=r"logged in to DU\*\*\*\*\*67") as caught:
            flatten.run(files(broker.port, "ib.account=DU7654321"), state, as_json=False, patience_s=PATIENCE_S)
        assert (caught.value.exit_code, broker.position()) == (77, (1, 2))


@pytest.mark.parametrize(
    ("overrides", "expected", "code"),
    [
        (("ib.account=DU7654321",), "traded another account, mode or market", 77),
        (("market=MNQ",), "traded another account, mode or market", 77),
        (("ib.account=U7654321",), "holds real money, and live is false", 77),
        (("ib.account=null",), "ib.account is not set", 78),
    ],
)
def test_configuration_that_is_not_the_daemons_closes_nothing(
    tmp_path: Path, overrides: tuple[str, ...], expected: str, code: int
) -> None:
    """Not a single order into the wrong account, and the account is not taken."""
    state = left_behind(tmp_path)
    with pytest.raises(ConfigurationError, match=expected) as caught:
        flatten.run(files(1, *overrides), state, as_json=False, patience_s=PATIENCE_S)
    assert caught.value.exit_code == code
    assert not KillFile(state).exists


def test_simulated_account_has_nothing_open_at_a_broker(tmp_path: Path) -> None:
    """And nothing is taken."""
    paper = AccountIdentity(mode=Mode.PAPER, broker=BrokerName.PAPER, account="replay", instrument="NQ")
    state = left_behind(tmp_path, paper)
    with pytest.raises(UnreachableError, match="nothing was closed: its account is simulated, nothing is open at any"):
        flatten.run(FileOptions(), state, as_json=False, patience_s=PATIENCE_S)
    assert not KillFile(state).exists


def test_folder_without_a_history_is_told_so(tmp_path: Path) -> None:
    """Nothing is known that could be closed."""
    with pytest.raises(UnreachableError, match="nothing was closed: no daemon ever worked with this state folder"):
        flatten.run(FileOptions(), tmp_path, as_json=False, patience_s=PATIENCE_S)
    assert list(tmp_path.iterdir()) == []
