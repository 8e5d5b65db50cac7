"""A backtest and a run in lockstep of the same bars, as processes of their own, and what differs between their logs.

The run is the daemon with the real client library, over a socket, at `trader gateway-sim --lockstep`.
"""

import os
import site
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path

import msgspec
from msgspec import Struct

from trader.analysis.log import Kind, LogReader

ROOT = Path(__file__).resolve().parents[2]
ALWAYS_TRADING = Path(__file__).with_name("always_trading.py")
ACCOUNT = "DU1234567"
WITH_SITE = "import sys; sys.path[:0] = [sys.argv.pop(1)]; sys.path.append(sys.argv.pop(1)); import trader.__main__"
"""What another Python lacks is found in this one's packages; its own come first."""


class Ledger(Struct, frozen=True, kw_only=True):
    """The last line of the gateway: what its checker found."""

    orders: int
    executions: int
    position: int
    unprotected_s: float
    duplicates: list[str]
    orphans: list[str]
    wrong_sides: list[str]
    wrong_side_s: float

    @property
    def is_clean(self) -> bool:
        """Whether every order was sent once and nothing was left over."""
        return not (self.duplicates or self.orphans or self.wrong_sides or self.wrong_side_s or self.position)


class Both(Struct, frozen=True, kw_only=True):
    """The logs of a backtest and of a run in lockstep. `said` is the run's own output; times are seconds."""

    backtest: Path
    live: Path
    ledger: Ledger
    said: str
    backtest_s: float
    live_s: float

    def difference(self) -> str | None:
        """The first line that is not the same to the byte, of the bars' and the events'; None where all are."""
        lines = zip_longest(payloads(self.backtest), payloads(self.live), fillvalue="nothing")
        for number, (mine, theirs) in enumerate(lines, 1):
            if mine != theirs:
                return f"line {number}:\n  backtest: {mine}\n  lockstep: {theirs}"
        return None


class Runs:
    """Plays the same bars twice. `bars` are the options that name them, `changes` settings; both go to all three.

    A process that is not done in `patience_s` has failed: two that wait for each other would for ever.
    """

    def __init__(self, folder: Path, bars: Sequence[str], changes: Sequence[str], patience_s: float = 150.0) -> None:
        self._folder = folder
        self._patience_s = patience_s
        self._options = [*bars, *(part for each in changes for part in ("--set", each))]
        for each in ("backtest", "live", "live/xdg"):
            (folder / each).mkdir(parents=True, exist_ok=True)
        (folder / "live" / "xdg").chmod(0o700)

    def both(self, *, broker: str = "ib", other_python: str | None = None) -> Both:
        """A backtest and a run in lockstep; AssertionError, with its output, where one of the processes fails."""
        began_s = time.monotonic()
        self.backtest()
        live_began_s = time.monotonic()
        said, ledger = self.live(broker, other_python)
        return Both(
            backtest=log_in(self._folder / "backtest"),
            live=log_in(self._folder / "live"),
            ledger=ledger,
            said=said,
            backtest_s=live_began_s - began_s,
            live_s=time.monotonic() - live_began_s,
        )

    def backtest(self) -> None:
        """Replay the bars."""
        done = subprocess.run(
            [sys.executable, "-m", "trader", "backtest", *self._options],
            cwd=self._folder / "backtest",
            env=environment(self._folder),
            capture_output=True,
            text=True,
            check=False,
            timeout=self._patience_s,
        )
        assert done.returncode == 0, done.stderr

    def live(self, broker: str, other_python: str | None) -> tuple[str, Ledger]:
        """Play them in lockstep; what the daemon said, and what the gateway's checker found."""
        library = "ib_insync" if other_python is None else "ib_async"
        command = [sys.executable, "-m", "trader"]
        if other_python is not None:
            command = [other_python, "-c", WITH_SITE, str(ROOT), site.getsitepackages()[0]]
        changes = [f"ib.account={ACCOUNT}", f"ib.library={library}", "ib.warmup_sessions=0"]
        overrides = self._options[self._options.index("--set") :] if "--set" in self._options else []
        with self._gateway() as (gateway, port):
            sets = [part for each in (*changes, f"ib.port={port}") for part in ("--set", each)]
            done = subprocess.run(
                [*command, "run", "--feed", "ib", "--broker", broker, "--lockstep", *overrides, *sets],
                cwd=self._folder / "live",
                env=environment(self._folder),
                capture_output=True,
                text=True,
                check=False,
                timeout=self._patience_s,
            )
            assert done.returncode == 0, done.stdout[-4_000:] + done.stderr
            found, wrong = gateway.communicate(timeout=self._patience_s)
        assert gateway.returncode == 0, wrong
        return done.stdout, msgspec.json.decode(found, type=Ledger)

    @contextmanager
    def _gateway(self) -> Iterator[tuple[subprocess.Popen[str], int]]:
        played = subprocess.Popen(
            [sys.executable, "-m", "trader", "gateway-sim", "--lockstep", "--history", "1", "--port", "0",
             *self._options],
            cwd=self._folder,
            env=environment(self._folder),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        try:
            assert played.stdout is not None
            first = played.stdout.readline()
            assert first.startswith("listening at "), played.communicate()[1]
            yield played, int(first.partition(";")[0].rpartition(":")[2])
        finally:
            played.kill()
            played.communicate()


def environment(folder: Path) -> dict[str, str]:
    """One thread a process, and a folder of its own for locks."""
    return {
        **os.environ,
        "NQ_TRADER_LOCKS": str(folder / "live" / "xdg"),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }


def log_in(folder: Path) -> Path:
    """The one run's log that was written there."""
    (found,) = (folder / "logs").iterdir()
    return found


def payloads(log: Path) -> Iterator[str]:
    """What a log says of bars and events, and of the account at the end, as it is written there."""
    for entry in LogReader(log, is_run=True).entries():
        if entry.kind in {Kind.BAR, Kind.EVENT, Kind.END}:
            yield f"{entry.kind} {entry.payload.decode()}"


def occurrences(log: Path) -> Counter[str]:
    """How often each kind of order was approved, and each reason ended a trade; ambiguous bars, bars and trades."""
    seen: Counter[str] = Counter()
    for entry in LogReader(log, is_run=True).entries():
        if entry.kind is not Kind.BAR:
            continue
        record = entry.bar()
        seen["bars"] += 1
        seen.update(
            f"{each.kind} {each.reason or each.side}" if each.kind != "flatten" else f"flatten {each.reason}"
            for each in record.orders
        )
        for fill in record.fills:
            seen["fills"] += 1
            if fill.pnl is not None:
                seen["trades"] += 1
                seen[f"exit {fill.reason}"] += 1
            if fill.optimistic is not None:
                seen["ambiguous bar"] += 1
    return seen
