"""An operator and a daemon as two people run them: processes that meet at a socket."""

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from test_cli import trader

from trader.adapters.control.client import ask
from trader.adapters.control.messages import CommandName, Reply, Request, Status, line_of
from trader.commands import control
from trader.domain.decisions import Rule
from trader.domain.sessions import MINUTE_NS, Calendar, et_ns
from trader.errors import UnreachableError, UsageError

PATIENCE_S = 60


class Daemon:
    """A `trader run`."""

    def __init__(self, process: "subprocess.Popen[str]", said: dict[str, str], state: Path) -> None:
        self.process = process
        self.said = said
        self.state = state
        self.log = Path(said["log"])

    def say(self, command: str) -> Reply:
        """One command."""
        return ask(self.state, Request(command=CommandName(command)), patience_s=PATIENCE_S)

    def until(self, is_so: Callable[[Status], bool]) -> Status:
        """The first status of which something is so."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            status = self.say("status").status
            assert status is not None
            if is_so(status):
                return status
        msg = f"it never was so: {status}"
        raise AssertionError(msg)

    def records(self) -> list[dict]:
        """What the log holds."""
        lines = [line for file in sorted(self.log.glob("decisions-*.jsonl")) for line in file.read_text().splitlines()]
        return [json.loads(line) for line in lines]

    def commands(self) -> list[tuple[str, int]]:
        """The commands in the log, and the bars from which they count."""
        events = [record["e"] for record in self.records() if "e" in record]
        return [(e["detail"]["command"], e["from_bar"]) for e in events if e["kind"] == "command"]

    def stop(self) -> list[dict]:
        """End it as a service is ended; what it said after its start."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.stdout is not None
        lines = [json.loads(line) for line in self.process.stdout]
        assert self.process.wait(PATIENCE_S) == 0
        return lines


def quiet_bars(path: Path) -> Path:
    """A morning and a session in which nothing happens: a position stays open for hours."""
    calendar, lines = Calendar.load(), ["timestamp,open,high,low,close,volume"]
    for day, clock in (("2023-03-15", "02:30"), ("2023-03-16", "18:00")):
        session = calendar.on(day)
        assert session is not None
        start_ns = et_ns(session, clock)
        minutes = range(start_ns, session.close_ns, MINUTE_NS)
        lines += [f"{ts_ns // 10**9},12000.00,12002.50,11997.50,12000.00,100" for ts_ns in minutes]
    path.write_text("\n".join(lines) + "\n")
    return path


@contextmanager
def a_daemon(
    folder: Path, bars: Sequence[str] = ("sample",), strategy: str = "flat", speed: str = "60000"
) -> Iterator[Daemon]:
    """Started, and killed if a test leaves it."""
    state = folder / "state"
    command = [
        sys.executable, "-m", "trader", "run", "--bars", *bars, "--strategy", strategy, "--speed", speed,
        "--advisor", "off", "--log-dir", str(folder / "logs"), "--set", f"state.dir={state}",
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            lines = [json.loads(process.stdout.readline())]
            while lines[-1]["event"] != "started":
                lines.append(json.loads(process.stdout.readline()))
            yield Daemon(process, lines[-1], state)
        finally:
            process.kill()


async def talk(path: Path, sends: bytes, *, reads: bool) -> bytes:
    """What a client hears that says `sends`, or b"" if it leaves without listening."""
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(sends)
    said = await reader.readline() if reads else b""
    writer.transport.abort()
    await writer.wait_closed()
    return said


async def crowd(path: Path) -> list[bytes]:
    """Fifty that ask, among some that only make trouble."""
    status = line_of(Request(command=CommandName.STATUS))
    troubles = [b"x" * 1_000_000, status[:10], b"", status * 100]
    talks = [talk(path, status, reads=True) for _ in range(50)]
    return (await asyncio.gather(*[talk(path, line, reads=False) for line in troubles], *talks))[len(troubles) :]


def test_flatten_of_a_running_daemon_closes_pauses_and_is_proved_by_its_log(tmp_path: Path) -> None:
    """From a position to none at the next open, then no entry; a crowd at the socket changes nothing."""
    bars = (str(quiet_bars(tmp_path / "quiet.csv")), "--stamp", "open", "--tz", "UTC", "--contract", "NQH23")
    with a_daemon(tmp_path, bars, "buy_and_hold", "30000") as daemon:
        modes = [stat.S_IMODE(path.lstat().st_mode) for path in (daemon.state, daemon.state / "control.sock")]
        daemon.until(lambda status: status.position is not None)
        reply = daemon.say("flatten")
        flat = daemon.until(lambda status: status.position is None and not status.has_working_order)
        answers = asyncio.run(crowd(daemon.state / "control.sock"))
        later = daemon.until(lambda status: status.bars > flat.bars + 100)
        said = daemon.stop()
        bars = [record["c"] for record in daemon.records() if "c" in record]
        (from_bar,) = [bar for command, bar in daemon.commands() if command == "flatten"]
        shown = trader("logs", str(daemon.log)).stdout
        proof = json.loads(trader("verify", str(daemon.log), "--json").stdout)

    assert modes == [0o700, 0o600]
    assert (reply.ok, later.position, later.state) == (True, None, "paused")
    assert all(msgspec.json.decode(answer, type=Reply).ok for answer in answers)
    assert len(answers) == 50
    assert [(order["kind"], order["reason"]) for order in bars[from_bar]["orders"]] == [("flatten", "operator")]
    assert bars[from_bar]["fills"][0]["ts_utc"] == bars[from_bar]["bar"]["open_utc"]
    assert f"event   command from bar {from_bar}: command=flatten position=1" in shown
    assert proof["status"] == "intact"
    assert [line["event"] for line in said if line["level"] == "error"] == []
    assert not (daemon.state / "control.sock").exists()


def test_commands_of_the_command_line_reach_the_daemon(tmp_path: Path) -> None:
    """Each says what it did; a second daemon is kept out; after a crash the kill switch still stands."""
    with a_daemon(tmp_path, speed="6000") as daemon:
        where = ("--state", str(daemon.state))
        table = trader("status", *where)
        killed = trader("kill", *where)
        resumed = trader("resume", *where, "--json")
        refused = trader("reset", "low_win_rate", *where)
        second = trader("run", "--bars", "sample", "--set", f"state.dir={daemon.state}", "--log-dir", str(tmp_path))
        daemon.process.kill()
        daemon.process.wait(PATIENCE_S)
        gone = trader("flatten", *where)
        began = daemon.commands()
    with a_daemon(tmp_path) as again:
        first = again.until(lambda status: status.bars > 0)
        (command, *_) = again.commands()
        again.say("pause")
        lifted = ask(again.state, Request(command=CommandName.RESUME, clear_kill=True), patience_s=PATIENCE_S)
        again.stop()

    assert table.returncode == 0
    assert [line[:10].strip() for line in table.stdout.splitlines()] == [
        "run", "trading", "vetoes", "session", "last bar", "position", "equity", "room", "", "advisor", "log",
    ]  # fmt: skip
    assert killed.stdout.startswith("killed: no entries")
    assert json.loads(resumed.stdout)["status"]["state"] == "kill_switch"
    assert (refused.returncode, refused.stdout) == (1, "refused: nothing was reset: low_win_rate is not in force\n")
    assert second.returncode == 77
    assert f"pid {daemon.process.pid}" in second.stderr
    assert gone.returncode == 75
    assert "nothing was closed" in gone.stderr
    assert [name for name, _ in began] == ["kill", "resume"]
    assert (first.vetoes[-1], command) == ("kill_switch", ("kill", 0))
    assert (lifted.ok, (again.state / "kill_switch").exists()) == (True, False)


def test_stopped_daemon_is_unreachable_within_the_bound_and_answers_when_it_goes_on(tmp_path: Path) -> None:
    """Frozen, it holds up nobody; the pause that it had not heard counts once it goes on."""
    with a_daemon(tmp_path) as daemon:
        os.kill(daemon.process.pid, signal.SIGSTOP)
        with pytest.raises(UnreachableError, match="may still be carried out"):
            ask(daemon.state, Request(command=CommandName.PAUSE), patience_s=0.1)
        os.kill(daemon.process.pid, signal.SIGCONT)
        paused = daemon.until(lambda status: status.state == "paused")
        daemon.stop()

    assert not paused.may_enter


def test_status_without_a_daemon_is_75_and_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also where there is no state folder at all."""
    with pytest.raises(UnreachableError, match="`trader run` starts one") as caught:
        control.run(Request(command=CommandName.STATUS), tmp_path / "none", as_json=False)

    assert (caught.value.exit_code, capsys.readouterr().out) == (75, "")


def test_reset_of_an_unknown_rule_names_those_that_there_are() -> None:
    """Before anybody is asked."""
    assert control.rule_named("trailing_breach") is Rule.TRAILING_BREACH
    with pytest.raises(UsageError, match="consecutive_losses, low_win_rate, drawdown_proximity, trailing_breach"):
        control.rule_named("daily_loss")
