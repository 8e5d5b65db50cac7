"""Plays sessions of crash_bed whose daemon dies again and again, and prints how each ended, a line of JSON each.

Usage: await_script.py FOLDER MEAN_STEPS SEED... Each life dies before a step that the seed draws, on average after
MEAN_STEPS, every fourth inside a transaction of the state. MEAN_STEPS 0: nobody dies. A process of its own: what the
dead leave behind is never tidied up, as a crash would not.
"""

import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
from crash_bed import played

STATEMENTS_A_STEP = 0.2


def deaths(seed: int, mean_steps: int) -> Iterator[tuple[int, int]]:
    """At which step, and which statement, the lives end; 0 for never."""
    chance = random.Random(seed)
    while mean_steps:
        steps = chance.randint(1, 2 * mean_steps)
        yield (0, max(1, round(steps * STATEMENTS_A_STEP))) if chance.random() < 0.25 else (steps, 0)


def main() -> None:
    """Play and print."""
    root, mean_steps = Path(sys.argv[1]), int(sys.argv[2])
    for seed in (int(text) for text in sys.argv[3:]):
        folder = root / f"seed-{seed}"
        folder.mkdir()
        session, end = played(folder, deaths(seed, mean_steps))
        told = {"seed": seed, "lives": len(session.lived), "faults": session.faults, "end": end}
        sys.stdout.buffer.write(msgspec.json.encode(told) + b"\n")
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
