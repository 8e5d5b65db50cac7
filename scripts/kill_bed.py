"""What the kill campaign stands on: one gateway that goes on, and lives of `trader run` that are killed before it.

A life is a process of its own, started anew (`Started`) or forked from a prepared one (`Forked`); both run the whole
command from its command line on.
"""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Protocol, cast

import msgspec
from msgspec import Struct

from trader.adapters.control.client import ask
from trader.adapters.control.messages import CommandName, Request, Status
from trader.errors import TraderError

HERE = Path(__file__).parent
STRATEGY = HERE / "kill_strategy.py"
NURSERY = HERE / "kill_nursery.py"
ACCOUNT = "DU1234567"
LOOK_S = 0.02
PATIENCE_S = 40.0
THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
LIBERAL = (
    "account.start_balance_usd=1000000",
    "account.trailing_limit_usd=900000",
    "account.daily_limit_usd=500000",
    "execution.entry_window=all",
    "risk.max_trades_per_session=10000",
    "risk.max_cost_share=1",
    "risk.enable_risk_veto=false",
    "gate.orders_per_minute=600",
    "gate.collar_pct=10",
    "gate.price_age_s=600",
)
"""Nothing stands against trading all the time, in a market whose minutes pass in a moment."""


class Bed(Struct, frozen=True, kw_only=True):
    """Where a leg is played."""

    folder: Path
    broker: str
    port: int

    @property
    def environment(self) -> dict[str, str]:
        """Of every process; the account's lock lies in a place of its own."""
        runtime = self.folder / "xdg"
        runtime.mkdir(mode=0o700, exist_ok=True)
        return {**os.environ, **THREADS, "NQ_TRADER_LOCKS": str(runtime)}

    @property
    def state(self) -> Path:
        """The state folder."""
        return self.folder / "state"

    @property
    def logs(self) -> Path:
        """The decision logs."""
        return self.folder / "logs"

    def settings(self) -> list[str]:
        """What differs from the shipped ones."""
        named = {
            "strategy.name": STRATEGY,
            "state.dir": self.state,
            "journal.dir": self.logs,
            "ib.port": self.port,
            "ib.account": ACCOUNT,
            "ib.warmup_sessions": 1,
            "ib.grace_s": 0.02,
            "ib.backoff_first_s": 0.1,
        }
        return [*(f"{name}={value}" for name, value in named.items()), *LIBERAL]

    def command(self) -> list[str]:
        """Of one life."""
        options = [each for one in self.settings() for each in ("--set", one)]
        return ["run", "--feed", "ib", "--broker", self.broker, "--advisor", "off", *options]


class Life(Protocol):
    """One process of `trader run`. `pid` is its own, `out` what it says."""

    pid: int
    out: Path

    def ended(self) -> int:
        """Wait; how it ended: a code, or minus the signal."""
        ...

    @property
    def is_over(self) -> bool: ...


class Mother(Protocol):
    """Where lives come from."""

    def bear(self, bed: Bed, out: Path) -> Life: ...

    def close(self) -> None: ...


class StartedLife:
    """A process started from nothing."""

    def __init__(self, bed: Bed, out: Path) -> None:
        self.out = out
        with out.open("wb") as file:
            command = [sys.executable, "-m", "trader", *bed.command()]
            self._process = subprocess.Popen(command, stdout=file, stderr=file, env=bed.environment)  # noqa: S603
        self.pid = self._process.pid

    def ended(self) -> int:
        """Life's."""
        return self._process.wait(PATIENCE_S)

    @property
    def is_over(self) -> bool:
        """Life's."""
        return self._process.poll() is not None


class Started:
    """Mother of processes that import everything themselves."""

    def bear(self, bed: Bed, out: Path) -> Life:
        """Mother's."""
        return StartedLife(bed, out)

    def close(self) -> None:
        """Nothing."""


class ForkedLife:
    """A process forked by the nursery, which waits for it."""

    def __init__(self, pid: int, out: Path, says: IO[bytes]) -> None:
        self.pid = pid
        self.out = out
        self._says = says

    def ended(self) -> int:
        """Life's."""
        return int(self._says.readline())

    @property
    def is_over(self) -> bool:
        """Life's."""
        return bool(select.select([self._says], [], [], 0)[0])


class Forked:
    """Mother of processes that find everything imported and compiled: as the others, three seconds younger."""

    def __init__(self, bed: Bed) -> None:
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, str(NURSERY), str(bed.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            env=bed.environment,
        )
        self._hears, self._says = cast(IO[bytes], self._process.stdin), cast(IO[bytes], self._process.stdout)
        if self._says.readline() != b"prepared\n":
            msg = "the nursery has failed"
            raise RuntimeError(msg)

    def bear(self, bed: Bed, out: Path) -> Life:
        """Mother's; one at a time."""
        out.touch()
        self._hears.write(msgspec.json.encode({"args": bed.command(), "out": str(out)}) + b"\n")
        self._hears.flush()
        return ForkedLife(int(self._says.readline()), out, self._says)

    def close(self) -> None:
        """No more."""
        self._hears.close()
        self._process.wait(PATIENCE_S)


class GatewayProcess:
    """`trader gateway-sim` on a free port. `at_the_end` stops it: what its checker says."""

    def __init__(self, folder: Path, speed: float, history: int) -> None:
        self.ledger = folder / "ledger.jsonl"
        self._out = folder / "gateway.txt"
        command = [sys.executable, "-m", "trader", "gateway-sim", "--bars", "sample", "--port", "0"]
        command += [
            "--speed",
            f"{speed:g}",
            "--history",
            str(history),
            "--initial-margin",
            "100",
        ]
        command += ["--maintenance-margin", "90", "--ledger", str(self.ledger)]
        with self._out.open("wb") as file:
            self._process = subprocess.Popen(command, stdout=file, stderr=file, env={**os.environ, **THREADS})  # noqa: S603
        wait_for(lambda: b"listening at" in self._out.read_bytes(), "the gateway listens")
        self.port = int(self._out.read_text().split(";")[0].rsplit(":", 1)[1])

    @property
    def is_over(self) -> bool:
        """No bars are left."""
        return self._process.poll() is not None

    def at_the_end(self) -> bytes:
        """The last line."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(PATIENCE_S)
        return self._out.read_bytes().splitlines()[-1]


def status(bed: Bed) -> Status | None:
    """How the life of the moment stands; None while it cannot say."""
    return tell(bed, CommandName.STATUS)


def tell(bed: Bed, command: CommandName) -> Status | None:
    """Give the life of the moment a command."""
    try:
        return ask(bed.state, Request(command=command)).status
    except TraderError:
        return None


def has_said(life: Life, word: str) -> bool:
    """Whether it has logged this event."""
    return f'"event": "{word}"'.encode() in life.out.read_bytes()


def wait_for(is_true: Callable[[], bool], what: str) -> None:
    """Until `is_true()`; RuntimeError where it takes too long."""
    until_s = time.monotonic() + PATIENCE_S
    while not is_true():
        if time.monotonic() > until_s:
            msg = f"not in {PATIENCE_S:g} s: {what}"
            raise RuntimeError(msg)
        time.sleep(LOOK_S)  # a file or a process of somebody else's: neither sets an event here
