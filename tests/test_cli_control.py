"""An operator and a daemon as two people run them: processes that meet at a socket."""

import asyncio
import io
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
from msgspec import Struct
from test_cli import trader

from trader.adapters.control.client import ask
from trader.adapters.control.messages import CommandName, Reply, Request, Status, line_of
from trader.analysis.logs import View, run_logs
from trader.analysis.selection import Selection
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


class Evening(Struct):
    """What was seen at a daemon that was flattened, crowded, killed and stopped."""

    daemon: Daemon
    modes: list[int]
    reply: Reply
    answers: list[bytes]
    later: Status
    said: list[dict]
    proof: dict


@pytest.fixture(scope="module")
def evening(tmp_path_factory: pytest.TempPathFactory) -> Evening:
    """A daemon with a position, whose operator has had enough."""
    folder = tmp_path_factory.mktemp("control")
    bars = (str(quiet_bars(folder / "quiet.csv")), "--stamp", "open", "--tz", "UTC", "--contract", "NQH23")
    with a_daemon(folder, bars, "buy_and_hold", "30000") as daemon:
        modes = [stat.S_IMODE(path.lstat().st_mode) for path in (daemon.state, daemon.state / "control.sock")]
        daemon.until(lambda status: status.position is not None)
        reply = daemon.say("flatten")
        flat = daemon.until(lambda status: status.position is None and not status.has_working_order)
        answers = asyncio.run(crowd(daemon.state / "control.sock"))
        later = daemon.until(lambda status: status.bars > flat.bars + 100)
        daemon.say("kill")
        said = daemon.stop()
    proof = json.loads(trader("verify", str(daemon.log), "--json").stdout)
    return Evening(daemon=daemon, modes=modes, reply=reply, answers=answers, later=later, said=said, proof=proof)


@pytest.fixture(scope="module")
def morning(evening: Evening) -> Iterator[Daemon]:
    """The next daemon with the same state folder."""
    with a_daemon(evening.daemon.state.parent, speed="6000") as daemon:
        yield daemon


def test_flatten_of_a_running_daemon_closes_at_the_next_open_and_pauses(evening: Evening) -> None:
    """From a position to none, one order, then no entry."""
    bars = [record["c"] for record in evening.daemon.records() if "c" in record]
    (from_bar,) = [bar for command, bar in evening.daemon.commands() if command == "flatten"]

    assert (evening.reply.ok, evening.later.position, evening.later.state) == (True, None, "paused")
    assert [(order["kind"], order["reason"]) for order in bars[from_bar]["orders"]] == [("flatten", "operator")]
    assert bars[from_bar]["fills"][0]["ts_utc"] == bars[from_bar]["bar"]["open_utc"]


def test_commands_are_in_a_log_that_proves_itself_and_in_what_a_person_reads_of_it(evening: Evening) -> None:
    """By name, with the bar from which each counts."""
    out = io.StringIO()
    run_logs(evening.daemon.log, Selection(), View(), out)

    assert [name for name, _ in evening.daemon.commands()] == ["flatten", "kill"]
    (from_bar, _) = [bar for _, bar in evening.daemon.commands()]
    assert f"event   command from bar {from_bar}: command=flatten position=1\n" in out.getvalue()
    assert evening.proof["status"] == "intact"


def test_state_folder_and_socket_are_their_owners_alone(evening: Evening) -> None:
    """0700 and 0600."""
    assert evening.modes == [0o700, 0o600]


def test_fifty_clients_among_troublemakers_are_answered_and_no_bar_is_lost(evening: Evening) -> None:
    """A megabyte, half a line, nothing and a flood without listening cost nobody else anything."""
    bars = [record["c"]["seq"] for record in evening.daemon.records() if "c" in record]

    assert [msgspec.json.decode(answer, type=Reply).ok for answer in evening.answers] == [True] * 50
    assert bars == list(range(len(bars)))
    assert [line["event"] for line in evening.said if line["level"] == "error"] == ["kill_switch"]


def test_kill_stays_over_a_restart_until_it_is_lifted(morning: Daemon) -> None:
    """From the first bar on; a resume alone does not lift it."""
    first = morning.until(lambda status: status.bars > 0)
    (command, *_) = morning.commands()
    plain = trader("resume", "--state", str(morning.state), "--json")
    lifted = trader("resume", "--clear-kill", "--state", str(morning.state))
    free = morning.until(lambda status: True)

    assert (first.vetoes[-1], command) == ("kill_switch", ("kill", 0))
    assert json.loads(plain.stdout)["status"]["state"] == "kill_switch"
    assert lifted.stdout.startswith("resumed: entries are allowed again")
    assert (free.state, (morning.state / "kill_switch").exists()) == ("enabled", False)


def test_status_is_a_table_for_a_person(morning: Daemon) -> None:
    """Short enough for one look."""
    table = trader("status", "--state", str(morning.state))

    assert (table.returncode, table.stderr) == (0, "")
    assert [line[:10].strip() for line in table.stdout.splitlines()] == [
        "run", "trading", "vetoes", "session", "last bar", "position", "equity", "room", "", "advisor", "log",
    ]  # fmt: skip


def test_refused_command_is_exit_1_with_the_reason(morning: Daemon, capsys: pytest.CaptureFixture[str]) -> None:
    """In the daemon's words."""
    request = Request(command=CommandName.RESET, rule=Rule.LOW_WIN_RATE)

    assert control.run(request, morning.state, as_json=False) == 1
    assert capsys.readouterr().out == "refused: nothing was reset: low_win_rate is not in force\n"


def test_second_daemon_on_a_state_folder_is_told_of_the_first_and_leaves_no_log(
    morning: Daemon, tmp_path: Path
) -> None:
    """Exit 77."""
    done = trader("run", "--bars", "sample", "--set", f"state.dir={morning.state}", "--log-dir", str(tmp_path / "logs"))

    assert done.returncode == 77
    assert f"pid {morning.process.pid}, run {morning.said['run_id']}" in done.stderr
    assert not (tmp_path / "logs").exists()


def test_frozen_daemon_is_unreachable_within_the_bound_and_hears_the_command_when_it_goes_on(morning: Daemon) -> None:
    """It holds up nobody; the pause counts later, as was said."""
    os.kill(morning.process.pid, signal.SIGSTOP)
    try:
        with pytest.raises(UnreachableError, match="may still be carried out"):
            ask(morning.state, Request(command=CommandName.PAUSE), patience_s=0.1)
    finally:
        os.kill(morning.process.pid, signal.SIGCONT)

    assert not morning.until(lambda status: "paused" in status.state).may_enter


def test_flatten_without_a_daemon_is_75_and_says_that_nothing_was_closed(tmp_path: Path) -> None:
    """And what comes later."""
    done = trader("flatten", "--state", str(tmp_path))

    assert done.returncode == 75
    assert "nothing was closed" in done.stderr


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
