"""Forks a process for every point at which the steps can end, and lets each end there. Run by test_crash.

Usage: crash_script.py kill|kill-writer|full-disk FOLDER. Each point has a folder of its own, in which `acknowledged`
holds a byte for each step that came back.
"""

import asyncio
import os
import resource
import sys
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count, cycle
from pathlib import Path

from state_builders import ME, STEPS, breaking, die

from trader.adapters.state.connection import Connect, connect
from trader.adapters.state.database import StateDb
from trader.adapters.state.writer import StateWriter, WriterLimits
from trader.errors import StateFailedError

LIMITS = WriterLimits(queue_changes=100, patience_s=30.0)
FULL_DISK_STEP_BYTES = 3_571
FULL_DISK_FROM_BYTES = 64
WRITES = ("PRAGMA", "CREATE", "BEGIN", "INSERT", "UPDATE", "DELETE", "SAVEPOINT", "RELEASE", "COMMIT")
WRITER_STRIDE = 3
COMMITS = len(STEPS) + 2
"""One for the tables, one for the identity, one for each step."""
DIED, FAILED, DONE = 9, 3, 0


def acknowledge(folder: Path) -> Callable[[], None]:
    """A call that notes one more step: what is written survives the process."""
    descriptor = os.open(folder / "acknowledged", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    return lambda: os.write(descriptor, b".") and None


def live(folder: Path, connect: Connect) -> None:
    """All steps in one thread."""
    note = acknowledge(folder)
    state = StateDb(folder / "state", ME, connect=connect)
    for step in STEPS:
        step(state)
        note()


def live_through_writer(folder: Path, connect: Connect) -> None:
    """All steps by way of the writer: every third is waited for, and with it those before it."""

    async def steps() -> None:
        writer = StateWriter(StateDb(folder / "state", ME, connect=connect), LIMITS, lambda _: None)
        waiting = 0
        for step, waits in zip(STEPS, cycle((False, False, True)), strict=False):
            waiting += 1
            if waits:
                await writer.durable(step)
                for _ in range(waiting):
                    note()
                waiting = 0
            else:
                writer.soon(step)

    note = acknowledge(folder)
    asyncio.run(steps())


def fill_disk(folder: Path, max_bytes: int) -> None:
    """All steps where no file may grow beyond this: SQLite writes in part, then the system refuses."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (max_bytes, max_bytes))
    live(folder, connect)


def endings(kind: str, folder: Path) -> Iterator[tuple[str, Callable[[], None]]]:
    """What each child does, under the name of its point, without end.

    To die after a statement is to die before the next that writes, but for a commit: the mark is written in between.
    """
    for number in count(1):
        if kind == "full-disk":
            max_bytes = FULL_DISK_FROM_BYTES + (number - 1) * FULL_DISK_STEP_BYTES
            yield f"{max_bytes}", partial(fill_disk, folder / f"{max_bytes}", max_bytes)
        elif kind == "kill-writer":
            fatal = breaking(number * WRITER_STRIDE, die, after=False, of=WRITES)
            yield f"{number}", partial(live_through_writer, folder / f"{number}", fatal)
        else:
            yield f"{number}", partial(live, folder / f"{number}", breaking(number, die, after=False, of=WRITES))
            if number <= COMMITS:
                name = f"commit-{number}"
                yield name, partial(live, folder / name, breaking(number, die, after=True, of="COMMIT"))


def end_of(child: Callable[[], None]) -> int:
    """Run it in a process of its own; how that ended."""
    pid = os.fork()
    if pid == 0:
        try:
            child()
        except StateFailedError:
            os._exit(FAILED)
        except BaseException as error:  # noqa: BLE001 - a forked child must not go on as its parent does
            sys.stderr.write(f"{error!r}\n")
            sys.stderr.flush()
            os._exit(1)
        os._exit(DONE)
    status = os.waitpid(pid, 0)[1]
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def main() -> int:
    """Go from point to point until one lies beyond the end."""
    kind, root = sys.argv[1], Path(sys.argv[2])
    for name, child in endings(kind, root):
        (root / name).mkdir()
        ending = end_of(child)
        if ending == DONE:
            return 0
        if ending not in {DIED, FAILED}:
            return 1
    return 1


if __name__ == "__main__":
    sys.exit(main())
