"""Forks a process for every N-th statement of a life, and lets each be killed there. Run by test_killed.

Usage: kill_script.py BEGUN FOLDER FIRST LAST STRIDE. Each child lives the bars FIRST..LAST on a copy of BEGUN, as fast
as it can: the writer is some bars behind.
"""

import asyncio
import os
import shutil
import signal
import sys
from pathlib import Path

from live_builders import ALONE, Life, bars

KILLED, DONE = 9, 0


def die() -> None:
    """End this process as kill -9 does."""
    os.kill(os.getpid(), signal.SIGKILL)


async def live(folder: Path, statement: int, first: int, last: int) -> None:
    """Live until killed, or to the end."""
    life = Life(folder, ALONE, seed=7, breaks_at=statement, break_=die)
    life.engine.warm_up(bars()[:first])
    for bar in bars()[first:last]:
        await life.live((bar,))
        await asyncio.sleep(0)
    await life.keeper.on_disk()


def end_of(folder: Path, statement: int, first: int, last: int) -> int:
    """Live in a process of its own; the signal that ended it, 0 for none."""
    pid = os.fork()
    if pid == 0:
        asyncio.run(live(folder, statement, first, last))
        os._exit(DONE)
    return os.WTERMSIG(os.waitpid(pid, 0)[1])


def main() -> int:
    """Go from statement to statement until one lies beyond the end."""
    begun, root = Path(sys.argv[1]), Path(sys.argv[2])
    first, last, stride = (int(text) for text in sys.argv[3:])
    Life(root / "warm", ALONE).writer.close()  # everything is imported and compiled before the first fork
    statement = stride
    while True:
        folder = root / f"at-{statement}"
        shutil.copytree(begun, folder)
        ended = end_of(folder, statement, first, last)
        if ended != KILLED:
            return ended
        statement += stride


if __name__ == "__main__":
    sys.exit(main())
