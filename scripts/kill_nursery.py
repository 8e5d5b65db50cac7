"""A prepared process that forks lives of `trader`: everything is imported and compiled, nothing has been opened yet.

Reads a JSON line `{"args": [...], "out": PATH}`, forks a process that runs the whole command, answers with its pid;
when it has ended, a second line says how (negative: by that signal). Run by kill_bed.
"""

import importlib
import os
import sys
import threading
import traceback
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from trader.adapters.ib.library import load_library
from trader.cli import main as trader

PREPARED = b"prepared\n"
LITTLE = "2019-11-25"
"""Up to this session of the sample something is replayed."""


class Birth(Struct, frozen=True):
    """A command to run, and the file for what it says."""

    args: tuple[str, ...]
    out: str


def live(birth: Birth) -> None:
    """Be a process of `trader`, from its command line on; never returns."""
    file = os.open(birth.out, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for each in (1, 2):
        os.dup2(file, each)
    os.close(0)
    sys.argv = ["trader", *birth.args]
    code: object = 1
    try:
        trader()
    except SystemExit as end:
        code = end.code or 0
    except BaseException:  # noqa: BLE001 - printed, as the interpreter would, and then the process ends
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 1)


def prepare(folder: Path) -> None:
    """Import and compile what a run needs; RuntimeError where that has left a thread, which no fork carries over."""
    importlib.import_module("trader.commands.run")
    load_library("auto")  # wants a loop, and the replay leaves none
    was, sys.argv = sys.argv, ["trader", "backtest", "--bars", "sample", "--to", LITTLE, "--no-log"]
    said, sys.stdout = sys.stdout, (folder / "prepared.txt").open("w", encoding="utf-8")
    with suppress(SystemExit):
        trader()
    sys.argv, sys.stdout = was, said
    if threading.active_count() > 1:
        msg = f"threads are left: {threading.enumerate()}"
        raise RuntimeError(msg)


def main() -> int:
    """Give birth until nobody asks."""
    prepare(Path(sys.argv[1]))
    answer = os.fdopen(os.dup(1), "wb", buffering=0)
    answer.write(PREPARED)
    for line in sys.stdin.buffer:
        birth = msgspec.json.decode(line, type=Birth)
        pid = os.fork()
        if not pid:
            live(birth)
        answer.write(b"%d\n" % pid)
        answer.write(b"%d\n" % os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
